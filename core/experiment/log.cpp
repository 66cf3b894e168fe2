// SPDX-License-Identifier: GPL-3.0-or-later
// The log's writer: opening, recovery of runs whose process is gone, and the life of a run. Rows of a run are in
// log_rows.cpp.
#include "core/experiment/log_impl.h"
#include "core/experiment/schema.h"
#include "core/experiment/stack.h"

#include "core/base/atomic_file.h"
#include "core/base/hash.h"

#include <ctime>
#include <cstdlib>
#include <filesystem>

namespace bw {
namespace {

/// Identity of a checkpoint without reading its weights: a changed file gives another row.
std::string fingerprint(const Checkpoint& checkpoint) {
    Sha256 hash;
    const auto add = [&](const std::string& text) {
        hash.update(std::as_bytes(std::span(text.data(), text.size())));
        hash.update(std::as_bytes(std::span("", 1)));
    };
    for (const MappedFile& file : checkpoint.files()) {
        add(std::to_string(file.size()));
        add(std::to_string(file.modifiedNanoseconds()));
    }
    for (const TensorInfo& tensor : checkpoint.tensors()) {
        add(tensor.name + ":" + tensor.typeName + ":" + std::to_string(tensor.file) + ":" + std::to_string(tensor.offset));
        for (const std::int64_t extent : tensor.shape)
            add(std::to_string(extent));
    }
    return hash.hex();
}

std::int64_t checkpointId(SQLite::Database& database, const Checkpoint& checkpoint, const std::string& print) {
    execute(database,
            "INSERT OR IGNORE INTO checkpoints (path, name, kind, family, parameters, bytes, bits_per_weight, fingerprint) "
            "VALUES (?,?,?,?,?,?,?,?)",
            checkpoint.path(), checkpoint.displayName(), std::string(checkpoint.kind() == CheckpointKind::gguf ? "gguf" : "safetensors"),
            checkpoint.config().family, checkpoint.parameters(), checkpoint.totalBytes(), checkpoint.bitsPerWeight(), print);
    return lookUp(database, 0, "SELECT id FROM checkpoints WHERE path = ? AND fingerprint = ?", checkpoint.path(), print);
}

std::int64_t stackId(SQLite::Database& database, const StackRow& stack) {
    execute(database, "INSERT OR IGNORE INTO stacks (program, compiler, libraries, cpu, device, threads) VALUES (?,?,?,?,?,?)",
            stack.program, stack.compiler, stack.libraries, stack.cpu, stack.device, stack.threads);
    return lookUp(database, 0,
                  "SELECT id FROM stacks WHERE program = ? AND compiler = ? AND libraries = ? AND cpu = ? AND device = ? AND threads = ?",
                  stack.program, stack.compiler, stack.libraries, stack.cpu, stack.device, stack.threads);
}

struct Recovered {
    std::vector<RunId> runs;
    std::vector<std::string> targets; ///< of files that were being written
};

/// Runs that say "running" but whose process is gone become "interrupted"; what they were writing is incomplete.
Recovered recoverRuns(SQLite::Database& database) {
    Recovered out;
    std::vector<std::int64_t> gone;
    SQLite::Statement running(database, "SELECT id, pid, process_start, boot_id FROM runs WHERE status = 'running'");
    while (running.executeStep()) {
        const ProcessIdentity process{running.getColumn(1).getInt64(), running.getColumn(2).getInt64(), running.getColumn(3).getString()};
        if (!isAlive(process))
            gone.push_back(running.getColumn(0).getInt64());
    }
    for (const std::int64_t id : gone) {
        out.runs.emplace_back(id);
        SQLite::Statement files(database, "SELECT path FROM artifacts WHERE run = ? AND state = 'writing'");
        files.bind(1, id);
        while (files.executeStep())
            out.targets.push_back(files.getColumn(0).getString());
        execute(database, "UPDATE runs SET status = 'interrupted', error = 'the program ended while this ran' WHERE id = ? AND status = 'running'", id);
        execute(database, "UPDATE artifacts SET state = 'incomplete' WHERE run = ? AND state = 'writing'", id);
    }
    return out;
}

std::string absolutePath(const std::string& path) {
    if (path == ExperimentLog::kInMemory)
        return path;
    std::error_code failure;
    const std::filesystem::path made = std::filesystem::absolute(path, failure);
    return failure ? path : made.string();
}

} // namespace

std::string_view runStatusName(RunStatus status) {
    switch (status) {
    case RunStatus::running: return "running";
    case RunStatus::done: return "done";
    case RunStatus::failed: return "failed";
    case RunStatus::cancelled: return "cancelled";
    case RunStatus::interrupted: return "interrupted";
    }
    return "failed";
}

std::string utcNow() {
    const std::time_t now = std::time(nullptr);
    std::tm parts{};
    gmtime_r(&now, &parts);
    char text[32];
    const std::size_t length = std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
    return {text, length};
}

ExperimentLog::ExperimentLog(const std::string& path) : impl_(std::make_unique<Impl>()) {
    impl_->path = absolutePath(path);
    impl_->process = thisProcess();
    impl_->database = openLogForWriting(impl_->path);
    guarded(impl_->path, [&] {
        const int version = logVersion(*impl_->database);
        if (version > currentLogVersion())
            throw Error(ErrorCode::logTooNew,
                        "the log '" + impl_->path + "' has version " + std::to_string(version) + ", this program writes version " +
                            std::to_string(currentLogVersion()),
                        "use the newer program, or name another log with --log FILE; nothing was changed in this one, and 'runs list', 'show' and 'export' read it");
        migrateLog(*impl_->database, impl_->path, logMigrations());
    });
    const Recovered gone = impl_->transact([](SQLite::Database& database) { return recoverRuns(database); });
    impl_->recovered = gone.runs;
    for (const std::string& target : gone.targets)
        removeLeftovers(target);
}

ExperimentLog::~ExperimentLog() = default;

const std::string& ExperimentLog::path() const { return impl_->path; }
const std::vector<RunId>& ExperimentLog::recovered() const { return impl_->recovered; }

std::string ExperimentLog::defaultPath() {
    namespace fs = std::filesystem;
    fs::path base;
    // The XDG rule: a relative $XDG_DATA_HOME counts as not set.
    if (const char* data = std::getenv("XDG_DATA_HOME"); data && *data == '/')
        base = data;
    else if (const char* home = std::getenv("HOME"); home && *home)
        base = fs::path(home) / ".local" / "share";
    else
        throw Error(ErrorCode::usage, "neither HOME nor XDG_DATA_HOME is set, so there is no place for the log", "name one with --log FILE");
    const fs::path folder = base / "bitwright";
    std::error_code failure;
    fs::create_directories(folder, failure);
    if (failure)
        throw Error(ErrorCode::permissionDenied, "the folder '" + folder.string() + "' for the log can't be made: " + failure.message(),
                    "name a log in a folder you may write to with --log FILE");
    return (folder / "experiments.db").string();
}

void ExperimentLog::Impl::requireRun(RunId id) {
    if (lookUp(*database, 0, "SELECT count(*) FROM runs WHERE id = ?", id) == 0)
        throw Error(ErrorCode::unknownRun, "the log '" + path + "' has no run " + std::to_string(id.value()), "'bitwright-cli runs list' shows what there is");
}

RunId ExperimentLog::beginRun(const Recipe& recipe, const std::string& commandLine, const Checkpoint& checkpoint, const Device& device) {
    const std::string print = fingerprint(checkpoint);
    const StackRow stack = describeStack(device);
    return impl_->transact([&](SQLite::Database& database) {
        execute(database,
                "INSERT INTO runs (kind, name, status, checkpoint, stack, recipe, command_line, started_at, pid, process_start, boot_id, build) "
                "VALUES (?,?,'running',?,?,?,?,?,?,?,?,?)",
                recipe.kind, recipe.name, checkpointId(database, checkpoint, print), stackId(database, stack), recipe.toJson().dump(-1, ' ', false, Json::error_handler_t::replace),
                commandLine, utcNow(), impl_->process.pid, impl_->process.start, impl_->process.bootId, buildIdentity());
        const RunId id(database.getLastInsertRowid());
        impl_->started[id.value()] = std::chrono::steady_clock::now();
        return id;
    });
}

void ExperimentLog::finishRun(RunId id, RunStatus status, const std::string& error) {
    impl_->transact([&](SQLite::Database& database) {
        impl_->requireRun(id);
        double seconds = 0;
        if (const auto begun = impl_->started.find(id.value()); begun != impl_->started.end()) {
            seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begun->second).count();
            impl_->started.erase(begun);
        }
        execute(database, "UPDATE runs SET status = ?, finished_at = ?, seconds = seconds + ?, error = ? WHERE id = ?",
                std::string(runStatusName(status)), utcNow(), seconds, error, id);
        if (status != RunStatus::done)
            execute(database, "UPDATE artifacts SET state = 'incomplete' WHERE run = ? AND state = 'writing'", id);
    });
}

void ExperimentLog::resumeRun(RunId id) {
    impl_->transact([&](SQLite::Database& database) {
        impl_->requireRun(id);
        SQLite::Statement row(database, "SELECT status, pid, process_start, boot_id FROM runs WHERE id = ?");
        bindValues(row, id);
        row.executeStep();
        const ProcessIdentity owner{row.getColumn(1).getInt64(), row.getColumn(2).getInt64(), row.getColumn(3).getString()};
        if (row.getColumn(0).getString() == "running" && isAlive(owner))
            throw Error(ErrorCode::logBusy,
                        "run " + std::to_string(id.value()) + " is being worked on by process " + std::to_string(owner.pid),
                        "wait for it or stop it, then resume");
        row.reset();
        execute(database, "UPDATE runs SET status = 'running', finished_at = NULL, error = '', pid = ?, process_start = ?, boot_id = ? WHERE id = ?",
                impl_->process.pid, impl_->process.start, impl_->process.bootId, id);
        impl_->started[id.value()] = std::chrono::steady_clock::now();
    });
}

std::vector<EarlierRun> ExperimentLog::earlierRuns(const std::string& kind, const Checkpoint& checkpoint, const Device& device) const {
    const std::string print = fingerprint(checkpoint);
    const StackRow stack = describeStack(device);
    const std::lock_guard lock(impl_->mutex);
    return guarded(impl_->path, [&] {
        std::vector<EarlierRun> out;
        SQLite::Statement rows(*impl_->database,
                               "SELECT r.id, r.status, r.started_at, r.recipe, coalesce(x.json, 'null') FROM runs r "
                               "JOIN checkpoints c ON c.id = r.checkpoint JOIN stacks s ON s.id = r.stack LEFT JOIN results x ON x.run = r.id "
                               "WHERE r.kind = ? AND r.build = ? AND c.path = ? AND c.fingerprint = ? AND s.cpu = ? AND (s.device = ? OR (? AND s.device LIKE 'CPU,%')) "
                               "ORDER BY r.id DESC");
        // The CPU's description names its threads, on which no result depends.
        bindValues(rows, kind, buildIdentity(), checkpoint.path(), print, stack.cpu, stack.device, device.name() == "cpu" ? 1 : 0);
        while (rows.executeStep()) {
            EarlierRun run;
            run.id = RunId(rows.getColumn(0).getInt64());
            run.status = rows.getColumn(1).getString();
            run.startedAt = rows.getColumn(2).getString();
            run.recipe = parseJson(rows.getColumn(3).getString(), "recipe of run " + std::to_string(run.id.value()));
            run.result = parseJson(rows.getColumn(4).getString(), "result of run " + std::to_string(run.id.value()));
            run.datasets = datasetRows(*impl_->database, run.id);
            run.artifacts = artifactRows(*impl_->database, run.id);
            out.push_back(std::move(run));
        }
        return out;
    });
}

} // namespace bw
