// SPDX-License-Identifier: GPL-3.0-or-later
// A stopped mix goes on behind its last finished stage; nothing else than its own, unchanged work is taken over.
#include "core/base/parallel.h"
#include "core/experiment/runner.h"
#include "tests/support/tiny_model.h"
#include "tests/unit/experiment/log_support.h"

#include <filesystem>
#include <gtest/gtest.h>

namespace bw::test {
namespace {

namespace fs = std::filesystem;

class Resumed : public testing::Test {
protected:
    void SetUp() override {
        writeTinyModel(folder.file("tiny"));
        fs::copy_file(textPath("calib_prose.txt"), folder.file("calib.txt"));
        options.checkpoint = folder.file("tiny");
        options.outPath = folder.file("mix.gguf");
        options.budget = "5.2bpw";
        options.metric = "kl";
        options.formats = {"q4_0", "q5_1", "q8_0"};
        options.calibrationFiles = {folder.file("calib.txt")};
        options.evaluationFiles = {textPath("eval_prose.txt")};
        options.samples = 3;
        options.length = 48;
        options.sweepTokens = 96;
        options.protocol = "windows:48";
        options.evaluationTokens = 144;
    }

    Json mix(const Runner::MixOptions& o) {
        JobContext job;
        return runner.mix(o, job, "test").result;
    }
    /// Stops the mix at the note that announces a stage, or at the `look`-th look for a stop behind it.
    void stopAt(const std::string& stage, int look) {
        JobContext job;
        bool there = false;
        int looks = 0;
        job.setProbe([&] {
            for (const std::string& note : job.takeNotes())
                there = there || note.starts_with(stage);
            if (there && ++looks == look)
                job.requestStop();
        });
        setThreadCount(1); // the probe keeps plain variables
        const Error e = expectError(ErrorCode::cancelled, [&] { runner.mix(options, job, "test"); });
        setThreadCount(0);
    }
    static std::map<std::string, bool> taken(const Json& result) {
        std::map<std::string, bool> out;
        for (const Json& stage : result.at("stages"))
            out[stage.at("stage").get<std::string>()] = stage.at("taken").get<bool>();
        return out;
    }
    /// Figures of a mix, without run numbers and times.
    static Json figures(const Json& r) {
        Json uniform = Json::array();
        for (const Json& u : r.at("uniform"))
            uniform.push_back({u.at("format"), u.at("bytes"), u.at("kl"), u.at("perplexity")});
        return {r.at("formats"), r.at("bytes"), r.at("predicted_kl"), r.at("measured_kl"), r.at("measured_se"), r.at("audit").at("sha256"), uniform};
    }

    TempFolder folder;
    Runner::MixOptions options;
    ExperimentLog log{folder.file("log.db")};
    Runner runner{log, [](const std::string&) { return std::shared_ptr<Device>(makeCpuDevice()); }};
    LogReader reader{log.path()};
};

Json undisturbed(const Runner::MixOptions& options) {
    const TempFolder folder;
    ExperimentLog log(folder.file("log.db"));
    Runner::MixOptions o = options;
    o.outPath = folder.file("mix.gguf");
    JobContext job;
    return Runner(log, [](const std::string&) { return std::shared_ptr<Device>(makeCpuDevice()); }).mix(o, job, "test").result;
}

TEST_F(Resumed, GoesOnBehindTheLastFinishedStage) {
    const Json expected = figures(undisturbed(options));
    stopAt("sweep by output error", 20);
    stopAt("sweep by measured KL", 200);
    stopAt("solve", 2);
    stopAt("evaluate mix", 30);
    stopAt("evaluate uniform", 10);
    stopAt("quantize", 30);
    stopAt("evaluate uniform q4_0 (nearest)", 10); // shown beside, after the mix is written
    const Json r = mix(options);
    EXPECT_EQ(figures(r), expected);
    const std::map<std::string, bool> was = taken(r);
    for (const char* stage : {"calibrate", "sweep_output", "sweep_kl", "assign", "quantize"})
        EXPECT_TRUE(was.at(stage)) << stage;
    // Nothing finished was done twice.
    int sweeps = 0, mixes = 0;
    for (const RunSummary& run : reader.runs()) {
        sweeps += run.kind == "sweep" && run.status == "done";
        mixes += run.name.starts_with("mix 5.2") && run.status == "done";
    }
    EXPECT_EQ(sweeps, 2);
    EXPECT_EQ(mixes, 1);
    // Every stage is there now: the same call again costs nothing and begins no run.
    const std::size_t runs = reader.runs().size();
    EXPECT_EQ(figures(mix(options)), expected);
    EXPECT_EQ(reader.runs().size(), runs);
}

TEST_F(Resumed, ASweepGoesOnInItsOwnRun) {
    JobContext stopping;
    stopping.setProbe([&] {
        if (const Progress now = stopping.snapshot(); now.stage == "sweep: measured KL" && now.done >= 3)
            stopping.requestStop();
    });
    expectError(ErrorCode::cancelled, [&] { runner.mix(options, stopping, "test"); });
    const RunSummary stopped = reader.runs().at(0);
    ASSERT_EQ(stopped.status, "cancelled");
    const std::size_t cells = reader.sensitivities(stopped.id).size();
    ASSERT_GT(cells, 0u);
    const Json r = mix(options);
    EXPECT_EQ(r.at("runs").at("sweep_kl"), stopped.id.value());
    EXPECT_EQ(figures(r), figures(undisturbed(options)));
}

TEST_F(Resumed, FreshMeasuresEverythingAgain) {
    const Json first = mix(options);
    options.fresh = options.replace = true;
    const Json again = mix(options);
    for (const auto& [stage, was] : taken(again))
        EXPECT_FALSE(was) << stage;
    EXPECT_EQ(figures(again), figures(first));
}

TEST_F(Resumed, ChangedContentIsNotTaken) {
    mix(options);
    options.replace = true;
    Runner::MixOptions other = options;
    other.budget = "6bpw"; // the map is the same, the mix is not
    const std::map<std::string, bool> budget = taken(mix(other));
    EXPECT_TRUE(budget.at("sweep_kl"));
    EXPECT_FALSE(budget.at("assign"));
    EXPECT_FALSE(budget.at("quantize"));
    other = options;
    other.seed = 5;
    EXPECT_FALSE(taken(mix(other)).at("calibrate"));
    std::ofstream(folder.file("calib.txt"), std::ios::app) << "\nOne more line of text.\n";
    for (const auto& [stage, was] : taken(mix(options))) {
        if (!stage.starts_with("uniform")) { // nearest rounding reads no calibration text
            EXPECT_FALSE(was) << stage;
        }
    }
    // A file that is not what was written is made again.
    std::ofstream(options.outPath, std::ios::app) << "x";
    const Json r = mix(options);
    EXPECT_TRUE(taken(r).at("assign"));
    EXPECT_FALSE(taken(r).at("quantize"));
}

TEST_F(Resumed, AnothersFileIsNotReplaced) {
    folder.write("mix.gguf", "a person's own file");
    expectError(ErrorCode::targetExists, [&] { mix(options); });
    EXPECT_TRUE(reader.runs().empty());
    EXPECT_EQ(fs::file_size(options.outPath), 19u);
}

TEST_F(Resumed, AKillBetweenTheFileAndItsRowIsNoObstacle) {
    const Json first = mix(options);
    // As a kill right behind the rename leaves it: the file is there, its row still says it is being written.
    const std::string run = std::to_string(first.at("runs").at("quantize").get<std::int64_t>());
    tamper(log.path(), "UPDATE runs SET status = 'interrupted' WHERE id = " + run);
    tamper(log.path(), "UPDATE artifacts SET state = 'incomplete', sha256 = '' WHERE run = " + run);
    const Json r = mix(options);
    EXPECT_FALSE(taken(r).at("quantize"));
    EXPECT_EQ(figures(r), figures(first));
    // The same for one who only quantizes.
    Recipe recipe = Recipe::fromJson(reader.run(RunId(std::stoll(run))).recipe);
    JobContext job;
    EXPECT_NO_THROW(runner.run(recipe, job, "test"));
    recipe.assignment.rules.clear();
    expectError(ErrorCode::targetExists, [&] { runner.run(recipe, job, "test"); });
}

} // namespace
} // namespace bw::test
