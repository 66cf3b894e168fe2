// SPDX-License-Identifier: GPL-3.0-or-later
// Block encoders at the edges: zeros, constants, denormals, huge weights and importance, hostile bytes, threads.
#include "core/base/error.h"
#include "core/base/parallel.h"
#include "core/format/format.h"
#include "tests/support/format_support.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace bw {
namespace {

constexpr std::size_t kCols = 512;

std::vector<StorageType> blockTypes() {
    std::vector<StorageType> types;
    for (const StorageTypeInfo& info : allStorageTypes())
        if (info.encodes && info.blockElements > 1) types.push_back(info.type);
    return types;
}

class Reference : public testing::TestWithParam<StorageType> {
protected:
    static std::vector<std::byte> encoded(std::span<const float> x, std::span<const float> w) {
        std::vector<std::byte> bytes(storageBytes(GetParam(), 1, x.size()));
        encodeRow(GetParam(), x, w, bytes.data(), BlockSearch::reference);
        return bytes;
    }
    static std::vector<float> roundTrip(std::span<const float> x, std::span<const float> w = {}) {
        std::vector<float> y(x.size());
        decodeRow(GetParam(), encoded(x, w).data(), y);
        return y;
    }
    static std::vector<float> gaussian(std::uint64_t seed, double scale = 0.05) {
        const Matrix m = test::randomWeight(1, kCols, seed, scale, 40);
        return {m.data(), m.data() + kCols};
    }
};

TEST_P(Reference, N04_zerosStayZero) {
    for (const float y : roundTrip(std::vector<float>(kCols, 0.0f))) EXPECT_EQ(y, 0.0f);
}

TEST_P(Reference, N04_whatIsDecodedIsAlwaysFinite) {
    std::vector<float> unit(kCols, 1.0f), none(kCols, 0.0f), extreme(kCols, std::numeric_limits<float>::max());
    extreme[3] = std::numeric_limits<float>::denorm_min();
    std::vector<float> lone(kCols, 1e-3f);
    lone[7] = 3e38f;
    std::vector<std::vector<float>> rows{lone, gaussian(1), gaussian(2, 1e-9), gaussian(3, 1e-20), gaussian(4, 1e-38), gaussian(5, 1e7), gaussian(6, 1e30)};
    for (const float v : {1e-45f, 1e-38f, 1e-15f, 1e-7f, 0.3f, 65504.0f, 1e9f, 1e20f, 3.4e38f})
        for (const float sign : {1.0f, -1.0f}) rows.emplace_back(kCols, sign * v);
    for (const auto& x : rows)
        for (const std::vector<float>& w : {std::vector<float>{}, unit, none, extreme, gaussian(8, 1e-30)}) {
            std::vector<float> positive(w);
            for (float& v : positive) v = std::abs(v);
            for (const float y : roundTrip(x, positive)) ASSERT_TRUE(std::isfinite(y)) << x[0];
        }
}

TEST_P(Reference, N04_constantsKeepTheirValue) {
    for (const float v : {1e-3f, 0.37f, -2.0f, 1000.0f})
        for (const float y : roundTrip(std::vector<float>(kCols, v))) EXPECT_NEAR(y, v, 0.26 * std::abs(v)); // MXFP4: all of [6, 8) becomes 6
}

TEST_P(Reference, N04_weightsPastTheScaleAreHeldNotLost) {
    if (GetParam() == StorageType::mxfp4) return; // its scale reaches as far as f32
    for (const float v : {1e10f, -1e25f})
        for (const float y : roundTrip(std::vector<float>(kCols, v))) {
            EXPECT_GE(std::abs(y), 65504.0f) << v; // the largest f16 scale
            EXPECT_EQ(std::signbit(y), std::signbit(v));
        }
}

/// What was stored once is stored again nearly as it was: the second rounding adds at most a fraction of the first's error.
TEST_P(Reference, secondRoundTripAddsLittle) {
    const std::vector<float> x = gaussian(11), y = roundTrip(x), z = roundTrip(y);
    double first = 0, second = 0;
    for (std::size_t i = 0; i < kCols; ++i) {
        first += std::pow(static_cast<double>(y[i]) - static_cast<double>(x[i]), 2);
        second += std::pow(static_cast<double>(z[i]) - static_cast<double>(y[i]), 2);
    }
    EXPECT_GT(first, 0);
    EXPECT_LE(second, 0.4 * first) << second / first; // 0.31 for Q2_K, which searches by absolute error; others below 0.2
}

TEST_P(Reference, scaleOfImportanceByAPowerOfTwoDoesNotMatter) {
    const std::vector<float> x = gaussian(12);
    std::vector<float> w(kCols), large(kCols), small(kCols);
    Random random(3);
    for (std::size_t i = 0; i < kCols; ++i) {
        w[i] = static_cast<float>(random.uniform()) + 0.01f;
        large[i] = w[i] * 0x1p+100f;
        small[i] = w[i] * 0x1p-100f;
    }
    EXPECT_EQ(encoded(x, w), encoded(x, large));
    EXPECT_EQ(encoded(x, w), encoded(x, small));
}

/// A calibration that never reached a channel says nothing of it: its blocks are rounded as without importance.
TEST_P(Reference, N05_blocksWithoutImportanceAreNotLost) {
    const std::vector<float> x = gaussian(13);
    std::vector<float> w(kCols, 0.0f);
    EXPECT_EQ(encoded(x, w), encoded(x, {}));
    std::fill(w.begin() + kCols / 2, w.end(), 1.0f);
    const std::vector<float> y = roundTrip(x, w), plain = roundTrip(x);
    for (std::size_t i = 0; i < kCols / 2; ++i) EXPECT_EQ(y[i], plain[i]) << i;
}

TEST_P(Reference, N09_threadsAndInstructionSetsDoNotMatter) {
    const Matrix weight = test::randomWeight(96, 1024, 5, 0.03, 50);
    std::vector<float> w(1024);
    Random random(6);
    for (float& v : w) v = static_cast<float>(random.uniform());
    const FormatPtr format = parseFormat(storageTypeInfo(GetParam()).name);
    EncodeOptions options;
    options.importance = w;
    options.search = BlockSearch::reference;
    std::vector<std::byte> one(format->bytes(96, 1024)), many(one.size());
    setThreadCount(1);
    format->encode(weight.view(), options, one);
    setThreadCount(4);
    format->encode(weight.view(), options, many);
    setThreadCount(0);
    EXPECT_EQ(one, many);
    test::forEachInstructionSet([&](const std::string& set) {
        format->encode(weight.view(), options, many);
        EXPECT_EQ(one, many) << set;
    });
}

INSTANTIATE_TEST_SUITE_P(Blocks, Reference, testing::ValuesIn(blockTypes()),
                         [](const auto& test) { return std::string(storageTypeInfo(test.param).name); });

/// Bytes from anywhere: any pattern decodes without leaving the tables or the buffers, which end where the blocks end.
TEST(HostileBlocks, anyBytesDecode) {
    Random random(17);
    for (const StorageTypeInfo& info : allStorageTypes()) {
        ASSERT_TRUE(info.decodes) << info.name;
        const auto elements = static_cast<std::size_t>(info.blockElements), size = static_cast<std::size_t>(info.blockBytes);
        for (const int fill : {0, 0xff, 0x7f, 0x80, -1}) {
            for (std::size_t blocks = 0; blocks < 4; ++blocks) {
                std::vector<std::byte> bytes(blocks * size);
                for (std::byte& b : bytes) b = static_cast<std::byte>(fill >= 0 ? static_cast<std::uint64_t>(fill) : random.below(256));
                std::vector<float> values(blocks * elements);
                EXPECT_NO_THROW(decodeRow(info.type, bytes.data(), values)) << info.name;
            }
        }
    }
}

} // namespace
} // namespace bw
