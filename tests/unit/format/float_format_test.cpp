// SPDX-License-Identifier: GPL-3.0-or-later
// Small floats: exact values, rounding on ties and past the ends, scales of every scope, extreme and empty groups, the
// clip search, parts and fallbacks.
#include "core/base/error.h"
#include "core/format/float_format.h"
#include "tests/support/format_support.h"

#include <gtest/gtest.h>

#include <cmath>
#include <set>

namespace bw {
namespace {

using test::randomWeight;

const std::vector<std::string> kNames{"fp8_e4m3:tensor", "fp8_e4m3:channel", "fp8_e4m3:block128", "fp8_e4m3:g32", "fp8_e5m2:tensor",  "fp8_e5m2:channel", "fp8_e5m2:block128",
                                      "fp8_e5m2:g64",    "fp6_e3m2:channel", "fp6_e3m2:g32",      "fp6_e2m3:g128", "fp6_e2m3:block128", "fp4_e2m1:tensor",  "fp4_e2m1:g16",
                                      "mxfp8_e4m3",      "mxfp8_e5m2",       "mxfp6_e3m2",        "mxfp6_e2m3",   "nvfp4"};

Matrix roundTrip(const std::string& name, const Matrix& w, const EncodeOptions& options = {}) {
    Matrix out(w.rows(), w.cols());
    parseFormat(name)->roundTrip(w.view(), options, out.view());
    return out;
}

double squaredError(const Matrix& a, const Matrix& b, std::span<const float> weights = {}) {
    double sum = 0;
    for (std::int64_t r = 0; r < a.rows(); ++r)
        for (std::int64_t c = 0; c < a.cols(); ++c)
            sum += (weights.empty() ? 1.0 : static_cast<double>(weights[static_cast<std::size_t>(c)])) *
                   std::pow(static_cast<double>(a.row(r)[c]) - static_cast<double>(b.row(r)[c]), 2);
    return sum;
}

TEST(SmallFloat, hasTheRealGridWithSubnormals) {
    struct Fact {
        FloatCode code;
        float least, leastNormal, largest;
        std::size_t magnitudes;
    };
    for (const Fact& f : {Fact{FloatCode::e4m3, 0x1p-9f, 0x1p-6f, 448, 127}, {FloatCode::e5m2, 0x1p-16f, 0x1p-14f, 57344, 124}, {FloatCode::e3m2, 0.0625f, 0.25f, 28, 32},
                          {FloatCode::e2m3, 0.125f, 1, 7.5f, 32}, {FloatCode::e2m1, 0.5f, 1, 6, 8}}) {
        const kernels::SmallFloat& kind = smallFloat(f.code);
        const auto values = kernels::floatValues(kind);
        std::set<float> magnitudes;
        for (int code = 0; code < 1 << (kind.bits - 1); ++code) magnitudes.insert(values[static_cast<std::size_t>(code)]);
        EXPECT_EQ(magnitudes.size(), f.magnitudes);
        EXPECT_EQ(*std::next(magnitudes.begin()), f.least);
        EXPECT_TRUE(magnitudes.contains(f.leastNormal));
        EXPECT_EQ(*magnitudes.rbegin(), f.largest);
    }
}

TEST(SmallFloat, roundsToTheNearestAndTiesToEvenCodes) {
    test::forEachInstructionSet([&](const std::string& set) {
        for (const auto kindOf : {FloatCode::e4m3, FloatCode::e5m2, FloatCode::e3m2, FloatCode::e2m3, FloatCode::e2m1}) {
            const kernels::SmallFloat& kind = smallFloat(kindOf);
            const auto values = kernels::floatValues(kind);
            const int last = kernels::largestFloatCode(kind), sign = 1 << (kind.bits - 1);
            for (int code = 0; code <= last; ++code)
                for (const float s : {1.0f, -1.0f}) {
                    const auto signBit = static_cast<std::uint8_t>(s < 0 ? sign : 0);
                    const float v = values[static_cast<std::size_t>(code)], next = code < last ? values[static_cast<std::size_t>(code) + 1] : 2 * v;
                    const float middle = 0.5f * (v + next);
                    const float x[4]{s * v, s * std::nextafter(middle, 0.0f), s * middle, s * std::nextafter(middle, 1e9f)};
                    std::uint8_t got[4]{};
                    kernels::floatCodes(x, 4, 1.0f, kind, got);
                    const int up = std::min(code + 1, last);
                    EXPECT_EQ(got[0], code | signBit) << set;
                    EXPECT_EQ(got[1], code | signBit) << set;
                    EXPECT_EQ(got[2], (code % 2 == 0 ? code : up) | signBit) << set << " " << middle;
                    EXPECT_EQ(got[3], up | signBit) << set;
                }
        }
    });
}

TEST(FloatFormat, errorStaysWithinHalfAStepOfTheScale) {
    const Matrix w = randomWeight(150, 384, 3, 0.02, 50); // a block and a piece of one in both directions
    for (const std::string& name : kNames) {
        const auto format = std::dynamic_pointer_cast<const FloatFormat>(parseFormat(name));
        ASSERT_TRUE(format) << name;
        EXPECT_EQ(format->name(), name);
        std::vector<std::byte> bytes(format->bytes(150, 384));
        format->encode(w.view(), {}, bytes);
        const FloatCodes parts = format->unpack(bytes, 150, 384);
        Matrix back(150, 384);
        format->decode(bytes, back.view());
        const kernels::SmallFloat& kind = smallFloat(format->grid().code);
        const std::int64_t rowsPer = (150 + parts.scaleRows - 1) / parts.scaleRows == 75 ? 128 : 150 / parts.scaleRows, colsPer = 384 / parts.scaleCols;
        for (std::int64_t r = 0; r < 150; ++r)
            for (std::int64_t c = 0; c < 384; ++c) {
                const float scale = parts.scales[static_cast<std::size_t>(r / rowsPer * parts.scaleCols + c / colsPer)];
                const double u = std::abs(static_cast<double>(w.row(r)[c])) / static_cast<double>(scale), most = static_cast<double>(kind.largest);
                // MX and NVFP4 scales are rounded: peaks may lie past the largest float, up to 2 and 1 + 1/16 of it.
                if (u > most) {
                    EXPECT_EQ(std::abs(back.row(r)[c]), kind.largest * scale) << name;
                    continue;
                }
                const double step = std::exp2(std::max(std::floor(std::log2(u)), 1.0 - kind.bias) - kind.mantissaBits);
                ASSERT_LE(std::abs(static_cast<double>(w.row(r)[c]) - static_cast<double>(back.row(r)[c])), 0.5 * step * static_cast<double>(scale) * (1 + 1e-5)) << name;
            }
    }
}

TEST(FloatFormat, extremeAndEmptyGroupsStayFinite) {
    Matrix w = randomWeight(20, 256, 4);
    const std::vector<float> sizes{0, 1e-45f, 1e-38f, 1e-30f, 1e30f, 3.4028235e38f};
    for (std::int64_t r = 0; r < 6; ++r) std::fill_n(w.row(r), 256, sizes[static_cast<std::size_t>(r)]);
    for (const std::string& name : kNames)
        for (const bool clip : {false, true}) {
            EncodeOptions options;
            options.clipSearch = clip;
            const Matrix back = roundTrip(name, w, options);
            for (std::int64_t i = 0; i < w.size(); ++i) ASSERT_TRUE(std::isfinite(back.data()[i])) << name << " at " << i;
            for (std::int64_t c = 0; c < 256; ++c) EXPECT_EQ(back.row(0)[c], 0.0f) << name;
            if (name.find("channel") != std::string::npos) {
                EXPECT_NEAR(back.row(4)[7], 1e30f, 1e25f) << name; // a constant row is its scale times the largest float
            }
        }
}

TEST(FloatFormat, searchNeverLosesUnderItsImportance) {
    const Matrix w = randomWeight(40, 256, 9, 0.02, 60);
    std::vector<float> importance(256);
    Random random(2);
    for (float& v : importance) v = static_cast<float>(std::exp(2 * random.normal()));
    for (const std::string& name : kNames) {
        EncodeOptions plain, searched;
        plain.importance = searched.importance = importance;
        searched.clipSearch = true;
        const double before = squaredError(w, roundTrip(name, w, plain), importance), after = squaredError(w, roundTrip(name, w, searched), importance);
        EXPECT_LE(after, before * (1 + 1e-5)) << name; // sums of f32 squares
        if (name == "nvfp4" || name == "fp4_e2m1:g16") {
            EXPECT_LT(after, 0.9 * before) << name;
        }
    }
}

TEST(FloatFormat, partsGoBothWaysAndWrongSizesAreRefused) {
    const Matrix w = randomWeight(9, 128, 5);
    for (const std::string& name : kNames) {
        const auto format = std::dynamic_pointer_cast<const FloatFormat>(parseFormat(name));
        std::vector<std::byte> bytes(format->bytes(9, 128)), again(bytes.size(), std::byte{0x5a});
        format->encode(w.view(), {}, bytes);
        FloatCodes parts = format->unpack(bytes, 9, 128);
        format->pack(parts, again);
        EXPECT_EQ(bytes, again) << name;
        parts.codes.pop_back();
        EXPECT_THROW(format->pack(parts, again), Error) << name;
        bytes.pop_back();
        EXPECT_THROW(format->unpack(bytes, 9, 128), Error) << name;
        for (std::byte& b : again) b = std::byte{0xff}; // NaN everywhere
        Matrix out(9, 128);
        format->decode(again, out.view());
        for (std::int64_t i = 0; i < out.size(); ++i) ASSERT_TRUE(std::isfinite(out.data()[i])) << name;
    }
}

TEST(FloatFormat, nvfp4GoesIntoGgmlBlocksUnderOneFactor) {
    const Matrix w = randomWeight(3, 192, 7);
    const auto format = std::dynamic_pointer_cast<const FloatFormat>(parseFormat("nvfp4"));
    std::vector<std::byte> bytes(format->bytes(3, 192)), blocks(3 * 3 * 36);
    format->encode(w.view(), {}, bytes);
    const FloatCodes parts = format->unpack(bytes, 3, 192);
    packGgmlNvfp4(parts, blocks);
    Matrix back(3, 192);
    format->decode(bytes, back.view());
    for (std::int64_t r = 0; r < 3; ++r) {
        std::vector<float> row(192);
        decodeRow(StorageType::nvfp4, blocks.data() + r * 108, row);
        for (std::size_t c = 0; c < 192; ++c) // two divisions by the factor in place of one: an ulp or two
            EXPECT_NEAR(row[c] / parts.globalScale, back.row(r)[c], 4e-7f * std::abs(back.row(r)[c]));
    }
    EXPECT_THROW(packGgmlNvfp4(parts, std::span(blocks).first(36)), Error);
}

TEST(FloatFormat, bytesAreWhatTheLayoutSays) {
    EXPECT_EQ(parseFormat("fp8_e4m3:tensor")->bytes(256, 256), 256u * 256 + 4);
    EXPECT_EQ(parseFormat("fp8_e4m3")->bytes(256, 256), 256u * 256 + 4 * 256);
    EXPECT_EQ(parseFormat("fp8_e4m3:block128")->bytes(200, 300), 200u * 300 + 4 * 2 * 3);
    EXPECT_EQ(parseFormat("fp6_e3m2:g64")->bytes(4, 128), 4u * 96 + 2 * 4 * 2);
    EXPECT_EQ(parseFormat("fp6_e2m3:channel")->bytes(3, 5), 3u * 4 + 4 * 3); // 30 bits in 4 bytes
    EXPECT_DOUBLE_EQ(parseFormat("mxfp6_e2m3")->bitsPerWeight(8, 64), 6.25);
    EXPECT_EQ(parseFormat("nvfp4")->bytes(4, 64), 4u * 32 + 4 * 4 + 4);
}

TEST(FloatFormat, grammarAndFallbacks) {
    EXPECT_EQ(parseFormat("FP8_E4M3")->name(), "fp8_e4m3:channel");
    EXPECT_EQ(parseFormat("fp6_e2m3")->name(), "fp6_e2m3:g128");
    EXPECT_EQ(parseFormat("fp4_e2m1")->name(), "fp4_e2m1:g32");
    for (const char* bad : {"fp8", "fp8_e4m3:", "fp8_e4m3:row", "fp8_e4m3:g0", "fp8_e4m3:g", "nvfp4:g16", "mxfp8_e4m3:channel", "fp6_e2m3:g64:sym", "fp8_e4m3x"}) EXPECT_THROW(parseFormat(bad), Error) << bad;
    const auto fall = [](const char* wanted, std::int64_t cols) { return fallbackFormat(parseFormat(wanted), 8, cols)->name(); };
    EXPECT_EQ(fall("fp8_e4m3:block128", 100), "fp8_e4m3:block128");
    EXPECT_EQ(fall("fp6_e3m2:g128", 576), "fp6_e3m2:g64");
    EXPECT_EQ(fall("fp4_e2m1:g32", 24), "fp4_e2m1:channel");
    EXPECT_EQ(fall("mxfp8_e4m3", 48), "f16");
    EXPECT_EQ(fall("nvfp4", 24), "f16");
}

} // namespace
} // namespace bw
