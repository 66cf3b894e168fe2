// SPDX-License-Identifier: GPL-3.0-or-later
// What tests of the log share: the demo checkpoint, a begun run, a look past the interface at the tables.
#pragma once

#include "core/compute/cpu_device.h"
#include "core/experiment/log.h"
#include "core/experiment/runner.h"
#include "tests/support/expect_error.h"
#include "tests/support/temp_folder.h"

#include <SQLiteCpp/SQLiteCpp.h>

namespace bw::test {

inline std::string demoPath() { return std::string(BW_RESOURCES) + "/demo"; }
inline std::string textPath(const std::string& name) { return std::string(BW_RESOURCES) + "/texts/" + name; }

inline const Checkpoint& demoCheckpoint() {
    static const std::shared_ptr<const Checkpoint> checkpoint = Checkpoint::open(demoPath());
    return *checkpoint;
}

inline const DeviceFactory kCpuOnly = [](const std::string&) { return std::shared_ptr<Device>(makeCpuDevice()); };

/// A log of its own with a runner on the CPU.
struct Bench {
    TempFolder folder;
    ExperimentLog log{folder.file("log.db")};
    Runner runner{log, kCpuOnly};
    JobContext job;
    LogReader reader{log.path()};
    RunOutcome run(const Recipe& recipe, RunId resume = {}) { return runner.run(recipe, job, "test", resume); }
};

/// Of a run that evaluated against a baseline.
inline double klOf(const RunOutcome& outcome) { return outcome.result.at("evaluation").at("kl_mean").get<double>(); }

inline RunId begin(ExperimentLog& log, const std::string& kind = "sweep") {
    Recipe recipe;
    recipe.kind = kind;
    recipe.checkpoint = demoPath();
    return log.beginRun(recipe, "bitwright-cli test", demoCheckpoint(), *makeCpuDevice());
}

/// One value by SQL, as text.
inline std::string query(const std::string& path, const std::string& sql) {
    SQLite::Database database(path, SQLite::OPEN_READONLY);
    return database.execAndGet(sql).getString();
}

/// Changes the file behind the log's back.
inline void tamper(const std::string& path, const std::string& sql) {
    SQLite::Database database(path, SQLite::OPEN_READWRITE);
    database.exec(sql);
}

} // namespace bw::test
