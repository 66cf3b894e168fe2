// SPDX-License-Identifier: GPL-3.0-or-later
// The search for culprits on made-up losses: smallest sets, bounded measurements, losses that nothing explains.
#include "core/diagnose/search.h"

#include "core/base/error.h"
#include "tests/support/expect_error.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>

namespace bw {
namespace {

using test::expectError;

/// A loss that is the sum of what the suspects cost who are not mended.
struct Additive {
    std::vector<double> cost;
    double whole() const { return std::accumulate(cost.begin(), cost.end(), 0.0); }
    double operator()(const std::vector<std::size_t>& mended) const {
        double left = whole();
        for (const std::size_t i : mended) left -= cost[i];
        return left;
    }
    std::vector<std::size_t> order() const {
        std::vector<std::size_t> out(cost.size());
        std::iota(out.begin(), out.end(), 0);
        std::stable_sort(out.begin(), out.end(), [&](std::size_t a, std::size_t b) { return cost[a] > cost[b]; });
        return out;
    }
};

TEST(CulpritSearch, OneCulpritOfManyCostsTwoMeasurements) {
    Additive loss{std::vector<double>(210, 1e-4)};
    loss.cost[137] = 1;
    const SearchResult found = findCulprits(loss.order(), loss.whole(), loss);
    ASSERT_EQ(found.culprits.size(), 1u);
    EXPECT_EQ(found.culprits[0].index, 137u);
    EXPECT_NEAR(found.culprits[0].alone, 1 / loss.whole(), 1e-12);
    EXPECT_LE(found.measurements, 2);
}

// With exact predictions the shortest prefix of the largest is the smallest set there is; measurements stay bounded.
TEST(CulpritSearch, FindsTheSmallestSetOfAdditiveLosses) {
    std::mt19937_64 random(7);
    for (int trial = 0; trial < 60; ++trial) {
        const std::size_t n = 2 + random() % 300;
        Additive loss;
        for (std::size_t i = 0; i < n; ++i) loss.cost.push_back(std::exp(std::normal_distribution<double>(0, trial % 5)(random)));
        const SearchOptions options{.share = 0.5 + 0.1 * (trial % 5), .single = 8};
        const SearchResult found = findCulprits(loss.order(), loss.whole(), loss, options);
        std::vector<double> sorted = loss.cost;
        std::sort(sorted.rbegin(), sorted.rend());
        std::size_t smallest = 0;
        for (double sum = 0; sum < options.share * loss.whole() * (1 - 1e-12); ++smallest) sum += sorted[smallest];
        EXPECT_EQ(found.culprits.size(), smallest) << "n " << n << " trial " << trial;
        EXPECT_GE(found.explained, options.share * (1 - 1e-9));
        EXPECT_LE(found.measurements, 2 * static_cast<int>(std::ceil(std::log2(static_cast<double>(n)))) + 2 + 8);
    }
}

// The prediction put an innocent site before the culprits: it is dropped again.
TEST(CulpritSearch, DropsWhatTheShareDoesNotNeed) {
    Additive loss{{0.001, 1, 2, 0.001}};
    const SearchResult found = findCulprits({0, 1, 2, 3}, loss.whole(), loss);
    ASSERT_EQ(found.culprits.size(), 2u);
    EXPECT_EQ(found.culprits[0].index, 2u);
    EXPECT_EQ(found.culprits[1].index, 1u);
    EXPECT_NEAR(found.explained, 3 / loss.whole(), 1e-12);
}

// Two that only hurt together: neither alone wins anything back, both do.
TEST(CulpritSearch, KeepsSitesThatActTogether) {
    const auto mended = [](const std::vector<std::size_t>& m) { return std::ranges::count(m, 0u) + std::ranges::count(m, 1u) == 2 ? 0.0 : 1.0; };
    const SearchResult found = findCulprits({0, 1, 2}, 1.0, mended);
    ASSERT_EQ(found.culprits.size(), 2u);
    EXPECT_NEAR(found.explained, 1, 1e-12);
    EXPECT_NEAR(found.culprits[0].alone, 0, 1e-12);
}

TEST(CulpritSearch, SaysWhenNothingExplains) {
    const SearchResult found = findCulprits({0, 1, 2}, 1.0, [](const auto&) { return 0.9; });
    EXPECT_TRUE(found.culprits.empty());
    EXPECT_EQ(found.explained, 0);
}

TEST(CulpritSearch, RefusesNonsense) {
    const auto zero = [](const auto&) { return 0.0; };
    EXPECT_NE(expectError(ErrorCode::usage, [&] { findCulprits({}, 1, zero); }).message().find("no suspect"), std::string::npos);
    EXPECT_NE(expectError(ErrorCode::usage, [&] { findCulprits({0}, 0, zero); }).message().find("no loss"), std::string::npos);
    const SearchOptions all{.share = 1};
    EXPECT_NE(expectError(ErrorCode::usage, [&] { findCulprits({0}, 1, zero, all); }).message().find("between 0 and 1"), std::string::npos);
}

} // namespace
} // namespace bw
