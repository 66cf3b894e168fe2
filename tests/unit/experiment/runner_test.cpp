// SPDX-License-Identifier: GPL-3.0-or-later
// Recipes as logged runs on the demo checkpoint: figures arrive in the log, failures too, sweeps go on where they
// stopped, repetitions agree.
#include "core/experiment/assign_map.h"
#include "core/experiment/calibration_store.h"
#include "core/evaluate/top_tokens.h"
#include "core/experiment/runner.h"
#include "core/quantize/tensor_cache.h"
#include "core/quantize/transform.h"
#include "tests/unit/experiment/log_support.h"

#include <cmath>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <thread>

namespace bw::test {
namespace {

Recipe small(const std::string& kind) {
    Recipe r;
    r.kind = kind;
    r.checkpoint = demoPath();
    r.calibration = {{textPath("calib_prose.txt")}, 4, 64};
    r.evaluation = {{textPath("eval_prose.txt")}, "windows:64", 256};
    return r;
}

Recipe smallSweep() {
    Recipe r = small("sweep");
    r.sweep = {{"q4_0", "q8_0"}, "output", 0};
    return r;
}

std::map<std::string, double> cellsOf(const LogReader& reader, RunId id) {
    std::map<std::string, double> out;
    for (const SensitivityRow& row : reader.sensitivities(id))
        out[row.site + " " + row.format] = row.value;
    return out;
}

TEST(Runner, CalibrateFillsTheLog) {
    Bench b;
    const RunOutcome outcome = b.run(small("calibrate"));
    const std::vector<SiteStatisticsRow> rows = b.reader.siteStatistics(outcome.run);
    EXPECT_EQ(rows.size(), 6u * 4 + 1); // four inputs a block, and the head's
    for (const SiteStatisticsRow& row : rows) {
        EXPECT_EQ(row.tokens, 256) << row.group;
        EXPECT_GT(row.absMax, 0) << row.group;
        EXPECT_EQ(row.ranges.size(), 5u) << row.group;
        EXPECT_FALSE(row.histogram.bins.empty()) << row.group;
        EXPECT_NE(row.sites.find_first_not_of("0123456789"), std::string::npos) << row.sites;
    }
    EXPECT_EQ(b.reader.run(outcome.run).datasets.at(0).sha256.size(), 64u);
    EXPECT_EQ(outcome.result.at("sites").size(), 43u);
}

TEST(Runner, CalibrateLogsWhatTheDataAndTheRangesAreWorth) {
    Bench b;
    const RunOutcome outcome = b.run(small("calibrate"));
    std::vector<std::string> kinds;
    for (const DataWarning& warning : b.reader.warnings(outcome.run))
        kinds.push_back(warning.kind);
    EXPECT_EQ(kinds, (std::vector<std::string>{"few-samples", "short-samples"})) << "four windows of 64 tokens";
    EXPECT_EQ(outcome.result.at("data_warnings").size(), kinds.size());
    EXPECT_EQ(outcome.result.at("warnings").size(), kinds.size()) << outcome.result.at("warnings") << ": each once";
    // Five calibrators for the tensor, five for its channels, one a token, for each of 25 inputs.
    const std::vector<RangeErrorRow> errors = b.reader.rangeErrors(outcome.run);
    EXPECT_EQ(errors.size(), 25u * 11);
    for (const RangeErrorRow& row : errors)
        EXPECT_TRUE(row.error > 0 && row.error < 1) << row.group << " " << row.scope << " " << row.calibrator << " " << row.error; // 1: as bad as zeros
    const std::vector<ChannelStatisticsRow> channels = b.reader.channelStatistics(outcome.run);
    ASSERT_EQ(channels.size(), 25u);
    for (const ChannelStatisticsRow& row : channels) {
        EXPECT_EQ(row.weightMax.size(), row.mean.size()) << row.group;
        EXPECT_GT(row.weightSquares.at(0), 0) << row.group;
    }
    EXPECT_TRUE(b.reader.expertCoverage(outcome.run).empty()) << "a model without experts";
    // Geometric means of the error over min-max's of the tensor. A token's own range clips nothing; a channel's, fitted to these few
    // tokens, clips what the held-out windows bring: 9.1 times the error was seen here.
    EXPECT_LT(outcome.result.at("calibrators").at("token:dynamic").get<double>(), 0.9);
    EXPECT_GT(outcome.result.at("calibrators").at("channel:minmax").get<double>(), 1);
}

/// A mixture of four experts a block, with a tokenizer, and a text most of which reaches the same ones.
Recipe mixture(const Bench& b, const std::string& sampling) {
    namespace fs = std::filesystem;
    const std::string model = b.folder.file("mixtral"), text = b.folder.file("uneven.txt");
    if (!fs::exists(model)) {
        fs::create_directory(model);
        for (const char* name : {"config.json", "model.safetensors"})
            fs::copy_file(fs::path(BW_TEST_DATA "/families/mixtral") / name, fs::path(model) / name);
        fs::copy_file(BW_TEST_DATA "/families/tokenizer.json", fs::path(model) / "tokenizer.json");
        std::ofstream out(text);
        for (int i = 0; i < 400; ++i)
            out << (i % 20 == 13 ? "Quick ZEBRAS jump; (vexing) 94 boxes!\n" : "aaa bb aaa bb aaa bb aaa bb aaa bb aa\n");
    }
    Recipe r;
    r.kind = "calibrate";
    r.checkpoint = model;
    r.calibration = {{text}, 24, 16};
    r.calibrationSet.sampling = sampling;
    r.calibrationSet.expertFloor = 64;
    return r;
}

TEST(Runner, BalancedSamplingLiftsTheExpertThatSawLeast) {
    Bench b;
    const auto least = [&](const std::string& sampling) {
        const RunOutcome outcome = b.run(mixture(b, sampling));
        EXPECT_EQ(outcome.result.at("windows"), 24);
        EXPECT_EQ(outcome.result.at("experts").at("tokens").size(), 8u);
        const std::vector<ExpertCoverageRow> rows = b.reader.expertCoverage(outcome.run);
        EXPECT_EQ(rows.size(), 8u);
        return std::min_element(rows.begin(), rows.end(), [](const auto& x, const auto& y) { return x.tokens < y.tokens; })->tokens;
    };
    const std::int64_t even = least("even"), balanced = least("balanced");
    RecordProperty("least_even", static_cast<int>(even));
    RecordProperty("least_balanced", static_cast<int>(balanced));
    EXPECT_GT(balanced, even);
    // A floor that nobody reaches is said, with every expert by its number.
    Recipe high = mixture(b, "even");
    high.calibrationSet.expertFloor = 10'000;
    const RunOutcome outcome = b.run(high);
    const auto warnings = b.reader.warnings(outcome.run);
    const auto starved = std::find_if(warnings.begin(), warnings.end(), [](const DataWarning& w) { return w.kind == "starved-experts"; });
    ASSERT_NE(starved, warnings.end());
    EXPECT_EQ(starved->details.size(), 8u);
    EXPECT_EQ(outcome.result.at("experts").at("below_floor"), 8);
}

/// The demo model in q4_0, the scales of its blocks 3 and 4 of blk.1.ffn_down damaged.
std::string damagedModel(Bench& b) {
    Recipe r = small("quantize");
    r.evaluation.files.clear();
    r.exporting.path = b.folder.file("damaged.gguf");
    b.run(r);
    std::uint64_t at = 0;
    {
        const auto checkpoint = Checkpoint::open(r.exporting.path);
        at = checkpoint->require("blk.1.ffn_down.weight").offset;
    }
    std::fstream file(r.exporting.path, std::ios::in | std::ios::out | std::ios::binary);
    for (const std::uint64_t block : {3u, 4u}) {
        file.seekp(static_cast<std::streamoff>(at + block * 18)); // a q4_0 block is its f16 scale and 16 bytes of codes
        file.write(block == 3 ? "\x00\x7e" : "\x00\x7c", 2);     // NaN, infinity
    }
    return r.exporting.path;
}

TEST(Runner, DamagedScalesAreRefusedByNameOrCountAsZero) {
    Bench b;
    Recipe r = small("evaluate");
    r.checkpoint = damagedModel(b);
    Error e = expectError(ErrorCode::nonFinite, [&] { b.run(r); });
    EXPECT_NE(e.oneLine().find("blk.1.ffn_down.weight: 2 of "), std::string::npos) << e.oneLine();
    EXPECT_NE(e.oneLine().find("blocks of 32 weights are not finite, the first in row 0, block 3"), std::string::npos) << e.oneLine();
    EXPECT_NE(e.oneLine().find("--non-finite zero"), std::string::npos) << e.oneLine();
    r.nonFinite = "zero";
    const RunOutcome outcome = b.run(r);
    EXPECT_TRUE(std::isfinite(outcome.result.at("nll").get<double>()));
    EXPECT_EQ(outcome.result.at("non_finite").at("blocks"), 2);
    EXPECT_EQ(outcome.result.at("non_finite").at("weights"), 64);
    EXPECT_EQ(query(b.log.path(), "SELECT value FROM metrics WHERE name = 'non_finite_blocks'"), "2.0");
    // A model that is quantized again holds zeros there, and is whole.
    Recipe again = small("quantize");
    again.checkpoint = r.checkpoint;
    again.evaluation.files.clear();
    again.assignment.format = "q8_0";
    again.exporting.path = b.folder.file("again.gguf");
    expectError(ErrorCode::nonFinite, [&] { b.run(again); });
    again.nonFinite = "zero";
    b.run(again);
    const auto whole = Checkpoint::open(again.exporting.path);
    std::vector<float> values(static_cast<std::size_t>(whole->require("blk.1.ffn_down.weight").elements()));
    whole->read(whole->require("blk.1.ffn_down.weight"), values);
    for (std::size_t i = 3 * 32; i < 5 * 32; ++i)
        EXPECT_EQ(values[i], 0.0f) << i;
    EXPECT_NE(values[2 * 32 + 1], 0.0f);
}

/// The demo model with bf16 values at the front of a tensor changed.
std::string changedDemo(Bench& b, const std::string& name, const std::vector<std::string>& tensors, std::uint16_t bits, int count = 1) {
    std::filesystem::copy(demoPath(), b.folder.file(name));
    const auto source = Checkpoint::open(b.folder.file(name));
    std::fstream file(source->files().at(0).path(), std::ios::in | std::ios::out | std::ios::binary);
    const char bytes[2]{static_cast<char>(bits & 0xff), static_cast<char>(bits >> 8)};
    for (const std::string& tensor : tensors) {
        file.seekp(static_cast<std::streamoff>(source->require(tensor).offset));
        for (int i = 0; i < count; ++i)
            file.write(bytes, 2);
    }
    return b.folder.file(name);
}

TEST(Runner, N02_inputsThatOverflowStopTheCalibrationAndPoisonNothing) {
    Bench b;
    setTensorCache({b.folder.file("cache"), {}, 0}); // so that statistics are kept
    Recipe r = small("calibrate");
    r.checkpoint = changedDemo(b, "overflow", {"blk.2.ffn_norm.weight"}, 0x7f62); // 3·10³⁸: every weight is finite, gate times up is not
    const auto refused = [&] {
        const Error error = expectError(ErrorCode::nonFinite, [&] { b.run(r); });
        EXPECT_NE(error.message().find("blk.2 "), std::string::npos) << error.message();
        EXPECT_NE(error.message().find("window 0, token"), std::string::npos) << error.message();
        EXPECT_NE(error.hint().find("more range"), std::string::npos) << error.hint();
    };
    refused();
    const RunId run = b.reader.runs(1).at(0).id;
    EXPECT_EQ(b.reader.run(run).summary.status, "failed");
    EXPECT_TRUE(b.reader.siteStatistics(run).empty());
    for (const char* rounder : {"gptq", "weighted"}) {
        r.kind = "quantize";
        r.rounder = rounder;
        refused();
    }
    EXPECT_EQ(CalibrationStore(calibrationStore()).size().entries, 0);
    r = small("calibrate");
    b.run(r);
    EXPECT_EQ(CalibrationStore(calibrationStore()).size().entries, 1);
    setTensorCache({});
}

TEST(Runner, ScaledChannelsAreAWarningInTheLog) {
    Bench b;
    Recipe r = small("quantize");
    r.transform = "awq";
    r.assignment.format = "int3:g128";
    std::vector<std::string> norms;
    for (int block = 0; block < 6; ++block)
        for (const char* norm : {"attn_norm", "ffn_norm"})
            norms.push_back("blk." + std::to_string(block) + "." + norm + ".weight");
    r.checkpoint = changedDemo(b, "large", norms, 0x4180, 110); // many channels 16 times as large as the rest
    const RunOutcome outcome = b.run(r);
    const std::vector<DataWarning> warnings = b.reader.warnings(outcome.run);
    const auto found = std::find_if(warnings.begin(), warnings.end(), [](const DataWarning& w) { return w.kind == "scaled-channels"; });
    ASSERT_NE(found, warnings.end());
    EXPECT_NE(found->seen.find("% of the channels are scaled by more than"), std::string::npos) << found->seen;
    EXPECT_NE(found->why.find("past 5 %"), std::string::npos) << found->why;
    EXPECT_NE(found->remedy.find("smooth:alpha=0.3"), std::string::npos) << found->remedy;
    EXPECT_NE(std::find_if(warnings.begin(), warnings.end(), [](const DataWarning& w) { return w.kind == "few-samples"; }), warnings.end()) << "those of the texts stay";
    const FittedTransform fitted = fittedTransformFromJson(b.reader.transform(outcome.run));
    ASSERT_FALSE(fitted.warnings.empty());
    EXPECT_EQ(fitted.warnings.front().text(), found->text());
}

TEST(Runner, ScalesPastF16AreReported) {
    Bench b;
    Recipe r = small("quantize");
    r.evaluation.files.clear();
    EXPECT_EQ(b.run(r).result.at("held_scales"), 0);
    r.checkpoint = changedDemo(b, "huge", {"blk.0.attn_q.weight"}, 0x7149); // 10³⁰
    const RunOutcome outcome = b.run(r);
    EXPECT_EQ(outcome.result.at("held_scales"), 1);
    EXPECT_NE(outcome.result.at("warnings").dump().find("1 scales of 1 sites are past the largest f16"), std::string::npos) << outcome.result.at("warnings");
    const std::vector<DataWarning> warnings = b.reader.warnings(outcome.run);
    ASSERT_EQ(warnings.size(), 1u);
    EXPECT_EQ(warnings[0].kind, "held-scales");
    EXPECT_EQ(warnings[0].details, std::vector<std::string>{"blk.0.attn_q: 1"});
}

TEST(Runner, PartsAndTheMixReachTheFile) {
    Bench b;
    Recipe r = small("quantize");
    r.evaluation.files.clear();
    r.assignment.format = "mix:q3_k_s";
    r.exporting.path = b.folder.file("out.gguf");
    r.exporting.partBytes = 500'000;
    const RunOutcome outcome = b.run(r);
    const auto parts = outcome.result.at("parts").get<std::size_t>();
    EXPECT_GE(parts, 3u);
    const auto checkpoint = Checkpoint::open(outcome.result.at("path").get<std::string>());
    EXPECT_EQ(checkpoint->files().size(), parts);
    EXPECT_EQ(checkpoint->metadata().integer("general.file_type"), 11);
    EXPECT_EQ(b.reader.run(outcome.run).artifacts.size(), parts);
    for (const ArtifactRow& artifact : b.reader.run(outcome.run).artifacts)
        EXPECT_EQ(artifact.bytes, std::filesystem::file_size(artifact.path)) << artifact.path;
}

TEST(Runner, CalibratingOnTheEvaluationTextIsRefusedAndLogged) {
    Bench b;
    Recipe r = small("calibrate");
    std::filesystem::copy_file(textPath("calib_prose.txt"), b.folder.file("same.txt"));
    r.evaluation.files = {b.folder.file("same.txt")};
    const Error e = expectError(ErrorCode::usage, [&] { b.run(r); });
    EXPECT_NE(e.message().find("same.txt"), std::string::npos);
    const RunSummary failed = b.reader.runs().at(0);
    EXPECT_EQ(failed.status, "failed");
    EXPECT_NE(failed.error.find("same.txt"), std::string::npos);
}

TEST(Runner, AFailureNamesItsRun) {
    Bench b;
    Recipe r = small("evaluate");
    r.evaluation.files = {b.folder.file("missing.txt")};
    const Error e = expectError(ErrorCode::fileNotFound, [&] { b.run(r); });
    EXPECT_NE(e.oneLine().find("run"), std::string::npos);
    EXPECT_EQ(b.reader.runs().at(0).status, "failed");
}

TEST(Runner, AStoppedSweepGoesOnWithEqualCells) {
    Bench whole;
    const RunOutcome reference = whole.run(smallSweep());
    const std::map<std::string, double> expected = cellsOf(whole.reader, reference.run);
    ASSERT_EQ(expected.size(), 43u * 2);
    for (const std::size_t stopAfter : {1u, 17u, 60u}) {
        Bench b;
        std::jthread stopper([&] {
            while (b.reader.runs().empty() || cellsOf(LogReader(b.log.path()), b.reader.runs().at(0).id).size() < stopAfter)
                std::this_thread::sleep_for(std::chrono::milliseconds(1));
            b.job.requestStop();
        });
        RunId run;
        try {
            run = b.run(smallSweep()).run; // faster than the stopper: nothing left to resume, still compared
        } catch (const Error& e) {
            ASSERT_EQ(e.code(), ErrorCode::cancelled) << e.oneLine();
            run = b.reader.runs().at(0).id;
            EXPECT_EQ(b.reader.runs().at(0).status, "cancelled");
            const std::size_t kept = cellsOf(b.reader, run).size();
            EXPECT_GE(kept, stopAfter);
            JobContext second;
            b.runner.run(smallSweep(), second, "test", run);
        }
        EXPECT_EQ(b.reader.run(run).summary.status, "done");
        EXPECT_EQ(cellsOf(b.reader, run), expected) << stopAfter;
    }
}

TEST(Runner, ResumingWithAnotherRecipeIsRefused) {
    Bench b;
    const RunOutcome first = b.run(smallSweep());
    Recipe other = smallSweep();
    other.sweep.formats = {"q4_0", "q5_0"};
    const Error e = expectError(ErrorCode::usage, [&] { b.run(other, first.run); });
    EXPECT_NE(e.message().find("/sweep/formats"), std::string::npos) << e.message();
}

TEST(Runner, AssignIsExactToTheByteOfTheFile) {
    Bench b;
    const RunOutcome sweep = b.run(smallSweep());
    Recipe assign = small("assign");
    assign.assignment.sweepRun = sweep.run.value();
    for (const char* budget : {"4.6bpw", "6bpw", "4000000B"}) {
        assign.assignment.budget = budget;
        const RunOutcome solved = b.run(assign);
        Recipe quantize = Recipe::fromJson(solved.result.at("recipe"));
        quantize.exporting.path = b.folder.file(std::string("mix-") + budget + ".gguf");
        quantize.evaluation.files.clear();
        const RunOutcome made = b.run(quantize);
        EXPECT_EQ(made.result.at("bytes"), solved.result.at("bytes")) << budget;
        EXPECT_EQ(std::filesystem::file_size(quantize.exporting.path), solved.result.at("bytes").get<std::uint64_t>()) << budget;
        EXPECT_LE(solved.result.at("bytes").get<std::uint64_t>(), solved.result.at("budget_bytes").get<std::uint64_t>()) << budget;
        EXPECT_TRUE(made.result.at("audit").at("ok").get<bool>());
        const RunDetail run = b.reader.run(made.run);
        EXPECT_EQ(run.assignments.size(), 43u);
        EXPECT_EQ(run.artifacts.at(0).state, "complete");
    }
}

TEST(Runner, AnImpossibleBudgetNamesItsReach) {
    Bench b;
    Recipe assign = small("assign");
    assign.assignment.sweepRun = b.run(smallSweep()).run.value();
    assign.assignment.budget = "3bpw";
    const Error e = expectError(ErrorCode::infeasibleBudget, [&] { b.run(assign); });
    EXPECT_NE(e.oneLine().find("4.5000bpw"), std::string::npos) << e.oneLine();
    EXPECT_NE(e.oneLine().find("8.5000bpw"), std::string::npos) << e.oneLine();
}

TEST(Runner, ScaledCostsCoverFormatsThatWereNotMeasured) {
    Bench b;
    const RunOutcome output = b.run(smallSweep());
    Recipe kl = smallSweep();
    kl.sweep = {{"q4_0"}, "kl", 128};
    const RunOutcome measured = b.run(kl);
    Recipe assign = small("assign");
    assign.assignment.budget = "5bpw";
    assign.assignment.sweepRun = measured.run.value();
    assign.assignment.scaleRun = output.run.value();
    const RunOutcome solved = b.run(assign);
    const std::map<std::string, double> errors = cellsOf(b.reader, output.run), kls = cellsOf(b.reader, measured.run);
    double sum = 0;
    int raised = 0;
    Workbench bench(b.log, kCpuOnly);
    const AssignMap map = readAssignMap(bench, *bench.model(demoPath(), "cpu"), assign.assignment, b.job);
    for (const AssignmentRow& row : b.reader.run(solved.run).assignments) {
        const double base = kls.at(row.site + " q4_0");
        const double expected = row.used == "q4_0" ? base : base * errors.at(row.site + " q8_0") / errors.at(row.site + " q4_0");
        EXPECT_NEAR(map.cells.at(row.site).at(row.used).value, expected, 1e-12) << row.site;
        raised += row.used == "q8_0";
        sum += row.cost; // of the value shrunk by its error
    }
    EXPECT_GT(raised, 0);
    EXPECT_NEAR(solved.result.at("predicted_kl").get<double>(), sum, 1e-9);
    // Without the second map only the measured format is left to choose.
    assign.assignment.scaleRun = 0;
    EXPECT_EQ(b.run(assign).result.at("formats").at("token_embd"), "q4_0");
}

TEST(Runner, StrictRefusesBeforeWorkStarts) {
    Bench b;
    Recipe r = small("quantize");
    r.assignment.format = "int4:g64"; // GGUF has no affine grids
    r.exporting.path = b.folder.file("out.gguf");
    const Error e = expectError(ErrorCode::strictViolation, [&] { b.runner.run(r, b.job, "test", {}, true); });
    EXPECT_NE(e.message().find("int4:g64"), std::string::npos);
    EXPECT_FALSE(std::filesystem::exists(r.exporting.path));
    EXPECT_EQ(b.reader.runs().at(0).status, "failed");
}

TEST(Runner, ThePlanIsTheFile) {
    Bench b;
    Recipe r = small("quantize");
    r.evaluation.files.clear();
    r.assignment.format = "q5_1";
    r.exporting.path = b.folder.file("out.gguf");
    const std::size_t before = b.reader.runs().size();
    const Json plan = b.runner.plan(r, b.job);
    EXPECT_FALSE(std::filesystem::exists(r.exporting.path));
    EXPECT_EQ(b.reader.runs().size(), before);
    b.run(r);
    EXPECT_EQ(std::filesystem::file_size(r.exporting.path), plan.at("file_bytes").get<std::uint64_t>());
}

TEST(Runner, RerunAgreesAndLeavesTheFirstFile) {
    Bench b;
    Recipe r = small("quantize");
    r.rounder = "weighted";
    r.exporting.path = b.folder.file("out.gguf");
    const RunOutcome first = b.run(r);
    const RunOutcome again = b.runner.rerun(first.run, b.job, "test");
    EXPECT_TRUE(again.result.at("agrees").get<bool>()) << again.result.dump(1);
    EXPECT_TRUE(again.result.at("recipe_equal").get<bool>());
    EXPECT_TRUE(again.result.at("artifacts").at(0).at("equal").get<bool>());
    EXPECT_TRUE(std::filesystem::exists(r.exporting.path));
    EXPECT_FALSE(std::filesystem::exists(b.folder.file("out.rerun-1.gguf")));
    EXPECT_GE(again.result.at("metrics").size(), 10u);
    // A figure that does not agree is noticed.
    tamper(b.log.path(), "UPDATE metrics SET value = value * 1.001 WHERE name = 'kl_mean' AND run = " + std::to_string(first.run.value()));
    const RunOutcome third = b.runner.rerun(first.run, b.job, "test");
    EXPECT_FALSE(third.result.at("agrees").get<bool>());
}

TEST(Runner, QuantizeKeepsTokenScoresForPlots) {
    Bench b;
    const RunOutcome made = b.run(small("quantize"));
    const std::optional<TokenScoreRow> scores = b.reader.tokenScores(made.run);
    ASSERT_TRUE(scores);
    EXPECT_EQ(scores->nll.size(), 4u * 63);
    EXPECT_EQ(scores->kl.size(), scores->nll.size());
    EXPECT_EQ(scores->ids.size(), scores->nll.size());
    const TopTokenTable top(scores->topTokens, scores->nll.size());
    ASSERT_EQ(top.size(), scores->nll.size());
    for (std::size_t i = 0; i < top.size(); ++i)
        for (const TopToken& token : top.at(i)) { // f16 keeps 11 bits
            const double came = std::exp(-static_cast<double>(scores->nll[i]));
            EXPECT_TRUE(token.id != scores->ids[i] || std::abs(static_cast<double>(token.probability) - came) <= came * 1e-3 + 1e-7) << i;
        }
    double sum = 0;
    for (const float kl : scores->kl)
        sum += static_cast<double>(kl);
    // Scores are stored in f32: the mean of 252 of them keeps about seven digits.
    EXPECT_NEAR(sum / static_cast<double>(scores->kl.size()), made.result.at("evaluation").at("kl_mean").get<double>(), 1e-6);
}

TEST(Runner, GenerateKeepsTheText) {
    Bench b;
    Recipe r = small("generate");
    r.generation = {"The sea", 5, 0, 1};
    const RunOutcome outcome = b.run(r);
    const RunDetail run = b.reader.run(outcome.run);
    ASSERT_EQ(run.outputs.size(), 1u);
    EXPECT_EQ(run.outputs[0].prompt, "The sea");
    EXPECT_EQ(run.outputs[0].ids, outcome.result.at("ids"));
    EXPECT_FALSE(run.outputs[0].text.empty());
}

TEST(Runner, MixBeatsTheUniformFormatOfItsSize) {
    Bench b;
    Runner::MixOptions o;
    o.checkpoint = demoPath();
    o.outPath = b.folder.file("mix.gguf");
    o.budget = "5bpw";
    o.formats = {"q4_0", "q4_1", "q5_0"};
    o.calibrationFiles = {textPath("calib_prose.txt")};
    o.evaluationFiles = {textPath("eval_prose.txt")};
    o.samples = 8;
    o.length = 128;
    o.probes = 64;
    o.evaluationTokens = 512;
    o.protocol = "windows:128";
    const RunOutcome outcome = b.runner.mix(o, b.job, "test");
    const Json& r = outcome.result;
    EXPECT_EQ(std::filesystem::file_size(o.outPath), r.at("bytes").get<std::uint64_t>());
    EXPECT_LE(r.at("bits_per_weight").get<double>(), 5.0);
    bool compared = false;
    for (const Json& uniform : r.at("uniform")) {
        if (uniform.at("rounder") != "nearest" || uniform.at("bytes").get<std::uint64_t>() < r.at("bytes").get<std::uint64_t>())
            continue;
        compared = true;
        EXPECT_LT(r.at("measured_kl").get<double>(), uniform.at("kl").get<double>()) << uniform.dump();
    }
    EXPECT_TRUE(compared) << r.at("uniform").dump();
    for (const char* stage : {"calibrate", "sweep_fisher", "assign", "measure", "quantize"})
        EXPECT_EQ(b.reader.run(RunId(r.at("runs").at(stage).get<std::int64_t>())).summary.status, "done") << stage;
    // A target that is there already is refused before the work, not after.
    const std::size_t runs = b.reader.runs().size();
    o.fresh = true;
    expectError(ErrorCode::targetExists, [&] { b.runner.mix(o, b.job, "test"); });
    EXPECT_EQ(b.reader.runs().size(), runs);
}

} // namespace
} // namespace bw::test
