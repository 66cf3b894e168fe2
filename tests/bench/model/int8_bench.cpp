// SPDX-License-Identifier: GPL-3.0-or-later
// The integer product of W8A8 beside the f32 product of its simulation: the shapes of a 135 M model's layers, 256 tokens,
// rounding the inputs included. Counters are operations per second of processor time.
#include "core/base/parallel.h"
#include "core/base/random.h"
#include "core/compute/cpu_device.h"
#include "core/compute/int8_product.h"

#include <benchmark/benchmark.h>

namespace {

using namespace bw;

constexpr std::int64_t kTokens = 256;

Matrix randomMatrix(std::int64_t rows, std::int64_t cols) {
    Matrix m(rows, cols);
    Random random(1);
    for (std::int64_t i = 0; i < m.size(); ++i) m.data()[i] = static_cast<float>(random.uniform()) - 0.5f;
    return m;
}

void setOperations(benchmark::State& state) {
    state.counters["ops"] = benchmark::Counter(2.0 * static_cast<double>(kTokens * state.range(0) * state.range(1)),
                                               benchmark::Counter::kIsIterationInvariantRate, benchmark::Counter::kIs1000);
}

void productF32(benchmark::State& state) {
    setThreadCount(1);
    const Matrix x = randomMatrix(kTokens, state.range(0)), w = randomMatrix(state.range(1), state.range(0));
    Matrix y(kTokens, state.range(1));
    for (auto _ : state) gemmTransposed(x.view(), w.view(), y.view());
    setOperations(state);
}

void productInt8(benchmark::State& state) {
    setThreadCount(1);
    usePortableInt8(state.range(2) != 0);
    const std::int64_t inputs = state.range(0), outputs = state.range(1);
    const Matrix x = randomMatrix(kTokens, inputs);
    std::vector<std::int8_t> codes(static_cast<std::size_t>(inputs * outputs));
    Random random(2);
    for (std::int8_t& code : codes) code = static_cast<std::int8_t>(static_cast<int>(random.below(255)) - 127);
    const Int8Panels panels(codes, outputs, inputs, std::vector<float>(static_cast<std::size_t>(outputs), 0.01f));
    Matrix y(kTokens, outputs);
    for (auto _ : state) multiplyInt8(Int8Rows(x.view()), panels, y.view());
    usePortableInt8(false);
    setOperations(state);
}

BENCHMARK(productF32)->Args({576, 576})->Args({576, 1536})->Args({1536, 576});
BENCHMARK(productInt8)->Args({576, 576, 0})->Args({576, 1536, 0})->Args({1536, 576, 0})->Args({576, 1536, 1})->ArgNames({"in", "out", "portable"});

} // namespace
