// SPDX-License-Identifier: GPL-3.0-or-later
// Each operation of a forward pass on lent memory against the CPU, sizes that are no multiple of anything included; what
// is newer where; and weights as they are stored.
#include "core/format/format.h"
#include "core/model/coded_weight.h"
#include "tests/gpu/support.h"

#include <gmock/gmock.h>
#include <functional>

namespace bw {
namespace {

using test::Matrix;
using test::randomMatrix;

/// Functions like exp have a few units in the last place of their own; sums of up to 256 values in another order add as much.
constexpr double kRelative = 2e-5;

class VulkanOperations : public test::VulkanTest {
protected:
    void SetUp() override {
        VulkanTest::SetUp();
        if (!IsSkipped()) device_ = test::openDevice();
    }
    void TearDown() override {
        device_.reset();
        VulkanTest::TearDown();
    }

    /// Runs `use` on both devices, on lent copies of `matrices` here; all must end up alike, the values between rows untouched.
    void compare(const std::string& operation, std::vector<Matrix> matrices,
                 const std::function<void(Device&, std::vector<Matrix>&)>& use) {
        std::vector<Matrix> expected = matrices;
        use(*cpu_, expected);
        const auto before = count(operation);
        for (Matrix& m : matrices) {
            device_->lend(m.values);
            device_->hostWrote(m.view());
        }
        use(*device_, matrices);
        for (Matrix& m : matrices) {
            device_->toHost(m.view());
            device_->reclaim(m.values);
        }
        EXPECT_EQ(count(operation).onCpu, before.onCpu) << operation;
        EXPECT_GT(count(operation).onDevice, before.onDevice) << operation;
        for (std::size_t m = 0; m < matrices.size(); ++m) {
            double largest = 0, worst = 0;
            for (const float value : expected[m].values) largest = std::max(largest, std::abs(static_cast<double>(value)));
            for (std::size_t i = 0; i < expected[m].values.size(); ++i)
                worst = std::max(worst, std::abs(static_cast<double>(expected[m].values[i]) - static_cast<double>(matrices[m].values[i])));
            EXPECT_LE(worst, kRelative * largest) << operation << ", matrix " << m;
        }
    }
    Device::Counts count(const std::string& operation) const {
        const auto all = device_->operationCounts();
        const auto found = all.find(operation);
        return found == all.end() ? Device::Counts{} : found->second;
    }
    std::unique_ptr<Device> device_;
    std::unique_ptr<Device> cpu_ = makeCpuDevice();

private:
};

/// `cols` of the columns, from `first` on.
MatrixView<float> columns(Matrix& m, std::int64_t first, std::int64_t cols) { return m.view().middleCols(first, cols); }

TEST_F(VulkanOperations, NormsEqualTheCpu) {
    for (const auto& [rows, cols] : {std::pair{1, 1}, std::pair{3, 200}, std::pair{130, 77}}) {
        const std::vector<float> weight = randomMatrix(1, cols, 3).values, bias = randomMatrix(1, cols, 4).values;
        const std::vector<Matrix> both{randomMatrix(rows, cols, 1), randomMatrix(rows, cols, 2)};
        compare("norm", both, [&](Device& d, std::vector<Matrix>& m) { d.rmsNorm(m[0].view(), weight, 1e-5f, m[1].view()); });
        compare("norm", both, [&](Device& d, std::vector<Matrix>& m) { d.rmsNorm(m[0].view(), weight, 1e-5f, m[0].view()); });
        compare("norm", both, [&](Device& d, std::vector<Matrix>& m) { d.layerNorm(m[0].view(), weight, bias, 1e-5f, m[1].view()); });
        compare("norm", both, [&](Device& d, std::vector<Matrix>& m) { d.layerNorm(m[0].view(), weight, {}, 1e-3f, m[1].view()); });
    }
    const std::vector<float> weight(16, 2.0f);
    compare("norm", {randomMatrix(9, 48, 5)}, [&](Device& d, std::vector<Matrix>& m) { // one head of three, in place
        d.rmsNorm(columns(m[0], 16, 16), weight, 1e-6f, columns(m[0], 16, 16));
    });
}

TEST_F(VulkanOperations, RotationsEqualTheCpu) {
    std::vector<float> frequencies;
    for (int i = 0; i < 6; ++i) frequencies.push_back(std::pow(10'000.0f, -static_cast<float>(i) / 6));
    for (const std::int64_t position : {0, 5, 700, 1000})
        compare("rope", {randomMatrix(11, 3 * 16, 6)}, [&](Device& d, std::vector<Matrix>& m) {
            d.rope(m[0].view(), {16, frequencies, 1.25f}, position); // 12 of 16 channels turn
        });
    compare("rope", {randomMatrix(4, 40, 7)}, [&](Device& d, std::vector<Matrix>& m) { d.rope(columns(m[0], 8, 24), {12, frequencies}, 3); });
}

TEST_F(VulkanOperations, ElementwiseWorkEqualsTheCpu) {
    const std::vector<Matrix> two{randomMatrix(13, 37, 1), randomMatrix(13, 37, 2)};
    std::vector<Matrix> wide = two;
    for (float& value : wide[0].values) value *= 20; // saturates what saturates
    for (const Activation f : {Activation::silu, Activation::geluTanh, Activation::geluErf})
        for (const auto& matrices : {two, wide}) {
            compare("activation", matrices, [&](Device& d, std::vector<Matrix>& m) { d.activateMultiply(f, m[0].view(), m[1].view()); });
            compare("activation", matrices, [&](Device& d, std::vector<Matrix>& m) { d.activate(f, m[0].view()); });
        }
    compare("add", two, [](Device& d, std::vector<Matrix>& m) { d.add(m[0].view(), m[1].view()); });
    const std::vector<float> bias = randomMatrix(1, 37, 9).values;
    compare("add", two, [&](Device& d, std::vector<Matrix>& m) { d.addBias(m[0].view(), bias); });
    compare("softCap", wide, [](Device& d, std::vector<Matrix>& m) { d.softCap(m[0].view(), 30.0f); });
    compare("copy", two, [](Device& d, std::vector<Matrix>& m) { d.copy(columns(m[0], 3, 20), columns(m[1], 9, 20)); });
    compare("copy", two, [](Device& d, std::vector<Matrix>& m) { d.fill(columns(m[0], 1, 30), -2.5f); });
}

TEST_F(VulkanOperations, AttentionEqualsTheCpu) {
    struct Case {
        std::int64_t tokens, position0, heads, kvHeads, headDim, window;
        float softCap;
    };
    for (const Case& c : {Case{1, 0, 1, 1, 8, 0, 0}, Case{70, 0, 4, 2, 16, 0, 0}, Case{9, 130, 2, 1, 64, 0, 0}, Case{75, 3, 2, 2, 20, 17, 0},
                          Case{33, 0, 3, 3, 100, 0, 5}, Case{5, 66, 1, 1, 256, 40, 30}}) {
        const AttentionShape shape{c.heads, c.kvHeads, c.headDim, c.position0, c.window, 0, c.softCap};
        const std::int64_t q = c.heads * c.headDim, kv = c.kvHeads * c.headDim, keys = c.position0 + c.tokens;
        compare("attention", {randomMatrix(c.tokens, q, 1), randomMatrix(keys, kv, 2), randomMatrix(keys, kv, 3), Matrix(c.tokens, q)},
                [&](Device& d, std::vector<Matrix>& m) { d.attention(m[0].view(), m[1].view(), m[2].view(), shape, m[3].view()); });
    }
    // Side by side in one matrix, as a fused projection leaves them.
    compare("attention", {randomMatrix(20, 3 * 24, 4), Matrix(20, 24)}, [](Device& d, std::vector<Matrix>& m) {
        d.attention(columns(m[0], 0, 24), columns(m[0], 24, 24), columns(m[0], 48, 24), {3, 3, 8}, m[1].view());
    });
}

TEST_F(VulkanOperations, WhatIsTooWideGoesToTheCpu) {
    std::vector<Matrix> m{randomMatrix(3, 300, 1), randomMatrix(3, 300, 2), randomMatrix(3, 300, 3), Matrix(3, 300)};
    std::vector<Matrix> expected = m;
    for (Matrix& matrix : m) {
        device_->lend(matrix.values);
        device_->hostWrote(matrix.view());
    }
    const AttentionShape shape{1, 1, 300};
    for (auto* use : {&m, &expected}) {
        Device& d = use == &m ? *device_ : *cpu_;
        d.add((*use)[0].view(), (*use)[1].view()); // the newest queries are on the device
        d.attention((*use)[0].view(), (*use)[1].view(), (*use)[2].view(), shape, (*use)[3].view());
        d.add((*use)[3].view(), (*use)[1].view()); // and what the CPU made goes there again
    }
    device_->toHost(m[3].view());
    for (Matrix& matrix : m) device_->reclaim(matrix.values);
    EXPECT_EQ(count("attention").onCpu, 1u);
    EXPECT_EQ(count("add").onDevice, 2u);
    for (std::size_t i = 0; i < m[3].values.size(); ++i) EXPECT_NEAR(m[3].values[i], expected[3].values[i], 1e-5f);
}

/// Rows change hands in turns, parts of them at a time.
TEST_F(VulkanOperations, TheNewestValueCountsWhereverItIs) {
    Matrix m = randomMatrix(10, 8, 1), expected = m;
    device_->lend(m.values);
    device_->hostWrote(m.view());
    const auto onHost = [](Matrix& matrix, std::int64_t first, std::int64_t rows) {
        for (std::int64_t i = first * 8; i < (first + rows) * 8; ++i) matrix.values[static_cast<std::size_t>(i)] *= 3;
    };
    for (int round = 0; round < 3; ++round) {
        for (const std::int64_t first : {0, 6, 2}) {
            device_->fill(m.view().middleRows(first, 2), static_cast<float>(first + round));
            cpu_->fill(expected.view().middleRows(first, 2), static_cast<float>(first + round));
        }
        for (const std::int64_t first : {3, 9, 0}) {
            device_->toHost(m.view().middleRows(first, 1));
            onHost(m, first, 1);
            device_->hostWrote(m.view().middleRows(first, 1));
            onHost(expected, first, 1);
        }
        device_->add(m.view().middleRows(1, 4), m.view().middleRows(5, 4));
        cpu_->add(expected.view().middleRows(1, 4), expected.view().middleRows(5, 4));
    }
    device_->toHost(m.view());
    EXPECT_EQ(m.values, expected.values);
    device_->reclaim(m.values);
}

/// A shader that can't be built costs its operation, nothing else.
TEST_F(VulkanOperations, AnOperationWithoutItsShaderRunsOnTheCpu) {
    VulkanOptions options;
    options.failShader = "activation";
    const auto broken = test::openDevice(options);
    Matrix x = randomMatrix(5, 6, 1), expected = x;
    broken->lend(x.values);
    broken->hostWrote(x.view());
    for (Device* d : {broken.get(), cpu_.get()}) {
        Matrix& m = d == broken.get() ? x : expected;
        d->softCap(m.view(), 2.0f);
        d->activate(Activation::silu, m.view());
    }
    broken->toHost(x.view());
    broken->reclaim(x.values);
    for (std::size_t i = 0; i < x.values.size(); ++i) EXPECT_NEAR(x.values[i], expected.values[i], 1e-6f);
    EXPECT_EQ(broken->operationCounts().at("activation").onCpu, 1u);
    EXPECT_EQ(broken->operationCounts().at("softCap").onDevice, 1u);
}

TEST_F(VulkanOperations, GramMatricesEqualTheCpus) {
    for (const auto& [tokens, channels] : {std::pair{1, 1}, std::pair{37, 64}, std::pair{90, 131}}) {
        Matrix x = randomMatrix(tokens, channels, 1), mine = randomMatrix(channels, channels, 2), expected = mine;
        device_->gram(x.view(), mine.view());
        cpu_->gram(x.view(), expected.view());
        for (std::int64_t i = 0; i < channels; ++i)
            for (std::int64_t j = 0; j <= i; ++j) EXPECT_NEAR(mine.view()(i, j), expected.view()(i, j), 1e-4f) << i << " " << j;
    }
    EXPECT_EQ(count("gram").onDevice, 3u);
    VulkanOptions options;
    options.bindingBytes = 64 * 1024; // 131 rows of 131 floats do not fit one binding
    const auto narrow = test::openDevice(options);
    Matrix x = randomMatrix(20, 180, 3), mine(180, 180), expected(180, 180);
    narrow->gram(x.view(), mine.view());
    cpu_->gram(x.view(), expected.view());
    for (std::int64_t i = 0; i < 180; ++i)
        for (std::int64_t j = 0; j <= i; ++j) EXPECT_NEAR(mine.view()(i, j), expected.view()(i, j), 1e-4f) << i << " " << j;
    EXPECT_EQ(narrow->operationCounts().at("gram").onDevice, 1u);
}

TEST_F(VulkanOperations, ScoresAndDivergencesEqualTheCpus) {
    for (const auto& [rows, cols] : {std::pair{1, 3}, std::pair{7, 300}, std::pair{3, 20'011}}) {
        Matrix base = randomMatrix(rows, cols, 1), other = base;
        const Matrix noise = randomMatrix(rows, cols, 2);
        for (std::size_t i = 0; i < base.values.size(); ++i) {
            base.values[i] *= 3;
            other.values[i] = base.values[i] + (cols == 300 ? 2.0f : 0.02f) * noise.values[i];
        }
        if (cols > 100) base.values[5] = base.values[90] = 40; // of equal ones the first
        std::vector<std::int32_t> targets;
        for (int r = 0; r < rows; ++r) targets.push_back(r * 31 % cols);
        std::vector<RowScore> mine(targets.size()), expected(targets.size());
        std::vector<double> kl(targets.size()), right(targets.size());
        for (Matrix* m : {&base, &other}) {
            device_->lend(m->values);
            device_->hostWrote(m->view());
        }
        device_->scoreRows(base.view(), targets, mine);
        device_->divergeRows(base.view(), other.view(), kl);
        Matrix values(rows, 3);
        std::vector<std::int32_t> columns;
        for (int r = 0; r < rows; ++r) columns.insert(columns.end(), {cols - 1, r * 17 % cols, r % 2 == 0 ? -1 : 0});
        device_->valuesAt(base.view(), columns, values.view());
        for (Matrix* m : {&base, &other}) device_->reclaim(m->values);
        cpu_->scoreRows(base.view(), targets, expected);
        cpu_->divergeRows(base.view(), other.view(), right);
        for (std::size_t r = 0; r < targets.size(); ++r) {
            EXPECT_NEAR(mine[r].logSumExp, expected[r].logSumExp, 2e-6 * std::abs(expected[r].logSumExp) + 1e-6);
            EXPECT_EQ(mine[r].target, expected[r].target);
            EXPECT_EQ(mine[r].largest, expected[r].largest);
            EXPECT_EQ(mine[r].top, expected[r].top);
            for (std::size_t k = 0; k < columns.size() / targets.size(); ++k) {
                const auto row = static_cast<std::int64_t>(r), column = static_cast<std::int64_t>(k);
                const std::int32_t at = columns[r * 3 + k];
                EXPECT_TRUE(at < 0 ? std::isnan(values.view()(row, column)) : values.view()(row, column) == base.view()(row, at));
            }
            EXPECT_NEAR(kl[r], right[r], 2e-5 * right[r] + 1e-9); // logits of 10 and their norms are rounded to 1e-6, beside differences of 0.05
        }
    }
    EXPECT_EQ(count("score").onDevice, 9u);
    EXPECT_EQ(device_->bytesToHost(), 0u);
}

struct Stored {
    const char* format;
    WeightStorage storage;
};

/// Blocks are decoded where they are used: the product is that of the decoded weight.
TEST_F(VulkanOperations, StoredWeightsMultiplyAsTheirDecodedValues) {
    for (const bool sharedMemory : {false, true}) {
        VulkanOptions options;
        options.sharedMemoryGemm = sharedMemory;
        const auto device = test::openDevice(options);
        for (const Stored& stored : {Stored{"f16", WeightStorage::f16}, Stored{"bf16", WeightStorage::bf16}, Stored{"q4_0", WeightStorage::q4_0},
                                     Stored{"q8_0", WeightStorage::q8_0}, Stored{"q4_k", WeightStorage::q4_k}, Stored{"q6_k", WeightStorage::q6_k}}) {
            Matrix w = randomMatrix(70, 512, 5), x = randomMatrix(9, 512, 6), y(9, 70), expected(9, 70);
            const FormatPtr format = parseFormat(stored.format);
            std::vector<std::byte> encoded(format->bytes(70, 512));
            format->encode(w.view(), {}, encoded);
            bw::Matrix decoded(70, 512);
            format->decodeRows(encoded, 70, 0, decoded.view());
            const DeviceWeightPtr weight = device->prepareStored({stored.storage, 70, 512, encoded}, [] { return bw::Matrix(); });
            device->multiply(x.view(), *weight, y.view());
            cpu_->multiply(x.view(), *cpu_->prepare(std::as_const(decoded).view()), expected.view());
            test::expectClose(x.view(), std::as_const(decoded).view(), y.view(), expected.view());
        }
        EXPECT_EQ(device->operationCounts().at("multiply").onDevice, 6u);
    }
}

/// Codes of any width up to a byte, in groups of any length, also rows that fill no whole word.
TEST_F(VulkanOperations, IntegerCodesMultiplyAsTheirValues) {
    for (const auto& [bits, cols, group] : {std::tuple{4, 96, 32}, std::tuple{3, 90, 9}, std::tuple{8, 130, 130}, std::tuple{6, 63, 21}}) {
        CodedRows coded{bits, 70, cols, group, {}, {}, {}};
        Matrix w(70, cols), x = randomMatrix(9, cols, 6), y(9, 70), expected(9, 70);
        const Matrix noise = randomMatrix(70, cols, 5);
        for (std::int64_t i = 0; i < 70 * cols; ++i) {
            if (i % group == 0) {
                coded.scales.push_back(0.01f + 0.001f * static_cast<float>(i / group % 7));
                coded.zeros.push_back(static_cast<float>(i / group % (1 << bits)));
            }
            const auto code = static_cast<std::uint8_t>(static_cast<int>(std::abs(noise.values[static_cast<std::size_t>(i)]) * 1000) % (1 << bits));
            coded.codes.push_back(code);
            w.values[static_cast<std::size_t>(i)] = coded.scales.back() * (static_cast<float>(code) - coded.zeros.back());
        }
        const std::vector<std::uint32_t> words = codedWords(coded);
        const DeviceWeightPtr weight = device_->prepareStored({codedStorage(bits), 70, cols, std::as_bytes(std::span(words))}, [] { return bw::Matrix(); });
        device_->multiply(x.view(), *weight, y.view());
        cpu_->multiply(x.view(), *cpu_->prepare(w.view()), expected.view());
        test::expectClose(x.view(), w.view(), y.view(), expected.view());
    }
    EXPECT_EQ(count("multiply").onDevice, 4u);
    EXPECT_EQ(count("multiply").onCpu, 0u);
}

} // namespace
} // namespace bw
