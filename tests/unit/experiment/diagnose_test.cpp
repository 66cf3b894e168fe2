// SPDX-License-Identifier: GPL-3.0-or-later
// A diagnosis says first whether the run's figures can still be trusted: each change raises its own finding and no other.
#include "tests/unit/experiment/log_support.h"

#include <gtest/gtest.h>

namespace bw {
namespace {

using test::Bench;
using test::expectError;
using test::tamper;

struct Planted : Bench {
    RunId of;
    explicit Planted(const std::string& protocol = "windows:64") {
        Recipe recipe;
        recipe.kind = "quantize";
        recipe.checkpoint = test::demoPath();
        recipe.assignment.format = "q8_0";
        recipe.assignment.rules = {{"blk.2.ffn_down", "q4_0"}};
        recipe.evaluation = {{test::textPath("eval_prose.txt")}, protocol, 512};
        of = run(recipe).run;
    }
    Json diagnose() {
        Recipe recipe = Recipe::fromJson(reader.run(of).recipe);
        recipe.kind = "diagnose";
        recipe.diagnosis = {of.value(), 256, 32, 0.8, 0, {}};
        return run(recipe).result;
    }
    std::string kinds() {
        std::string out;
        const Json result = diagnose();
        for (const Json& finding : result.at("findings"))
            out += (out.empty() ? "" : " ") + finding.at("kind").get<std::string>();
        return out;
    }
};

TEST(Diagnose, TellsWhatChangedSinceAndNothingElse) {
    Planted planted;
    const Json result = planted.diagnose();
    EXPECT_EQ(result.at("culprits").at(0).at("site"), "blk.2.ffn_down");
    EXPECT_EQ(planted.kinds(), "culprits");
    tamper(planted.log.path(), "UPDATE stacks SET program = 'Bitwright 0.0.1'");
    EXPECT_EQ(planted.kinds(), "culprits stack") << "the figures still come out: told, but last";
    tamper(planted.log.path(), "UPDATE token_scores SET kl = zeroblob(length(kl)) WHERE run = 1");
    EXPECT_EQ(planted.kinds(), "stack culprits") << "the figures do not come out: first";
    tamper(planted.log.path(), "UPDATE datasets SET sha256 = 'other'");
    EXPECT_NE(planted.kinds().find("unfair"), std::string::npos);
}

// Half of a window's positions are logged: they must not be taken for the first half of all.
TEST(Diagnose, DoesNotHoldOtherPositionsAgainstEachOther) {
    Planted planted("llama.cpp:64");
    EXPECT_EQ(planted.kinds(), "culprits");
}

TEST(Diagnose, RefusesRunsWithoutADamage) {
    Planted planted;
    Recipe recipe = Recipe::fromJson(planted.reader.run(planted.of).recipe);
    recipe.kind = "diagnose";
    recipe.diagnosis.run = 77;
    expectError(ErrorCode::unknownRun, [&] { planted.run(recipe); });
    recipe.diagnosis.run = planted.of.value();
    recipe.evaluation.files.clear();
    const std::size_t runs = planted.reader.runs(100).size();
    expectError(ErrorCode::usage, [&] { planted.run(recipe); });
    EXPECT_EQ(planted.reader.runs(100).size(), runs) << "a question that can't be asked is no failed run";
}

} // namespace
} // namespace bw
