// SPDX-License-Identifier: GPL-3.0-or-later
// NF4: magnitudes plain and doubly quantized, extreme blocks, clip search, refit under kept nested scales, grammar.
#include "core/base/error.h"
#include "core/format/fixed_grid.h"
#include "core/format/nf4.h"
#include "tests/support/format_support.h"

#include <gtest/gtest.h>

#include <cmath>

namespace bw {
namespace {

using test::randomWeight;

Nf4Codes encoded(const Nf4Format& format, const Matrix& w, const EncodeOptions& options = {}) {
    std::vector<std::byte> bytes(format.bytes(w.rows(), w.cols()));
    format.encode(w.view(), options, bytes);
    return format.unpack(bytes, w.rows(), w.cols());
}

double squaredError(const std::string& name, const Matrix& w, const EncodeOptions& options) {
    Matrix back(w.rows(), w.cols());
    parseFormat(name)->roundTrip(w.view(), options, back.view());
    double sum = 0;
    for (std::int64_t i = 0; i < w.size(); ++i) sum += std::pow(static_cast<double>(w.data()[i]) - static_cast<double>(back.data()[i]), 2);
    return sum;
}

TEST(Nf4, magnitudesAreThoseOfTheBlocks) {
    const Matrix w = randomWeight(12, 192, 3, 0.02, 30);
    const Nf4Codes plain = encoded(Nf4Format({64, false}), w), dq = encoded(Nf4Format({64, true}), w);
    ASSERT_EQ(plain.absmax.size(), 36u);
    float spread = 0;
    for (std::size_t b = 0; b < 36; ++b) {
        float peak = 0;
        for (std::int64_t j = 0; j < 64; ++j) peak = std::max(peak, std::abs(w.data()[static_cast<std::int64_t>(b) * 64 + j]));
        EXPECT_EQ(plain.absmax[b], peak);
        spread = std::max(spread, std::abs(peak - dq.offset));
    }
    ASSERT_EQ(dq.nestedAbsmax.size(), 1u);
    EXPECT_EQ(dq.nestedAbsmax[0], spread);
    // The widest steps of the map lie at its ends: 0.9/64 apart, and 0.007 from the last of them to 1.
    for (std::size_t b = 0; b < 36; ++b) EXPECT_NEAR(dq.absmax[b], plain.absmax[b], 0.5f * 0.9f / 64 * spread * 1.001f);
}

TEST(Nf4, bitsPerWeightCountTheScales) {
    EXPECT_DOUBLE_EQ(parseFormat("nf4")->bitsPerWeight(64, 64), 4.5);
    EXPECT_EQ(parseFormat("nf4:dq")->bytes(64, 512), 64u * 256 + 64 * 8 + 4 * 2 + 4);
}

TEST(Nf4, mapsRiseAndHoldZeroAndOne) {
    EXPECT_TRUE(std::is_sorted(nf4Levels().begin(), nf4Levels().end()));
    EXPECT_TRUE(std::is_sorted(dynamicMap().begin(), dynamicMap().end()));
    EXPECT_EQ(dynamicMap()[127], 0.0f);
    EXPECT_EQ(dynamicMap()[255], 1.0f);
    for (int code = 0; code < 256; ++code)
        EXPECT_EQ(nestedCode(nestedMagnitude(static_cast<std::uint8_t>(code), 2.0f, 0.0f), 2.0f, 0.0f), code);
}

TEST(Nf4, extremeBlocksStayFiniteAndZerosStay) {
    Matrix w = randomWeight(6, 64, 4);
    const std::vector<float> sizes{0, 1e-45f, 1e-38f, 3.4028235e38f, -1e30f};
    for (std::int64_t r = 0; r < 5; ++r) std::fill_n(w.row(r), 64, sizes[static_cast<std::size_t>(r)]);
    for (const char* name : {"nf4", "nf4:dq", "nf4:b16:dq"})
        for (const bool clip : {false, true}) {
            EncodeOptions options;
            options.clipSearch = clip;
            Matrix back(6, 64);
            parseFormat(name)->roundTrip(w.view(), options, back.view());
            for (std::int64_t i = 0; i < back.size(); ++i) ASSERT_TRUE(std::isfinite(back.data()[i])) << name;
            for (std::int64_t c = 0; c < 64; ++c) EXPECT_EQ(back.row(0)[c], 0.0f) << name;
        }
    std::vector<std::byte> hostile(parseFormat("nf4:dq")->bytes(2, 64), std::byte{0xff});
    Matrix out(2, 64);
    parseFormat("nf4:dq")->decode(hostile, out.view());
    for (std::int64_t i = 0; i < out.size(); ++i) EXPECT_TRUE(std::isfinite(out.data()[i]));
}

TEST(Nf4, clipSearchNeverLoses) {
    const Matrix w = randomWeight(30, 256, 6, 0.02, 50);
    EncodeOptions clip;
    clip.clipSearch = true;
    EXPECT_LT(squaredError("nf4", w, clip), squaredError("nf4", w, {}));
    EXPECT_LT(squaredError("nf4:b128", w, clip), squaredError("nf4:b128", w, {}));
}

TEST(Nf4, refitOfDoubleQuantizedKeepsNestedScalesAndOtherColumns) {
    const Nf4Format format({32, true});
    const Matrix w = randomWeight(10, 128, 7);
    Matrix moved = randomWeight(10, 128, 8);
    const auto grid = fixGrid(format, w.view(), {});
    grid->refit(moved.view(), 64, 64);
    std::vector<float> column(10), rounded(10);
    for (std::int64_t c = 0; c < 128; ++c) {
        for (std::size_t r = 0; r < 10; ++r) column[r] = moved.row(static_cast<std::int64_t>(r))[c];
        grid->roundColumn(c, 0, column, rounded);
    }
    std::vector<std::byte> bytes(format.bytes(10, 128));
    grid->pack(bytes);
    const Nf4Codes before = encoded(format, w), after = format.unpack(bytes, 10, 128);
    EXPECT_EQ(after.nestedAbsmax, before.nestedAbsmax);
    EXPECT_EQ(after.offset, before.offset);
    const std::vector<float> wanted = format.magnitudes(moved.view(), {});
    for (std::size_t b = 0; b < 40; ++b)
        EXPECT_EQ(after.absmaxCodes[b], b % 4 < 2 ? before.absmaxCodes[b] : nestedCode(wanted[b], before.nestedAbsmax[0], before.offset)) << b;
}

TEST(Nf4, grammarAndFallbacks) {
    EXPECT_EQ(parseFormat("nf4")->name(), "nf4:b64");
    EXPECT_EQ(parseFormat("NF4:dq")->name(), "nf4:b64:dq");
    EXPECT_EQ(parseFormat("nf4:b128:dq")->name(), "nf4:b128:dq");
    for (const char* bad : {"nf4:", "nf4:b", "nf4:b0", "nf4:b48", "nf4:b8192", "nf4:dq:b64", "nf4:dq:dq", "nf4:g64", "nf4x"}) EXPECT_THROW(parseFormat(bad), Error) << bad;
    const auto fall = [](const char* wanted, std::int64_t cols) { return fallbackFormat(parseFormat(wanted), 8, cols)->name(); };
    EXPECT_EQ(fall("nf4:dq", 96), "nf4:b32:dq");
    EXPECT_EQ(fall("nf4", 20), "f16");
}

} // namespace
} // namespace bw
