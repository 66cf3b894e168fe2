// SPDX-License-Identifier: GPL-3.0-or-later
// Affine grids: error bounds, idempotence, extreme groups, clip search, packing; every width, scope and symmetry.
#include "core/base/error.h"
#include "core/base/parallel.h"
#include "core/format/affine.h"
#include "tests/support/format_support.h"

#include <gtest/gtest.h>

#include <cmath>

namespace bw {
namespace {

struct Case {
    AffineGrid grid;
    std::int64_t rows, cols;
};

std::vector<Case> allCases() {
    std::vector<Case> cases;
    for (int bits = 2; bits <= 8; ++bits)
        for (const bool symmetric : {false, true}) {
            for (const std::int64_t group : {3, 16, 32, 128}) cases.push_back({{bits, AffineScope::group, group, symmetric}, 5, group * 3});
            for (const std::int64_t cols : {1, 7, 96, 193}) {
                cases.push_back({{bits, AffineScope::channel, 128, symmetric}, 9, cols});
                cases.push_back({{bits, AffineScope::tensor, 128, symmetric}, 4, cols});
            }
        }
    return cases;
}

std::vector<std::byte> encode(const AffineFormat& format, const Matrix& w, const EncodeOptions& options = {}) {
    std::vector<std::byte> bytes(format.bytes(w.rows(), w.cols()));
    format.encode(w.view(), options, bytes);
    return bytes;
}
Matrix decode(const AffineFormat& format, const std::vector<std::byte>& bytes, const Matrix& like) {
    Matrix out(like.rows(), like.cols());
    format.decode(bytes, out.view());
    return out;
}
double squaredError(const Matrix& a, const Matrix& b, std::span<const float> w = {}) {
    double sum = 0;
    for (std::int64_t r = 0; r < a.rows(); ++r)
        for (std::int64_t c = 0; c < a.cols(); ++c)
            sum += (w.empty() ? 1.0 : static_cast<double>(w[static_cast<std::size_t>(c)])) *
                   std::pow(static_cast<double>(a.row(r)[c]) - static_cast<double>(b.row(r)[c]), 2);
    return sum;
}

TEST(Affine, errorIsAtMostHalfAStepInsideTheRange) {
    for (const Case& c : allCases()) {
        const AffineFormat format(c.grid);
        const Matrix w = test::randomWeight(c.rows, c.cols, static_cast<std::uint64_t>(c.cols + c.grid.bits), 0.02, 30);
        const auto bytes = encode(format, w);
        const Matrix back = decode(format, bytes, w);
        const AffineCodes codes = format.unpack(bytes, c.rows, c.cols);
        const std::int64_t length = c.grid.scope == AffineScope::group ? c.grid.group : c.cols;
        for (std::int64_t r = 0; r < c.rows; ++r)
            for (std::int64_t col = 0; col < c.cols; ++col) {
                const auto g = static_cast<std::size_t>(codes.groupsPerRow ? r * codes.groupsPerRow + col / length : 0);
                const double s = static_cast<double>(halfToFloat(codes.scales[g]));
                const int zero = c.grid.symmetric ? 1 << (c.grid.bits - 1) : codes.zeros[g];
                const int low = c.grid.symmetric ? 1 : 0, high = (1 << c.grid.bits) - 1;
                const double x = static_cast<double>(w.row(r)[col]), y = static_cast<double>(back.row(r)[col]);
                const int code = codes.codes[static_cast<std::size_t>(r * c.cols + col)];
                ASSERT_GE(code, low);
                ASSERT_LE(code, high);
                ASSERT_EQ(static_cast<float>(code - zero) * static_cast<float>(s), back.row(r)[col]) << format.name();
                // Past the ends only by the rounding of the zero point and of the scale to f16.
                const bool inside = x >= (low - zero) * s && x <= (high - zero) * s;
                ASSERT_LE(std::abs(x - y), inside ? 0.5 * s * (1 + 1e-6) : 0.5 * s + 2.1 * s * high * 0x1p-11)
                    << format.name() << " " << r << " " << col;
            }
    }
}

/// No group whose range is so small that its scale falls below f16's normal numbers, where scales are rounded up.
Matrix weightOfSomeRange(const Case& c, std::uint64_t seed) {
    Matrix w = test::randomWeight(c.rows, c.cols, seed, 1.0, 30);
    for (std::int64_t r = 0; r < c.rows; ++r)
        for (std::int64_t col = 0; col < c.cols; col += 3) w.row(r)[col] += std::copysign(0.5f, w.row(r)[col]);
    return w;
}

TEST(Affine, encodingDecodedValuesChangesNothing) {
    for (const Case& c : allCases())
        for (std::uint64_t seed = 0; seed < 20; ++seed)
            for (const bool clip : {false, true}) {
                const AffineFormat format(c.grid);
                const Matrix w = weightOfSomeRange(c, seed * 977 + static_cast<std::uint64_t>(c.cols));
                const Matrix once = decode(format, encode(format, w), w);
                const Matrix twice = decode(format, encode(format, once, {{}, clip}), w);
                for (std::int64_t i = 0; i < w.size(); ++i) ASSERT_EQ(once.data()[i], twice.data()[i]) << format.name() << " seed " << seed;
            }
}

TEST(Affine, unpackAndPackAreInverse) {
    for (const Case& c : allCases()) {
        const AffineFormat format(c.grid);
        const Matrix w = test::randomWeight(c.rows, c.cols, 8);
        const auto bytes = encode(format, w);
        std::vector<std::byte> again(bytes.size(), std::byte{0xff});
        format.pack(format.unpack(bytes, c.rows, c.cols), again);
        EXPECT_EQ(again, bytes) << format.name();
    }
}

TEST(Affine, rowsDecodeAlone) {
    for (const Case& c : allCases()) {
        const AffineFormat format(c.grid);
        const Matrix w = test::randomWeight(c.rows, c.cols, 21);
        const auto bytes = encode(format, w);
        const Matrix all = decode(format, bytes, w);
        Matrix some(2, c.cols);
        format.decodeRows(bytes, c.rows, c.rows - 2, some.view());
        for (std::int64_t i = 0; i < some.size(); ++i) ASSERT_EQ(some.data()[i], all.row(c.rows - 2)[i]);
        EXPECT_THROW(format.decodeRows(bytes, c.rows, c.rows - 1, some.view()), Error);
    }
}

TEST(Affine, bytesCountScalesZerosAndPadding) {
    // 4-bit codes, f16 scale and 4-bit zero per 128: 4 + 20/128 bits.
    EXPECT_DOUBLE_EQ(AffineFormat({4, AffineScope::group, 128, false}).bitsPerWeight(4096, 4096), 4.15625);
    EXPECT_DOUBLE_EQ(AffineFormat({4, AffineScope::group, 32, true}).bitsPerWeight(64, 64), 4.5);
    // 3·7 = 21 bits a row → one word; 5 scales; zeros of 5 rows in one word.
    EXPECT_EQ(AffineFormat({3, AffineScope::channel, 128, false}).bytes(5, 7), 5u * 4u + 5u * 2u + 4u);
    EXPECT_EQ(AffineFormat({3, AffineScope::tensor, 128, true}).bytes(5, 7), 5u * 4u + 2u);
}

TEST(Affine, flatAndTinyGroupsAreDefined) {
    for (const Case& c : allCases()) {
        const AffineFormat format(c.grid);
        Matrix w(c.rows, c.cols);
        w.fill(0.0f);
        Matrix back = decode(format, encode(format, w, {{}, true}), w);
        for (std::int64_t i = 0; i < w.size(); ++i) ASSERT_EQ(back.data()[i], 0.0f);
        for (const float value : {0.3f, -0.3f}) { // a constant group: exact but for the scale's f16 rounding
            w.fill(value);
            back = decode(format, encode(format, w), w);
            for (std::int64_t i = 0; i < w.size(); ++i) ASSERT_NEAR(back.data()[i], value, 0.3 * 0x1p-11 + 1e-9) << format.name();
        }
        for (const float value : {1e-45f, 1e-39f, 1e-12f, 1e-7f}) {
            w.fill(value);
            back = decode(format, encode(format, w, {{}, true}), w);
            for (std::int64_t i = 0; i < w.size(); ++i) ASSERT_LE(std::abs(back.data()[i] - value), 0x1p-24f) << format.name() << value;
        }
    }
}

TEST(Affine, scalesPastHalfRangeAreHeldAtTheLargest) {
    for (const Case& c : allCases()) {
        const AffineFormat format(c.grid);
        Matrix w = test::randomWeight(c.rows, c.cols, 2, 1.0);
        for (std::int64_t i = 0; i < w.size(); ++i) w.data()[i] = w.data()[i] < 0 ? -3e38f : 3e38f;
        for (const bool clip : {false, true}) {
            const auto bytes = encode(format, w, {{}, clip});
            const Matrix back = decode(format, bytes, w);
            EXPECT_LE(halfToFloat(format.unpack(bytes, c.rows, c.cols).scales[0]), 65504.0f);
            for (std::int64_t i = 0; i < w.size(); ++i) {
                ASSERT_TRUE(std::isfinite(back.data()[i])) << format.name();
                ASSERT_GE(back.data()[i] * (w.data()[i] < 0 ? -1.0f : 1.0f), 0.0f) << format.name();
            }
        }
    }
}

TEST(Affine, clipSearchNeverHurtsAndHelpsWhereOutliersAre) {
    std::vector<float> importance(256);
    Random random(3);
    for (float& v : importance) v = static_cast<float>(std::pow(random.normal(), 4.0));
    for (int bits = 2; bits <= 8; ++bits)
        for (const AffineScope scope : {AffineScope::group, AffineScope::channel, AffineScope::tensor})
            for (const bool symmetric : {false, true}) {
                const AffineFormat format({bits, scope, 64, symmetric});
                const Matrix w = test::randomWeight(16, 256, 5, 0.02, 200);
                const double plain = squaredError(w, decode(format, encode(format, w), w));
                const double clipped = squaredError(w, decode(format, encode(format, w, {{}, true}), w));
                EXPECT_LE(clipped, plain * (1 + 1e-5)) << format.name(); // f32 sums in the search
                if (bits <= 4) {
                    EXPECT_LT(clipped, bits == 2 ? 0.95 * plain : plain) << format.name();
                }
                const EncodeOptions weighted{importance, true};
                const double errorWeighted = squaredError(w, decode(format, encode(format, w, weighted), w), importance);
                const double errorPlain = squaredError(w, decode(format, encode(format, w), w), importance);
                EXPECT_LE(errorWeighted, errorPlain * (1 + 1e-5)) << format.name();
            }
}

TEST(Affine, importanceOfZeroCountsAsNone) {
    const AffineFormat format({3, AffineScope::group, 32, false});
    const Matrix w = test::randomWeight(4, 64, 5);
    std::vector<float> none(64, 0.0f);
    EXPECT_EQ(encode(format, w, {none, true}), encode(format, w, {{}, true}));
}

TEST(Affine, bytesDoNotDependOnThreadsOrInstructionSet) {
    const Matrix w = test::randomWeight(700, 256, 77);
    for (const AffineScope scope : {AffineScope::group, AffineScope::tensor}) {
        const AffineFormat format({5, scope, 64, false});
        setThreadCount(1);
        const auto one = encode(format, w, {{}, true});
        setThreadCount(3);
        EXPECT_EQ(encode(format, w, {{}, true}), one);
        setThreadCount(0);
        test::forEachInstructionSet([&](const std::string& set) { EXPECT_EQ(encode(format, w, {{}, true}), one) << set; });
    }
}

TEST(Affine, refusesWhatItCannotPack) {
    const AffineFormat format({4, AffineScope::group, 32, false});
    const Matrix w = test::randomWeight(2, 64, 5);
    const auto bytes = encode(format, w);
    AffineCodes codes = format.unpack(bytes, 2, 64);
    std::vector<std::byte> out(bytes.size());
    const auto codeOf = [&](const AffineCodes& c, std::span<std::byte> o) {
        try {
            format.pack(c, o);
        } catch (const Error& e) {
            return e.code();
        }
        return ErrorCode::internal;
    };
    EXPECT_EQ(codeOf(codes, {out.data(), out.size() - 1}), ErrorCode::shapeMismatch);
    AffineCodes bad = codes;
    bad.zeros.clear();
    EXPECT_EQ(codeOf(bad, out), ErrorCode::shapeMismatch);
    bad = codes;
    bad.codes[3] = 16;
    EXPECT_EQ(codeOf(bad, out), ErrorCode::invalidTensor);
    bad = codes;
    bad.cols = 63;
    EXPECT_EQ(codeOf(bad, out), ErrorCode::formatDoesNotFit);
    EXPECT_THROW(format.unpack({bytes.data(), 5}, 2, 64), Error);
}

} // namespace
} // namespace bw
