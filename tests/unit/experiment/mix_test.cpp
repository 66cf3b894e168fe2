// SPDX-License-Identifier: GPL-3.0-or-later
// From a sketch to a mix: prediction beside measurement, better cells in place of estimates, rivals that measured better,
// a limit on measured damage, and the same bytes whatever the number of threads.
#include "core/base/parallel.h"
#include "core/experiment/assign_problem.h"
#include "core/experiment/runner.h"
#include "core/sensitivity/fisher.h"
#include "tests/support/tiny_model.h"
#include "tests/unit/experiment/log_support.h"

#include <algorithm>
#include <filesystem>
#include <gtest/gtest.h>

namespace bw::test {
namespace {

namespace fs = std::filesystem;

class Mixes : public testing::Test {
protected:
    void SetUp() override {
        writeTinyModel(folder.file("tiny"));
        options.checkpoint = folder.file("tiny");
        options.budget = "5.2bpw";
        options.formats = {"q4_0", "q5_1", "q8_0"};
        options.calibrationFiles = {textPath("calib_prose.txt")};
        options.evaluationFiles = {textPath("eval_prose.txt")};
        options.samples = 6;
        options.length = 48;
        options.probes = 24;
        options.sweepTokens = 96;
        options.protocol = "windows:48";
        options.evaluationTokens = 144;
    }

    Json mix(const Runner::MixOptions& o) {
        JobContext job;
        return runner.mix(o, job, "test").result;
    }
    RunOutcome run(const Recipe& recipe, RunId resume = {}) {
        JobContext job;
        return runner.run(recipe, job, "test", resume);
    }
    Recipe sweep(const std::string& metric) const {
        Recipe r;
        r.kind = "sweep";
        r.checkpoint = options.checkpoint;
        r.calibration = {options.calibrationFiles, options.samples, options.length};
        r.sweep = {options.formats, metric, 0};
        r.sweep.probes = options.probes;
        return r;
    }
    Recipe assign(RunId map, const std::string& budget) const {
        Recipe r = sweep("fisher");
        r.kind = "assign";
        r.assignment.sweepRun = map.value();
        r.assignment.budget = budget;
        return r;
    }

    TempFolder folder;
    Runner::MixOptions options;
    ExperimentLog log{folder.file("log.db")};
    const DeviceFactory devices = [](const std::string&) { return std::shared_ptr<Device>(makeCpuDevice()); };
    Runner runner{log, devices};
    LogReader reader{log.path()};
};

TEST_F(Mixes, ASketchIsSolvedWithItsErrorsAndReasons) {
    const RunOutcome map = run(sweep("fisher"));
    EXPECT_EQ(reader.fisherFacts(map.run)->windows * reader.fisherFacts(map.run)->draws, 24);
    const Json r = run(assign(map.run, "5.2bpw")).result;
    EXPECT_GT(r.at("predicted_kl").get<double>(), 0);
    EXPECT_GT(r.at("predicted_se").get<double>(), 0);
    EXPECT_LE(r.at("bytes").get<std::uint64_t>(), r.at("budget_bytes").get<std::uint64_t>());
    EXPECT_GE(r.at("predicted_cost").get<double>(), r.at("bound").get<double>() * (1 - 1e-9));
    ASSERT_FALSE(r.at("explanations").empty());
    EXPECT_NE(r.at("explanations").at(0).at("text").get<std::string>().find("nats"), std::string::npos);
    EXPECT_FALSE(r.at("budget_text").get<std::string>().empty());
    EXPECT_GE(r.at("pareto").size(), 8u);
    // Without a look at sites acting together the additive optimum stands, proven.
    Recipe additive = assign(map.run, "5.2bpw");
    additive.assignment.interactions = false;
    const Json plain = run(additive).result;
    EXPECT_TRUE(plain.at("optimal").get<bool>());
    EXPECT_LE(plain.at("gap").get<double>(), 1e-9 + 1e-4 * plain.at("predicted_cost").get<double>());
    EXPECT_GE(r.at("predicted_cost").get<double>(), plain.at("predicted_cost").get<double>() * (1 - 1e-12));
    // With one choice left the least damage is that of the whole, however its sum was rounded.
    Recipe only = assign(map.run, "kl=1000");
    only.assignment.pins = {{"*", "q4_0"}};
    const Json pinned = run(only).result;
    EXPECT_EQ(pinned.at("floor"), pinned.at("ceiling"));
    EXPECT_EQ(pinned.at("bytes"), pinned.at("floor"));
}

TEST_F(Mixes, MeasuredCellsTakeThePlaceOfEstimates) {
    const RunOutcome map = run(sweep("fisher"));
    Recipe one = sweep("kl");
    one.sweep.tokens = 96;
    one.sweep.sites = {"blk.0.attn_v=q4_0", "blk.0.ffn_down"};
    const RunOutcome measured = run(one);
    ASSERT_EQ(measured.result.at("cells").size(), 1u + 3u);
    Recipe solved = assign(map.run, "5.2bpw");
    solved.assignment.measuredRuns = {measured.run.value()};
    Workbench bench(log, devices);
    JobContext job;
    const AssignMap read = readAssignMap(bench, *bench.model(options.checkpoint, "cpu"), solved.assignment, job);
    int replaced = 0;
    for (const auto& [site, cells] : read.cells)
        for (const auto& [format, cell] : cells)
            replaced += cell.measured;
    EXPECT_EQ(replaced, 4);
    for (const SensitivityRow& row : reader.sensitivities(measured.run)) {
        EXPECT_EQ(read.cells.at(row.site).at(row.format).value, row.value) << row.site;
        EXPECT_FALSE(read.cells.at(row.site).at(row.format).projections.empty()); // its direction stays known
    }
    // Only measured KL may do that, and only on a map in the same unit.
    solved.assignment.measuredRuns = {map.run.value()};
    EXPECT_NE(expectError(ErrorCode::usage, [&] { run(solved); }).message().find("only measured KL"), std::string::npos);
    const RunOutcome output = run(sweep("output"));
    Recipe wrong = assign(output.run, "5.2bpw");
    wrong.assignment.measuredRuns = {measured.run.value()};
    EXPECT_NE(expectError(ErrorCode::usage, [&] { run(wrong); }).message().find("units differ"), std::string::npos);
}

TEST_F(Mixes, MeasuredCellsCorrectTheOthersOfTheirFormat) {
    const RunOutcome map = run(sweep("fisher"));
    Workbench bench(log, devices);
    JobContext job;
    const auto model = bench.model(options.checkpoint, "cpu");
    Recipe solved = assign(map.run, "5.2bpw");
    const AssignMap bare = readAssignMap(bench, *model, solved.assignment, job);
    // Every second q4_0 cell measures 1.3 times its estimate.
    const RunId run = log.beginRun(sweep("kl"), "test", model->checkpoint(), model->device());
    int number = 0;
    for (const Site& site : model->sites())
        if (number++ % 2 == 0) {
            const double value = 1.3 * bare.cells.at(site.name).at("q4_0").value;
            log.addSensitivity(run, {site.id, site.name, "q4_0", "q4_0", 1, value, 1e-3 * value, 1}, SensitivityMetric::measuredKl);
        }
    log.finishRun(run, RunStatus::done);
    solved.assignment.measuredRuns = {run.value()};
    const AssignMap checked = readAssignMap(bench, *model, solved.assignment, job);
    for (const Site& site : model->sites()) {
        const auto ratio = [&](const char* format) { return checked.cells.at(site.name).at(format).value / bare.cells.at(site.name).at(format).value; };
        EXPECT_NEAR(ratio("q4_0"), 1.3, 0.001) << site.name;
        EXPECT_EQ(ratio("q8_0"), 1) << site.name;
        const MapCell& cell = checked.cells.at(site.name).at("q4_0");
        if (cell.measured)
            continue;
        double own = 0; // projections go along, so that errors stay those of the windows
        for (const float c : cell.projections)
            own += 0.5 * static_cast<double>(c) * static_cast<double>(c) / static_cast<double>(cell.projections.size());
        EXPECT_NEAR(own, cell.value, 1e-4 * cell.value) << site.name;
    }
}

TEST_F(Mixes, AStartIsLeftOnlyWhereTheMapIsSure) {
    const RunOutcome fisher = run(sweep("fisher"));
    Workbench bench(log, devices);
    JobContext job;
    const auto model = bench.model(options.checkpoint, "cpu");
    const AssignMap bare = readAssignMap(bench, *model, assign(fisher.run, "5.2bpw").assignment, job);
    Recipe uniform = assign(fisher.run, "32bpw");
    uniform.assignment.pins = {{"*", "q5_1"}};
    const RunOutcome start = run(uniform);
    const auto solvedWith = [&](double relativeError, bool started) {
        const RunId map = log.beginRun(sweep("kl"), "test", model->checkpoint(), model->device());
        for (const Site& site : model->sites())
            for (const std::string& format : options.formats) {
                const double value = bare.cells.at(site.name).at(format).value;
                log.addSensitivity(map, {site.id, site.name, format, format, 1, value, relativeError * value, 1}, SensitivityMetric::measuredKl);
            }
        log.finishRun(map, RunStatus::done);
        Recipe recipe = assign(map, std::to_string(start.result.at("bytes").get<std::uint64_t>()) + "B");
        recipe.assignment.startRun = started ? start.run.value() : 0;
        return run(recipe).result.at("formats");
    };
    const Json free = solvedWith(1e-9, false);
    EXPECT_NE(free, start.result.at("formats")); // the map knows better
    EXPECT_EQ(solvedWith(1e-9, true), free);
    EXPECT_EQ(solvedWith(100, true), start.result.at("formats"));
    Recipe none = assign(fisher.run, "5.2bpw");
    none.assignment.startRun = fisher.run.value();
    EXPECT_NE(expectError(ErrorCode::usage, [&] { run(none); }).message().find("no mix to start from"), std::string::npos);
}

TEST_F(Mixes, FormatsMayCarryTheirRounders) {
    options.formats = {"q4_0@nearest", "q4_0@weighted", "q8_0"};
    const RunOutcome map = run(sweep("fisher"));
    const RunOutcome solved = run(assign(map.run, "6bpw"));
    int weighted = 0;
    for (const auto& entry : solved.result.at("formats").items())
        weighted += entry.value() == "q4_0@weighted";
    EXPECT_GT(weighted, 0); // importance pays at most sites
    Recipe quantize = Recipe::fromJson(solved.result.at("recipe"));
    quantize.kind = "quantize";
    quantize.evaluation = {options.evaluationFiles, options.protocol, options.evaluationTokens};
    const RunOutcome made = run(quantize);
    int logged = 0;
    for (const AssignmentRow& row : reader.run(made.run).assignments)
        logged += row.used == "q4_0@weighted";
    EXPECT_EQ(logged, weighted);
}

TEST_F(Mixes, AMapOfAnotherCheckpointIsRefused) {
    const RunOutcome map = run(sweep("fisher"));
    writeTinyModel(folder.file("other"));
    // One weight changed: another model under another name.
    fs::path weights;
    for (const auto& entry : fs::directory_iterator(folder.file("other")))
        if (entry.path().extension() == ".safetensors")
            weights = entry.path();
    ASSERT_FALSE(weights.empty());
    {
        std::fstream file(weights, std::ios::in | std::ios::out | std::ios::binary);
        file.seekp(-2, std::ios::end);
        file.put('\x01');
    }
    Recipe other = assign(map.run, "5.2bpw");
    other.checkpoint = folder.file("other");
    const Error e = expectError(ErrorCode::usage, [&] { run(other); });
    EXPECT_NE(e.message().find("another checkpoint"), std::string::npos) << e.message();
    EXPECT_NE(e.message().find("tiny"), std::string::npos) << e.message();
}

TEST_F(Mixes, LimitsOfPartsAndForbiddenFormatsHold) {
    const RunOutcome map = run(sweep("fisher"));
    Recipe parts = assign(map.run, "6.5bpw");
    parts.assignment.budgets = {{"blk.0.*", "4.6bpw"}};
    parts.assignment.forbid = {"q8_0", "token_embd=q5_1"};
    const Json r = run(parts).result;
    for (const auto& entry : r.at("formats").items()) {
        EXPECT_NE(entry.value(), "q8_0") << entry.key();
        if (entry.key() == "token_embd") {
            EXPECT_EQ(entry.value(), "q4_0");
        }
    }
    // Only its own limit holds block 0 down: 4.6 bits leave room for one small site above 4.5.
    std::map<std::string, int> first, second;
    for (const auto& entry : r.at("formats").items())
        if (entry.key().starts_with("blk."))
            ++(entry.key().starts_with("blk.0.") ? first : second)[entry.value().get<std::string>()];
    EXPECT_GT(second["q5_1"], first["q5_1"]);
    Recipe nothing = assign(map.run, "6.5bpw");
    nothing.assignment.forbid = {"q4_0", "q5_1", "q8_0"};
    EXPECT_NE(expectError(ErrorCode::usage, [&] { run(nothing); }).message().find("forbidden"), std::string::npos);
    Recipe tooMuch = assign(map.run, "12bpw");
    EXPECT_NE(run(tooMuch).result.at("warnings").dump().find("the rest buys nothing"), std::string::npos);
}

TEST_F(Mixes, UncertainCellsAreMeasuredUntilNothingHangsOnThem) {
    const RunOutcome map = run(sweep("fisher"));
    Runner::RefineOptions refine;
    refine.assign = assign(map.run, "5.2bpw");
    refine.cells = 500;
    refine.rounds = 20;
    refine.tokens = 96;
    JobContext job;
    const RunOutcome done = runner.measureUncertain(refine, job, "test");
    EXPECT_TRUE(done.result.at("stable").get<bool>()) << done.result.at("rounds").dump();
    EXPECT_GT(done.result.at("cells_measured").get<int>(), 0);
    EXPECT_EQ(done.result.at("measured_runs").size(), done.result.at("rounds").size());
    // No cell is measured twice, and the same call finds everything done.
    std::set<std::pair<std::string, std::string>> cells;
    std::size_t rows = 0;
    for (const Json& run : done.result.at("measured_runs"))
        for (const SensitivityRow& row : reader.sensitivities(RunId(run.get<std::int64_t>()))) {
            cells.emplace(row.site, row.format);
            ++rows;
        }
    EXPECT_EQ(cells.size(), rows);
    const std::size_t runs = reader.runs().size();
    EXPECT_EQ(runner.measureUncertain(refine, job, "test").result.at("formats"), done.result.at("formats"));
    EXPECT_EQ(reader.runs().size(), runs);
    // A limit is kept, and said.
    refine.cells = 2;
    const RunOutcome few = runner.measureUncertain(refine, job, "test");
    EXPECT_LE(few.result.at("cells_measured").get<int>(), 2);
    EXPECT_FALSE(few.result.at("stable").get<bool>());
    refine.assign.assignment.sweepRun = run(sweep("output")).run.value();
    expectError(ErrorCode::usage, [&] { runner.measureUncertain(refine, job, "test"); });
}

TEST_F(Mixes, TheSameSeedGivesTheSameFileWithOneAndTwoThreads) {
    std::vector<std::string> files;
    for (const int threads : {1, 2}) {
        setThreadCount(threads);
        options.fresh = true;
        options.outPath = folder.file("mix" + std::to_string(threads) + ".gguf");
        const Json r = mix(options);
        files.push_back(r.at("audit").at("sha256"));
        EXPECT_TRUE(r.at("predicted_kl").is_number());
    }
    setThreadCount(0);
    EXPECT_EQ(files[0], files[1]);
}

/// Measured on the evaluation text, nothing of the mix's size or less is better than what is handed out.
void expectNoBetterRival(const Json& r) {
    for (const char* kind : {"uniform", "lists"})
        for (const Json& rival : r.at(kind)) {
            if (rival.at("rounder") == "weighted" && rival.at("bytes") <= r.at("bytes")) {
                EXPECT_LE(r.at("measured_kl").get<double>(), rival.at("kl").get<double>()) << rival.dump();
            }
        }
}

TEST_F(Mixes, AMixWorseThanItsRivalIsNotHandedOut) {
    options.budget = "8.6bpw";
    expectNoBetterRival(mix(options));
    // A map that holds the largest format for the dearest: what it solves is bad, whatever it says.
    tamper(log.path(), "UPDATE sensitivities SET value = CASE format WHEN 'q4_0' THEN 1e-6 ELSE 1.0 END, standard_error = 1e-9");
    options.budget = "8.7bpw"; // solved anew on the map that is there
    const Json r = mix(options);
    EXPECT_EQ(r.at("chosen"), "uniform q8_0 (weighted)") << r.at("uniform").dump(1);
    EXPECT_NE(r.at("warnings").dump().find("handed out"), std::string::npos);
    EXPECT_EQ(r.at("formats").at("blk.0.attn_q"), "q8_0");
    EXPECT_GT(r.at("rounds").at(0).at("measured").get<double>(), r.at("measured_kl").get<double>());
    expectNoBetterRival(r);
}

TEST_F(Mixes, ARivalThatMeasuredBetterIsStartedFrom) {
    options.budget = "8.6bpw";
    mix(options);
    // As bad a map as above, but one that knows how little it knows: leaving the rival is worth it nowhere.
    tamper(log.path(), "UPDATE sensitivities SET value = CASE format WHEN 'q4_0' THEN 1e-6 ELSE 1.0 END, standard_error = 10");
    options.budget = "8.7bpw";
    const Json r = mix(options);
    ASSERT_EQ(r.at("rounds").size(), 2u) << r.at("rounds").dump(1);
    const Json &solved = r.at("rounds").at(0), &started = r.at("rounds").at(1);
    EXPECT_FALSE(solved.contains("start"));
    ASSERT_TRUE(started.contains("start"));
    EXPECT_EQ(Recipe::fromJson(reader.run(RunId(started.at("start").get<std::int64_t>())).recipe).assignment.format, "q8_0");
    EXPECT_LT(started.at("measured").get<double>(), solved.at("measured").get<double>());
    expectNoBetterRival(r);
}

TEST_F(Mixes, ALimitOfDamageHoldsForWhatIsMeasured) {
    const double reference = mix(options).at("measured_kl").get<double>(); // at 5.2 bits
    options.budget = "kl=" + std::to_string(reference);
    const Json r = mix(options);
    EXPECT_LE(r.at("measured_kl").get<double>(), std::stod(options.budget.substr(3)));
    EXPECT_LT(r.at("bits_per_weight").get<double>(), 6.0); // smaller than q5_1 everywhere; 144 tokens say no more
    options.budget = "kl=1e-9";
    const Error e = expectError(ErrorCode::infeasibleBudget, [&] { mix(options); });
    EXPECT_NE(e.message().find("1e-09"), std::string::npos) << e.message();
}

} // namespace
} // namespace bw::test
