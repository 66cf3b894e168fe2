// SPDX-License-Identifier: GPL-3.0-or-later
// Inputs rounded to 8 bits on the device, and products of codes of 8 bits with exact sums, by the dot product instruction where
// the device has it and without: against the processor's own, and whole walks with them.
#include "core/compute/int8_product.h"
#include "core/evaluate/evaluate.h"
#include "core/model/coded_weight.h"
#include "core/quantize/cache_scheme.h"
#include "core/quantize/quantized_model.h"
#include "core/quantize/runtime_grid.h"
#include "tests/gpu/support.h"
#include "tests/support/families.h"
#include "tests/unit/model/tiny_model.h"

#include <gmock/gmock.h>

namespace bw {
namespace {

using test::Matrix;
using test::randomMatrix;
using DotProducts = VulkanOptions::DotProducts;

class VulkanBytes : public test::VulkanTest, public testing::WithParamInterface<DotProducts> {
protected:
    void SetUp() override {
        VulkanTest::SetUp();
        if (IsSkipped()) return;
        const std::vector<std::string> abilities = vulkanDevices().front().abilities;
        const bool has = std::any_of(abilities.begin(), abilities.end(), [](const std::string& a) { return a.starts_with("int8 dot product"); });
        if (GetParam() == DotProducts::wherePossible && !has) GTEST_SKIP() << "no integer dot products here";
        VulkanOptions options;
        options.dotProducts = GetParam();
        device_ = test::openDevice(options);
    }
    void TearDown() override {
        device_.reset();
        VulkanTest::TearDown();
    }
    Device::Counts count(const std::string& operation) const {
        const auto all = device_->operationCounts();
        const auto found = all.find(operation);
        return found == all.end() ? Device::Counts{} : found->second;
    }
    /// x times the coded weight on the device, from lent memory.
    Matrix product(const CodedRows& coded, Matrix& x, bool add = false) {
        const std::vector<std::uint32_t> words = codedWords(coded);
        const DeviceWeightPtr weight = device_->prepareStored({codedStorage(coded.bits), coded.rows, coded.cols, std::as_bytes(std::span(words))}, [coded] { return decoded(coded); });
        Matrix y(x.rows, coded.rows);
        std::fill(y.values.begin(), y.values.end(), 3.0f);
        for (Matrix* m : {&x, &y}) {
            device_->lend(m->values);
            device_->hostWrote(m->view());
        }
        device_->multiplyBytes(x.view(), *weight, y.view(), add);
        device_->toHost(y.view());
        for (Matrix* m : {&x, &y}) device_->reclaim(m->values);
        return y;
    }
    std::shared_ptr<Device> device_;

private:
};
INSTANTIATE_TEST_SUITE_P(Products, VulkanBytes, testing::Values(DotProducts::never, DotProducts::wherePossible),
                         [](const auto& use) { return use.param == DotProducts::never ? "multiplied" : "dotted"; });

void roundRows(Matrix& x) {
    for (std::int64_t t = 0; t < x.rows; ++t) roundSymmetric(x.view().rowSpan(t), largestMagnitude(x.view().rowSpan(t)) / 127, {});
}

/// Every code from −128 to 127, with a scale for each group.
CodedRows randomCodes(std::int64_t rows, std::int64_t cols, std::int64_t group) {
    CodedRows coded{8, rows, cols, group, {}, {}, {}};
    for (std::int64_t i = 0; i < rows * cols; ++i) coded.codes.push_back(static_cast<std::uint8_t>((i * 2654435761) >> 11));
    for (std::int64_t i = 0; i < rows * (cols / group); ++i) {
        coded.scales.push_back(0.01f + 0.001f * static_cast<float>(i % 7));
        coded.zeros.push_back(128);
    }
    return coded;
}

std::vector<std::int8_t> signedCodes(const CodedRows& coded) {
    std::vector<std::int8_t> codes;
    for (const std::uint8_t code : coded.codes) codes.push_back(static_cast<std::int8_t>(code - 128));
    return codes;
}

TEST_P(VulkanBytes, ProductsAreTheProcessorsToTheBit) {
    for (const auto& [rows, cols, outputs] : {std::tuple{9, 4, 1}, std::tuple{70, 37, 131}, std::tuple{65, 1030, 66}, std::tuple{600, 64, 65}}) {
        Matrix x = randomMatrix(rows, cols, 6);
        std::fill_n(x.values.begin(), cols, 0.0f); // a row of zeros has no scale
        roundRows(x);
        const CodedRows coded = randomCodes(outputs, cols, cols);
        Matrix expected(rows, outputs);
        const Int8Panels panels(signedCodes(coded), outputs, cols, coded.scales);
        multiplyInt8(Int8Rows(x.view()), panels, expected.view());
        EXPECT_EQ(product(coded, x).values, expected.values) << rows << "×" << cols << "×" << outputs;
        for (float& v : expected.values) v += 3;
        const Matrix sum = product(coded, x, true);
        for (std::size_t i = 0; i < sum.values.size(); ++i) EXPECT_NEAR(sum.values[i], expected.values[i], 1e-6f * std::abs(expected.values[i]) + 1e-6f);
    }
    EXPECT_EQ(count("bytes").onCpu, 0u);
    EXPECT_EQ(count("bytes").onDevice, 8u);
}

/// Sums near 2^30, with scales of 1 so that they come out as they are.
TEST_P(VulkanBytes, TheWidestSumsAreExact) {
    constexpr std::int64_t kRows = 9, kCols = 65536;
    Matrix x(kRows, kCols);
    CodedRows coded{8, 2, kCols, kCols, std::vector<std::uint8_t>(2 * kCols, 0), {1, 1}, {128, 128}};
    for (std::int64_t i = 0; i < kRows * kCols; ++i) x.values[static_cast<std::size_t>(i)] = i % kCols < 60000 || i / kCols % 2 == 0 ? -127.0f : 100.0f;
    std::fill(coded.codes.begin() + kCols, coded.codes.end(), std::uint8_t{255});
    const Matrix y = product(coded, x);
    for (std::int64_t t = 0; t < kRows; ++t) {
        const std::int64_t sum = t % 2 == 0 ? -127 * kCols : -127 * 60000 + 100 * (kCols - 60000);
        EXPECT_EQ(y.values[static_cast<std::size_t>(2 * t)], static_cast<float>(-128 * sum));
        EXPECT_EQ(y.values[static_cast<std::size_t>(2 * t + 1)], static_cast<float>(127 * sum));
    }
}

/// Groups have scales of their own; zero points and groups that are no whole words are multiplied from their values.
TEST_P(VulkanBytes, GroupsAndZeroPointsMultiplyAsTheirValues) {
    for (const auto& [group, zero] : {std::pair{32, 128}, std::pair{1040, 128}, std::pair{52, 128}, std::pair{26, 128}, std::pair{52, 100}}) {
        CodedRows coded = randomCodes(67, 2080, group);
        for (float& z : coded.zeros) z = static_cast<float>(zero);
        Matrix x = randomMatrix(20, 2080, 3), expected(20, 67);
        roundRows(x);
        const bw::Matrix w = decoded(coded);
        const std::uint64_t before = count("bytes").onDevice;
        const Matrix y = product(coded, x);
        EXPECT_EQ(count("bytes").onDevice - before, group != 26 && zero == 128 ? 1u : 0u);
        const auto cpu = makeCpuDevice();
        cpu->multiply(x.view(), *cpu->prepare(w.view()), expected.view());
        test::expectClose(x.view(), w.view(), Matrix(y).view(), expected.view());
    }
}

/// Values in the middle of two codes, and one float beside it, go where the processor has them.
TEST_P(VulkanBytes, InputsAreRoundedAsOnTheProcessor) {
    for (const float scale : {1.0f, 0.1f, 0.037f, 3.3333f, 1e-20f, 7e20f}) {
        Matrix x(3, 600);
        for (std::int64_t i = 0; i < x.cols; ++i) {
            const float middle = (static_cast<float>(i / 3 % 127) + 0.5f) * scale;
            const float near = i % 3 == 0 ? middle : std::nextafter(middle, i % 3 == 1 ? 0.0f : 1e30f);
            x.view()(0, i) = i % 2 == 0 ? near : -near;
            x.view()(1, i) = near * 0.3f;
            x.view()(2, i) = 0;
        }
        x.view()(0, 599) = 127 * scale;
        Matrix expected = x;
        roundRows(expected);
        EXPECT_FALSE(device_->roundToBytes(x.view())) << "memory of the host is the host's";
        device_->lend(x.values);
        device_->hostWrote(x.view());
        EXPECT_TRUE(device_->roundToBytes(x.view()));
        device_->toHost(x.view());
        device_->reclaim(x.values);
        EXPECT_EQ(x.values, expected.values) << scale;
    }
}

TEST_P(VulkanBytes, WhatIsNotFiniteStaysNoNumber) {
    Matrix x = randomMatrix(12, 40, 1);
    x.view()(3, 7) = std::numeric_limits<float>::quiet_NaN();
    x.view()(5, 0) = std::numeric_limits<float>::infinity();
    const Matrix y = product(randomCodes(5, 40, 40), x);
    for (std::int64_t t = 0; t < 12; ++t)
        for (std::int64_t o = 0; o < 5; ++o) EXPECT_EQ(std::isnan(Matrix(y).view()(t, o)), t == 3 || t == 5) << t;
}

/// A driver that gets them wrong is told from one that does not.
TEST_P(VulkanBytes, WrongProductsAreMadeFromValues) {
    VulkanOptions options;
    options.dotProducts = GetParam();
    options.wrongByteProducts = true;
    device_ = test::openDevice(options);
    const CodedRows coded = randomCodes(5, 40, 40);
    Matrix x = randomMatrix(12, 40, 1), expected(12, 5);
    roundRows(x);
    const Matrix y = product(coded, x);
    const bw::Matrix w = decoded(coded);
    const auto cpu = makeCpuDevice();
    cpu->multiply(x.view(), *cpu->prepare(w.view()), expected.view());
    test::expectClose(x.view(), w.view(), Matrix(y).view(), expected.view());
    EXPECT_EQ(count("bytes").onDevice, 0u);
    EXPECT_EQ(count("multiply").onDevice, 1u);
    EXPECT_THAT(device_->description(), testing::HasSubstr("without products of bytes"));
}

/// Nats per token of a model with weights in 8 bits, and inputs in 8 bits if wanted.
double evaluated(std::shared_ptr<Device> device, bool rounds) {
    JobContext job;
    const auto model = test::openFamily("llama", std::move(device));
    std::vector<SiteFormat> formats;
    for (const Site& site : model->sites())
        if (site.block.value() >= 0) formats.push_back({site.id, "int8:channel:sym", parseFormat("int8:channel:sym"), {}});
    const auto quantized = QuantizedModel::build(*model, formats, {}, {}, job);
    if (rounds) quantized->setRounding(makeRuntimeRounding(ActivationRounding::fit(*model, parseActivationScheme("a8:token"), nullptr), nullptr));
    return evaluatePerplexity(*model, quantized.get(), test::randomWindows(3, 17, 128), {}, job).nll;
}

/// An input in the middle of two codes may go either way by a unit in its last place: a 127th of that token's largest.
constexpr double kRounded = 1e-3;

/// W8A8 from the weights' codes to the figures: inputs do not come to the host, and few rows are multiplied from values.
TEST_P(VulkanBytes, EvaluationsWithRoundedInputsEqualTheProcessors) {
    Matrix first = randomMatrix(9, 8, 1); // is preceded by a test of the product
    product(randomCodes(3, 8, 8), first);
    std::uint64_t before = device_->bytesToHost(), without = 0;
    for (const bool rounds : {false, true}) {
        const double expected = evaluated(makeCpuDevice(), rounds), made = evaluated(device_, rounds);
        const std::uint64_t came = device_->bytesToHost() - before;
        before += came;
        if (!rounds) without = came;
        EXPECT_EQ(came, without);
        EXPECT_NEAR(made, expected, rounds ? kRounded : 1e-5);
    }
    EXPECT_EQ(count("bytes").onCpu, 0u);
    EXPECT_GT(count("bytes").onDevice, 10u);
}

TEST_P(VulkanBytes, ADeviceLostAtAnySubmitIsReplaced) {
    const double expected = evaluated(makeCpuDevice(), true);
    bool survived = false;
    int lost = 0;
    for (int at = 6; !survived; at += 1 + at / 3) {
        ASSERT_LT(at, 5000);
        VulkanOptions options;
        options.dotProducts = GetParam();
        options.loseAfterSubmits = at;
        std::shared_ptr<Device> failing;
        try {
            failing = makeVulkanDevice(0, options);
        } catch (const Error&) {
            continue; // while opening
        }
        EXPECT_NEAR(evaluated(failing, true), expected, kRounded) << "lost at submit " << at;
        survived = failing->failure().empty();
        lost += survived ? 0 : 1;
    }
    EXPECT_GT(lost, 2);
}

} // namespace
} // namespace bw
