// SPDX-License-Identifier: GPL-3.0-or-later
// Starved experts: who they are, what their costs become under each policy, and that the errors given are honest.
#include "core/sensitivity/experts.h"

#include "core/base/random.h"
#include "core/compute/cpu_device.h"
#include "tests/support/expect_error.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

namespace bw {
namespace {

using ::testing::HasSubstr;

/// One layer with one dense site and `experts` experts, each with gate (4 columns) and down.
std::vector<Site> layer(int experts) {
    std::vector<Site> sites(1);
    sites[0].name = "blk.0.attn_q";
    sites[0].block = BlockIndex{0};
    for (const auto& [kind, name] :
         {std::pair{SiteKind::ffnGateExperts, "ffn_gate"}, {SiteKind::ffnDownExperts, "ffn_down"}})
        for (int e = 0; e < experts; ++e) {
            Site site;
            site.id = SiteId{static_cast<int>(sites.size())};
            site.name = "blk.0." + std::string(name) + ".e" + std::to_string(e);
            site.kind = kind;
            site.block = BlockIndex{0};
            site.expert = e;
            sites.push_back(site);
        }
    return sites;
}

/// Cells of the gates in two formats: `intensity[e]` nats per routed token at q4_0, a quarter of it at q8_0.
std::vector<SensitivityCell> gateCells(const std::vector<Site>& sites, const std::vector<std::int64_t>& tokens,
                                       const std::vector<double>& intensity, double tokenSpread) {
    double total = 0;
    for (const std::int64_t n : tokens)
        total += static_cast<double>(n);
    std::vector<SensitivityCell> cells;
    for (const Site& site : sites) {
        if (site.kind != SiteKind::ffnGateExperts)
            continue;
        const auto e = static_cast<std::size_t>(site.expert);
        for (const auto& [format, bytes, factor] : {std::tuple{"q4_0", 450u, 1.0}, {"q8_0", 850u, 0.25}}) {
            const double share = static_cast<double>(tokens[e]) / total;
            SensitivityCell cell{site.id, site.name, format, format, bytes, factor * intensity[e] * share,
                                 0,       tokens[e]};
            cell.standardError =
                tokens[e] > 0 ? factor * tokenSpread * share / std::sqrt(static_cast<double>(tokens[e])) : 0;
            cells.push_back(cell);
        }
    }
    return cells;
}

TEST(Experts, NamesWhoStarved) {
    const auto sites = layer(4);
    const std::vector<std::int64_t> tokens{500, 127, 0, 128};
    const auto count = [&](const Site& s) {
        return s.kind == SiteKind::ffnGateExperts ? tokens[static_cast<std::size_t>(s.expert)] : 0;
    };
    const auto starved = starvedExperts(sites, count, {});
    ASSERT_EQ(starved.size(), 2u) << "down was not counted, 128 tokens are enough";
    EXPECT_EQ(starved[0].name, "blk.0.ffn_gate.e1");
    EXPECT_EQ(starved[1].name, "blk.0.ffn_gate.e2");
    EXPECT_EQ(starved[1].tokens, 0);
    EXPECT_DOUBLE_EQ(starved[0].share, 127.0 / 755);
    EXPECT_EQ(starved[0].donors, (std::vector<SiteId>{SiteId{1}, SiteId{4}}));
    EXPECT_THAT(starved[0].why, HasSubstr("127 of 755 routed tokens (17 %)"));
    EXPECT_THAT(starved[0].why, HasSubstr("2 other experts"));
    EXPECT_TRUE(starvedExperts(layer(0), count, {}).empty());
    EXPECT_TRUE(starvedExperts(sites, [](const Site&) { return 0; }, {}).empty()) << "nothing was counted";
}

TEST(Experts, StarvedCostsComeFromTheOthersAndTheOwnTokensByPrecision) {
    const auto sites = layer(4);
    const std::vector<double> u{0.8, 1.0, 1.2, 9.0};
    const double spread = 2.0; // of single tokens
    const auto cells = gateCells(sites, {1000, 1000, 1000, 10}, u, spread);
    const ExpertCosts out = adjustExperts(sites, cells, SensitivityMetric::measuredKl, {});
    for (std::size_t c = 0; c < 6; ++c) {
        EXPECT_EQ(out.cells[c].value, cells[c].value) << "who saw enough keeps its cost";
        EXPECT_EQ(out.cells[c].standardError, cells[c].standardError);
    }
    // Three donors: mean 1, sample variance 0.04, one more of them 0.04·4/3; ten tokens: 4/10.
    const double prior = 0.04 * 4 / 3, own = spread * spread / 10;
    const double mean = (1.0 / prior + 9.0 / own) / (1 / prior + 1 / own), variance = 1 / (1 / prior + 1 / own);
    const double all = 3010 + 2, share = 10.5 / all, shareVariance = share * (1 - share) / (all + 1);
    EXPECT_NEAR(out.cells[6].value, share * mean, 1e-12);
    EXPECT_NEAR(out.cells[6].standardError,
                std::sqrt(share * share * variance + mean * mean * shareVariance + variance * shareVariance), 1e-12);
    EXPECT_LT(out.cells[6].value, 0.3 * cells[6].value) << "ten tokens are hardly believed";
    EXPECT_NEAR(out.cells[7].value, 0.25 * out.cells[6].value, 1e-12) << "formats keep their order";
    ASSERT_EQ(out.starved.size(), 1u);
    EXPECT_TRUE(out.forbid.empty());
}

TEST(Experts, NeverRoutedIsNotFree) {
    const auto sites = layer(3);
    const auto cells = gateCells(sites, {1000, 1000, 0}, {1.0, 1.4, 0.0}, 2.0);
    ASSERT_EQ(cells[4].value, 0.0) << "measured: no token, no damage";
    const SensitivityCell cell = adjustExperts(sites, cells, SensitivityMetric::measuredKl, {}).cells[4];
    EXPECT_NEAR(cell.value, 1.2 * 0.5 / 2001.5, 1e-12);
    EXPECT_GT(cell.standardError, cell.value) << "and not at all certain";
}

TEST(Experts, PoliciesDiffer) {
    const auto sites = layer(4);
    const auto cells = gateCells(sites, {1000, 1000, 1000, 60}, {0.8, 1.0, 1.2, 3.0}, 2.0);
    const auto under = [&](StarvedPolicy policy) {
        return adjustExperts(sites, cells, SensitivityMetric::fisher, {policy, kMinExpertTokens});
    };
    const ExpertCosts nearest = under(StarvedPolicy::nearest), keep = under(StarvedPolicy::keep),
                      borrow = under(StarvedPolicy::borrow);
    EXPECT_EQ(keep.cells[6].value, nearest.cells[6].value);
    EXPECT_EQ(keep.forbid, std::vector<std::string>{"blk.0.ffn_gate.e3=q4_0"});
    EXPECT_LT(borrow.cells[6].value, nearest.cells[6].value) << "the own tokens, which spoke of 3, are not asked";
    EXPECT_NEAR(borrow.cells[6].value, 1.0 * 60.5 / 3062, 1e-12);
    EXPECT_THAT(keep.starved[0].why, HasSubstr("kept at its largest format"));
    EXPECT_THAT(borrow.starved[0].why, HasSubstr("cost and importance of 3 other experts"));
    auto sizeless = cells;
    for (SensitivityCell& cell : sizeless)
        cell.bytes = 0;
    test::expectError(ErrorCode::internal, [&] {
        adjustExperts(sites, sizeless, SensitivityMetric::fisher, {StarvedPolicy::keep, kMinExpertTokens});
    });
    for (const StarvedPolicy policy : {StarvedPolicy::nearest, StarvedPolicy::keep, StarvedPolicy::borrow})
        EXPECT_EQ(parseStarvedPolicy(starvedPolicyName(policy)), policy);
    EXPECT_THAT(test::expectError(ErrorCode::usage, [] { parseStarvedPolicy("drop"); }).message(), HasSubstr("'drop'"));
}

TEST(Experts, OutputErrorsWeighAsTheirShareOfTokens) {
    const auto sites = layer(2);
    std::vector<SensitivityCell> cells;
    cells.push_back({sites[0].id, sites[0].name, "q4_0", "q4_0", 450, 0.02, 0.001, 1000});
    cells.push_back({sites[1].id, sites[1].name, "q4_0", "q4_0", 450, 0.02, 0.001, 1500});
    cells.push_back({sites[2].id, sites[2].name, "q4_0", "q4_0", 450, 0.02, 0.001, 500});
    const ExpertCosts out = adjustExperts(sites, cells, SensitivityMetric::outputError, {});
    EXPECT_EQ(out.cells[0].value, 0.02) << "dense";
    EXPECT_DOUBLE_EQ(out.cells[1].value, 0.02 * 0.75);
    EXPECT_DOUBLE_EQ(out.cells[2].standardError, 0.001 * 0.25);
    EXPECT_DOUBLE_EQ(out.cells[1].value + out.cells[2].value, 0.02) << "the layer weighs as a dense one";
    EXPECT_EQ(adjustExperts(sites, cells, SensitivityMetric::measuredKl, {}).cells[1].value, 0.02);
}

TEST(Experts, AllStarvedAskEachOtherAndASoleOneNobody) {
    const auto sites = layer(3);
    const auto cells = gateCells(sites, {20, 10, 0}, {1.0, 2.0, 0.0}, 2.0);
    const ExpertCosts out = adjustExperts(sites, cells, SensitivityMetric::measuredKl, {});
    ASSERT_EQ(out.starved.size(), 3u);
    EXPECT_EQ(out.starved[0].donors, std::vector<SiteId>{SiteId{2}});
    EXPECT_GT(out.cells[4].value, 0);
    const auto alone = gateCells(sites, {20, 0, 0}, {1.0, 0.0, 0.0}, 2.0);
    const ExpertCosts sole = adjustExperts(sites, alone, SensitivityMetric::measuredKl, {});
    EXPECT_EQ(sole.cells[0].value, alone[0].value);
    EXPECT_THAT(sole.starved[0].why, HasSubstr("stays as measured"));
    for (const SensitivityCell& cell : sole.cells)
        EXPECT_TRUE(std::isfinite(cell.value) && std::isfinite(cell.standardError)) << cell.site_name;
}

/// Layers drawn from a known truth: the errors given must hold it as often as errors should.
TEST(Experts, ErrorsAreHonest) {
    Random random(5);
    const int experts = 16, layers = 600;
    const auto sites = layer(experts);
    double squares = 0, rawSquares = 0, errorSquares = 0;
    int within = 0, count = 0;
    for (int l = 0; l < layers; ++l) {
        // Popularity spreads widely, so that a few starve; true damage per token spreads by 40 %.
        std::vector<double> truth, popularity;
        double sum = 0;
        for (int e = 0; e < experts; ++e) {
            truth.push_back(std::max(0.1, 1 + 0.4 * random.normal()));
            popularity.push_back(std::exp(1.3 * random.normal()));
            sum += popularity.back();
        }
        std::vector<std::int64_t> tokens;
        std::vector<double> measured;
        for (std::size_t e = 0; e < truth.size(); ++e) {
            const double expected = 8192 * popularity[e] / sum;
            tokens.push_back(std::max<std::int64_t>(0, std::llround(expected + std::sqrt(expected) * random.normal())));
            measured.push_back(
                tokens[e] > 0 ? truth[e] + 3.0 / std::sqrt(static_cast<double>(tokens[e])) * random.normal() : 0);
        }
        const auto cells = gateCells(sites, tokens, measured, 3.0);
        const ExpertCosts out = adjustExperts(sites, cells, SensitivityMetric::measuredKl, {});
        for (const StarvedExpert& starved : out.starved) {
            const auto e = static_cast<std::size_t>(starved.site.value() - 1);
            const double trueCost = truth[e] * popularity[e] / sum;
            const double z = (out.cells[2 * e].value - trueCost) / out.cells[2 * e].standardError;
            squares += z * z;
            within += std::abs(z) <= 2 ? 1 : 0;
            ++count;
            errorSquares += std::pow(out.cells[2 * e].value - trueCost, 2);
            rawSquares += std::pow(cells[2 * e].value - trueCost, 2);
        }
    }
    ASSERT_GT(count, 1000);
    const double rms = std::sqrt(squares / count);
    EXPECT_GT(static_cast<double>(within) / count, 0.92) << "2 σ should hold 95 %";
    EXPECT_GT(rms, 0.75);
    EXPECT_LT(rms, 1.25);
    EXPECT_LT(errorSquares, 0.75 * rawSquares) << "and the estimates are better than what was measured";
}

TEST(Experts, ImportanceUnderEachPolicy) {
    const auto sites = layer(3);
    const std::map<int, std::vector<float>> values{{1, {1, 2, 3, 4}}, {2, {5, 5, 5, 5}}, {3, {99, 99, 99, 99}}};
    const ImportanceLookup from = [&](const Site& s) {
        const auto it = values.find(s.id.value());
        return it == values.end() ? std::span<const float>{} : std::span<const float>(it->second);
    };
    const std::vector<std::int64_t> tokens{600, 200, 3};
    const auto count = [&](const Site& s) {
        return s.kind == SiteKind::ffnGateExperts ? tokens[static_cast<std::size_t>(s.expert)] : 0;
    };
    const auto starved = starvedExperts(sites, count, {});
    ASSERT_EQ(starved.size(), 1u);
    const auto at = [&](StarvedPolicy policy, std::size_t site) {
        const ImportanceLookup lookup = expertImportance(sites, starved, policy, count, from);
        const std::span<const float> span = lookup(sites[site]);
        return std::vector<float>(span.begin(), span.end());
    };
    EXPECT_TRUE(at(StarvedPolicy::nearest, 3).empty()) << "plain rounding";
    EXPECT_EQ(at(StarvedPolicy::keep, 3), (std::vector<float>{99, 99, 99, 99}));
    EXPECT_EQ(at(StarvedPolicy::borrow, 3), (std::vector<float>{2, 2.75, 3.5, 4.25}))
        << "3/4 of the first, 1/4 of the second";
    for (const StarvedPolicy policy : {StarvedPolicy::nearest, StarvedPolicy::keep, StarvedPolicy::borrow})
        EXPECT_EQ(at(policy, 1), (std::vector<float>{1, 2, 3, 4})) << "others keep theirs";
    EXPECT_FALSE(expertImportance(sites, starved, StarvedPolicy::borrow, count, {}));
}

/// A real mixture on few tokens: sweeps count what reached each expert, and none of the starved costs is zero any more.
TEST(Experts, ASweepOfAMixtureFindsItsStarvedExperts) {
    const auto model =
        Model::open(Checkpoint::open(BW_TEST_DATA "/families/mixtral"), std::shared_ptr<Device>(makeCpuDevice()));
    Windows windows;
    windows.count = 2;
    windows.length = 24;
    Random random(3);
    for (std::int64_t t = 0; t < windows.tokens(); ++t)
        windows.ids.push_back(
            static_cast<TokenId>(random.below(static_cast<std::uint64_t>(model->config().vocabulary))));
    SweepOptions options;
    options.metric = SensitivityMetric::measuredKl;
    options.formats = {"int4:channel", "int8:channel"};
    options.sites = {"blk.*.ffn_*"};
    JobContext job;
    const auto cells = sweep(*model, windows, options, {}, {}, {}, job);
    std::map<std::string, std::int64_t> perRole;
    for (const SensitivityCell& cell : cells)
        if (cell.format == "int4:channel")
            perRole[cell.site_name.substr(0, cell.site_name.rfind('.'))] += cell.tokens;
    ASSERT_EQ(perRole.size(), 6u) << "two layers of gate, up and down";
    for (const auto& [role, tokens] : perRole)
        EXPECT_EQ(tokens, 2 * windows.tokens()) << role << ": two experts per token";
    const ExpertCosts out =
        adjustExperts(model->sites(), cells, SensitivityMetric::measuredKl, {StarvedPolicy::keep, 24});
    ASSERT_FALSE(out.starved.empty());
    EXPECT_LT(out.starved.size(), perRole.size() * 4);
    EXPECT_EQ(out.forbid.size(), out.starved.size()) << "one of two formats each";
    for (const StarvedExpert& starved : out.starved)
        EXPECT_LT(starved.tokens, 24);
}

} // namespace
} // namespace bw
