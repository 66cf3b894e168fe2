// SPDX-License-Identifier: GPL-3.0-or-later
// Which cells a sketch is held against, and what is concluded from them.
#include "core/sensitivity/sketch_check.h"

#include "core/base/random.h"

#include <gtest/gtest.h>

#include <cmath>
#include <fmt/format.h>
#include <set>

namespace bw {
namespace {

/// Twenty sites whose costs fall with their number; q4_0 costs a twelfth of q2_k, q3_k a quarter.
std::vector<SensitivityCell> sketch() {
    std::vector<SensitivityCell> cells;
    for (int s = 0; s < 20; ++s)
        for (const auto& [format, share] :
             {std::pair{"q2_k", 1.0}, {"q2_k@weighted", 0.9}, {"q3_k", 0.25}, {"q4_0", 1.0 / 12}}) {
            SensitivityCell cell;
            cell.site_name = fmt::format("blk.{}.ffn_up", s);
            cell.format = format;
            cell.value = share / (1 + s);
            cells.push_back(cell);
        }
    return cells;
}

TEST(SketchCheck, TakesTheDearestAndSomeOfTheRestOfDamagingFormats) {
    const auto chosen = cellsToCheck(sketch(), 8);
    std::set<std::string> formats, sites;
    for (const auto& [site, format] : chosen) {
        formats.insert(format);
        if (format == "q2_k") sites.insert(site);
    }
    EXPECT_EQ(chosen.size(), 16u);
    EXPECT_EQ(formats,
              (std::set<std::string>{"q2_k", "q3_k"})); // one choice of a format is enough, small damage is not asked
    for (const char* dear : {"blk.0.ffn_up", "blk.1.ffn_up", "blk.2.ffn_up", "blk.3.ffn_up"})
        EXPECT_TRUE(sites.contains(dear)) << dear;
    EXPECT_EQ(sites.size(), 8u);
    EXPECT_TRUE(sites.contains("blk.18.ffn_up")); // the middle of the last quarter of the rest
    EXPECT_EQ(cellsToCheck(sketch(), 100).size(), 40u);
    EXPECT_TRUE(cellsToCheck(sketch(), 0).empty());
    EXPECT_TRUE(cellsToCheck({}, 8).empty());
}

TEST(SketchCheck, FindsTheFactorAndKnowsHowWell) {
    double squares = 0, claimed = 0;
    constexpr int kTrials = 400;
    for (int trial = 0; trial < kTrials; ++trial) {
        Random random(static_cast<std::uint64_t>(trial));
        std::vector<CheckedCell> cells;
        for (int i = 0; i < 8; ++i) {
            const double truth = std::exp(random.normal());
            cells.push_back({truth * std::exp(0.1 * random.normal()), 1.16 * truth, 1e-4 * truth});
        }
        const SketchBias bias = sketchBias(cells);
        squares += std::pow(std::log(bias.factor / 1.16), 2) / kTrials;
        claimed += bias.error * bias.error / kTrials;
    }
    EXPECT_LT(std::sqrt(squares), 0.045); // 0.1/√8 and a little for the shrinkage
    EXPECT_NEAR(std::sqrt(claimed), std::sqrt(squares), 0.01);
}

TEST(SketchCheck, FewOrNoisyCellsSayNothing) {
    EXPECT_EQ(sketchBias({{1, 2, 0.01}, {1, 2, 0.01}}).factor, 1);
    EXPECT_EQ(sketchBias({{1, 2, 1.5}, {1, 2, 1.5}, {0, 2, 0.1}, {1, -1, 0.1}, {1, std::nan(""), 0.1}}).factor, 1);
    // Cells with a common error of a half are hardly believed.
    EXPECT_LT(sketchBias({{1, 1.3, 0.6}, {1, 1.3, 0.6}, {1, 1.3, 0.6}}).factor, 1.06);
}

} // namespace
} // namespace bw
