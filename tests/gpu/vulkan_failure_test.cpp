// SPDX-License-Identifier: GPL-3.0-or-later
// Machines without Vulkan, devices that are lost on the way, and a check that validation itself is awake.
#include "gpu/device_context.h"
#include "gpu/gemm.h"
#include "gpu/mirrors.h"
#include "tests/gpu/support.h"

#include <cstdlib>
#include <gmock/gmock.h>

namespace bw {
namespace {

using test::Matrix;
using test::randomMatrix;

TEST(VulkanAbsent, WithoutLoaderTheReasonIsGiven) {
    std::string why;
    EXPECT_TRUE(vulkanDevices(&why, "libno-such-loader.so.1").empty());
    EXPECT_THAT(why,
                testing::AllOf(testing::HasSubstr("no Vulkan loader"), testing::HasSubstr("libno-such-loader.so.1")));
    VulkanOptions options;
    options.library = "libno-such-loader.so.1";
    try {
        makeVulkanDevice(0, options);
        FAIL() << "no error";
    } catch (const Error& e) {
        EXPECT_EQ(e.code(), ErrorCode::deviceUnavailable);
        EXPECT_THAT(e.hint(), testing::HasSubstr("--device cpu"));
    }
}

TEST(VulkanAbsent, ALibraryThatIsNoLoaderIsRefused) {
    std::string why;
    EXPECT_TRUE(vulkanDevices(&why, "libm.so.6").empty());
    EXPECT_THAT(why, testing::HasSubstr("vkGetInstanceProcAddr"));
}

TEST(VulkanAbsent, WithoutDriverTheReasonIsGiven) {
    if (const std::string why = test::whyNoVulkan(); !why.empty()) GTEST_SKIP() << why;
    const char* before = std::getenv("VK_ICD_FILENAMES");
    const std::string kept = before ? before : "";
    setenv("VK_ICD_FILENAMES", "/nonexistent/driver.json", 1);
    std::string why;
    const bool none = vulkanDevices(&why).empty();
    if (before)
        setenv("VK_ICD_FILENAMES", kept.c_str(), 1);
    else
        unsetenv("VK_ICD_FILENAMES");
    EXPECT_TRUE(none);
    EXPECT_THAT(why, testing::HasSubstr("no driver"));
}

TEST(VulkanAbsent, ANumberTooHighNamesHowManyThereAre) {
    if (const std::string why = test::whyNoVulkan(); !why.empty()) GTEST_SKIP() << why;
    for (const int index : {-1, 99}) {
        try {
            makeVulkanDevice(index);
            FAIL() << "no error";
        } catch (const Error& e) {
            EXPECT_EQ(e.code(), ErrorCode::deviceUnavailable);
            EXPECT_THAT(e.message(), testing::HasSubstr("vulkan:" + std::to_string(index)));
        }
    }
}

TEST(VulkanAbsent, DevicesAreListedWithTheirLimits) {
    if (const std::string why = test::whyNoVulkan(); !why.empty()) GTEST_SKIP() << why;
    for (const VulkanDeviceInfo& info : vulkanDevices()) {
        EXPECT_FALSE(info.name.empty());
        EXPECT_GT(info.memoryBytes, 0u);
        EXPECT_GE(info.maxBufferBytes, 1u << 27); // what Vulkan guarantees
    }
}

/// Counts the submits that opening a device takes (its self-test), by losing it at ever later ones.
int submitsOfOpening() {
    for (int at = 0; at < 100; ++at) {
        VulkanOptions options;
        options.loseAfterSubmits = at;
        try {
            makeVulkanDevice(0, options);
            return at;
        } catch (const Error&) {
        }
    }
    return -1;
}

TEST(VulkanLost, LossWhileOpeningIsAnError) {
    if (const std::string why = test::whyNoVulkan(); !why.empty()) GTEST_SKIP() << why;
    VulkanOptions options;
    options.loseAfterSubmits = 0;
    try {
        makeVulkanDevice(0, options);
        FAIL() << "no error";
    } catch (const Error& e) {
        EXPECT_EQ(e.code(), ErrorCode::deviceUnavailable);
        EXPECT_THAT(e.message(), testing::HasSubstr("VK_ERROR_DEVICE_LOST"));
    }
}

TEST(VulkanLost, TheCpuTakesOver) {
    if (const std::string why = test::whyNoVulkan(); !why.empty()) GTEST_SKIP() << why;
    const auto cpu = makeCpuDevice();
    Matrix x = randomMatrix(150, 40, 1), w = randomMatrix(300, 40, 2), start = randomMatrix(150, 300, 3),
           expected = start;
    cpu->multiply(x.view(), *cpu->prepare(w.view()), expected.view(), true);
    const int opening = submitsOfOpening();
    ASSERT_GT(opening, 0);
    for (const int later : {0, 1}) { // while the weight is copied, while it is used
        VulkanOptions options;
        options.loseAfterSubmits = opening + later;
        const auto device = test::openDevice(options);
        const DeviceWeightPtr weight = device->prepare(w.view());
        Matrix y = start;
        device->multiply(x.view(), *weight, y.view(), true);
        EXPECT_EQ(y.values, expected.values);
        EXPECT_EQ(device->operationCounts().at("multiply").onCpu, 1u);
        EXPECT_THAT(device->description(), testing::HasSubstr("VK_ERROR_DEVICE_LOST"));
        EXPECT_FALSE(device->keepsResults());
        // The flag sticks: later work, and weights prepared later, go to the CPU.
        y = start;
        device->multiply(x.view(), *device->prepare(w.view()), y.view(), true);
        EXPECT_EQ(y.values, expected.values);
        Histogram counts;
        counts.high = 1;
        counts.bins.resize(4);
        device->histogram(x.values, counts);
        EXPECT_EQ(device->operationCounts().at("histogram").onDevice, 0u);
        EXPECT_EQ(device->operationCounts().at("multiply").onDevice, 0u);
    }
}

/// Values that stood only on the device are not made up.
TEST(VulkanLost, WhatStoodOnlyThereIsReported) {
    if (const std::string why = test::whyNoVulkan(); !why.empty()) GTEST_SKIP() << why;
    VulkanOptions options;
    options.loseAfterSubmits = submitsOfOpening();
    const auto device = test::openDevice(options);
    Matrix x = randomMatrix(4, 5, 1);
    device->lend(x.values);
    device->hostWrote(x.view());
    device->softCap(x.view(), 3.0f);
    EXPECT_THROW(device->toHost(x.view()), DeviceLost);
    device->reclaim(x.values);
}

/// The weight is too large for the memory, its input and output are not: these come to the host and go back.
TEST(VulkanMemory, AWeightThatDoesNotFitIsMultipliedByTheCpu) {
    if (const std::string why = test::whyNoVulkan(); !why.empty()) GTEST_SKIP() << why;
    VulkanOptions options;
    options.memoryBytes = 60u << 20; // the weight takes 64 MiB
    const auto device = test::openDevice(options);
    Matrix x = randomMatrix(16, 4096, 1), w(4096, 4096), y(16, 4096), expected(16, 4096);
    for (std::size_t i = 0; i < w.values.size(); ++i) w.values[i] = 0.1f * static_cast<float>(i * 31 % 13) - 0.6f;
    const DeviceWeightPtr weight = device->prepare(w.view());
    for (Matrix* m : {&x, &y}) device->lend(m->values);
    device->hostWrote(x.view());
    device->softCap(x.view(), 2.0f); // stands on the device alone
    device->multiply(x.view(), *weight, y.view());
    EXPECT_EQ(device->operationCounts().at("multiply").onCpu, 1u);
    device->toHost(x.view());
    device->toHost(y.view());
    makeCpuDevice()->multiply(x.view(), *makeCpuDevice()->prepare(w.view()), expected.view());
    EXPECT_EQ(y.values, expected.values);
    for (Matrix* m : {&x, &y}) device->reclaim(m->values);
    EXPECT_TRUE(device->failure().empty());
}

/// Until a device's speed is measured, a submit holds at most 1e8 operations (0.1 s of a slow device). Here are 1.3e8.
TEST(VulkanSubmits, LongWorkIsSplit) {
    if (const std::string why = test::whyNoVulkan(); !why.empty()) GTEST_SKIP() << why;
    const vk::Instance instance(VulkanOptions{});
    vk::DeviceContext context(instance.candidates().at(0), instance.functions());
    vk::Stream work(context, vk::QueueUse::work);
    vk::Mirrors mirrors(context, work);
    vk::Gemm gemm(context, work, vk::Gemm::Shader::direct);
    Matrix x = randomMatrix(256, 256, 1), w = randomMatrix(1024, 256, 2), y(256, 1024), expected = y;
    std::vector<vk::WeightPart> parts;
    ASSERT_EQ(vk::Gemm::upload(context, work, w.view(), parts), VK_SUCCESS);
    const auto lent = [&](Matrix& m) {
        EXPECT_EQ(mirrors.lend(m.values), VK_SUCCESS);
        vk::Mirror* mirror = mirrors.find(m.values.data(), m.values.size());
        const vk::Interval all{0, m.values.size()};
        EXPECT_EQ(mirrors.hostWrote(*mirror, all), VK_SUCCESS);
        EXPECT_EQ(mirrors.toDevice(*mirror, all), VK_SUCCESS);
        return std::pair(mirror, vk::Located{mirror->buffer.handle(), 0, m.rows, m.cols, m.cols});
    };
    const vk::Located xAt = lent(x).second;
    const auto [yMirror, yAt] = lent(y);
    ASSERT_EQ(work.finish(), VK_SUCCESS);
    const int uploads = context.submits();
    ASSERT_EQ(gemm.multiply(xAt, parts, WeightStorage::f32, yAt, false), VK_SUCCESS);
    ASSERT_EQ(mirrors.written(*yMirror, {0, y.values.size()}), VK_SUCCESS);
    bool touched = false;
    ASSERT_EQ(mirrors.toHost(*yMirror, {0, y.values.size()}, touched), VK_SUCCESS);
    EXPECT_TRUE(touched);
    EXPECT_GE(context.submits() - uploads, 2);
    EXPECT_GT(work.rate(), 0);
    const auto cpu = makeCpuDevice();
    cpu->multiply(x.view(), *cpu->prepare(w.view()), expected.view());
    test::expectClose(x.view(), w.view(), y.view(), expected.view());
}

/// A deliberate mistake must be counted, or "no validation errors" in the other tests would mean nothing.
TEST(VulkanValidation, MistakesAreSeen) {
    if (const std::string why = test::whyNoVulkan(); !why.empty()) GTEST_SKIP() << why;
    VulkanOptions options;
    options.validation = true;
    std::unique_ptr<vk::Instance> instance;
    try {
        instance = std::make_unique<vk::Instance>(options);
    } catch (const Error& e) {
        GTEST_SKIP() << e.message();
    }
    const int before = vulkanValidationErrors();
    {
        vk::DeviceContext context(instance->candidates().at(0), instance->functions());
        VkBufferCreateInfo empty{};
        empty.sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO; // no size, no usage
        VkBuffer buffer = VK_NULL_HANDLE;
        if (context.functions().CreateBuffer(context.handle(), &empty, nullptr, &buffer) == VK_SUCCESS)
            context.functions().DestroyBuffer(context.handle(), buffer, nullptr);
    }
    EXPECT_GT(vulkanValidationErrors(), before);
}

} // namespace
} // namespace bw
