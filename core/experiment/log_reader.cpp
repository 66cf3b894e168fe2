// SPDX-License-Identifier: GPL-3.0-or-later
// Read models of the log over one read-only connection. Every call is a short read transaction of its own.
#include "core/experiment/log_impl.h"
#include "core/experiment/schema.h"
#include "core/sensitivity/fisher.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <sqlite3.h>
#include <unordered_map>

namespace bw {

struct LogReader::Impl {
    std::string path, notice;
    std::unique_ptr<SQLite::Database> database;
    mutable std::mutex mutex;

    /// Reads under the mutex in one deferred transaction, so that several statements see the same state.
    template <class Body>
    auto read(Body&& body) const {
        const std::lock_guard lock(mutex);
        return guarded(path, [&] {
            SQLite::Transaction transaction(*database);
            return std::forward<Body>(body)(*database);
        });
    }
};

namespace {

std::string text(SQLite::Statement& row, int column) { return row.getColumn(column).getString(); }
std::uint64_t unsignedOf(SQLite::Statement& row, int column) { return static_cast<std::uint64_t>(row.getColumn(column).getInt64()); }

double realOf(SQLite::Statement& row, int column) {
    const SQLite::Column value = row.getColumn(column);
    return value.isNull() ? std::numeric_limits<double>::quiet_NaN() : value.getDouble();
}

template <class T>
std::vector<T> blobOf(SQLite::Statement& row, int column) {
    const SQLite::Column value = row.getColumn(column);
    std::vector<T> out(static_cast<std::size_t>(value.getBytes()) / sizeof(T));
    if (!out.empty())
        std::memcpy(out.data(), value.getBlob(), out.size() * sizeof(T));
    return out;
}

constexpr int kVersionWithProbes = 4, kVersionWithMethods = 5, kVersionWithPairs = 6, kVersionWithParts = 7, kVersionWithTop = 8;

constexpr const char* kSummaryColumns =
    "SELECT r.id, r.kind, r.name, r.status, c.name, r.started_at, r.seconds, r.error, r.starred, coalesce(n.text, ''), c.path "
    "FROM runs r JOIN checkpoints c ON c.id = r.checkpoint LEFT JOIN notes n ON n.run = r.id ";

RunSummary summaryOf(SQLite::Statement& row) {
    RunSummary out;
    out.id = RunId(row.getColumn(0).getInt64());
    out.kind = text(row, 1);
    out.name = text(row, 2);
    out.status = text(row, 3);
    out.checkpoint = text(row, 4);
    out.startedAt = text(row, 5);
    out.seconds = row.getColumn(6).getDouble();
    out.error = text(row, 7);
    out.starred = row.getColumn(8).getInt() != 0;
    out.note = text(row, 9);
    out.checkpointPath = text(row, 10);
    return out;
}

void addMetricsAndTags(SQLite::Database& database, std::vector<RunSummary>& runs) {
    if (runs.empty())
        return;
    // Both come newest first. Hundreds of thousands of rows: SQLite's own calls cost half of the wrapper's, which counts references for every column.
    const std::int64_t oldest = runs.back().id.value(), newest = runs.front().id.value();
    const auto each = [&](const char* sql, const auto& take) {
        sqlite3_stmt* raw = nullptr;
        if (sqlite3_prepare_v2(database.getHandle(), sql, -1, &raw, nullptr) != SQLITE_OK)
            throw SQLite::Exception(database.getHandle());
        const std::unique_ptr<sqlite3_stmt, int (*)(sqlite3_stmt*)> statement(raw, sqlite3_finalize);
        sqlite3_bind_int64(raw, 1, oldest);
        sqlite3_bind_int64(raw, 2, newest);
        auto run = runs.begin();
        int state = sqlite3_step(raw);
        for (; state == SQLITE_ROW; state = sqlite3_step(raw)) {
            const std::int64_t id = sqlite3_column_int64(raw, 0);
            while (run != runs.end() && run->id.value() > id)
                ++run;
            if (run != runs.end() && run->id.value() == id)
                take(*run, raw);
        }
        if (state != SQLITE_DONE)
            throw SQLite::Exception(database.getHandle(), state);
    };
    const auto words = [](sqlite3_stmt* row, int column) {
        const auto* bytes = static_cast<const char*>(sqlite3_column_blob(row, column));
        return bytes == nullptr ? std::string() : std::string(bytes, static_cast<std::size_t>(sqlite3_column_bytes(row, column)));
    };
    each("SELECT run, name, value, standard_error, unit FROM metrics WHERE run BETWEEN ? AND ? ORDER BY run DESC, name DESC", [&](RunSummary& run, sqlite3_stmt* row) {
        const auto real = [&](int column) { return sqlite3_column_type(row, column) == SQLITE_NULL ? std::numeric_limits<double>::quiet_NaN() : sqlite3_column_double(row, column); };
        if (run.metrics.empty())
            run.metrics.reserve(32);
        run.metrics.push_back({words(row, 1), real(2), sqlite3_column_type(row, 3) == SQLITE_NULL ? std::optional<double>() : sqlite3_column_double(row, 3), words(row, 4)});
    });
    each("SELECT run, tag FROM tags WHERE run BETWEEN ? AND ? ORDER BY run DESC, tag DESC", [&](RunSummary& run, sqlite3_stmt* row) { run.tags.push_back(words(row, 1)); });
    for (RunSummary& run : runs) { // by name
        std::reverse(run.metrics.begin(), run.metrics.end());
        std::reverse(run.tags.begin(), run.tags.end());
    }
}

CheckpointRow checkpointOf(SQLite::Statement& row) {
    return {row.getColumn(0).getInt64(), text(row, 1), text(row, 2), text(row, 3), text(row, 4), row.getColumn(5).getInt64(),
            unsignedOf(row, 6), row.getColumn(7).getDouble()};
}

constexpr const char* kCheckpointColumns = "SELECT c.id, c.path, c.name, c.kind, c.family, c.parameters, c.bytes, c.bits_per_weight FROM checkpoints c ";

void addStack(SQLite::Database& database, RunDetail& detail) {
    SQLite::Statement row(database, "SELECT s.id, s.program, s.compiler, s.libraries, s.cpu, s.device, s.threads, r.recipe, r.command_line "
                                    "FROM runs r JOIN stacks s ON s.id = r.stack WHERE r.id = ?");
    bindValues(row, detail.summary.id);
    if (!row.executeStep())
        return;
    detail.stack = {row.getColumn(0).getInt64(), text(row, 1), text(row, 2), text(row, 3), text(row, 4), text(row, 5), row.getColumn(6).getInt()};
    detail.recipe = parseJson(text(row, 7), "recipe of run " + std::to_string(detail.summary.id.value()));
    detail.commandLine = text(row, 8);
}

void addFilesAndTexts(SQLite::Database& database, RunDetail& detail) {
    detail.datasets = datasetRows(database, detail.summary.id);
    detail.artifacts = artifactRows(database, detail.summary.id);
    SQLite::Statement outputs(database, "SELECT prompt, text, ids FROM outputs WHERE run = ? ORDER BY id");
    bindValues(outputs, detail.summary.id);
    while (outputs.executeStep())
        detail.outputs.push_back({text(outputs, 0), text(outputs, 1), parseJson(text(outputs, 2), "ids of an output")});
}

void addAssignmentRows(SQLite::Database& database, RunDetail& detail) {
    SQLite::Statement rows(database, "SELECT site, asked, used, why, bytes, cost, relative_error FROM assignments WHERE run = ? ORDER BY position");
    bindValues(rows, detail.summary.id);
    while (rows.executeStep())
        detail.assignments.push_back({text(rows, 0), text(rows, 1), text(rows, 2), text(rows, 3), unsignedOf(rows, 4), rows.getColumn(5).getDouble(),
                                      rows.getColumn(6).getDouble()});
}

void requireRun(SQLite::Database& database, RunId id, const std::string& path) {
    if (lookUp(database, 0, "SELECT count(*) FROM runs WHERE id = ?", id) == 0)
        throw Error(ErrorCode::unknownRun, "the log '" + path + "' has no run " + std::to_string(id.value()), "'bitwright-cli runs list' shows what there is");
}

Histogram histogramOf(SQLite::Statement& row, int column) {
    Histogram out;
    out.low = static_cast<float>(realOf(row, column));
    out.high = static_cast<float>(realOf(row, column + 1));
    out.bins = parseJson(text(row, column + 2), "bins of a histogram").get<std::vector<std::uint64_t>>();
    out.below = unsignedOf(row, column + 3);
    out.above = unsignedOf(row, column + 4);
    out.nan = unsignedOf(row, column + 5);
    out.infinite = unsignedOf(row, column + 6);
    return out;
}

std::vector<float> floatsOf(const std::string& json) {
    std::vector<float> out;
    for (const Json& value : parseJson(json, "channel maxima"))
        out.push_back(value.is_number() ? value.get<float>() : std::numeric_limits<float>::quiet_NaN());
    return out;
}

/// Nothing where it does not add up to the scored tokens: another program wrote it.
std::vector<ScoredText> scoredTextsOf(const std::string& json, std::size_t tokens) {
    std::vector<ScoredText> out;
    std::int64_t left = static_cast<std::int64_t>(tokens);
    const Json texts = parseJson(json, "texts of scored tokens");
    if (!texts.is_array())
        return {};
    for (const Json& text : texts) {
        if (!text.is_object() || !text.contains("documents") || !text.at("documents").is_array())
            return {};
        ScoredText& made = out.emplace_back(ScoredText{text.value("name", std::string()), text.value("unit", std::string()), {}});
        for (const Json& count : text.at("documents")) {
            if (!count.is_number_integer() || count.get<std::int64_t>() < 1 || count.get<std::int64_t>() > left)
                return {};
            made.documents.push_back(count.get<std::int64_t>());
            left -= made.documents.back();
        }
    }
    return left == 0 ? out : std::vector<ScoredText>{};
}

} // namespace

std::vector<DatasetRow> datasetRows(SQLite::Database& database, RunId run) {
    std::vector<DatasetRow> out;
    SQLite::Statement data(database, "SELECT d.id, d.path, d.sha256, u.role, d.bytes, u.tokens FROM run_datasets u "
                                     "JOIN datasets d ON d.id = u.dataset WHERE u.run = ? ORDER BY u.role, d.path");
    bindValues(data, run);
    while (data.executeStep())
        out.push_back({data.getColumn(0).getInt64(), text(data, 1), text(data, 2), text(data, 3), unsignedOf(data, 4), data.getColumn(5).getInt64()});
    return out;
}

std::vector<ArtifactRow> artifactRows(SQLite::Database& database, RunId run) {
    std::vector<ArtifactRow> out;
    SQLite::Statement files(database, "SELECT kind, path, sha256, bytes, state FROM artifacts WHERE run = ? ORDER BY id");
    bindValues(files, run);
    while (files.executeStep())
        out.push_back({text(files, 0), text(files, 1), text(files, 2), unsignedOf(files, 3), text(files, 4)});
    return out;
}

LogReader::LogReader(const std::string& path) : impl_(std::make_unique<Impl>()) {
    impl_->path = path;
    impl_->database = openLogForReading(path);
    guarded(path, [&] {
        if (impl_->database->execAndGet("PRAGMA application_id").getInt() != kLogApplicationId)
            throw Error(ErrorCode::logCorrupt, "'" + path + "' is an SQLite database, but not a Bitwright log", "name another file with --log");
        const int version = logVersion(*impl_->database);
        if (version <= currentLogVersion())
            return;
        const std::string newer = "the log '" + path + "' was made by a newer version of this program (" + std::to_string(version) + "; this one writes " +
                                  std::to_string(currentLogVersion()) + ")";
        if (const std::string missing = missingFromLog(*impl_->database); !missing.empty())
            throw Error(ErrorCode::logTooNew, newer + " and has no " + missing, "use the newer program; a sqlite3 shell can read it too");
        impl_->notice = newer + ": it is only read";
    });
}

LogReader::~LogReader() = default;

const std::string& LogReader::notice() const { return impl_->notice; }

std::vector<RunSummary> LogReader::runs(std::int64_t limit, RunId before) const {
    return impl_->read([&](SQLite::Database& database) {
        std::vector<RunSummary> out;
        SQLite::Statement rows(database, std::string(kSummaryColumns) + "WHERE r.id < ? ORDER BY r.id DESC LIMIT ?");
        bindValues(rows, before.value() == 0 ? INT64_MAX : before.value(), limit);
        while (rows.executeStep())
            out.push_back(summaryOf(rows));
        addMetricsAndTags(database, out);
        return out;
    });
}

std::vector<RunId> LogReader::replicates(RunId id) const {
    return impl_->read([&](SQLite::Database& database) {
        requireRun(database, id, impl_->path);
        std::vector<RunId> out;
        // What stands before "export" is the same text, which is cheaper to see than JSON to take apart.
        SQLite::Statement rows(database, "WITH mine AS (SELECT kind, checkpoint, substr(recipe, 1, instr(recipe, '\"export\"')) AS head, json_remove(recipe, '$.seed', '$.name', '$.export.path', '$.export.replace') AS what FROM runs WHERE id = ?) "
                                         "SELECT r.id FROM runs r JOIN mine ON r.kind = mine.kind AND r.checkpoint = mine.checkpoint "
                                         "WHERE r.status = 'done' AND substr(r.recipe, 1, instr(r.recipe, '\"export\"')) = mine.head AND json_remove(r.recipe, '$.seed', '$.name', '$.export.path', '$.export.replace') = mine.what ORDER BY r.id");
        bindValues(rows, id);
        while (rows.executeStep())
            out.push_back(RunId(rows.getColumn(0).getInt64()));
        return out;
    });
}

RunDetail LogReader::run(RunId id) const {
    return impl_->read([&](SQLite::Database& database) {
        requireRun(database, id, impl_->path);
        RunDetail detail;
        SQLite::Statement row(database, std::string(kSummaryColumns) + "WHERE r.id = ?");
        bindValues(row, id);
        row.executeStep();
        std::vector<RunSummary> one{summaryOf(row)};
        addMetricsAndTags(database, one);
        detail.summary = std::move(one.front());
        SQLite::Statement checkpoint(database, std::string(kCheckpointColumns) + "JOIN runs r ON r.checkpoint = c.id WHERE r.id = ?");
        bindValues(checkpoint, id);
        if (checkpoint.executeStep())
            detail.checkpoint = checkpointOf(checkpoint);
        addStack(database, detail);
        addFilesAndTexts(database, detail);
        addAssignmentRows(database, detail);
        return detail;
    });
}

std::string LogReader::checkpointSha256(RunId id) const {
    return impl_->read([&](SQLite::Database& database) -> std::string {
        SQLite::Statement row(database, "SELECT json_extract(json, '$.checkpoint_sha256') FROM results WHERE run = ?");
        bindValues(row, id);
        return row.executeStep() && !row.getColumn(0).isNull() ? text(row, 0) : std::string();
    });
}

Json LogReader::result(RunId id) const {
    const std::string found = impl_->read([&](SQLite::Database& database) -> std::string {
        SQLite::Statement row(database, "SELECT json FROM results WHERE run = ?");
        bindValues(row, id);
        return row.executeStep() ? text(row, 0) : std::string();
    });
    return found.empty() ? Json() : parseJson(found, "result of run " + std::to_string(id.value()));
}

std::vector<SensitivityRow> LogReader::sensitivities(RunId id) const {
    return impl_->read([&](SQLite::Database& database) {
        std::vector<SensitivityRow> out;
        const std::string tokens = logVersion(database) < kVersionWithProbes ? "0" : "tokens"; // a log that is only read stays as old as it is
        SQLite::Statement rows(database, "SELECT site, format, used, metric, bytes, value, standard_error, " + tokens +
                                             " FROM sensitivities WHERE run = ? ORDER BY site, format");
        bindValues(rows, id);
        while (rows.executeStep())
            out.push_back({text(rows, 0), text(rows, 1), text(rows, 2), text(rows, 3), unsignedOf(rows, 4), rows.getColumn(5).getDouble(), rows.getColumn(6).getDouble(),
                           rows.getColumn(7).getInt64()});
        return out;
    });
}

std::map<std::string, std::map<std::string, std::vector<float>>> LogReader::fisherProjections(RunId id) const {
    return impl_->read([&](SQLite::Database& database) {
        std::map<std::string, std::map<std::string, std::vector<float>>> out;
        if (logVersion(database) < kVersionWithProbes)
            return out;
        SQLite::Statement rows(database, "SELECT site, format, projections FROM fisher_probes WHERE run = ?");
        bindValues(rows, id);
        while (rows.executeStep())
            out[text(rows, 0)][text(rows, 1)] = blobOf<float>(rows, 2);
        return out;
    });
}

std::optional<FisherFacts> LogReader::fisherFacts(RunId id) const {
    return impl_->read([&](SQLite::Database& database) -> std::optional<FisherFacts> {
        SQLite::Statement row(database, "SELECT w.value, d.value, s.value FROM metrics w JOIN metrics d ON d.run = w.run JOIN metrics s ON s.run = w.run "
                                        "WHERE w.run = ? AND w.name = 'fisher_windows' AND d.name = 'fisher_draws' AND s.name = 'saturation'");
        bindValues(row, id);
        if (!row.executeStep())
            return std::nullopt;
        return FisherFacts{row.getColumn(0).getInt64(), row.getColumn(1).getInt(), row.getColumn(2).getDouble()};
    });
}

std::vector<SiteStatisticsRow> LogReader::siteStatistics(RunId id) const {
    return impl_->read([&](SQLite::Database& database) {
        std::vector<SiteStatisticsRow> out;
        std::unordered_map<std::string, std::size_t> byGroup;
        SQLite::Statement rows(database, "SELECT s.input_group, s.sites, s.tokens, s.abs_max, s.outlier_share, s.kurtosis, s.outlier_channels, "
                                         "s.channel_max, h.low, h.high, h.bins, h.below, h.above, h.nan, h.infinite FROM site_statistics s "
                                         "JOIN histograms h ON h.run = s.run AND h.input_group = s.input_group WHERE s.run = ? ORDER BY s.input_group");
        bindValues(rows, id);
        while (rows.executeStep()) {
            SiteStatisticsRow& made = out.emplace_back();
            made.group = text(rows, 0);
            made.sites = text(rows, 1);
            made.tokens = rows.getColumn(2).getInt64();
            made.absMax = rows.getColumn(3).getDouble();
            made.outlierShare = rows.getColumn(4).getDouble();
            made.kurtosis = rows.getColumn(5).getDouble();
            made.outlierChannels = rows.getColumn(6).getInt();
            made.channelMax = floatsOf(text(rows, 7));
            made.histogram = histogramOf(rows, 8);
            byGroup[made.group] = out.size() - 1;
        }
        SQLite::Statement ranges(database, "SELECT input_group, calibrator, low, high, heldout_error FROM clip_ranges WHERE run = ?");
        bindValues(ranges, id);
        while (ranges.executeStep()) {
            const auto found = byGroup.find(text(ranges, 0));
            if (found == byGroup.end())
                continue;
            SiteStatisticsRow& row = out[found->second];
            row.ranges[text(ranges, 1)] = {ranges.getColumn(2).getDouble(), ranges.getColumn(3).getDouble()};
            if (!ranges.getColumn(4).isNull())
                row.heldOutError[text(ranges, 1)] = ranges.getColumn(4).getDouble();
        }
        return out;
    });
}

std::optional<TokenScoreRow> LogReader::tokenScores(RunId id) const {
    return impl_->read([&](SQLite::Database& database) -> std::optional<TokenScoreRow> {
        const int version = logVersion(database);
        const bool parts = version >= kVersionWithParts, top = version >= kVersionWithTop;
        SQLite::Statement row(database, std::string("SELECT ids, nll, kl") + (parts ? ", marks, texts" : "") + (top ? ", top_tokens" : "") + " FROM token_scores WHERE run = ?");
        bindValues(row, id);
        if (!row.executeStep())
            return std::nullopt;
        TokenScoreRow out{blobOf<float>(row, 1), blobOf<float>(row, 2), blobOf<TokenId>(row, 0)};
        if (parts) {
            out.marks = blobOf<std::uint8_t>(row, 3);
            out.texts = scoredTextsOf(text(row, 4), out.nll.size());
        }
        if (top)
            out.topTokens = blobOf<std::uint8_t>(row, 5);
        return out;
    });
}

std::vector<SiteRoundingRow> LogReader::siteRounding(RunId id) const {
    return impl_->read([&](SQLite::Database& database) {
        std::vector<SiteRoundingRow> out;
        if (logVersion(database) < kVersionWithMethods)
            return out;
        SQLite::Statement rows(database, "SELECT site, rounder, error_nearest, error, damping, fallback, tokens FROM site_rounding WHERE run = ? ORDER BY site");
        bindValues(rows, id);
        while (rows.executeStep())
            out.push_back({text(rows, 0), text(rows, 1), realOf(rows, 2), realOf(rows, 3), rows.getColumn(4).getDouble(), text(rows, 5), rows.getColumn(6).getInt64()});
        return out;
    });
}

Json LogReader::transform(RunId id) const {
    const std::string found = impl_->read([&](SQLite::Database& database) -> std::string {
        if (logVersion(database) < kVersionWithMethods)
            return {};
        SQLite::Statement row(database, "SELECT json FROM transforms WHERE run = ?");
        bindValues(row, id);
        return row.executeStep() ? text(row, 0) : std::string();
    });
    return found.empty() ? Json() : parseJson(found, "transform of run " + std::to_string(id.value()));
}

std::vector<DataWarning> LogReader::warnings(RunId id) const {
    return impl_->read([&](SQLite::Database& database) {
        std::vector<DataWarning> out;
        if (logVersion(database) < kVersionWithMethods)
            return out;
        SQLite::Statement rows(database, "SELECT kind, seen, why, remedy, details FROM warnings WHERE run = ? ORDER BY position");
        bindValues(rows, id);
        while (rows.executeStep()) {
            DataWarning& made = out.emplace_back(DataWarning{text(rows, 0), text(rows, 1), text(rows, 2), text(rows, 3)});
            for (const Json& detail : parseJson(text(rows, 4), "details of a warning"))
                if (detail.is_string())
                    made.details.push_back(detail.get<std::string>());
        }
        return out;
    });
}

std::vector<RangeErrorRow> LogReader::rangeErrors(RunId id) const {
    return impl_->read([&](SQLite::Database& database) {
        std::vector<RangeErrorRow> out;
        if (logVersion(database) < kVersionWithMethods)
            return out;
        SQLite::Statement rows(database, "SELECT input_group, scope, calibrator, error FROM range_errors WHERE run = ? ORDER BY input_group, scope, calibrator");
        bindValues(rows, id);
        while (rows.executeStep())
            out.push_back({text(rows, 0), text(rows, 1), text(rows, 2), rows.getColumn(3).getDouble()});
        return out;
    });
}

std::vector<ChannelStatisticsRow> LogReader::channelStatistics(RunId id) const {
    return impl_->read([&](SQLite::Database& database) {
        std::vector<ChannelStatisticsRow> out;
        if (logVersion(database) < kVersionWithMethods)
            return out;
        SQLite::Statement rows(database, "SELECT input_group, mean, mean_absolute, mean_square, low, high, weight_max, weight_squares "
                                         "FROM channel_statistics WHERE run = ? ORDER BY input_group");
        bindValues(rows, id);
        while (rows.executeStep())
            out.push_back({text(rows, 0), blobOf<float>(rows, 1), blobOf<float>(rows, 2), blobOf<float>(rows, 3), blobOf<float>(rows, 4), blobOf<float>(rows, 5),
                           blobOf<float>(rows, 6), blobOf<float>(rows, 7)});
        return out;
    });
}

std::vector<ExpertCoverageRow> LogReader::expertCoverage(RunId id) const {
    return impl_->read([&](SQLite::Database& database) {
        std::vector<ExpertCoverageRow> out;
        if (logVersion(database) < kVersionWithMethods)
            return out;
        SQLite::Statement rows(database, "SELECT block, expert, tokens FROM expert_coverage WHERE run = ? ORDER BY block, expert");
        bindValues(rows, id);
        while (rows.executeStep())
            out.push_back({rows.getColumn(0).getInt(), rows.getColumn(1).getInt(), rows.getColumn(2).getInt64()});
        return out;
    });
}

std::vector<OutputPairRow> LogReader::outputPairs(RunId id) const {
    return impl_->read([&](SQLite::Database& database) {
        std::vector<OutputPairRow> out;
        if (logVersion(database) < kVersionWithPairs)
            return out;
        SQLite::Statement rows(database, "SELECT prompt_id, prompt, divergence, cosine, json FROM output_pairs WHERE run = ? ORDER BY position");
        bindValues(rows, id);
        while (rows.executeStep())
            out.push_back({text(rows, 0), text(rows, 1), rows.getColumn(2).getInt64(), rows.getColumn(3).getDouble(), parseJson(text(rows, 4), "outputs of a prompt")});
        return out;
    });
}

RunId LogReader::latest(const std::string& kind, const std::string& checkpointPath) const {
    return impl_->read([&](SQLite::Database& database) {
        return RunId(lookUp(database, 0,
                            "SELECT r.id FROM runs r JOIN checkpoints c ON c.id = r.checkpoint "
                            "WHERE r.kind = ? AND c.path = ? AND r.status = 'done' ORDER BY r.id DESC LIMIT 1",
                            kind, checkpointPath));
    });
}

std::int64_t LogReader::dataVersion() const {
    const std::lock_guard lock(impl_->mutex);
    return guarded(impl_->path, [&] { return impl_->database->execAndGet("PRAGMA data_version").getInt64(); });
}

std::vector<CheckpointRow> LogReader::checkpoints() const {
    return impl_->read([&](SQLite::Database& database) {
        std::vector<CheckpointRow> out;
        SQLite::Statement rows(database, std::string(kCheckpointColumns) + "ORDER BY c.id DESC");
        while (rows.executeStep())
            out.push_back(checkpointOf(rows));
        return out;
    });
}

} // namespace bw
