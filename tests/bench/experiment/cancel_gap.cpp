// SPDX-License-Identifier: GPL-3.0-or-later
// The longest stretch of every kind of job without a look for a stop, which is how long a click on Cancel may go unheard.
// bench_cancel_gap MODEL TEXT: runs each kind small, prints its longest stretch, where it was, and the job's whole time.
#include "core/base/error.h"
#include "core/compute/cpu_device.h"
#include "core/experiment/runner.h"

#include <chrono>
#include <filesystem>
#include <fmt/core.h>
#include <mutex>
#include <unistd.h>

namespace {
using namespace bw;
using Clock = std::chrono::steady_clock;

/// Time between two looks, on whatever thread.
class Gaps {
public:
    void look(const JobContext& job) {
        const Clock::time_point now = Clock::now();
        const std::lock_guard lock(mutex_);
        if (now - last_ > longest_) {
            longest_ = now - last_;
            stage_ = job.snapshot().stage;
        }
        last_ = now;
        ++looks_;
    }
    void print(const std::string& kind) const {
        fmt::print("{:<14}{:8.1f} ms without a look, before or in '{}' ({} looks in {:.1f} s)\n", kind, 1e3 * std::chrono::duration<double>(longest_).count(), stage_, looks_,
                   std::chrono::duration<double>(last_ - begun_).count());
    }

private:
    std::mutex mutex_;
    Clock::time_point begun_ = Clock::now(), last_ = begun_;
    Clock::duration longest_{};
    std::string stage_;
    std::int64_t looks_ = 0;
};

Recipe recipeOf(const std::string& kind, const std::string& model, const std::string& text, const std::string& folder) {
    Recipe recipe;
    recipe.kind = kind.starts_with("sweep") ? "sweep" : kind;
    recipe.checkpoint = model;
    recipe.calibration.samples = 4;
    recipe.calibration.length = 128;
    if (kind != "evaluate") recipe.calibration.files = {text};
    if (kind == "evaluate" || kind == "quantize") recipe.evaluation.files = {text};
    recipe.evaluation.tokens = 512;
    recipe.sweep.formats = {"q4_k", "int4:g64"};
    recipe.sweep.tokens = 128;
    if (kind == "sweep kl") recipe.sweep.metric = "kl";
    recipe.assignment.format = "mix:q4_k_m";
    if (kind == "quantize") recipe.exporting.path = folder + "/out.gguf";
    return recipe;
}

} // namespace

int main(int argc, char** argv) {
    if (argc != 3) {
        fmt::print(stderr, "usage: bench_cancel_gap MODEL TEXT\n");
        return 2;
    }
    const std::string folder = (std::filesystem::temp_directory_path() / ("bitwright-gap-" + std::to_string(::getpid()))).string();
    std::filesystem::create_directories(folder);
    int failed = 0;
    for (const std::string kind : {"calibrate", "evaluate", "sweep output", "quantize", "sweep kl"}) {
        try {
            ExperimentLog log(folder + "/log.db");
            Runner runner(log, [](const std::string&) { return std::shared_ptr<Device>(makeCpuDevice()); });
            JobContext job;
            Gaps gaps;
            job.setProbe([&] { gaps.look(job); });
            runner.run(recipeOf(kind, argv[1], argv[2], folder), job, "bench_cancel_gap");
            gaps.print(kind);
        } catch (const Error& e) {
            fmt::print(stderr, "{}: {}\n", kind, e.oneLine());
            failed = 1;
        }
    }
    std::filesystem::remove_all(folder);
    return failed;
}
