// SPDX-License-Identifier: GPL-3.0-or-later
// Importance-weighted rounding of GGML blocks: never worse than the reference in the weighted sum, and sane without weights.
#include "core/format/storage_type.h"
#include "tests/support/format_support.h"

#include <gtest/gtest.h>

#include <cmath>

namespace bw {
namespace {

std::vector<std::byte> encoded(StorageType type, std::span<const float> x, std::span<const float> importance) {
    std::vector<std::byte> bytes(storageBytes(type, 1, x.size()));
    encodeRow(type, x, importance, bytes.data());
    return bytes;
}

double weightedError(StorageType type, std::span<const float> x, std::span<const float> w, const std::vector<std::byte>& bytes) {
    std::vector<float> y(x.size());
    decodeRow(type, bytes.data(), y);
    double sum = 0;
    for (std::size_t j = 0; j < x.size(); ++j) sum += static_cast<double>(w[j]) * std::pow(static_cast<double>(x[j]) - static_cast<double>(y[j]), 2);
    return sum;
}

class Weighted : public testing::TestWithParam<StorageType> {};

TEST_P(Weighted, neverWorseThanReferencePerBlock) {
    Random random(11);
    double weighted = 0, reference = 0;
    for (std::uint64_t seed = 0; seed < 200; ++seed) {
        const Matrix x = test::randomWeight(1, 32, seed, std::pow(10.0, random.uniform() * 8 - 6), 16);
        std::vector<float> w(32);
        for (float& v : w) v = static_cast<float>(std::pow(random.normal(), 4.0));
        const std::span<const float> row(x.data(), 32);
        const double a = weightedError(GetParam(), row, w, encoded(GetParam(), row, w));
        const double b = weightedError(GetParam(), row, w, encoded(GetParam(), row, {}));
        EXPECT_LE(a, b * (1 + 1e-5)) << seed; // the search compares sums of 32 terms in f32
        weighted += b > 0 ? a / b : 1;
        reference += 1;
    }
    EXPECT_LT(weighted, 0.9 * reference); // and on the whole clearly better
}

TEST_P(Weighted, zeroImportanceGivesReferenceBytes) {
    const Matrix x = test::randomWeight(1, 64, 3);
    const std::vector<float> none(64, 0.0f);
    EXPECT_EQ(encoded(GetParam(), {x.data(), 64}, none), encoded(GetParam(), {x.data(), 64}, {}));
}

TEST_P(Weighted, scaleOfImportanceDoesNotMatter) {
    const Matrix x = test::randomWeight(1, 64, 4);
    std::vector<float> small(64), large(64);
    Random random(9);
    for (std::size_t j = 0; j < 64; ++j) {
        small[j] = static_cast<float>(random.uniform()) * 0x1p-100f;
        large[j] = small[j] * 0x1p+120f;
    }
    EXPECT_EQ(encoded(GetParam(), {x.data(), 64}, small), encoded(GetParam(), {x.data(), 64}, large));
}

TEST_P(Weighted, sameBytesOnEveryInstructionSet) {
    const Matrix x = test::randomWeight(1, 2048, 6, 0.05, 40);
    std::vector<float> w(2048);
    Random random(2);
    for (float& v : w) v = static_cast<float>(random.uniform());
    const auto expected = encoded(GetParam(), {x.data(), 2048}, w);
    test::forEachInstructionSet([&](const std::string& set) { EXPECT_EQ(encoded(GetParam(), {x.data(), 2048}, w), expected) << set; });
}

INSTANTIATE_TEST_SUITE_P(Blocks, Weighted, testing::Values(StorageType::q4_0, StorageType::q4_1, StorageType::q5_0, StorageType::q5_1, StorageType::q8_0),
                         [](const auto& test) { return std::string(storageTypeInfo(test.param).name); });

} // namespace
} // namespace bw
