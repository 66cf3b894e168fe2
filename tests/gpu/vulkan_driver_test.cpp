// SPDX-License-Identifier: GPL-3.0-or-later
// Drivers as they come: with wrong results, without memory, without small types, with whatever stands in the shader cache.
#include "gpu/device_context.h"
#include "tests/gpu/support.h"
#include "tests/support/temp_folder.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <gmock/gmock.h>
#include <sstream>

namespace bw {
namespace {

namespace fs = std::filesystem;
using test::Matrix;
using test::randomMatrix;

class VulkanDriver : public test::VulkanTest {
protected:
    /// @returns the message of the error that opening must be.
    static Error refused(const VulkanOptions& options) {
        try {
            makeVulkanDevice(0, options);
        } catch (const Error& e) {
            EXPECT_EQ(e.code(), ErrorCode::deviceUnavailable);
            return e;
        }
        ADD_FAILURE() << "no error";
        return Error(ErrorCode::internal, "", "");
    }
    static std::vector<float> product(Device& device) {
        Matrix x = randomMatrix(9, 40, 1), w = randomMatrix(20, 40, 2), y(9, 20);
        device.multiply(x.view(), *device.prepare(w.view()), y.view());
        EXPECT_EQ(device.operationCounts().at("multiply").onDevice, 1u);
        return y.values;
    }

};

TEST_F(VulkanDriver, WrongResultsRefuseTheDeviceUnlessTheyAreTrusted) {
    VulkanOptions options;
    options.wrongResults = true;
    const Error error = refused(options);
    EXPECT_THAT(error.message(), testing::HasSubstr("a test multiplication gave"));
    EXPECT_THAT(error.hint(), testing::HasSubstr("BITWRIGHT_GPU_UNCHECKED"));
    options.trustWrongResults = true;
    const auto device = test::openDevice(options);
    EXPECT_THAT(device->description(), testing::HasSubstr("used although"));
    product(*device);
    options.loseAfterSubmits = 0; // one that does nothing at all is of no use to anyone
    EXPECT_THAT(refused(options).message(), testing::HasSubstr("VK_ERROR_DEVICE_LOST"));
}

TEST_F(VulkanDriver, OneThatReportsNoMemoryIsRefused) {
    VulkanOptions options;
    options.noMemory = true;
    EXPECT_THAT(refused(options).message(), testing::HasSubstr("no memory"));
}

/// Bytes taken out of words and bytes read as such are the same bytes.
TEST_F(VulkanDriver, WithoutSmallTypesResultsAreTheSameToTheBit) {
    std::vector<std::vector<float>> results[2];
    for (const bool plain : {false, true}) {
        VulkanOptions options;
        options.plainStorage = plain;
        const auto device = test::openDevice(options);
        for (const auto& [storage, bits] : {std::pair{WeightStorage::f16, 16.0}, std::pair{WeightStorage::bf16, 16.0}, std::pair{WeightStorage::q8_0, 8.5},
                                            std::pair{WeightStorage::q6_k, 6.5625}}) {
            // Any bytes are weights; those of halves are kept finite.
            std::vector<std::byte> bytes(static_cast<std::size_t>(bits / 8 * 20 * 256));
            for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::byte>((i * 37 + i / 7) % 256 & 0xBBu);
            const DeviceWeightPtr weight = device->prepareStored({storage, 20, 256, bytes}, [] { return bw::Matrix(); });
            const std::int64_t rows = storage == WeightStorage::q6_k ? 11 : 2; // both kinds of product
            Matrix x = randomMatrix(rows, 256, 3), y(rows, 20);
            device->multiply(x.view(), *weight, y.view());
            results[plain ? 1 : 0].push_back(y.values);
        }
        EXPECT_EQ(device->operationCounts().at("multiply").onCpu, 0u);
    }
    EXPECT_EQ(results[0], results[1]);
}

/// Run once for each size that a software device can take (CMakeLists.txt); the other tests of that run are what counts.
TEST(VulkanSubgroups, AreAsWideAsAsked) {
    if (const std::string why = test::whyNoVulkan(); !why.empty()) GTEST_SKIP() << why;
    const VulkanDeviceInfo info = vulkanDevices().front();
    const char* bits = std::getenv("LP_NATIVE_VECTOR_WIDTH");
    if (bits != nullptr && info.name.starts_with("llvmpipe")) {
        EXPECT_EQ(info.subgroupSize, std::stoi(bits) / 32);
    }
    EXPECT_GE(info.subgroupSize, 1);
    EXPECT_LE(info.subgroupSize, 128);
}

class VulkanCache : public VulkanDriver {
protected:
    void SetUp() override {
        VulkanDriver::SetUp();
        options_.cacheFolder = folder_.file("deep/cache");
    }
    /// Opens the device, uses it and closes it.
    std::vector<float> useIt() {
        const auto device = test::openDevice(options_);
        return product(*device);
    }
    /// Would the driver be given what stands on disk?
    bool fits() {
        const vk::Instance instance(options_);
        vk::DeviceContext context(instance.candidates().at(0), instance.functions(), options_);
        path_ = context.pipelines()->path();
        const bool loaded = context.pipelines()->loaded();
        context.distrust(); // nothing is written
        return loaded;
    }
    static std::string contentsOf(const std::string& path) {
        std::ifstream in(path, std::ios::binary);
        std::stringstream all;
        all << in.rdbuf();
        return all.str();
    }
    void put(const std::string& contents) const { std::ofstream(path_, std::ios::binary | std::ios::trunc) << contents; }
    test::TempFolder folder_;
    VulkanOptions options_;
    std::string path_;
};

TEST_F(VulkanCache, IsWrittenAndRead) {
    EXPECT_FALSE(fits());
    const std::vector<float> first = useIt();
    EXPECT_TRUE(fits());
    EXPECT_EQ(useIt(), first);
    std::size_t files = 0;
    for (const auto& entry : fs::recursive_directory_iterator(folder_.path())) files += entry.is_regular_file() ? 1u : 0u;
    EXPECT_EQ(files, 1u) << "nothing is left over";
}

TEST_F(VulkanCache, WhatIsWrongWithItMakesItAMiss) {
    const std::vector<float> expected = useIt();
    ASSERT_TRUE(fits());
    const std::string good = contentsOf(path_);
    const std::string driverBytes = good.substr(vk::pipelineFile("").size());
    ASSERT_GE(driverBytes.size(), sizeof(VkPipelineCacheHeaderVersionOne));
    std::string flipped = good, otherGpu = driverBytes, otherDriver = driverBytes;
    flipped[good.size() - 3] = static_cast<char>(flipped[good.size() - 3] ^ 0x10);
    otherGpu[8] = static_cast<char>(otherGpu[8] ^ 1);      // vendor
    otherDriver[20] = static_cast<char>(otherDriver[20] ^ 1); // of the driver's own identity
    for (const std::string& bad : {std::string(), std::string("x"), flipped, good.substr(0, good.size() / 2), good + "more", vk::pipelineFile(otherGpu),
                                   vk::pipelineFile(otherDriver), vk::pipelineFile("short"), std::string(std::size_t{1} << 20, '\0')}) {
        put(bad);
        EXPECT_FALSE(fits()) << bad.size() << " bytes";
    }
    EXPECT_EQ(useIt(), expected);
    EXPECT_TRUE(fits()) << "it was made anew";
    fs::remove(path_);
    fs::create_directory(path_); // a folder in its place stays
    EXPECT_FALSE(fits());
    EXPECT_EQ(useIt(), expected);
    EXPECT_TRUE(fs::is_directory(path_));
}

TEST_F(VulkanCache, WhereNothingCanBeWrittenTheDeviceWorksAllTheSame) {
    std::ofstream(folder_.file("deep")) << "a file where a folder should be";
    useIt();
    EXPECT_FALSE(fits());
    options_.cacheFolder = "/proc/no/such/place";
    useIt();
}

/// What a device compiled before it failed is not kept.
TEST_F(VulkanCache, AFailedDeviceLeavesNothing) {
    options_.loseAfterSubmits = 0;
    EXPECT_THROW(makeVulkanDevice(0, options_), Error);
    options_.loseAfterSubmits = -1;
    EXPECT_FALSE(fits());
}

} // namespace
} // namespace bw
