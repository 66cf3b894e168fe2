// SPDX-License-Identifier: GPL-3.0-or-later
// The block bootstrap: covers the truth as often as it says on correlated data, where one that ignores blocks does not.
#include "core/evaluate/paired.h"

#include "core/base/random.h"
#include "tests/support/expect_error.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

namespace bw {
namespace {

/// Differences with mean `shift` and correlation `rho` from token to token, as `windows` stretches that each have a mean of their own.
std::vector<float> correlated(std::uint64_t seed, std::size_t windows, std::size_t length, double rho, double shift) {
    Random random(seed);
    std::vector<float> x;
    for (std::size_t w = 0; w < windows; ++w) {
        const double own = 0.3 * random.normal();
        double state = random.normal();
        for (std::size_t i = 0; i < length; ++i) {
            state = rho * state + std::sqrt(1 - rho * rho) * random.normal();
            x.push_back(static_cast<float>(shift + own + state));
        }
    }
    return x;
}

TEST(PairedDifference, CoversTheTruthOnCorrelatedTokens) {
    constexpr int kTrials = 300;
    constexpr double kShift = 0.25;
    int covered = 0, coveredByTokens = 0;
    for (int trial = 0; trial < kTrials; ++trial) {
        const std::vector<float> b = correlated(static_cast<std::uint64_t>(trial + 1), 24, 64, 0.6, kShift), a(b.size(), 0.0f);
        const PairedDifference d = pairedDifference(a, b, 24, {400, 0.95, static_cast<std::uint64_t>(trial)});
        covered += d.low <= kShift && kShift <= d.high;
        double squares = 0;
        for (const float v : b) squares += std::pow(static_cast<double>(v) - d.difference, 2);
        const double naive = std::sqrt(squares / static_cast<double>(b.size() - 1) / static_cast<double>(b.size()));
        coveredByTokens += std::abs(d.difference - kShift) < 1.96 * naive;
        EXPECT_EQ(d.blocks, 24);
    }
    // 95 % of 300 is 285 ± 4 (one standard deviation of the count); 24 blocks cost the bootstrap a few percent.
    EXPECT_GE(covered, 267);
    EXPECT_LE(covered, 298);
    EXPECT_LT(coveredByTokens, 240) << "the data would not need blocks";
}

TEST(PairedDifference, SameRunIsNotDistinguishable) {
    const std::vector<float> x = correlated(5, 16, 32, 0.5, 1.0);
    const PairedDifference d = pairedDifference(x, x, 16);
    EXPECT_EQ(d.difference, 0);
    EXPECT_FALSE(d.distinguishable());
}

TEST(PairedDifference, ClearDifferenceHasItsSign) {
    const std::vector<float> a = correlated(5, 16, 32, 0.5, 0.0);
    std::vector<float> b = a;
    Random random(7);
    for (float& v : b) v -= static_cast<float>(0.1 + 0.02 * random.normal());
    const PairedDifference d = pairedDifference(a, b, 16);
    EXPECT_NEAR(d.difference, -0.1, 0.005); // 512 tokens of deviation 0.02
    EXPECT_LT(d.high, 0);
    EXPECT_TRUE(d.distinguishable());
}

TEST(PairedDifference, FewWindowsAreCutAndOneShortOneSaysNothing) {
    const std::vector<float> a(3 * 100, 0.0f), b = correlated(9, 3, 100, 0.2, 0.1);
    const PairedDifference d = pairedDifference(a, b, 3);
    EXPECT_EQ(d.blocks, 12);
    EXPECT_EQ(d.blockTokens, 25);
    const PairedDifference none = pairedDifference(std::span(a).first(10), std::span(b).first(10), 1);
    EXPECT_EQ(none.blocks, 1);
    EXPECT_FALSE(none.distinguishable());
    EXPECT_TRUE(std::isinf(none.high));
}

TEST(PairedDifference, SameSeedSameInterval) {
    const std::vector<float> a(640, 0.0f), b = correlated(3, 20, 32, 0.5, 0.05);
    const PairedDifference one = pairedDifference(a, b, 20), two = pairedDifference(a, b, 20), other = pairedDifference(a, b, 20, {2000, 0.95, 99});
    EXPECT_EQ(one.low, two.low);
    EXPECT_EQ(one.high, two.high);
    EXPECT_NE(one.low, other.low);
}

/// The series of tests/golden/evaluate/make_paired.py.
struct Series {
    std::vector<float> differences;
    std::vector<std::int64_t> documents;
    Series() {
        std::int64_t seed = 7, left = 24 * 60;
        const auto next = [&] { return (seed = (seed * 1103515245 + 12345) % (std::int64_t{1} << 31)) / 1000; };
        for (; left > 0; left -= documents.back()) documents.push_back(std::min(left, 5 + next() % 60));
        for (const std::int64_t n : documents) {
            const double level = static_cast<double>(next() % 1001) / 1000 - 0.35;
            for (std::int64_t i = 0; i < n; ++i) differences.push_back(static_cast<float>(level + (static_cast<double>(next() % 1001) / 1000 - 0.5)));
        }
    }
};

TEST(PairedDifference, IsNumpysBootstrapOverWindowsAndDocuments) {
    const Series series;
    ASSERT_EQ(series.documents.size(), 42u);
    const std::vector<float> zero(series.differences.size(), 0.0f);
    const PairedOptions many{20'000, 0.95, 3};
    const auto near = [](const PairedDifference& d, double low, double high, double error) {
        EXPECT_NEAR(d.difference, 0.100002083, 1e-8);
        // The 2.5 % quantile of 20,000 draws has an error of 0.019 standard deviations (√(p(1−p)/n)/density): four of them.
        EXPECT_NEAR(d.low, low, 0.08 * error);
        EXPECT_NEAR(d.high, high, 0.08 * error);
        EXPECT_NEAR(d.standardError, error, 0.02 * error); // 1/√(2n) = 0.5 %
    };
    near(pairedDifference(zero, series.differences, 24, many), 0.031499, 0.163869, 0.033862);
    near(pairedByBlocks(zero, series.differences, series.documents, many), 0.014956, 0.179966, 0.042111);
}

TEST(PairedDifference, DocumentsCoverWhereTokensDoNot) {
    constexpr int kTrials = 300;
    constexpr double kShift = 0.25;
    int covered = 0, coveredByTokens = 0;
    for (int trial = 0; trial < kTrials; ++trial) {
        Random random(static_cast<std::uint64_t>(trial) + 1);
        std::vector<std::int64_t> documents;
        std::vector<float> b;
        for (int k = 0; k < 30; ++k) { // lengths and levels of their own
            documents.push_back(8 + static_cast<std::int64_t>(random.below(40)));
            const double level = kShift + 0.5 * random.normal();
            for (std::int64_t i = 0; i < documents.back(); ++i) b.push_back(static_cast<float>(level + random.normal()));
        }
        const std::vector<float> a(b.size(), 0.0f);
        const PairedDifference d = pairedByBlocks(a, b, documents, {400, 0.95, static_cast<std::uint64_t>(trial)});
        covered += d.low <= kShift && kShift <= d.high;
        double squares = 0;
        for (const float v : b) squares += std::pow(static_cast<double>(v) - d.difference, 2);
        coveredByTokens += std::abs(d.difference - kShift) < 1.96 * std::sqrt(squares) / static_cast<double>(b.size());
    }
    // 285 ± 4 of 300 at 95 %; 30 documents cost the bootstrap a few percent.
    EXPECT_GE(covered, 266);
    EXPECT_LE(covered, 298);
    EXPECT_LT(coveredByTokens, 200) << "the data would not need documents";
}

TEST(PairedDifference, FewOrWrongDocumentsSayNothing) {
    const std::vector<float> a(110, 0.0f), b = correlated(9, 1, 110, 0.2, 0.1);
    const std::vector<std::int64_t> eleven(11, 10), short_(10, 10), huge{INT64_MAX, INT64_MAX}, empty(12, 0);
    EXPECT_TRUE(std::isinf(pairedByBlocks(a, b, eleven).high));
    for (const auto* bad : {&short_, &huge, &empty}) test::expectError(ErrorCode::usage, [&] { pairedByBlocks(a, b, *bad); });
}

TEST(PairedDifference, RefusesDifferentLengths) {
    const std::vector<float> a(10, 0.0f), b(11, 0.0f);
    EXPECT_NE(test::expectError(ErrorCode::usage, [&] { pairedDifference(a, b, 1); }).message().find("10 and 11"), std::string::npos);
    test::expectError(ErrorCode::usage, [&] { pairedDifference({}, {}, 1); });
}

} // namespace
} // namespace bw
