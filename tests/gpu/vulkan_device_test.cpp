// SPDX-License-Identifier: GPL-3.0-or-later
// Kernels against the CPU device, on whatever Vulkan device there is (a software one will do), under validation.
#include "tests/gpu/support.h"

#include <gmock/gmock.h>
#include <limits>

namespace bw {
namespace {

using test::expectClose;
using test::Matrix;
using test::randomMatrix;

class VulkanKernels : public test::VulkanTest {
protected:
    void compareMultiply(Device& device, std::int64_t T, std::int64_t I, std::int64_t O, bool accumulate) {
        Matrix x = randomMatrix(T, I, 1), w = randomMatrix(O, I, 2), y = randomMatrix(T, O, 3), expected = y;
        device.multiply(x.view(), *device.prepare(w.view()), y.view(), accumulate);
        cpu_->multiply(x.view(), *cpu_->prepare(w.view()), expected.view(), accumulate);
        expectClose(x.view(), w.view(), y.view(), expected.view());
    }

    std::unique_ptr<Device> cpu_ = makeCpuDevice();
};

TEST_F(VulkanKernels, MultiplyEqualsTheCpuForOddShapes) {
    const std::int64_t shapes[][3] = {{1, 1, 1},   {1, 64, 200},   {3, 17, 65}, {64, 64, 64},
                                      {65, 63, 1}, {77, 130, 129}, {200, 5, 71}};
    for (const bool sharedMemory : {false, true}) { // both shaders, whatever the device would choose
        VulkanOptions options;
        options.sharedMemoryGemm = sharedMemory;
        const auto device = test::openDevice(options);
        for (const auto& [T, I, O] : shapes)
            for (const bool accumulate : {false, true}) compareMultiply(*device, T, I, O, accumulate);
        const Device::Counts counts = device->operationCounts().at("multiply");
        EXPECT_EQ(counts.onDevice, 14u);
        EXPECT_EQ(counts.onCpu, 0u);
    }
}

TEST_F(VulkanKernels, StridedViewsTouchOnlyTheirOwnValues) {
    const auto device = test::openDevice();
    constexpr std::int64_t T = 9, I = 21, O = 10;
    Matrix x = randomMatrix(T, 30, 4), w = randomMatrix(O, 25, 5), y(T, 16), expected(T, 16);
    std::fill(y.values.begin(), y.values.end(), 7.0f);
    expected = y;
    const MatrixView<const float> xPart(x.values.data(), T, I, 30), wPart(w.values.data(), O, I, 25);
    const MatrixView<float> yPart(y.values.data(), T, O, 16), expectedPart(expected.values.data(), T, O, 16);
    device->multiply(xPart, *device->prepare(wPart), yPart);
    cpu_->multiply(xPart, *cpu_->prepare(wPart), expectedPart);
    expectClose(xPart, wPart, yPart, expectedPart);
    for (std::int64_t t = 0; t < T; ++t)
        for (std::int64_t c = O; c < 16; ++c) EXPECT_EQ(y.view()(t, c), 7.0f);
}

TEST_F(VulkanKernels, WeightsAreSplitWhenABindingIsTooSmall) {
    VulkanOptions options;
    options.bindingBytes = 64 * 1024; // 64 columns: 256 rows of a weight, or 51 rows of y 320 wide
    const auto device = test::openDevice(options);
    compareMultiply(*device, 120, 64, 320, false);
    compareMultiply(*device, 120, 64, 320, true);
    EXPECT_EQ(device->operationCounts().at("multiply").onDevice, 2u);
}

TEST_F(VulkanKernels, RowsWiderThanABindingGoToTheCpu) {
    VulkanOptions options;
    options.bindingBytes = 64 * 1024;
    const auto device = test::openDevice(options);
    compareMultiply(*device, 2, 20'000, 3, false);
    EXPECT_EQ(device->operationCounts().at("multiply").onCpu, 1u);
    compareMultiply(*device, 2, 20, 3, false); // one refusal is no failure of the device
    EXPECT_EQ(device->operationCounts().at("multiply").onDevice, 1u);
}

TEST_F(VulkanKernels, ReverseRunsOnTheCpuAndIsCounted) {
    const auto device = test::openDevice();
    Matrix w = randomMatrix(7, 5, 6), dy = randomMatrix(3, 7, 7), dx(3, 5);
    device->multiplyBack(dy.view(), *device->prepare(w.view()), dx.view());
    for (std::int64_t r = 0; r < 3; ++r)
        for (std::int64_t i = 0; i < 5; ++i) {
            double sum = 0;
            for (std::int64_t o = 0; o < 7; ++o) sum += static_cast<double>(dy.view()(r, o)) * static_cast<double>(w.view()(o, i));
            EXPECT_NEAR(static_cast<double>(dx.view()(r, i)), sum, 1e-5);
        }
    EXPECT_EQ(device->operationCounts().at("reverse").onCpu, 1u);
}

TEST_F(VulkanKernels, WeightsMayOutliveTheirDevice) {
    Matrix w = randomMatrix(8, 8, 6);
    DeviceWeightPtr weight;
    {
        const auto device = test::openDevice();
        weight = device->prepare(w.view());
    }
    EXPECT_EQ(weight->rows, 8);
    weight.reset();
}

Histogram emptyHistogram(float low, float high, std::size_t bins) {
    Histogram histogram;
    histogram.low = low;
    histogram.high = high;
    histogram.bins.resize(bins);
    return histogram;
}

TEST_F(VulkanKernels, HistogramsEqualTheCpuCountForCount) {
    const auto device = test::openDevice();
    Matrix x = randomMatrix(1, 70'001, 7);
    constexpr float infinity = std::numeric_limits<float>::infinity();
    const std::vector<float> specials{infinity,
                                      -infinity,
                                      infinity,
                                      std::numeric_limits<float>::quiet_NaN(),
                                      -0.0f,
                                      0.0f,
                                      1e-42f,
                                      -1e-42f,
                                      3e38f,
                                      -3e38f,
                                      -2.0f,
                                      2.0f,
                                      std::nextafter(2.0f, 0.0f)};
    std::copy(specials.begin(), specials.end(), x.values.begin() + 100);
    const std::tuple<float, float, std::size_t> ranges[] = {
        {-2, 2, 256}, {0, 1, 1}, {-0.5f, 3, 2048}, {-0.0f, 2, 7}, {-4, -1, 4092}};
    for (const auto& [low, high, bins] : ranges) {
        Histogram mine = emptyHistogram(low, high, bins), expected = mine;
        mine.bins[0] = expected.bins[0] = 5; // counts are added to what is there
        device->histogram(x.values, mine);
        cpu_->histogram(x.values, expected);
        EXPECT_EQ(mine.bins, expected.bins) << low << " " << high;
        EXPECT_EQ(mine.below, expected.below);
        EXPECT_EQ(mine.above, expected.above);
        EXPECT_EQ(mine.nan, 1u);
        EXPECT_EQ(mine.infinite, 3u);
    }
    EXPECT_EQ(device->operationCounts().at("histogram").onDevice, 5u);
}

TEST_F(VulkanKernels, HistogramsThatDoNotFitGoToTheCpu) {
    const auto device = test::openDevice();
    const std::vector<float> x{0.1f, 0.2f, 5.0f};
    Histogram many = emptyHistogram(0, 1, 5000);
    device->histogram(x, many);
    EXPECT_EQ(many.above, 1u);
    EXPECT_EQ(device->operationCounts().at("histogram").onCpu, 1u);
    EXPECT_EQ(device->operationCounts().at("histogram").onDevice, 0u);
}

TEST_F(VulkanKernels, WhatHasNoShaderRunsOnTheCpuAndIsCounted) {
    const auto device = test::openDevice();
    Matrix x = randomMatrix(3, 8, 8), y = x, expected = x;
    const std::vector<float> weight(8, 2.0f);
    device->rmsNorm(x.view(), weight, 1e-5f, y.view());
    cpu_->rmsNorm(x.view(), weight, 1e-5f, expected.view());
    EXPECT_EQ(y.values, expected.values);
    device->add(y.view(), x.view());
    device->activateMultiply(Activation::silu, y.view(), x.view());
    const std::vector<float> frequencies{1.0f, 0.01f};
    device->rope(y.view(), {4, frequencies}, 0);
    EXPECT_EQ(device->operationCounts().at("norm").onCpu, 1u);
    EXPECT_EQ(device->operationCounts().size(), 4u);
    EXPECT_EQ(device->name(), "vulkan:0");
    EXPECT_THAT(device->description(), testing::HasSubstr("Vulkan 1."));
}

} // namespace
} // namespace bw
