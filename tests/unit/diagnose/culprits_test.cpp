// SPDX-License-Identifier: GPL-3.0-or-later
// Planted faults are found: sites rounded to 2 bits inside an 8-bit model.
#include "core/diagnose/culprits.h"

#include "core/base/error.h"
#include "tests/support/expect_error.h"
#include "tests/unit/diagnose/diagnose_support.h"

#include <gtest/gtest.h>

#include <cmath>

namespace bw {
namespace {

using test::demoModel;
using test::demoWindows;
using test::expectError;
using test::planted;

const Model& model() {
    static const std::shared_ptr<const Model> kept = demoModel();
    return *kept;
}

const KlMeter& meter() {
    static JobContext job;
    static const KlMeter kept(model(), demoWindows(model(), 4, 64), job);
    return kept;
}

CulpritReport diagnose(const WeightSource& source) {
    JobContext job;
    return findCulprits({model(), model(), &source}, meter(), {.search = {}, .probes = 64}, job);
}

TEST(Culprits, OnePlantedSiteIsNamedFirst) {
    for (const std::string site : {"blk.0.ffn_down", "blk.1.attn_v", "blk.3.ffn_up"}) {
        const auto faulty = planted(model(), {{site, "int2:g64"}});
        const CulpritReport report = diagnose(*faulty);
        ASSERT_EQ(report.culprits.size(), 1u) << site;
        EXPECT_EQ(report.culprits[0].name, site);
        EXPECT_EQ(report.suspects[0].name, site);
        EXPECT_GE(report.explained, 0.8);
        EXPECT_LE(report.evaluations, 4) << "the prediction points at it at once";
    }
}

TEST(Culprits, TwoPlantedSitesAreBothNamed) {
    const auto faulty = planted(model(), {{"blk.1.ffn_down", "int2:g64"}, {"blk.2.attn_output", "int2:g64"}});
    const CulpritReport report = diagnose(*faulty);
    ASSERT_GE(report.suspects.size(), 2u);
    EXPECT_EQ((std::set<std::string>{report.suspects[0].name, report.suspects[1].name}),
              (std::set<std::string>{"blk.1.ffn_down", "blk.2.attn_output"}));
    EXPECT_GE(report.explained, 0.8);
}

// The meter's KL of all changes is the sum that the evaluation's own formula gives: an independent road to it.
TEST(Culprits, TheWholeIsTheKlOfTheChangedModel) {
    const auto faulty = planted(model(), {{"blk.0.ffn_down", "int2:g64"}});
    JobContext job;
    const KlMeter::Measured measured = meter().measure(*faulty, job);
    const CulpritReport report = diagnose(*faulty);
    EXPECT_NEAR(report.whole, measured.mean, 1e-9);
    EXPECT_EQ(measured.tokens.size(), 4u * 63u);
    EXPECT_GT(report.culprits[0].relative, 0.1); // two bits leave a third of a weight's size as error, or so
}

// A 4-bit model hurts everywhere: many culprits, and the measurements stay within what is promised.
TEST(Culprits, DamageThatIsSpreadNeedsManySites) {
    const auto spread = QuantizedModel::build(model(), resolveFormats(model(), "int4:g64", "", {}),
                                              [](const Site&) { return std::span<const float>(); }, {}, *std::make_unique<JobContext>());
    const CulpritReport report = diagnose(*spread);
    EXPECT_GT(report.culprits.size(), model().sites().size() / 4);
    EXPECT_LE(report.evaluations, 2 * static_cast<int>(std::ceil(std::log2(static_cast<double>(model().sites().size())))) + 3);
    EXPECT_TRUE(std::isnan(report.alone[0]));
}

// At the worst token, the planted site is the one whose weights win most back.
TEST(Culprits, NamesTheSiteBehindATokensDamage) {
    const auto faulty = planted(model(), {{"blk.2.ffn_gate", "int2:g64"}});
    const CulpritReport report = diagnose(*faulty);
    JobContext job;
    const KlMeter::Measured measured = meter().measure(*faulty, job);
    const auto worst = static_cast<std::size_t>(std::max_element(measured.tokens.begin(), measured.tokens.end()) - measured.tokens.begin());
    const std::vector<TokenShare> shares = whoDamaged({model(), model(), &*faulty}, meter(), report.suspects, {worst}, 3, job);
    ASSERT_EQ(shares.size(), 3u);
    EXPECT_EQ(shares[0].site.name, "blk.2.ffn_gate");
    EXPECT_GT(shares[0].won, 0.5 * static_cast<double>(measured.tokens[worst]));
    EXPECT_NE(expectError(ErrorCode::usage, [&] { whoDamaged({model(), model(), &*faulty}, meter(), report.suspects, {1u << 20}, 1, job); }).message().find("no scored position"), std::string::npos);
}

TEST(Culprits, EqualWeightsAreNoCase) {
    EXPECT_NE(expectError(ErrorCode::usage, [] {
        JobContext job;
        findCulprits({model(), model(), nullptr}, meter(), {}, job);
    }).message().find("no weight"), std::string::npos);
}

TEST(Culprits, ChangedWeightsThatAreNoNumbersAreNamed) {
    class Broken final : public WeightSource {
    public:
        void apply(const Site&, MatrixView<float> weight) const override { weight(0, 0) = std::numeric_limits<float>::quiet_NaN(); }
    };
    EXPECT_NE(expectError(ErrorCode::nonFinite, [] {
        JobContext job;
        const Broken broken;
        findCulprits({model(), model(), &broken}, meter(), {}, job);
    }).message().find("NaN"), std::string::npos);
}

} // namespace
} // namespace bw
