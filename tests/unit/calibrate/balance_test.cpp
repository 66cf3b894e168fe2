// SPDX-License-Identifier: GPL-3.0-or-later
// Balanced sampling: the greedy choice on counts made by hand, counting against calibration's own, and what it brings the
// experts of a small mixture.
#include "core/calibrate/balance.h"

#include "core/base/random.h"
#include "core/calibrate/expert_coverage.h"
#include "core/compute/cpu_device.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

namespace bw {
namespace {

RoutingCounts counts(std::int64_t experts, std::vector<std::uint32_t> tokens) {
    const auto windows = static_cast<std::int64_t>(tokens.size()) / experts;
    return {windows, experts, std::move(tokens)};
}

TEST(ChooseBalanced, TakesWhatLiftsTheStarved) {
    JobContext job;
    // Three experts; the last sees tokens in windows 3 and 5 only.
    const RoutingCounts c = counts(3, {9, 1, 0, 8, 2, 0, 9, 1, 0, 4, 4, 2, 9, 1, 0, 3, 3, 4});
    EXPECT_EQ(chooseBalanced(c, 2, 10, job), (std::vector<std::int64_t>{0, 5})) << "0 and 5 tie at 10; then 5 adds 3 + 4 + 1";
    const std::vector<std::int64_t> all = chooseBalanced(c, 99, 10, job);
    EXPECT_EQ(all.size(), 6u);
    EXPECT_TRUE(std::is_sorted(all.begin(), all.end()));
    EXPECT_EQ(std::set<std::int64_t>(all.begin(), all.end()).size(), 6u) << "none twice";
    // Once all are full, the rest is spread: with a floor of nothing it is an even choice.
    EXPECT_EQ(chooseBalanced(c, 3, 0, job), (std::vector<std::int64_t>{0, 2, 4}));
}

/// A pool in which every sixteenth window is of other tokens, so that what they reach is seldom seen.
Windows unevenPool(std::int64_t count, std::int64_t length) {
    Windows pool{count, length, {}};
    Random random(5);
    for (std::int64_t w = 0; w < count; ++w)
        for (std::int64_t t = 0; t < length; ++t)
            pool.ids.push_back(static_cast<TokenId>(w % 16 == 9 ? 64 + random.below(60) : 2 + random.below(6)));
    return pool;
}

std::int64_t leastTokens(const Model& model, const Windows& windows) {
    JobContext job;
    std::int64_t least = INT64_MAX;
    for (const ExpertTokens& expert : expertCoverage(model, calibrate(model, windows, {}, job)))
        least = std::min(least, expert.tokens);
    return least;
}

TEST(ChooseBalanced, LiftsTheLeastSeenExpertOfAMixture) {
    const auto model = Model::open(Checkpoint::open(BW_TEST_DATA "/families/mixtral"), std::shared_ptr<Device>(makeCpuDevice()));
    const Windows pool = unevenPool(64, 16);
    JobContext job;
    const RoutingCounts routed = countRouting(*model, pool, job);
    ASSERT_EQ(routed.experts, 8);
    // Counted as calibration counts.
    const std::vector<ExpertTokens> coverage = expertCoverage(*model, calibrate(*model, pool, {}, job));
    for (std::size_t e = 0; e < coverage.size(); ++e) {
        std::int64_t sum = 0;
        for (std::int64_t w = 0; w < pool.count; ++w)
            sum += routed.at(w, static_cast<std::int64_t>(e));
        EXPECT_EQ(sum, coverage[e].tokens) << e;
    }
    Windows even{16, 16, {}}, balanced{0, 16, {}};
    for (std::int64_t w = 0; w < 64; w += 4)
        even.ids.insert(even.ids.end(), pool.window(w).begin(), pool.window(w).end());
    for (const std::int64_t w : chooseBalanced(routed, 16, 48, job)) {
        balanced.ids.insert(balanced.ids.end(), pool.window(w).begin(), pool.window(w).end());
        ++balanced.count;
    }
    ASSERT_EQ(balanced.count, 16);
    const std::int64_t before = leastTokens(*model, even), after = leastTokens(*model, balanced);
    RecordProperty("least_before", static_cast<int>(before));
    RecordProperty("least_after", static_cast<int>(after));
    EXPECT_GE(after, 48) << "the floor, from " << before;
    EXPECT_LT(before, 48);
}

TEST(ChooseBalanced, AModelWithoutExpertsCountsNothing) {
    const auto model = Model::open(Checkpoint::open(BW_TEST_DATA "/families/llama"), std::shared_ptr<Device>(makeCpuDevice()));
    JobContext job;
    EXPECT_EQ(countRouting(*model, unevenPool(2, 8), job).experts, 0);
}

} // namespace
} // namespace bw
