// SPDX-License-Identifier: GPL-3.0-or-later
// Weights rounded on the device: the very bytes of Format::encode(), and what was lost.
#include "core/quantize/device_rounding.h"
#include "tests/gpu/support.h"

#include <gmock/gmock.h>
#include <limits>

namespace bw {
namespace {

using test::Matrix;
using test::randomMatrix;

class VulkanRounding : public test::VulkanTest {
protected:
    static EncodeOptions plain() {
        EncodeOptions options;
        options.search = BlockSearch::reference;
        return options;
    }
    /// Bytes and error of both ways.
    static void compare(Device& device, Matrix& w, const std::string& name) {
        const FormatPtr format = parseFormat(name);
        std::vector<std::byte> made(format->bytes(w.rows, w.cols)), expected(made.size());
        const std::optional<double> error = detail::roundOnDevice(device, w.view(), *format, plain(), made);
        ASSERT_TRUE(error.has_value()) << name;
        format->encode(w.view(), plain(), expected);
        EXPECT_EQ(made, expected) << name << " of " << w.rows << "×" << w.cols;
        bw::Matrix decoded(w.rows, w.cols);
        format->decode(expected, decoded.view());
        double sum = 0;
        for (std::int64_t i = 0; i < decoded.size(); ++i) {
            const double e = static_cast<double>(w.values[static_cast<std::size_t>(i)]) - static_cast<double>(decoded.data()[i]);
            sum += e * e;
        }
        EXPECT_NEAR(*error, sum, 1e-5 * sum) << name; // sums of f32 squares
    }

};

const char* const kFormats[] = {"int2:g32:asym",   "int3:g64:sym",      "int4:g32:asym",    "int4:g128:sym",    "int5:channel:asym",  "int8:channel:sym",
                                "int8:tensor:sym", "int6:tensor:asym",  "fp8_e4m3:channel", "fp8_e5m2:channel", "fp8_e4m3:tensor",    "fp8_e4m3:block128",
                                "fp8_e4m3:g64",    "fp6_e2m3:g32",      "fp4_e2m1:g32",     "mxfp8_e4m3",       "mxfp6_e3m2",         "q4_0",
                                "q8_0"};

TEST_F(VulkanRounding, BytesAreThoseOfTheFormatsOwnCode) {
    const auto device = test::openDevice();
    Matrix w = randomMatrix(37, 256, 1);
    for (std::size_t i = 0; i < w.values.size(); ++i) w.values[i] *= std::ldexp(0.02f, static_cast<int>(i / 256) % 9 - 4);
    std::fill_n(w.values.begin() + 256, 64, 0.0f);  // groups of zeros
    for (std::size_t i = 512; i < 768; ++i) w.values[i] = std::round(w.values[i] * 64) / 64; // many in the middle of two codes
    w.values[800] = -w.values[801];                 // the first of two largest
    w.values[900] = 30.0f;
    w.values[40] = -0.0f;
    for (const char* name : kFormats) compare(*device, w, name);
    EXPECT_EQ(device->operationCounts().at("round").onDevice, 2 * std::size(kFormats));
    Matrix odd = randomMatrix(300, 96, 2); // more rows than a block of 128, columns that are no block of 128
    for (const char* name : {"int4:channel:asym", "fp8_e4m3:block128", "q4_0", "int4:tensor:asym"}) compare(*device, odd, name);
    Matrix narrow = randomMatrix(5, 7, 3); // codes of a row end inside a word
    for (const char* name : {"int8:channel:sym", "int3:tensor:asym", "fp8_e5m2:channel"}) compare(*device, narrow, name);
}

TEST_F(VulkanRounding, WeightsPassThroughInPieces) {
    VulkanOptions options;
    options.bindingBytes = 16 * 1024; // 32 rows at a time
    const auto device = test::openDevice(options);
    Matrix w = randomMatrix(100, 128, 4);
    for (const char* name : {"int4:g32:asym", "q8_0"}) compare(*device, w, name);
}

TEST_F(VulkanRounding, WhatItDoesNotTakeIsLeftToTheFormat) {
    const auto device = test::openDevice();
    Matrix w = randomMatrix(4, 256, 5);
    const auto refuses = [&](const char* name, const EncodeOptions& options) {
        const FormatPtr format = parseFormat(name);
        std::vector<std::byte> bytes(format->bytes(4, 256), std::byte{7});
        const std::vector<std::byte> before = bytes;
        EXPECT_FALSE(detail::roundOnDevice(*device, w.view(), *format, options, bytes).has_value()) << name;
        EXPECT_EQ(bytes, before);
    };
    EncodeOptions searching = plain();
    searching.clipSearch = true;
    refuses("int4:g32:asym", searching);
    refuses("fp8_e4m3:channel", searching);
    refuses("q4_0", {}); // the better search
    refuses("q4_k", plain());
    refuses("nvfp4", plain());
    w.values[77] = std::numeric_limits<float>::quiet_NaN();
    refuses("int4:g32:asym", plain());
    w.values[77] = std::numeric_limits<float>::infinity();
    refuses("q8_0", plain());
    std::fill(w.values.begin(), w.values.end(), 0.0f);
    refuses("int4:g32:asym", plain());
    const auto cpu = makeCpuDevice();
    std::vector<std::byte> bytes(parseFormat("q8_0")->bytes(4, 256));
    EXPECT_FALSE(detail::roundOnDevice(*cpu, w.view(), *parseFormat("q8_0"), plain(), bytes).has_value());
}

} // namespace
} // namespace bw
