// SPDX-License-Identifier: GPL-3.0-or-later
// Tokens per second of the forward pass in 512-token windows with the head and the log-softmax at every position, and
// of generation, on the checkpoint of bench_model.h. Beside them the bare GEMM in the same process, so that a busy
// machine can be told from slow code. The
// argument is the number of threads; "cpu" counters are per second of processor time of the whole process.
#include "core/base/matrix.h"
#include "core/base/parallel.h"
#include "core/model/generate.h"
#include "tests/bench/model/bench_model.h"

#include <benchmark/benchmark.h>

namespace {

using namespace bw;
using test::benchModel;
using test::processSeconds;
using test::randomWindows;

void forward512(benchmark::State& state) {
    setThreadCount(static_cast<int>(state.range(0)));
    const auto model = benchModel();
    const Windows windows = randomWindows(*model, 8, 512);
    std::int64_t tokens = 0;
    double nll = 0, blockSeconds = 0;
    const double before = processSeconds();
    for (auto _ : state) {
        JobContext job;
        const double start = processSeconds();
        const ScratchMatrix states = walkBlocks(*model, windows, nullptr, nullptr, job);
        blockSeconds += processSeconds() - start;
        walkHead(*model, windows, states.view(), nullptr, job, [&](std::int64_t w, MatrixView<const float> logits) {
            const auto rows = static_cast<std::size_t>(logits.rows);
            std::vector<double> scores(rows, 0.0);
            parallelFor(logits.rows - 1, 8, [&](std::int64_t begin, std::int64_t end) {
                for (std::int64_t t = begin; t < end; ++t)
                    scores[static_cast<std::size_t>(t)] =
                        logSumExp(logits.rowSpan(t)) -
                        static_cast<double>(logits(t, windows.window(w)[static_cast<std::size_t>(t + 1)]));
            });
            for (const double s : scores) nll += s;
        });
        tokens += windows.tokens();
    }
    benchmark::DoNotOptimize(nll);
    const double used = processSeconds() - before;
    state.counters["tokens/s"] = benchmark::Counter(static_cast<double>(tokens), benchmark::Counter::kIsRate);
    state.counters["tokens/cpu-s"] = static_cast<double>(tokens) / used;
    state.counters["blocks-share"] = blockSeconds / used;
    setThreadCount(0);
}
BENCHMARK(forward512)->Arg(1)->Arg(2)->Unit(benchmark::kSecond)->UseRealTime();

void gemm512x576x1536(benchmark::State& state) {
    setThreadCount(static_cast<int>(state.range(0)));
    Matrix a(512, 576), b(1536, 576), y(512, 1536);
    a.fill(0.5f);
    b.fill(0.25f);
    const double before = processSeconds();
    for (auto _ : state) gemmTransposed(std::as_const(a).view(), std::as_const(b).view(), y.view());
    const double flop = 2.0 * 512 * 576 * 1536 * static_cast<double>(state.iterations());
    state.counters["GFLOP/s"] = benchmark::Counter(flop * 1e-9, benchmark::Counter::kIsRate);
    state.counters["GFLOP/cpu-s"] = flop * 1e-9 / (processSeconds() - before);
    setThreadCount(0);
}
BENCHMARK(gemm512x576x1536)->Arg(1)->Arg(2)->UseRealTime();

void generateTokens(benchmark::State& state) {
    setThreadCount(static_cast<int>(state.range(0)));
    const auto model = benchModel();
    const std::vector<TokenId> prompt = randomWindows(*model, 1, 16).ids;
    GenerateOptions options;
    options.maxTokens = 48;
    options.stopAtEos = false;
    double rate = 0;
    for (auto _ : state) {
        JobContext job;
        rate = generate(*model, prompt, options, nullptr, job).tokensPerSecond;
    }
    state.counters["tokens/s"] = rate;
    setThreadCount(0);
}
BENCHMARK(generateTokens)->Arg(1)->Arg(2)->Unit(benchmark::kSecond)->UseRealTime()->Iterations(1);

} // namespace

BENCHMARK_MAIN();
