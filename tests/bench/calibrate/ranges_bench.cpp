// SPDX-License-Identifier: GPL-3.0-or-later
// What each range calibrator costs on one histogram, and what a what-if question costs for inputs of common widths (a slider
// must answer within 16 ms).
#include "core/base/random.h"
#include "core/calibrate/pass.h"
#include "core/calibrate/what_if.h"
#include "core/compute/cpu_device.h"

#include <benchmark/benchmark.h>

#include <cmath>

namespace bw {
namespace {

/// Heavy tails, channels of very different scales: what enters a linear layer.
Matrix activations(std::int64_t rows, std::int64_t width) {
    Matrix x(rows, width);
    Random random(11);
    for (std::int64_t t = 0; t < rows; ++t)
        for (std::int64_t c = 0; c < width; ++c)
            x.row(t)[c] = static_cast<float>(random.normal() * std::exp2(static_cast<double>(c % 9) - 4) * (c % 251 == 3 ? 40 : 1));
    return x;
}

RangeHistogram histogram() {
    RangeHistogram h;
    const auto device = makeCpuDevice();
    const Matrix x = activations(256, 1024);
    h.add({x.data(), static_cast<std::size_t>(x.size())}, *device);
    return h;
}

void calibrator(benchmark::State& state, ClipRange (*fit)(const RangeHistogram&)) {
    const RangeHistogram h = histogram();
    for (auto _ : state)
        benchmark::DoNotOptimize(fit(h));
}
BENCHMARK_CAPTURE(calibrator, minmax, [](const RangeHistogram& h) { return rangeMinMax(h); });
BENCHMARK_CAPTURE(calibrator, percentile, [](const RangeHistogram& h) { return rangePercentile(h, 99.9); });
BENCHMARK_CAPTURE(calibrator, mse, [](const RangeHistogram& h) { return rangeMse(h, 8); });
BENCHMARK_CAPTURE(calibrator, kl, [](const RangeHistogram& h) { return rangeKl(h, 8); });

void question(benchmark::State& state) {
    const std::int64_t width = state.range(0);
    InputGroup group;
    group.name = "blk.0.attn_in";
    group.width = width;
    GroupPass pass(group, true);
    const auto device = makeCpuDevice();
    pass.add(0, activations(256, width).view(), *device);
    InputStatistics statistics = pass.finish({});
    statistics.weightMax.assign(static_cast<std::size_t>(width), 0.1f);
    statistics.weightSquares.assign(static_cast<std::size_t>(width), 1.0);
    const WhatIfInput input(statistics, 3 * width, pass.channels());
    WhatIf asked;
    asked.alpha = 0.5;
    for (auto _ : state)
        benchmark::DoNotOptimize(input.ask(asked));
}
BENCHMARK(question)->Arg(576)->Arg(1536)->Arg(4096)->Arg(11008)->Unit(benchmark::kMillisecond);

} // namespace
} // namespace bw

BENCHMARK_MAIN();
