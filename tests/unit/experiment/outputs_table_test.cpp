// SPDX-License-Identifier: GPL-3.0-or-later
// Outputs of several runs side by side, and what keeps them from standing there.
#include "core/experiment/outputs_table.h"
#include "tests/unit/experiment/log_support.h"

#include <gtest/gtest.h>

namespace bw::test {
namespace {

OutputPairRow pair(const std::string& id, const std::string& base, const std::string& text, double cosine = 1) {
    return {id, "Prompt " + id, base == text ? -1 : 1, cosine, {{"id", id}, {"base", {{"text", base}}}, {"model", {{"text", text}, {"collapse", {{"collapsed", text == "aaaa"}}}}}, {"cosine", cosine}, {"lowest_cosine", cosine / 2}, {"edit_distance", 3}}};
}

struct Pairs {
    TempFolder folder;
    ExperimentLog log{folder.file("log.db")};
    RunId add(const std::vector<OutputPairRow>& rows) {
        const RunId run = begin(log, "evaluate");
        log.setOutputPairs(run, rows);
        log.finishRun(run, RunStatus::done);
        return run;
    }
    std::string refused(const std::vector<RunId>& runs) const {
        return expectError(ErrorCode::usage, [&] { outputsTable(LogReader(log.path()), runs); }).message();
    }
};

TEST(OutputsTable, PutsRunsSideBySide) {
    Pairs pairs;
    const RunId a = pairs.add({pair("1", "one", "one"), pair("2", "two", "twin", 0.9), pair("3", "x", "x")}), b = pairs.add({pair("2", "two", "aaaa", 0.5), pair("1", "one", "on")});
    const OutputsTable table = outputsTable(LogReader(pairs.log.path()), {a, b});
    ASSERT_EQ(table.rows.size(), 2u);
    EXPECT_EQ(table.skipped, 1);
    EXPECT_EQ(table.rows[0].cells[0].divergence, -1);
    EXPECT_EQ(table.rows[0].cells[1].text, "on");
    EXPECT_EQ(table.runs[0].same, 1);
    EXPECT_EQ(table.runs[0].alerts, 1);
    EXPECT_EQ(table.runs[1].collapsed, 1);
    EXPECT_NEAR(table.runs[1].meanCosine, 0.75, 1e-12);
    EXPECT_EQ(toJson(table).at("prompts").at(1).at("outputs").at(1).at("text"), "aaaa");
}

TEST(OutputsTable, SaysWhyNot) {
    Pairs pairs;
    const RunId a = pairs.add({pair("1", "one", "one")}), otherBase = pairs.add({pair("1", "eins", "one")}), otherPrompts = pairs.add({pair("9", "one", "one")}), none = begin(pairs.log, "evaluate");
    EXPECT_NE(pairs.refused({a, otherBase}).find("baselines"), std::string::npos);
    EXPECT_NE(pairs.refused({a, otherPrompts}).find("no prompt in common"), std::string::npos);
    EXPECT_NE(pairs.refused({a, none}).find("compared no outputs"), std::string::npos);
    EXPECT_NE(pairs.refused({a, a}).find("twice"), std::string::npos);
    EXPECT_NE(pairs.refused(std::vector<RunId>(9, a)).find("1 to 8"), std::string::npos);
    expectError(ErrorCode::unknownRun, [&] { outputsTable(LogReader(pairs.log.path()), {RunId(77)}); });
}

} // namespace
} // namespace bw::test
