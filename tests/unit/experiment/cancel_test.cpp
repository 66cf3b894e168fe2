// SPDX-License-Identifier: GPL-3.0-or-later
// Every kind of job, stopped at many points: it ends with `cancelled`, leaves no files and no threads, the log says so and
// stays whole, and the same job afterwards gives the figures of one that nobody stopped.
#include "core/base/random.h"
#include "core/experiment/runner.h"
#include "tests/support/tiny_model.h"
#include "tests/unit/experiment/log_support.h"

#include <atomic>
#include <chrono>
#include <filesystem>
#include <gtest/gtest.h>
#include <thread>

namespace bw::test {
namespace {

namespace fs = std::filesystem;

#ifdef BW_SANITIZED // six times slower: fewer stops, as well spread
constexpr int kPoints = 10, kMoments = 4;
#else
constexpr int kPoints = 50;   ///< stops at the k-th look, k spread over the job
constexpr int kMoments = 10;  ///< stops after a random time
#endif

long threadsNow() {
    long n = 0;
    for ([[maybe_unused]] const auto& entry : fs::directory_iterator("/proc/self/task")) ++n;
    return n;
}

struct Kind {
    const char* name;
    friend std::ostream& operator<<(std::ostream& out, const Kind& k) { return out << k.name; }
};

class Cancelled : public testing::TestWithParam<Kind> {
protected:
    void SetUp() override {
        writeTinyModel(folder_.file("tiny"));
        fs::create_directories(out_);
        log_ = std::make_unique<ExperimentLog>(folder_.file("log.db"));
    }

    Recipe recipe(const std::string& kind) const {
        Recipe r;
        r.kind = kind;
        r.checkpoint = folder_.file("tiny");
        r.calibration = {{textPath("calib_prose.txt")}, 3, 48};
        r.evaluation = {{textPath("eval_prose.txt")}, "windows:48", 144};
        if (kind == "quantize") {
            r.rounder = "weighted";
            r.assignment.format = "q5_0";
            r.exporting = {out_ + "/out.gguf", true};
        }
        return r;
    }

    /// The job of this case; what it gives, without times and run numbers.
    Json work(JobContext& job) {
        Runner runner(*log_, [](const std::string&) { return std::shared_ptr<Device>(makeCpuDevice()); });
        const std::string name = GetParam().name;
        if (name == "mix") {
            Runner::MixOptions o;
            o.checkpoint = folder_.file("tiny");
            o.outPath = out_ + "/mix.gguf";
            o.replace = o.fresh = true; // every stop shall hit real work
            o.budget = "5.2bpw";
            o.probes = 6;
            o.formats = {"q4_0", "q5_1", "q8_0"};
            o.calibrationFiles = {textPath("calib_prose.txt")};
            o.evaluationFiles = {textPath("eval_prose.txt")};
            o.samples = 3;
            o.length = 48;
            o.sweepTokens = 48;
            o.protocol = "windows:48";
            o.evaluationTokens = 144;
            const Json r = runner.mix(o, job, "test").result;
            return {r.at("formats"), r.at("bytes"), r.at("measured_kl"), r.at("predicted_kl"), r.at("uniform").at(0).at("kl"), r.at("audit").at("sha256")};
        }
        Recipe r = recipe(name.starts_with("sweep") ? "sweep" : name);
        if (r.kind == "sweep") r.sweep = {{"q4_0", "q8_0"}, name == "sweep_kl" ? "kl" : "output", 0};
        const Json result = runner.run(r, job, "test").result;
        if (r.kind == "quantize") return {result.at("audit").at("sha256"), result.at("evaluation").at("kl_mean")};
        if (r.kind == "evaluate") return {result.at("nll"), result.at("ece")};
        return r.kind == "sweep" ? result.at("cells") : result.at("sites");
    }

    /// Runs until `arrange` stops it (or it is done, which is fine too); true when it was stopped.
    template <class Arrange>
    bool stopped(Arrange&& arrange) {
        std::error_code ignored;
        for (const auto& entry : fs::directory_iterator(out_)) fs::remove_all(entry, ignored);
        JobContext job;
        [[maybe_unused]] const auto helper = arrange(job);
        try {
            work(job);
            return false;
        } catch (const Error& e) {
            EXPECT_EQ(e.code(), ErrorCode::cancelled) << e.oneLine();
        }
        // A file under its final name is whole: the stop came behind the rename.
        for (const auto& entry : fs::directory_iterator(out_)) {
            EXPECT_EQ(entry.path().extension(), ".gguf") << entry.path();
            EXPECT_NO_THROW(Checkpoint::open(entry.path().string()));
        }
        return true;
    }

    TempFolder folder_;
    std::string out_ = folder_.file("out");
    std::unique_ptr<ExperimentLog> log_;
};

TEST_P(Cancelled, AtAnyPointLeavesNothingBehind) {
    std::atomic<std::int64_t> looks{0};
    JobContext counting;
    counting.setProbe([&] { ++looks; });
    const auto begun = std::chrono::steady_clock::now();
    const Json expected = work(counting);
    const std::chrono::duration<double> whole = std::chrono::steady_clock::now() - begun;
    const std::int64_t all = looks;
    ASSERT_GT(all, kPoints);
    const long threads = threadsNow();

    Random random(7);
    int stops = 0;
    for (int point = 0; point < kPoints; ++point) {
        const auto low = all * point / kPoints;
        const std::int64_t k = low + 1 + static_cast<std::int64_t>(random.below(static_cast<std::uint64_t>(all / kPoints)));
        looks = 0;
        stops += stopped([&](JobContext& job) {
            job.setProbe([&looks, &job, k] {
                if (++looks == k) job.requestStop();
            });
            return 0;
        });
        // Threads may look at the same time, each once; nobody goes on working after that.
        ASSERT_LE(looks, k + 8) << "work went on behind look " << k << " of " << all;
    }
    EXPECT_GE(stops, kPoints * 9 / 10);
    for (int moment = 0; moment < kMoments; ++moment)
        stops += stopped([&](JobContext& job) {
            return std::jthread([&job, wait = whole * random.uniform()] {
                std::this_thread::sleep_for(wait);
                job.requestStop();
            });
        });
    EXPECT_EQ(threadsNow(), threads);

    const LogReader reader(log_->path());
    int cancelled = 0;
    for (const RunSummary& run : reader.runs()) {
        EXPECT_TRUE(run.status == "done" || run.status == "cancelled") << run.status;
        cancelled += run.status == "cancelled";
    }
    // A mix can also be stopped between two of its runs.
    EXPECT_LE(cancelled, stops);
    EXPECT_GE(cancelled, stops * 2 / 3);
    EXPECT_EQ(query(log_->path(), "PRAGMA integrity_check"), "ok");
    JobContext job;
    EXPECT_EQ(work(job), expected);
}

INSTANTIATE_TEST_SUITE_P(Jobs, Cancelled, testing::Values(Kind{"calibrate"}, Kind{"sweep_output"}, Kind{"sweep_kl"}, Kind{"mix"}, Kind{"quantize"}, Kind{"evaluate"}),
                         [](const auto& test) { return std::string(test.param.name); });

} // namespace
} // namespace bw::test
