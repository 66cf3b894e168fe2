// SPDX-License-Identifier: GPL-3.0-or-later
// What fitting a transform and searching clips costs, in CPU seconds of the whole process, on the model of bench_model.h. "walks"
// is the same in walks over all of the windows, which cost the same in every program that computes in f32.
#include "core/base/parallel.h"
#include "core/quantize/clip.h"
#include "core/quantize/transform.h"
#include "tests/bench/model/bench_model.h"

#include <benchmark/benchmark.h>

namespace {

using namespace bw;
using test::benchModel;
using test::processSeconds;

constexpr const char* kTransforms[] = {"smooth:alpha=0.5", "smooth:search", "awq", "clip"};

/// range: which transform, windows of 512 tokens.
void transform(benchmark::State& state) {
    setThreadCount(1);
    const Model& model = *benchModel();
    const std::string text = kTransforms[state.range(0)];
    const Windows windows = test::randomWindows(model, state.range(1), 512);
    const auto formats = resolveFormats(model, "int4:g64", "", {{"token_embd", "keep"}});
    double fit = 0, walk = 0;
    for (auto _ : state) {
        JobContext job;
        double start = processSeconds();
        walkBlocks(model, windows, nullptr, nullptr, job);
        walk += processSeconds() - start;
        start = processSeconds();
        if (text == "clip")
            clippedModel(model, formats, windows, {}, {}, job);
        else
            fitTransform(model, parseTransform(text), {windows, formats, {}}, job);
        fit += processSeconds() - start;
    }
    state.SetLabel(text);
    state.counters["fit_s"] = fit;
    state.counters["walk_s"] = walk;
    state.counters["walks"] = fit / walk;
}

BENCHMARK(transform)->Unit(benchmark::kSecond)->Iterations(1)->ArgNames({"transform", "windows"})->Args({0, 32})->Args({1, 32})->Args({2, 32})->Args({3, 32});

} // namespace
