// SPDX-License-Identifier: GPL-3.0-or-later
#include "tests/bench/model/gpu_parity.h"

#include "core/base/matrix.h"
#include "core/compute/cpu_device.h"
#include "core/format/format.h"
#include "core/model/coded_weight.h"
#include "core/quantize/runtime_grid.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <iostream>
#include <random>
#include <vector>

namespace bw {
namespace {

constexpr std::int64_t kRows = 70, kCols = 256;

Matrix randomMatrix(std::int64_t rows, std::int64_t cols, std::uint32_t seed) {
    Matrix matrix(rows, cols);
    std::mt19937 rng(seed);
    std::normal_distribution<float> normal;
    for (std::int64_t i = 0; i < matrix.size(); ++i) matrix.data()[i] = normal(rng);
    return matrix;
}

std::span<float> all(Matrix& m) { return {m.data(), static_cast<std::size_t>(m.size())}; }

/// Largest difference as a share of the largest value.
double deviation(std::span<const double> made, std::span<const double> expected) {
    double largest = 0, worst = 0;
    for (std::size_t i = 0; i < made.size(); ++i) {
        largest = std::max(largest, std::abs(expected[i]));
        worst = std::max(worst, std::abs(made[i] - expected[i]));
    }
    return largest > 0 ? worst / largest : worst;
}

/// On the processor as evaluations round.
void roundToBytes(Device& d, MatrixView<float> x) {
    if (d.roundToBytes(x)) return;
    for (std::int64_t t = 0; t < x.rows; ++t) roundSymmetric(x.rowSpan(t), largestMagnitude(x.rowSpan(t)) / 127, {});
}

class Parity {
public:
    explicit Parity(Device& device) : device_(device) {}

    /// `use` changes the matrices, which are lent to the device, and may give numbers of its own.
    using Use = std::function<std::vector<double>(Device&, std::vector<Matrix>&)>;
    void row(const std::string& kernel, const std::vector<std::pair<std::int64_t, std::int64_t>>& shapes, const Use& use) {
        std::vector<double> results[2];
        for (int side = 0; side < 2; ++side) {
            Device& d = side == 0 ? device_ : *cpu_;
            std::vector<Matrix> matrices;
            for (std::size_t i = 0; i < shapes.size(); ++i) matrices.push_back(randomMatrix(shapes[i].first, shapes[i].second, static_cast<std::uint32_t>(i + 1)));
            for (Matrix& m : matrices) {
                d.lend(all(m));
                d.hostWrote(std::as_const(m).view());
            }
            results[side] = use(d, matrices);
            for (Matrix& m : matrices) {
                d.toHost(std::as_const(m).view());
                d.reclaim(all(m));
                results[side].insert(results[side].end(), m.data(), m.data() + m.size());
            }
        }
        std::cout << kernel << std::string(kernel.size() < 28 ? 28 - kernel.size() : 1, ' ') << deviation(results[0], results[1]) << "\n";
    }

private:
    Device& device_;
    std::unique_ptr<Device> cpu_ = makeCpuDevice();
};

void products(Parity& parity) {
    const Matrix w = randomMatrix(131, kCols, 9);
    for (const std::int64_t rows : {std::int64_t{1}, kRows})
        parity.row(rows == 1 ? "multiply, one row" : "multiply", {{rows, kCols}, {rows, 131}}, [&](Device& d, std::vector<Matrix>& m) {
            d.multiply(m[0].view(), *d.prepare(w.view()), m[1].view());
            return std::vector<double>{};
        });
    for (const auto& [name, storage] : {std::pair{"f16", WeightStorage::f16}, std::pair{"bf16", WeightStorage::bf16}, std::pair{"q4_0", WeightStorage::q4_0},
                                        std::pair{"q8_0", WeightStorage::q8_0}, std::pair{"q4_k", WeightStorage::q4_k}, std::pair{"q6_k", WeightStorage::q6_k}}) {
        const FormatPtr format = parseFormat(name);
        std::vector<std::byte> bytes(format->bytes(131, kCols));
        format->encode(w.view(), {}, bytes);
        Matrix decoded(131, kCols);
        format->decode(bytes, decoded.view());
        const auto weightFor = [&, &storage = storage](Device& d) {
            DeviceWeightPtr weight = d.prepareStored({storage, 131, kCols, bytes}, [&] {
                Matrix copy(131, kCols);
                std::copy_n(decoded.data(), decoded.size(), copy.data());
                return copy;
            });
            return weight != nullptr ? weight : d.prepare(std::as_const(decoded).view());
        };
        parity.row(std::string("multiply, ") + name, {{kRows, kCols}, {kRows, 131}}, [&](Device& d, std::vector<Matrix>& m) {
            d.multiply(m[0].view(), *weightFor(d), m[1].view());
            return std::vector<double>{};
        });
        parity.row(std::string("look-up, ") + name, {{3, kCols}}, [&](Device& d, std::vector<Matrix>& m) {
            const std::vector<std::int32_t> ids{7, 130, 0};
            d.rowsOf(*weightFor(d), ids, m[0].view());
            return std::vector<double>{};
        });
    }
    CodedRows coded{8, 131, kCols, kCols, std::vector<std::uint8_t>(131 * kCols), std::vector<float>(131, 0.01f), std::vector<float>(131, 128.0f)};
    for (std::size_t i = 0; i < coded.codes.size(); ++i) coded.codes[i] = static_cast<std::uint8_t>(128 + std::clamp(40 * w.data()[i], -128.0f, 127.0f));
    const std::vector<std::uint32_t> words = codedWords(coded);
    parity.row("round inputs to 8 bits", {{kRows, kCols}}, [&](Device& d, std::vector<Matrix>& m) {
        roundToBytes(d, m[0].view());
        return std::vector<double>{};
    });
    parity.row("multiply, 8 bits by 8 bits", {{kRows, kCols}, {kRows, 131}}, [&](Device& d, std::vector<Matrix>& m) {
        roundToBytes(d, m[0].view());
        const Matrix values = decoded(coded);
        DeviceWeightPtr weight = d.prepareStored({WeightStorage::int8, 131, kCols, std::as_bytes(std::span(words))}, [&] { return decoded(coded); });
        d.multiplyBytes(m[0].view(), weight != nullptr ? *weight : *d.prepare(values.view()), m[1].view());
        return std::vector<double>{};
    });
    parity.row("gram", {{kRows, kCols}}, [](Device& d, std::vector<Matrix>& m) {
        Matrix lower(kCols, kCols);
        lower.fill(0);
        d.gram(m[0].view(), lower.view());
        std::vector<double> values;
        for (std::int64_t i = 0; i < kCols; ++i) values.insert(values.end(), lower.row(i), lower.row(i) + i + 1);
        return values;
    });
}

void passes(Parity& parity) {
    const std::vector<float> weight(kCols, 1.5f), bias(kCols, -0.25f), frequencies{1.0f, 0.3f, 0.1f, 0.01f};
    using Pair = std::pair<const char*, std::function<void(Device&, std::vector<Matrix>&)>>;
    const Pair kernels[] = {
        {"rms norm", [&](Device& d, auto& m) { d.rmsNorm(m[0].view(), weight, 1e-5f, m[1].view()); }},
        {"layer norm", [&](Device& d, auto& m) { d.layerNorm(m[0].view(), weight, bias, 1e-5f, m[1].view()); }},
        {"rotation", [&](Device& d, auto& m) { d.rope(m[0].view(), {8, frequencies}, 900); }},
        {"attention", [&](Device& d, auto& m) { d.attention(m[0].view(), m[1].view(), m[2].view(), {4, 4, 64}, m[3].view()); }},
        {"SwiGLU", [&](Device& d, auto& m) { d.activateMultiply(Activation::silu, m[0].view(), m[1].view()); }},
        {"GELU, tanh", [&](Device& d, auto& m) { d.activate(Activation::geluTanh, m[0].view()); }},
        {"GELU, erf", [&](Device& d, auto& m) { d.activate(Activation::geluErf, m[0].view()); }},
        {"sum", [&](Device& d, auto& m) { d.add(m[0].view(), m[1].view()); }},
        {"sum with a row", [&](Device& d, auto& m) { d.addBias(m[0].view(), bias); }},
        {"soft cap", [&](Device& d, auto& m) { d.softCap(m[0].view(), 2.0f); }},
        {"copy", [&](Device& d, auto& m) { d.copy(m[0].view(), m[1].view()); }},
    };
    for (const auto& [name, use] : kernels)
        parity.row(name, {{kRows, kCols}, {kRows, kCols}, {kRows, kCols}, {kRows, kCols}}, [&use = use](Device& d, std::vector<Matrix>& m) {
            use(d, m);
            return std::vector<double>{};
        });
}

void statistics(Parity& parity) {
    parity.row("log-sum-exp", {{9, 5000}}, [](Device& d, std::vector<Matrix>& m) {
        const std::vector<std::int32_t> targets(9, 17);
        std::vector<RowScore> scores(9);
        d.scoreRows(m[0].view(), targets, scores);
        std::vector<double> values;
        for (const RowScore& s : scores) values.push_back(s.logSumExp);
        return values;
    });
    parity.row("divergence", {{9, 5000}, {9, 5000}}, [](Device& d, std::vector<Matrix>& m) {
        std::vector<double> kl(9);
        d.divergeRows(m[0].view(), m[1].view(), kl);
        return kl;
    });
    for (const int power : {1, 2, 3, 4})
        parity.row("moments of channels, " + std::to_string(power), {{kRows, kCols}}, [&](Device& d, std::vector<Matrix>& m) {
            InputSums sums;
            d.inputSums(m[0].view(), sums);
            std::vector<double> values;
            for (const InputSums::Channel& c : sums.channels) values.push_back(power == 1 ? c.first : power == 2 ? c.second : power == 3 ? c.third : c.fourth);
            return values;
        });
    parity.row("extremes of channels", {{kRows, kCols}}, [](Device& d, std::vector<Matrix>& m) {
        InputSums sums;
        d.inputSums(m[0].view(), sums);
        std::vector<double> values;
        for (const InputSums::Channel& c : sums.channels) values.insert(values.end(), {static_cast<double>(c.low), static_cast<double>(c.high)});
        return values;
    });
    parity.row("8-bit error of rows", {{kRows, kCols}}, [](Device& d, std::vector<Matrix>& m) {
        InputSums sums;
        d.inputSums(m[0].view(), sums);
        std::vector<double> values;
        for (const InputSums::Row& r : sums.rows) values.push_back(r.error);
        return values;
    });
    parity.row("histogram, counts", {{kRows, kCols}}, [](Device& d, std::vector<Matrix>& m) {
        Histogram counts;
        counts.low = -3;
        counts.high = 3;
        counts.bins.resize(2048);
        d.histogram(all(m[0]), counts);
        return std::vector<double>(counts.bins.begin(), counts.bins.end());
    });
    parity.row("histograms of channels", {{kRows, kCols}}, [](Device& d, std::vector<Matrix>& m) {
        const std::vector<std::int32_t> least(kCols, (127 + 3 - 12) * 8);
        std::vector<std::uint32_t> counts(kCols * 193);
        d.logHistograms(m[0].view(), least, 96, counts);
        return std::vector<double>(counts.begin(), counts.end());
    });
}

} // namespace

void printParity(Device& device) {
    std::cout << "Largest deviation from the processor, as a share of the largest value\n" << device.description() << "\n\n";
    Parity parity(device);
    products(parity);
    passes(parity);
    statistics(parity);
    std::cout << "\nDone by the processor, since the device has no kernel or room for them:";
    bool any = false;
    for (const auto& [operation, counts] : device.operationCounts())
        if (counts.onCpu > 0) {
            std::cout << " " << operation << " (" << counts.onCpu << ")";
            any = true;
        }
    std::cout << (any ? "\n" : " nothing\n");
}

} // namespace bw
