// SPDX-License-Identifier: GPL-3.0-or-later
// What a candidate of the measured-KL sweep costs against sites, formats, tokens and the share of scored positions, in CPU
// seconds of the whole process, on a checkpoint of SmolLM2-135M's shape with random weights (or the one that
// BITWRIGHT_BENCH_MODEL names). Sites are those of every k-th block, so that their mean place is the middle of the model, as
// it is for all of them. "forward" beside it is one pass over the same tokens with the head at every position.
#include "core/base/parallel.h"
#include "core/base/random.h"
#include "core/compute/cpu_device.h"
#include "core/sensitivity/sensitivity.h"
#include "tests/support/random_llama.h"
#include "tests/support/temp_folder.h"

#include <benchmark/benchmark.h>
#include <cstdlib>
#include <ctime>

namespace {

using namespace bw;

double processSeconds() {
    timespec t{};
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

const Model& benchModel() {
    static const std::shared_ptr<const Model> model = [] {
        const std::shared_ptr<Device> device = makeCpuDevice();
        if (const char* path = std::getenv("BITWRIGHT_BENCH_MODEL"))
            return Model::open(Checkpoint::open(path), device);
        static const test::TempFolder folder; // mapped until the program ends
        test::RandomLlama shape;
        shape.blocks = 30;
        shape.width = 576;
        shape.feedForward = 1536;
        shape.heads = 9;
        shape.kvHeads = 3;
        shape.headDim = 64;
        shape.vocabulary = 49152;
        shape.context = 8192;
        shape.bf16 = true;
        shape.write(folder.path());
        return Model::open(Checkpoint::open(folder.path().string()), device);
    }();
    return *model;
}

Windows randomWindows(std::int64_t count, std::int64_t length) {
    Windows windows{count, length, {}};
    Random random(7);
    for (std::int64_t i = 0; i < count * length; ++i)
        windows.ids.push_back(static_cast<TokenId>(random.below(static_cast<std::uint64_t>(benchModel().config().vocabulary))));
    return windows;
}

double forwardSeconds(const Windows& windows) {
    JobContext job;
    const double start = processSeconds();
    const ScratchMatrix states = walkBlocks(benchModel(), windows, nullptr, nullptr, job);
    walkHead(benchModel(), windows, states.view(), nullptr, job, [](std::int64_t, MatrixView<const float>) {});
    return processSeconds() - start;
}

/// Sites of the blocks in the middle of `parts` equal parts, all of a block's or one.
std::vector<std::string> spreadSites(std::int64_t parts, bool whole) {
    const std::int64_t blocks = benchModel().config().blocks;
    std::vector<std::string> patterns;
    for (std::int64_t i = 0; i < parts; ++i)
        patterns.push_back("blk." + std::to_string((2 * i + 1) * blocks / (2 * parts)) + (whole ? ".*" : ".ffn_up"));
    return patterns;
}

/// range: blocks taken part in, formats, windows of 256, per cent of the positions, bf16 differences or not.
void sweepKl(benchmark::State& state) {
    setThreadCount(1);
    const Windows windows = randomWindows(state.range(2), 256);
    SweepOptions options;
    options.metric = SensitivityMetric::measuredKl;
    for (std::int64_t bits = 2; bits < 2 + state.range(1); ++bits)
        options.formats.push_back("int" + std::to_string(bits) + ":g64");
    options.sites = spreadSites(state.range(0), true);
    options.positions = static_cast<double>(state.range(3)) / 100;
    options.halfDifferences = state.range(4) != 0;
    double seconds = 0, baseline = 0, forward = 0;
    std::int64_t cells = 0;
    for (auto _ : state) {
        forward += forwardSeconds(windows);
        JobContext job;
        const double start = processSeconds();
        double first = 0;
        cells += static_cast<std::int64_t>(sweep(benchModel(), windows, options, {}, {}, [&](const SensitivityCell&) {
                                               if (first == 0)
                                                   first = processSeconds();
                                           }, job).size());
        // Up to the first cell: the base's walk, what its linears make, and one candidate.
        baseline += first - start;
        seconds += processSeconds() - first;
    }
    const auto n = static_cast<double>(state.iterations());
    const double perCell = seconds / (static_cast<double>(cells) - n);
    state.counters["cells"] = static_cast<double>(cells) / n;
    state.counters["s/cell"] = perCell;
    state.counters["start_s"] = baseline / n - perCell;
    state.counters["forward_s"] = forward / n;
    state.counters["forwards/cell"] = perCell * n / forward;
}

BENCHMARK(sweepKl)->Unit(benchmark::kSecond)->Iterations(1)
    ->ArgNames({"blocks", "formats", "windows", "positions", "half"})
    ->Args({2, 1, 4, 25, 1})->Args({4, 1, 4, 25, 1})->Args({2, 3, 4, 25, 1})                          // sites, formats
    ->Args({2, 1, 2, 25, 1})->Args({2, 1, 8, 25, 1})                                                  // tokens
    ->Args({2, 1, 4, 100, 1})->Args({2, 1, 4, 25, 0})->Args({2, 1, 4, 100, 0});                       // positions, f32 products

} // namespace

BENCHMARK_MAIN();
