// SPDX-License-Identifier: GPL-3.0-or-later
// Tokens per expert against what a mixture's router sends where, and the warning about those that saw little.
#include "core/calibrate/expert_coverage.h"

#include "core/compute/cpu_device.h"

#include <gtest/gtest.h>

#include <map>

namespace bw {
namespace {

TEST(ExpertCoverage, CountsEveryExpertOfEveryBlock) {
    const auto model = Model::open(Checkpoint::open(BW_TEST_DATA "/families/mixtral"), std::shared_ptr<Device>(makeCpuDevice()));
    Windows windows;
    windows.count = 3;
    windows.length = 16;
    for (int i = 0; i < 48; ++i)
        windows.ids.push_back((i * 37 + i / 5) % 120 + 2);
    JobContext job;
    const CalibrationResult result = calibrate(*model, windows, {}, job);
    const std::vector<ExpertTokens> coverage = expertCoverage(*model, result);
    ASSERT_EQ(coverage.size(), 8u) << "two blocks of four experts";
    std::map<int, std::int64_t> byBlock;
    for (const ExpertTokens& expert : coverage)
        byBlock[expert.block] += expert.tokens;
    EXPECT_EQ(byBlock[0], 96) << "two experts a token";
    EXPECT_EQ(byBlock[1], 96);
    std::int64_t least = coverage[0].tokens, most = least;
    for (const ExpertTokens& expert : coverage) {
        least = std::min(least, expert.tokens);
        most = std::max(most, expert.tokens);
    }
    EXPECT_TRUE(starvedExpertsWarning(coverage, least).empty());
    const std::vector<DataWarning> all = starvedExpertsWarning(coverage, most + 1);
    ASSERT_EQ(all.size(), 1u);
    EXPECT_EQ(all[0].details.size(), 8u);
    EXPECT_EQ(all[0].kind, "starved-experts");
    EXPECT_EQ(all[0].seen.substr(0, 14), "8 of 8 experts");
}

TEST(ExpertCoverage, AnExpertThatNoTokenReachedCountsNone) {
    const auto model = Model::open(Checkpoint::open(BW_TEST_DATA "/families/mixtral"), std::shared_ptr<Device>(makeCpuDevice()));
    Windows one{1, 2, {3, 4}};
    JobContext job;
    const std::vector<ExpertTokens> coverage = expertCoverage(*model, calibrate(*model, one, {}, job));
    ASSERT_EQ(coverage.size(), 8u) << "two tokens reach at most four experts a block, or the same two";
    EXPECT_NE(starvedExpertsWarning(coverage, 128)[0].seen.find("of them none"), std::string::npos);
}

} // namespace
} // namespace bw
