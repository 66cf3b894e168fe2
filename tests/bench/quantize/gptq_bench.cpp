// SPDX-License-Identifier: GPL-3.0-or-later
// Where GPTQ's time goes, in seconds of all threads: Gram matrices, factorisations, weights of SmolLM2's shapes without and with
// sweeps, and a walk over the model with one block rounded beside the walk alone. Aim: all sites of SmolLM2 at int4:g128 on
// 32 × 512 tokens in less than twice the time of the walk. BITWRIGHT_BENCH_MODEL names another model;
// bin/bench_quantize --benchmark_filter=…
#include "core/quantize/gptq.h"
#include "core/quantize/gptq_factor.h"
#include "core/quantize/gptq_sweep.h"
#include "tests/bench/model/bench_model.h"

#include <benchmark/benchmark.h>
#include <numeric>

namespace bw {
namespace {

/// Inputs whose channels go with their neighbours.
Matrix mixedInputs(std::int64_t tokens, std::int64_t width) {
    Matrix x(tokens, width);
    Random random(3);
    for (std::int64_t t = 0; t < tokens; ++t)
        for (std::int64_t c = 0; c < width; ++c)
            x.row(t)[c] = static_cast<float>(random.normal()) + (c > 0 ? 0.8f * x.row(t)[c - 1] : 0.0f);
    return x;
}

Matrix randomWeight(std::int64_t rows, std::int64_t cols) {
    Matrix w(rows, cols);
    Random random(4);
    for (std::int64_t i = 0; i < w.size(); ++i) w.data()[i] = static_cast<float>(0.05 * random.normal());
    return w;
}

/// Runs `work` as often as asked and counts the seconds of all threads.
template <class Work>
void timed(benchmark::State& state, Work work) {
    for (auto _ : state) {
        const double begun = test::processSeconds();
        work();
        state.SetIterationTime(test::processSeconds() - begun);
    }
}

void gram(benchmark::State& state) {
    const Matrix x = mixedInputs(2048, state.range(0));
    Gram sum(state.range(0));
    timed(state, [&] { sum.add(x.view()); });
    state.SetItemsProcessed(state.iterations() * x.rows());
}
BENCHMARK(gram)->Arg(576)->Arg(1536)->UseManualTime()->Unit(benchmark::kMillisecond);

void factor(benchmark::State& state) {
    Gram sum(state.range(0));
    sum.add(mixedInputs(2 * state.range(0), state.range(0)).view());
    std::vector<std::int64_t> order(static_cast<std::size_t>(state.range(0)));
    std::iota(order.begin(), order.end(), std::int64_t{0});
    const Matrix full = sum.full();
    JobContext job;
    timed(state, [&] { benchmark::DoNotOptimize(detail::factorHessian(full, order, 0.01, job)); });
}
BENCHMARK(factor)->Arg(576)->Arg(1536)->UseManualTime()->Unit(benchmark::kMillisecond);

/// One weight with its factorisation, both errors and so many sweeps.
void site(benchmark::State& state, const std::string& format, int sweeps) {
    const Matrix w = randomWeight(state.range(0), state.range(1));
    Gram sum(w.cols());
    sum.add(mixedInputs(2 * w.cols(), w.cols()).view());
    Site of;
    of.id = SiteId{1};
    of.name = "site";
    of.rows = w.rows();
    of.cols = w.cols();
    GptqOptions options;
    options.sweeps = sweeps;
    JobContext job;
    timed(state, [&] { benchmark::DoNotOptimize(gptqSite(of, w.view(), parseFormat(format), sum, {}, options, job)); });
    state.SetItemsProcessed(state.iterations() * w.size());
}
BENCHMARK_CAPTURE(site, int4_g64_published, "int4:g64", 0)->Args({576, 1536})->Args({1536, 576})->UseManualTime()->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(site, int4_g64, "int4:g64", 8)->Args({576, 1536})->Args({1536, 576})->UseManualTime()->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(site, q4_k, "q4_k", 8)->Args({576, 1536})->UseManualTime()->Unit(benchmark::kMillisecond);

/// Sites of block 0 alone, so that the walk over the other blocks is the same with and without.
void block(benchmark::State& state, bool round) {
    const auto model = test::benchModel();
    const Windows windows = test::randomWindows(*model, 8, 512);
    std::vector<SiteFormat> formats;
    for (const Site& s : model->blockSites(BlockIndex{0})) formats.push_back({s.id, "int4:g64", round ? parseFormat("int4:g64") : nullptr, {}});
    JobContext job;
    timed(state, [&] { benchmark::DoNotOptimize(gptqModel(*model, formats, windows, {}, {}, {}, nullptr, job)); });
}
BENCHMARK_CAPTURE(block, walk_alone, false)->UseManualTime()->Iterations(1)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(block, walk_and_one_block_rounded, true)->UseManualTime()->Iterations(1)->Unit(benchmark::kMillisecond);

} // namespace
} // namespace bw

BENCHMARK_MAIN();
