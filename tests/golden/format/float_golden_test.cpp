// SPDX-License-Identifier: GPL-3.0-or-later
// Small floats, MX, NVFP4 and NF4 against compressed-tensors and bitsandbytes (tests/data/format/README.md), and fp8 codes
// against torch's conversion.
#include "core/format/float_format.h"
#include "core/format/nf4.h"
#include "tests/support/format_support.h"

#include <gtest/gtest.h>

#include <cmath>

namespace bw {
namespace {

using test::readBytes;
using test::readFloats;

const std::string kData = std::string(BW_TEST_DATA) + "/format/floats/";
constexpr std::int64_t kRows = 8, kCols = 512;

Matrix input() {
    const std::vector<float> values = readFloats(kData + "input_f32.bin");
    Matrix w(kRows, kCols);
    EXPECT_EQ(values.size(), static_cast<std::size_t>(w.size()));
    std::copy(values.begin(), values.end(), w.data());
    return w;
}

TEST(FloatGolden, scalesAndValuesAreThoseOfCompressedTensors) {
    struct Case {
        const char *format, *file;
    };
    const Matrix w = input();
    for (const Case& c : {Case{"fp8_e4m3:channel", "fp8_channel"}, {"fp8_e4m3:tensor", "fp8_tensor"}, {"mxfp8_e4m3", "mxfp8"}, {"mxfp6_e2m3", "mxfp6"}, {"nvfp4", "nvfp4"}}) {
        const auto format = std::dynamic_pointer_cast<const FloatFormat>(parseFormat(c.format));
        std::vector<std::byte> bytes(format->bytes(kRows, kCols));
        format->encode(w.view(), {}, bytes);
        const FloatCodes parts = format->unpack(bytes, kRows, kCols);
        const std::vector<float> scales = readFloats(kData + c.file + ".scale_f32.bin"), values = readFloats(kData + c.file + ".values_f32.bin");
        ASSERT_EQ(parts.scales.size(), scales.size()) << c.file;
        const float global = format->grid().scope == FloatScope::nv ? readFloats(kData + "nvfp4.global_f32.bin")[0] : 1.0f;
        EXPECT_EQ(parts.globalScale, global) << c.file;
        for (std::size_t i = 0; i < scales.size(); ++i) ASSERT_EQ(parts.scales[i], scales[i] / global) << c.file << " scale " << i;
        Matrix back(kRows, kCols);
        format->decode(bytes, back.view());
        for (std::size_t i = 0; i < values.size(); ++i) ASSERT_EQ(back.data()[i], values[i]) << c.file << " value " << i << " of " << w.data()[i];
    }
}

TEST(FloatGolden, fp8CodesAreTorchs) {
    const std::string plain = std::string(BW_TEST_DATA) + "/format/plain/";
    const std::vector<float> x = readFloats(plain + "input_f32.bin");
    for (const auto& [code, file] : {std::pair{FloatCode::e4m3, "fp8_e4m3fn_table_f32.bin"}, {FloatCode::e5m2, "fp8_e5m2_table_f32.bin"}}) {
        const std::vector<float> table = readFloats(plain + file);
        const auto values = kernels::floatValues(smallFloat(code));
        for (std::size_t i = 0; i < 256; ++i)
            if (std::isfinite(table[i])) {
                EXPECT_EQ(values[i], table[i]) << file << " " << i;
            }
        std::vector<std::uint8_t> codes(x.size());
        kernels::floatCodes(x.data(), x.size(), 1.0f, smallFloat(code), codes.data());
        for (std::size_t i = 0; i < x.size(); ++i) { // the nearest of torch's table, counted out
            if (!std::isfinite(x[i])) continue;
            double least = HUGE_VAL;
            for (const float v : table)
                if (std::isfinite(v)) least = std::min(least, std::abs(static_cast<double>(x[i]) - static_cast<double>(v)));
            ASSERT_EQ(std::abs(static_cast<double>(x[i]) - static_cast<double>(values[codes[i]])), least) << file << " " << x[i];
        }
    }
}

TEST(FloatGolden, nf4BytesAreThoseOfBitsandbytes) {
    const Matrix w = input();
    const Nf4Format format({64, false});
    std::vector<std::byte> bytes(format.bytes(kRows, kCols));
    format.encode(w.view(), {}, bytes);
    const std::vector<std::byte> codes = readBytes(kData + "nf4.codes.bin");
    for (std::size_t i = 0; i < codes.size(); ++i) ASSERT_EQ(bytes[i], codes[i]) << i;
    EXPECT_EQ(format.unpack(bytes, kRows, kCols).absmax, readFloats(kData + "nf4.absmax_f32.bin"));
    const std::vector<float> values = readFloats(kData + "nf4.values_f32.bin");
    Matrix back(kRows, kCols);
    format.decode(bytes, back.view());
    for (std::size_t i = 0; i < values.size(); ++i) ASSERT_EQ(back.data()[i], values[i]) << i;
}

TEST(FloatGolden, doubleQuantizationIsThatOfBitsandbytesButForTheCodes) {
    const std::vector<float> map = readFloats(kData + "nf4_dq.map_f32.bin");
    for (std::size_t i = 0; i < 256; ++i) EXPECT_EQ(dynamicMap()[i], map[i]) << i;
    const Matrix w = input();
    const Nf4Format format({64, true});
    std::vector<std::byte> bytes(format.bytes(kRows, kCols));
    format.encode(w.view(), {}, bytes);
    const Nf4Codes parts = format.unpack(bytes, kRows, kCols);
    const float offset = readFloats(kData + "nf4_dq.offset_f32.bin")[0], nested = readFloats(kData + "nf4_dq.nested_f32.bin")[0];
    EXPECT_NEAR(parts.offset, offset, 3e-7f * offset); // a mean of 64 numbers in f32 there, in f64 here
    EXPECT_NEAR(parts.nestedAbsmax[0], nested, 1e-6f * nested);
    const std::vector<std::byte> codes = readBytes(kData + "nf4_dq.absmax_u8.bin");
    for (std::size_t i = 0; i < codes.size(); ++i) EXPECT_EQ(parts.absmaxCodes[i], std::to_integer<std::uint8_t>(codes[i])) << i;
    // Ours are rounded with the magnitude that is stored, theirs with the one before: never nearer.
    const std::vector<float> values = readFloats(kData + "nf4_dq.values_f32.bin");
    Matrix back(kRows, kCols);
    format.decode(bytes, back.view());
    double ours = 0, theirs = 0;
    for (std::size_t i = 0; i < values.size(); ++i) {
        ours += std::pow(static_cast<double>(w.data()[i]) - static_cast<double>(back.data()[i]), 2);
        theirs += std::pow(static_cast<double>(w.data()[i]) - static_cast<double>(values[i]), 2);
    }
    EXPECT_LE(ours, theirs);
    EXPECT_GT(ours, 0.95 * theirs);
}

} // namespace
} // namespace bw
