// SPDX-License-Identifier: GPL-3.0-or-later
// Products of bytes: sums equal those of plain loops bit for bit at odd shapes and extreme codes, in both kernels.
#include "core/compute/int8_product.h"
#include "core/base/random.h"

#include <cmath>
#include <gtest/gtest.h>

namespace bw {
namespace {

std::vector<std::int8_t> randomCodes(std::int64_t count, std::uint64_t seed, bool extreme) {
    Random random(seed);
    std::vector<std::int8_t> codes(static_cast<std::size_t>(count));
    for (std::int8_t& code : codes) {
        const auto drawn = static_cast<int>(random.below(256)) - 128;
        code = static_cast<std::int8_t>(extreme ? (drawn < 0 ? -128 : 127) : drawn);
    }
    return codes;
}

class Int8Product : public testing::TestWithParam<bool> {
protected:
    void SetUp() override {
        if (!GetParam() && !hasInt8Products()) GTEST_SKIP() << "this processor has no VNNI";
        usePortableInt8(GetParam());
    }
    void TearDown() override { usePortableInt8(false); }
};
INSTANTIATE_TEST_SUITE_P(Kernels, Int8Product, testing::Bool(), [](const auto& kernel) { return kernel.param ? "portable" : "vnni"; });

TEST_P(Int8Product, SumsAreExact) {
    for (const auto& [t, o, i] : std::vector<std::tuple<std::int64_t, std::int64_t, std::int64_t>>{{1, 1, 1}, {3, 47, 5}, {8, 48, 64}, {9, 49, 127}, {65, 100, 3}, {17, 800, 258}}) {
        for (const bool extreme : {false, true}) {
            Matrix x(t, i);
            const std::vector<std::int8_t> inputs = randomCodes(t * i, 3, extreme), weights = randomCodes(o * i, 4, extreme);
            for (std::int64_t r = 0; r < t; ++r) {
                for (std::int64_t c = 0; c < i; ++c) x.row(r)[c] = std::max(-127.0f, static_cast<float>(inputs[static_cast<std::size_t>(r * i + c)]));
                x.row(r)[r % i] = 127; // the scale of every row is 1
            }
            const Int8Rows rows(std::as_const(x).view());
            const Int8Panels panels(weights, o, i, std::vector<float>(static_cast<std::size_t>(o), 0.5f));
            std::vector<std::int32_t> sums(static_cast<std::size_t>(t * o));
            multiplyInt8Sums(rows, panels, {sums.data(), t, o});
            Matrix y(t, o);
            multiplyInt8(rows, panels, y.view());
            for (std::int64_t r = 0; r < t; ++r)
                for (std::int64_t w = 0; w < o; ++w) {
                    std::int64_t wanted = 0;
                    for (std::int64_t c = 0; c < i; ++c) wanted += static_cast<std::int64_t>(x.row(r)[c]) * weights[static_cast<std::size_t>(w * i + c)];
                    ASSERT_EQ(sums[static_cast<std::size_t>(r * o + w)], wanted) << t << "×" << o << "×" << i << " at " << r << ", " << w;
                    ASSERT_EQ(y.row(r)[w], static_cast<float>(wanted) * 0.5f);
                }
            multiplyInt8(rows, panels, y.view(), true);
            EXPECT_EQ(y.row(t - 1)[o - 1], static_cast<float>(sums.back()));
        }
    }
}

TEST_P(Int8Product, TheWidestInputDoesNotOverflow) {
    Matrix x(1, kMostInt8Columns);
    x.fill(127);
    const Int8Panels panels(std::vector<std::int8_t>(static_cast<std::size_t>(kMostInt8Columns), std::int8_t{-128}), 1, kMostInt8Columns, {1});
    std::int32_t sum = 0;
    multiplyInt8Sums(Int8Rows(std::as_const(x).view()), panels, {&sum, 1, 1});
    EXPECT_EQ(sum, -127 * 128 * kMostInt8Columns);
}

TEST(Int8Rows, RoundsToEvenAndKeepsZeros) {
    Matrix x(2, 5);
    const float values[]{127, 0.5f, 1.5f, -2.5f, -126.6f, 0, 0, 0, 0, 0};
    std::copy(std::begin(values), std::end(values), x.data());
    const Int8Rows rows(std::as_const(x).view());
    EXPECT_EQ(rows.scale(0), 1);
    const int wanted[]{127, 0, 2, -2, -127};
    for (std::int64_t c = 0; c < 5; ++c) EXPECT_EQ(rows.row(0)[c], wanted[c]);
    EXPECT_EQ(rows.sum(0), 0);
    EXPECT_EQ(rows.scale(1), 0);
    EXPECT_EQ(rows.row(1)[4], 0);
}

} // namespace
} // namespace bw
