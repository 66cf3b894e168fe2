// SPDX-License-Identifier: GPL-3.0-or-later
// Every kernel of a GPU by itself, on memory that stays there: GFLOP/s or GB/s beside the device's name, for a roofline.
// BITWRIGHT_DEVICE names the device ("vulkan:0" when unset); a software device needs --benchmark_filter and patience.
// `bench_gpu --parity` prints how far every kernel is from the processor's instead.
#include "app/common/devices.h"
#include "core/base/matrix.h"
#include "gpu/vulkan_device.h"
#include "tests/bench/model/gpu_parity.h"

#include <benchmark/benchmark.h>
#include <bit>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

namespace {

using namespace bw;

Device& device() {
    static const std::shared_ptr<Device> opened = [] {
        const char* name = std::getenv("BITWRIGHT_DEVICE");
        return makeDevice(name != nullptr ? name : "vulkan:0");
    }();
    return *opened;
}

/// A lent matrix of small numbers.
class Lent {
public:
    Lent(std::int64_t rows, std::int64_t cols, Device& to = device()) : device_(to), matrix_(rows, cols) {
        matrix_.fill(0.01f);
        device_.lend(span());
        device_.hostWrote(std::as_const(matrix_).view());
    }
    ~Lent() { device_.reclaim(span()); }
    Lent(const Lent&) = delete;
    Lent& operator=(const Lent&) = delete;
    MatrixView<float> view() { return matrix_.view(); }
    /// Waits for all that was recorded.
    void wait() { device_.toHost(view().middleRows(0, 1)); }

private:
    std::span<float> span() { return {matrix_.data(), static_cast<std::size_t>(matrix_.size())}; }
    Device& device_;
    Matrix matrix_;
};

void report(benchmark::State& state, double flops, double bytes) {
    const auto runs = static_cast<double>(state.iterations());
    state.SetLabel(device().description());
    if (flops > 0) state.counters["GFLOP/s"] = benchmark::Counter(flops * runs / 1e9, benchmark::Counter::kIsRate);
    if (bytes > 0) state.counters["GB/s"] = benchmark::Counter(bytes * runs / 1e9, benchmark::Counter::kIsRate);
}

double size(MatrixView<float> m) { return static_cast<double>(m.size()); }

void multiply(benchmark::State& state) {
    const std::int64_t T = state.range(0), I = state.range(1), O = state.range(2);
    Lent x(T, I), y(T, O);
    Matrix w(O, I);
    w.fill(0.02f);
    const DeviceWeightPtr weight = device().prepare(std::as_const(w).view());
    for (auto _ : state) {
        device().multiply(x.view(), *weight, y.view());
        y.wait();
    }
    report(state, 2.0 * static_cast<double>(T * I * O), 0);
}
BENCHMARK(multiply)->Args({64, 256, 256})->Args({512, 512, 512})->Args({1, 2048, 2048})->Args({8, 2048, 2048})->Args({2048, 4096, 4096})->UseRealTime();

/// Arguments: rows, the storage; zeros are as good as other codes. Of one row, the weight's bytes are what counts.
void multiplyStored(benchmark::State& state) {
    constexpr std::int64_t N = 2048;
    const std::int64_t T = state.range(0);
    const double bits[] = {32, 16, 16, 4.5, 8.5, 4.5, 6.5625};
    const auto storage = static_cast<std::size_t>(state.range(1));
    const std::vector<std::byte> bytes(static_cast<std::size_t>(bits[storage] / 8 * N * N));
    Lent x(T, N), y(T, N);
    const DeviceWeightPtr weight = device().prepareStored({static_cast<WeightStorage>(storage), N, N, bytes}, [] { return Matrix(N, N); });
    if (weight == nullptr) return state.SkipWithError("this device takes decoded weights");
    for (auto _ : state) {
        device().multiply(x.view(), *weight, y.view());
        y.wait();
    }
    report(state, 2.0 * static_cast<double>(T * N * N), T == 1 ? static_cast<double>(bytes.size()) : 0);
}
BENCHMARK(multiplyStored)->ArgsProduct({{1, 512}, {1, 2, 3, 4, 5, 6}})->UseRealTime();

/// Argument: whether the instruction for dot products is used. Rows that are rounded to bytes already.
void multiplyBytes(benchmark::State& state) {
    constexpr std::int64_t T = 512, N = 2048;
    using DotProducts = VulkanOptions::DotProducts;
    const std::string name = device().name();
    if (!name.starts_with("vulkan:")) return state.SkipWithError("the processor's own products are those of bench_model");
    VulkanOptions options;
    options.dotProducts = state.range(0) == 1 ? DotProducts::wherePossible : DotProducts::never;
    const std::unique_ptr<Device> own = makeVulkanDevice(std::stoi(name.substr(7)), options);
    std::vector<std::uint32_t> words;
    for (std::int64_t row = 0; row < N; ++row) {
        words.insert(words.end(), {static_cast<std::uint32_t>(N), std::bit_cast<std::uint32_t>(0.02f), std::bit_cast<std::uint32_t>(128.0f)});
        words.insert(words.end(), N / 4, 0x55AA33CCu);
    }
    const DeviceWeightPtr weight = own->prepareStored({WeightStorage::int8, N, N, std::as_bytes(std::span(words))}, [] { return Matrix(N, N); });
    Lent x(T, N, *own), y(T, N, *own);
    for (auto _ : state) {
        own->multiplyBytes(x.view(), *weight, y.view());
        y.wait();
    }
    state.SetLabel(own->description());
    state.counters["GOP/s"] = benchmark::Counter(2.0 * static_cast<double>(T * N * N * state.iterations()) / 1e9, benchmark::Counter::kIsRate);
}
BENCHMARK(multiplyBytes)->Arg(0)->Arg(1)->UseRealTime();

void attention(benchmark::State& state) {
    const std::int64_t T = state.range(0), heads = 32, kvHeads = 8, D = 128;
    Lent q(T, heads * D), k(T, kvHeads * D), v(T, kvHeads * D), out(T, heads * D);
    for (auto _ : state) {
        device().attention(q.view(), k.view(), v.view(), {heads, kvHeads, D}, out.view());
        out.wait();
    }
    report(state, 2.0 * static_cast<double>(T * T * heads * D), 0);
}
BENCHMARK(attention)->Arg(256)->Arg(2048)->UseRealTime();

void gram(benchmark::State& state) {
    const std::int64_t T = 512, I = state.range(0);
    Lent x(T, I);
    Matrix lower(I, I);
    lower.fill(0);
    for (auto _ : state) device().gram(x.view(), lower.view());
    report(state, static_cast<double>(T * I * I), 0);
}
BENCHMARK(gram)->Arg(512)->Arg(4096)->UseRealTime();

template <class Use>
void overRows(benchmark::State& state, double passes, Use use) {
    Lent x(2048, state.range(0)), y(2048, state.range(0));
    for (auto _ : state) {
        use(x.view(), y.view());
        x.wait();
    }
    report(state, 0, passes * size(x.view()) * sizeof(float));
}

void norm(benchmark::State& state) {
    const std::vector<float> weight(static_cast<std::size_t>(state.range(0)), 1.0f);
    overRows(state, 3, [&](MatrixView<float> x, MatrixView<float> y) { device().rmsNorm(y, weight, 1e-5f, x); });
}
BENCHMARK(norm)->Arg(512)->Arg(4096)->UseRealTime();

void rope(benchmark::State& state) {
    const std::vector<float> frequencies(32, 0.1f);
    overRows(state, 2, [&](MatrixView<float> x, MatrixView<float>) { device().rope(x, {64, frequencies}, 0); });
}
BENCHMARK(rope)->Arg(512)->Arg(4096)->UseRealTime();

void swiglu(benchmark::State& state) {
    overRows(state, 3, [&](MatrixView<float> x, MatrixView<float> y) { device().activateMultiply(Activation::silu, x, y); });
}
BENCHMARK(swiglu)->Arg(512)->Arg(8192)->UseRealTime();

void addition(benchmark::State& state) {
    overRows(state, 3, [&](MatrixView<float> x, MatrixView<float> y) { device().add(x, y); });
}
BENCHMARK(addition)->Arg(512)->Arg(4096)->UseRealTime();

void histogram(benchmark::State& state) {
    Lent x(2048, state.range(0));
    Histogram counts;
    counts.low = -1;
    counts.high = 1;
    counts.bins.resize(2048);
    for (auto _ : state) device().histogram({x.view().data, static_cast<std::size_t>(x.view().size())}, counts);
    report(state, 0, size(x.view()) * sizeof(float));
}
BENCHMARK(histogram)->Arg(512)->Arg(4096)->UseRealTime();

void layerNorm(benchmark::State& state) {
    const std::vector<float> weight(static_cast<std::size_t>(state.range(0)), 1.0f);
    overRows(state, 3, [&](MatrixView<float> x, MatrixView<float> y) { device().layerNorm(y, weight, weight, 1e-5f, x); });
}
BENCHMARK(layerNorm)->Arg(512)->Arg(4096)->UseRealTime();

void gelu(benchmark::State& state) {
    overRows(state, 2, [&](MatrixView<float> x, MatrixView<float>) { device().activate(Activation::geluErf, x); });
}
BENCHMARK(gelu)->Arg(512)->Arg(8192)->UseRealTime();

void softCap(benchmark::State& state) {
    overRows(state, 2, [&](MatrixView<float> x, MatrixView<float>) { device().softCap(x, 30.0f); });
}
BENCHMARK(softCap)->Arg(512)->Arg(4096)->UseRealTime();

void copy(benchmark::State& state) {
    overRows(state, 2, [&](MatrixView<float> x, MatrixView<float> y) { device().copy(y, x); });
}
BENCHMARK(copy)->Arg(512)->Arg(4096)->UseRealTime();

void lookUp(benchmark::State& state) {
    constexpr std::int64_t N = 4096;
    const std::int64_t C = state.range(0);
    Matrix w(N, C);
    w.fill(0.02f);
    const DeviceWeightPtr weight = device().prepare(std::as_const(w).view());
    std::vector<std::int32_t> ids(2048);
    for (std::size_t t = 0; t < ids.size(); ++t) ids[t] = static_cast<std::int32_t>(t * 1031 % N);
    Lent y(2048, C);
    for (auto _ : state) {
        device().rowsOf(*weight, ids, y.view());
        y.wait();
    }
    report(state, 0, 2 * size(y.view()) * sizeof(float));
}
BENCHMARK(lookUp)->Arg(512)->Arg(4096)->UseRealTime();

/// Logits as they are scored: the likeliest ten, log-sum-exp, the target's.
void score(benchmark::State& state) {
    Lent logits(64, state.range(0));
    const std::vector<std::int32_t> targets(64, 3);
    std::vector<RowScore> scores(64);
    for (auto _ : state) device().scoreRows(logits.view(), targets, scores);
    report(state, 0, size(logits.view()) * sizeof(float));
}
BENCHMARK(score)->Arg(4096)->Arg(131072)->UseRealTime();

void divergence(benchmark::State& state) {
    Lent base(64, state.range(0)), other(64, state.range(0));
    std::vector<double> kl(64);
    for (auto _ : state) device().divergeRows(base.view(), other.view(), kl);
    report(state, 0, 2 * size(base.view()) * sizeof(float));
}
BENCHMARK(divergence)->Arg(4096)->Arg(131072)->UseRealTime();

void inputSums(benchmark::State& state) {
    Lent x(2048, state.range(0));
    InputSums sums;
    for (auto _ : state) device().inputSums(x.view(), sums);
    report(state, 0, size(x.view()) * sizeof(float));
}
BENCHMARK(inputSums)->Arg(512)->Arg(4096)->UseRealTime();

void channelHistograms(benchmark::State& state) {
    Lent x(2048, state.range(0));
    const auto channels = static_cast<std::size_t>(state.range(0));
    const std::vector<std::int32_t> least(channels, (127 - 12) * 8);
    std::vector<std::uint32_t> counts(channels * 193);
    for (auto _ : state) device().logHistograms(x.view(), least, 96, counts);
    report(state, 0, size(x.view()) * sizeof(float));
}
BENCHMARK(channelHistograms)->Arg(512)->Arg(4096)->UseRealTime();

/// What recording an operation costs the host: its own CPU time, a hundred operations that do next to nothing.
void recording(benchmark::State& state) {
    constexpr int kOperations = 100;
    Lent x(1, 64), y(1, 64);
    for (auto _ : state) {
        for (int i = 0; i < kOperations; ++i) device().add(x.view(), y.view());
        x.wait();
    }
    state.SetLabel(device().description());
    state.counters["operations/s"] = benchmark::Counter(static_cast<double>(state.iterations()) * kOperations, benchmark::Counter::kIsRate);
}
BENCHMARK(recording);

} // namespace

int main(int argc, char** argv) {
    if (argc == 2 && std::string_view(argv[1]) == "--parity") {
        printParity(device());
        return 0;
    }
    benchmark::Initialize(&argc, argv);
    if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
    benchmark::RunSpecifiedBenchmarks();
    benchmark::Shutdown();
    return 0;
}
