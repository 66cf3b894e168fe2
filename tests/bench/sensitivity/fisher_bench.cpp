// SPDX-License-Identifier: GPL-3.0-or-later
// What the Fisher sketch costs against sites, formats, tokens and draws, in CPU seconds of the whole process and in
// forward passes over the same tokens ("forward": with the head at every position), on the model of bench_model.h.
// "walk" is the walk backwards by itself: the rest is rounding and projecting.
#include "core/base/parallel.h"
#include "core/sensitivity/fisher.h"
#include "core/sensitivity/label_loss.h"
#include "tests/bench/model/bench_model.h"

#include <benchmark/benchmark.h>

namespace {

using namespace bw;
using test::benchModel;
using test::processSeconds;

template <class Work>
double secondsOf(const Work& work) {
    const double start = processSeconds();
    JobContext job;
    work(job);
    return processSeconds() - start;
}

/// range: blocks whose sites take part (all are walked), formats, windows of 256 tokens, draws, 1 with the head.
void fisher(benchmark::State& state) {
    setThreadCount(1);
    const Model& model = *benchModel();
    const Windows windows = test::randomWindows(model, state.range(2), 256);
    FisherOptions options;
    options.rounder.clipSearch = false;
    for (std::int64_t f = 0; f < state.range(1); ++f)
        options.formats.push_back("int" + std::to_string(2 + f % 7) + (f < 7 ? ":g64" : ":g32"));
    constexpr std::int64_t kSegments = 8; // of 256 positions
    options.probes = static_cast<int>(state.range(3) * windows.count * kSegments);
    options.includeHead = state.range(4) != 0;
    for (std::int64_t i = 0, blocks = model.config().blocks; i < state.range(0); ++i)
        options.sites.push_back("blk." + std::to_string((2 * i + 1) * blocks / (2 * state.range(0))) + ".*");
    if (options.includeHead) options.sites.push_back(model.sites().front().name);
    double sketch = 0, walk = 0, forward = 0;
    for (auto _ : state) {
        forward += secondsOf([&](JobContext& job) {
            const ScratchMatrix states = walkBlocks(model, windows, nullptr, nullptr, job);
            walkHead(model, windows, states.view(), nullptr, job, [](std::int64_t, MatrixView<const float>) {});
        });
        walk += secondsOf([&](JobContext& job) {
            detail::LabelLoss loss(model.config().vocabulary, static_cast<int>(state.range(3)), 1);
            GradientObserver nothing;
            walkBackwards(model, windows, nullptr, loss, nothing, job);
        });
        sketch += secondsOf([&](JobContext& job) { fisherSketch(model, windows, options, {}, {}, {}, job); });
    }
    state.counters["sketch_s"] = sketch;
    state.counters["walk_s"] = walk;
    state.counters["forward_s"] = forward;
    state.counters["forwards"] = sketch / forward;
    state.counters["walk_forwards"] = walk / forward;
}

BENCHMARK(fisher)
    ->Unit(benchmark::kSecond)
    ->Iterations(1)
    ->ArgNames({"blocks", "formats", "windows", "draws", "head"})
    ->Args({30, 3, 8, 1, 1}) // the usual
    ->Args({5, 3, 8, 1, 0})
    ->Args({30, 3, 8, 1, 0}) // sites
    ->Args({30, 1, 8, 1, 1})
    ->Args({30, 7, 8, 1, 1})
    ->Args({30, 12, 8, 1, 1}) // formats
    ->Args({30, 3, 2, 1, 1})
    ->Args({30, 3, 32, 1, 1}) // tokens
    ->Args({30, 3, 8, 2, 1})
    ->Args({30, 3, 8, 4, 1}); // draws

} // namespace

BENCHMARK_MAIN();
