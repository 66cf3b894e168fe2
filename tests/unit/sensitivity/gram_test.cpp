// SPDX-License-Identifier: GPL-3.0-or-later
// Quadratic forms of Gram matrices against the products they stand for, and the error of a ratio.
#include "core/sensitivity/gram.h"

#include "core/base/random.h"
#include "tests/support/random_matrix.h"

#include <gtest/gtest.h>

#include <cmath>

namespace bw::detail {
namespace {

using test::randomMatrix;

TEST(FoldedGramTest, EqualsTheNormOfTheProduct) {
    const std::int64_t width = 37, windows = 5, tokens = 11;
    FoldedGram gram(width, 2, windows), together(width, 2, windows);
    Matrix all(windows * tokens, width);
    const Matrix a = randomMatrix(2100, width, 1); // more rows than are multiplied at once
    double direct[2] = {0, 0};
    for (std::int64_t w = 0; w < windows; ++w) {
        const Matrix x = randomMatrix(tokens, width, static_cast<std::uint64_t>(10 + w));
        gram.add(w, tokens, x.view());
        std::copy_n(x.data(), x.size(), all.row(w * tokens));
        for (std::int64_t t = 0; t < tokens; ++t)
            for (std::int64_t r = 0; r < a.rows(); ++r) {
                double dot = 0;
                for (std::int64_t c = 0; c < width; ++c)
                    dot += static_cast<double>(a.row(r)[c]) * static_cast<double>(x.row(t)[c]);
                direct[w * 2 / windows] += dot * dot;
            }
    }
    JobContext job;
    const std::vector<double> sums = gram.quadratic(a.view(), job);
    ASSERT_EQ(sums.size(), 2u);
    // f32 products of width 37: some 1e-7·√37 per term, averaging out over 77,000 terms.
    for (std::size_t f = 0; f < 2; ++f)
        EXPECT_NEAR(sums[f], direct[f], 2e-6 * direct[f]);
    // Several windows at once, and again after a fault: each counts once, in its own fold.
    together.add(0, tokens, std::as_const(all).view().middleRows(0, 4 * tokens));
    for (int again = 0; again < 2; ++again) together.add(0, tokens, std::as_const(all).view());
    const std::vector<double> same = together.quadratic(a.view(), job);
    for (std::size_t f = 0; f < 2; ++f)
        EXPECT_NEAR(same[f], direct[f], 2e-6 * direct[f]);
    gram.clear();
    EXPECT_EQ(gram.quadratic(a.view(), job), (std::vector<double>{0, 0}));
}

TEST(FoldCount, StaysWithinMemory) {
    EXPECT_EQ(foldCount(100, 1 << 20), 8);
    EXPECT_EQ(foldCount(3, 1 << 20), 3);
    EXPECT_EQ(foldCount(100, 400 << 20), 2);
    EXPECT_EQ(foldCount(100, 3ull << 30), 1);
}

TEST(RatioOf, MatchesTheSpreadOfRepeatedDraws) {
    EXPECT_EQ(ratioOf({0, 0}, {0, 0}).value, 0.0);
    EXPECT_TRUE(std::isinf(ratioOf({1}, {0}).value));
    EXPECT_EQ(ratioOf({1}, {4}).error, 0.0);
    Random random(3);
    double sum = 0, squares = 0, claimed = 0;
    const int draws = 3000;
    for (int i = 0; i < draws; ++i) {
        std::vector<double> top, bottom;
        for (int f = 0; f < 8; ++f) {
            bottom.push_back(10 + random.normal());
            top.push_back(0.3 * bottom.back() + 0.2 * random.normal());
        }
        const Measure m = ratioOf(top, bottom);
        sum += m.value;
        squares += m.value * m.value;
        claimed += m.error;
    }
    const double spread = std::sqrt(squares / draws - (sum / draws) * (sum / draws));
    EXPECT_NEAR(sum / draws, 0.3, 0.001);
    // The mean of a standard deviation from eight values is 3.5 % low.
    EXPECT_NEAR(claimed / draws, spread, 0.08 * spread);
}

} // namespace
} // namespace bw::detail
