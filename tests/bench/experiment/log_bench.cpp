// SPDX-License-Identifier: GPL-3.0-or-later
// A log of 10,000 runs of 300 sites each: how long what the window asks takes. Filled once by SQL (about 20 s, 400 MB in the
// folder for temporary files), removed at the end.
#include "core/compute/cpu_device.h"
#include "core/experiment/log.h"

#include <SQLiteCpp/SQLiteCpp.h>
#include <benchmark/benchmark.h>
#include <filesystem>
#include <fmt/format.h>

namespace bw {
namespace {

constexpr int kRuns = 10'000, kSites = 300, kMetrics = 25;

/// Removed when the program ends.
class LargeLog {
public:
    LargeLog() : path_((std::filesystem::temp_directory_path() / fmt::format("bitwright-bench-{}.db", ::getpid())).string()) {
        ExperimentLog log(path_);
        Recipe recipe;
        recipe.kind = "quantize";
        recipe.checkpoint = std::string(BW_RESOURCES) + "/demo";
        const auto checkpoint = Checkpoint::open(recipe.checkpoint);
        log.beginRun(recipe, "bench", *checkpoint, *makeCpuDevice());
        log.finishRun(RunId(1), RunStatus::done);
        SQLite::Database database(path_, SQLite::OPEN_READWRITE);
        const auto repeat = [&](const std::string& sql) { database.exec(fmt::format("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {}) {}", kRuns, sql)); };
        database.exec("PRAGMA synchronous = OFF; BEGIN");
        repeat("INSERT INTO runs (kind, name, status, checkpoint, stack, recipe, command_line, started_at, seconds, pid, process_start, boot_id, build) "
               "SELECT CASE i % 3 WHEN 0 THEN 'sweep' WHEN 1 THEN 'quantize' ELSE 'evaluate' END, 'run ' || i, 'done', checkpoint, stack, recipe, command_line, started_at, 1, pid, process_start, boot_id, build FROM runs, n WHERE id = 1");
        repeat(fmt::format("INSERT INTO metrics (run, name, value, standard_error) SELECT i + 1, 'metric' || m.value, i * 0.001, 0.1 FROM n, json_each('[{}]') m", numbers(kMetrics)));
        repeat(fmt::format("INSERT INTO assignments (run, position, site, asked, used, why, bytes, cost, relative_error) "
                           "SELECT i + 1, s.value, 'blk.' || s.value || '.attn_q', 'q4_0', 'q4_0', '', 1000, 0, 0.01 FROM n, json_each('[{}]') s WHERE i % 3 = 1", numbers(kSites)));
        repeat(fmt::format("INSERT INTO sensitivities (run, site, format, used, metric, bytes, value, standard_error) "
                           "SELECT i + 1, 'blk.' || s.value || '.attn_q', 'q4_0', 'q4_0', 'kl', 1000, 0.01, 0.001 FROM n, json_each('[{}]') s WHERE i % 3 = 0", numbers(kSites)));
        database.exec("COMMIT; PRAGMA optimize");
    }
    ~LargeLog() {
        for (const char* end : {"", "-wal", "-shm"}) std::filesystem::remove(path_ + end);
    }
    const std::string& path() const { return path_; }

private:
    static std::string numbers(int count) {
        std::string out;
        for (int i = 0; i < count; ++i) out += fmt::format("{}{}", i ? "," : "", i);
        return out;
    }
    std::string path_;
};

const LargeLog& largeLog() {
    static const LargeLog log;
    return log;
}

void newestRuns(benchmark::State& state) {
    const LogReader reader(largeLog().path());
    for (auto _ : state) benchmark::DoNotOptimize(reader.runs(state.range(0)));
}
/// The last page of a thousand, as a list that is scrolled to its end reads it.
void oldestPage(benchmark::State& state) {
    const LogReader reader(largeLog().path());
    for (auto _ : state) benchmark::DoNotOptimize(reader.runs(1000, RunId(1001)));
}
void replicatesOfOne(benchmark::State& state) {
    const LogReader reader(largeLog().path());
    for (auto _ : state) benchmark::DoNotOptimize(reader.replicates(RunId(5000)));
}
void oneRun(benchmark::State& state) {
    const LogReader reader(largeLog().path());
    std::int64_t id = 2;
    for (auto _ : state) benchmark::DoNotOptimize(reader.run(RunId(2 + (id++ * 7919) % kRuns)));
}
void oneMap(benchmark::State& state) {
    const LogReader reader(largeLog().path());
    for (auto _ : state) benchmark::DoNotOptimize(reader.sensitivities(RunId(4)));
}
void latestRun(benchmark::State& state) {
    const LogReader reader(largeLog().path());
    const std::string path = reader.run(RunId(1)).checkpoint.path;
    for (auto _ : state) benchmark::DoNotOptimize(reader.latest("sweep", path));
}
void hasAnythingChanged(benchmark::State& state) {
    const LogReader reader(largeLog().path());
    for (auto _ : state) benchmark::DoNotOptimize(reader.dataVersion());
}
/// What a window's reader waits for while a sweep commits cells.
void readWhileWriting(benchmark::State& state) {
    ExperimentLog writer(largeLog().path());
    const LogReader reader(largeLog().path());
    std::int64_t n = 0;
    for (auto _ : state) {
        writer.addMetrics(RunId(2), {{fmt::format("tick{}", n++ % 10), 1.0, std::nullopt, ""}});
        benchmark::DoNotOptimize(reader.runs(100));
    }
}

BENCHMARK(newestRuns)->Arg(100)->Arg(1000)->Arg(10'000)->Unit(benchmark::kMillisecond);
BENCHMARK(oldestPage)->Unit(benchmark::kMillisecond);
BENCHMARK(replicatesOfOne)->Unit(benchmark::kMillisecond);
BENCHMARK(oneRun)->Unit(benchmark::kMillisecond);
BENCHMARK(oneMap)->Unit(benchmark::kMillisecond);
BENCHMARK(latestRun)->Unit(benchmark::kMillisecond);
BENCHMARK(hasAnythingChanged)->Unit(benchmark::kMillisecond);
BENCHMARK(readWhileWriting)->Unit(benchmark::kMillisecond);

} // namespace
} // namespace bw

BENCHMARK_MAIN();
