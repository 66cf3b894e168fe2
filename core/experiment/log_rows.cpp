// SPDX-License-Identifier: GPL-3.0-or-later
// Rows that stages add to their run.
#include "core/experiment/log_impl.h"
#include "core/sensitivity/fisher.h"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>

namespace bw {
namespace {

std::string joined(const std::vector<std::string>& words) {
    std::string out;
    for (const std::string& word : words)
        out += (out.empty() ? "" : ", ") + word;
    return out;
}

/// Sites of a group by name; a result knows ids only.
std::vector<std::string> siteNames(const InputStatistics& input, const std::vector<std::string>& names) {
    std::vector<std::string> out;
    for (const SiteId site : input.sites)
        out.push_back(site.value() >= 0 && static_cast<std::size_t>(site.value()) < names.size()
                          ? names[static_cast<std::size_t>(site.value())]
                          : "site " + std::to_string(site.value()));
    return out;
}

/// A JSON array of floats as short as it can be while giving the same floats back.
std::string jsonOf(const std::vector<float>& values) {
    std::string out = "[";
    for (const float value : values) {
        if (out.size() > 1)
            out += ',';
        out += std::isfinite(value) ? fmt::format("{}", value) : "null";
    }
    return out + "]";
}

double finiteOrZero(double value) { return std::isfinite(value) ? value : 0.0; }

std::optional<double> finiteOrNull(double value) { return std::isfinite(value) ? std::optional(value) : std::nullopt; }

template <class T>
std::span<const std::byte> bytesOf(const std::vector<T>& values) {
    return std::as_bytes(std::span(values));
}

/// Sums over tokens as means in f32.
std::vector<float> meansOf(const std::vector<double>& sums, std::int64_t tokens) {
    std::vector<float> means;
    for (const double sum : sums)
        means.push_back(tokens > 0 ? static_cast<float>(sum / static_cast<double>(tokens)) : 0.0f);
    return means;
}

void addChannels(SQLite::Database& database, RunId id, const InputStatistics& input) {
    const std::vector<float> mean = meansOf(input.sums, input.tokens), absolute = meansOf(input.sumAbsolute, input.tokens),
                             square = meansOf(input.sumSquares, input.tokens), weightSquares = meansOf(input.weightSquares, 1);
    execute(database,
            "INSERT OR REPLACE INTO channel_statistics (run, input_group, channels, mean, mean_absolute, mean_square, low, high, weight_max, weight_squares) "
            "VALUES (?,?,?,?,?,?,?,?,?,?)",
            id, input.group, static_cast<std::int64_t>(mean.size()), bytesOf(mean), bytesOf(absolute), bytesOf(square), bytesOf(input.channelLow),
            bytesOf(input.channelHigh), bytesOf(input.weightMax), bytesOf(weightSquares));
}

void addRangeErrors(SQLite::Database& database, RunId id, const InputStatistics& input) {
    const auto add = [&](const char* scope, const std::string& calibrator, double error) {
        if (std::isfinite(error))
            execute(database, "INSERT OR REPLACE INTO range_errors (run, input_group, scope, calibrator, error) VALUES (?,?,?,?,?)", id, input.group,
                    std::string(scope), calibrator, error);
    };
    for (const auto& [calibrator, error] : input.heldOutError)
        add("tensor", calibrator, error);
    for (const auto& [calibrator, error] : input.heldOutChannelError)
        add("channel", calibrator, error);
    add("token", "dynamic", input.heldOutTokenError);
}

void addInput(SQLite::Database& database, RunId id, const InputStatistics& input, const std::vector<std::string>& names) {
    double absMax = 0;
    for (const float value : input.channelMax)
        absMax = std::max(absMax, static_cast<double>(value));
    execute(database,
            "INSERT OR REPLACE INTO site_statistics (run, input_group, sites, tokens, abs_max, outlier_share, outlier_channels, kurtosis, channel_max) "
            "VALUES (?,?,?,?,?,?,?,?,?)",
            id, input.group, joined(siteNames(input, names)), input.tokens, finiteOrZero(absMax), finiteOrZero(input.outlierShare),
            input.outlierChannels, finiteOrZero(input.kurtosis), jsonOf(input.channelMax));
    for (const auto& [calibrator, range] : input.ranges) {
        const auto error = input.heldOutError.find(calibrator);
        execute(database, "INSERT OR REPLACE INTO clip_ranges (run, input_group, calibrator, low, high, heldout_error) VALUES (?,?,?,?,?,?)", id,
                input.group, calibrator, finiteOrZero(range.low), finiteOrZero(range.high),
                error == input.heldOutError.end() ? std::nullopt : finiteOrNull(error->second));
    }
    const Histogram& histogram = input.fit.histogram();
    execute(database, "INSERT OR REPLACE INTO histograms (run, input_group, low, high, bins, below, above, nan, infinite) VALUES (?,?,?,?,?,?,?,?,?)",
            id, input.group, static_cast<double>(histogram.low), static_cast<double>(histogram.high), Json(histogram.bins).dump(),
            histogram.below, histogram.above, histogram.nan, histogram.infinite);
    addChannels(database, id, input);
    addRangeErrors(database, id, input);
}

void insertCell(SQLite::Database& database, RunId id, const SensitivityCell& cell, SensitivityMetric metric) {
    execute(database,
            "INSERT OR REPLACE INTO sensitivities (run, site, format, used, metric, bytes, value, standard_error, tokens) VALUES (?,?,?,?,?,?,?,?,?)", id,
            cell.site_name, cell.format, cell.used, std::string(metricName(metric)), cell.bytes, cell.value, cell.standardError, cell.tokens);
}

/// The site of a cell's name; −1 for the input of a group of sites and for a block's cache. @throws Error(usage).
SiteId siteOfCell(const Model& model, const std::string& name, RunId run) {
    if (const Site* site = model.findSite(name))
        return site->id;
    const auto& groups = model.inputGroups();
    const bool input = std::any_of(groups.begin(), groups.end(), [&](const InputGroup& group) { return group.name == name; });
    const auto isCache = [&] {
        for (int b = 0; b < model.config().blocks; ++b)
            if (const std::string block = "blk." + std::to_string(b); name == block + ".k_cache" || name == block + ".v_cache")
                return true;
        return false;
    };
    if (!input && !isCache())
        throw Error(ErrorCode::usage, "run " + std::to_string(run.value()) + " has a cell for site '" + name + "', which this checkpoint lacks",
                    "resume it with the checkpoint it began with");
    return SiteId(-1);
}

} // namespace

void ExperimentLog::addDataset(RunId id, const TextData& data, const std::string& role) {
    impl_->transact([&](SQLite::Database& database) {
        impl_->requireRun(id);
        execute(database, "INSERT OR IGNORE INTO datasets (path, sha256, bytes) VALUES (?,?,?)", data.path, data.sha256, data.bytes);
        const std::int64_t dataset = lookUp(database, 0, "SELECT id FROM datasets WHERE path = ? AND sha256 = ?", data.path, data.sha256);
        execute(database, "INSERT OR REPLACE INTO run_datasets (run, dataset, role, tokens) VALUES (?,?,?,?)", id, dataset, role,
                static_cast<std::int64_t>(data.ids.size()));
    });
}

void ExperimentLog::addMetrics(RunId id, const std::vector<MetricRow>& metrics) {
    impl_->transact([&](SQLite::Database& database) {
        impl_->requireRun(id);
        for (const MetricRow& metric : metrics)
            execute(database, "INSERT OR REPLACE INTO metrics (run, name, value, standard_error, unit) VALUES (?,?,?,?,?)", id, metric.name,
                    finiteOrNull(metric.value), metric.standardError, metric.unit);
    });
}

void ExperimentLog::addSiteStatistics(RunId id, const CalibrationResult& result, const std::vector<std::string>& siteNamesById) {
    impl_->transact([&](SQLite::Database& database) {
        impl_->requireRun(id);
        for (const InputStatistics& input : result.inputs)
            addInput(database, id, input, siteNamesById);
    });
}

void ExperimentLog::addSiteStatistics(RunId id, const CalibrationResult& result) { addSiteStatistics(id, result, {}); }

void ExperimentLog::addSensitivity(RunId id, const SensitivityCell& cell, SensitivityMetric metric) {
    impl_->transact([&](SQLite::Database& database) { insertCell(database, id, cell, metric); });
}

void ExperimentLog::addFisherRow(RunId id, const FisherRow& row) {
    impl_->transact([&](SQLite::Database& database) {
        insertCell(database, id, row.cell, SensitivityMetric::fisher);
        execute(database, "INSERT OR REPLACE INTO fisher_probes (run, site, format, projections) VALUES (?,?,?,?)", id, row.cell.site_name,
                row.cell.format, bytesOf(row.projections));
    });
}

void ExperimentLog::addFisherFacts(RunId id, const FisherFacts& facts) {
    addMetrics(id, {{"fisher_windows", static_cast<double>(facts.windows), std::nullopt, "windows"},
                    {"fisher_draws", static_cast<double>(facts.draws), std::nullopt, "draws"},
                    {"saturation", facts.saturation, std::nullopt, "nats"}});
}

void ExperimentLog::addAssignments(RunId id, const std::vector<AssignmentRow>& rows) {
    impl_->transact([&](SQLite::Database& database) {
        impl_->requireRun(id);
        std::int64_t position = 0;
        for (const AssignmentRow& row : rows)
            execute(database,
                    "INSERT OR REPLACE INTO assignments (run, position, site, asked, used, why, bytes, cost, relative_error) VALUES (?,?,?,?,?,?,?,?,?)",
                    id, position++, row.site, row.asked, row.used, row.why, row.bytes, row.cost, finiteOrZero(row.relativeError));
    });
}

void ExperimentLog::addArtifact(RunId id, const ArtifactRow& artifact) {
    impl_->transact([&](SQLite::Database& database) {
        impl_->requireRun(id);
        execute(database,
                "INSERT INTO artifacts (run, kind, path, sha256, bytes, state, created_at) VALUES (?,?,?,?,?,?,?) "
                "ON CONFLICT (run, path) DO UPDATE SET kind = excluded.kind, sha256 = excluded.sha256, bytes = excluded.bytes, state = excluded.state",
                id, artifact.kind, artifact.path, artifact.sha256, artifact.bytes, artifact.state, utcNow());
    });
}

void ExperimentLog::addOutput(RunId id, const OutputRow& output) {
    impl_->transact([&](SQLite::Database& database) {
        impl_->requireRun(id);
        execute(database, "INSERT INTO outputs (run, prompt, text, ids) VALUES (?,?,?,?)", id, output.prompt, output.text, output.ids.dump());
    });
}

void ExperimentLog::addTokenScores(RunId id, const TokenScoreRow& scores) {
    impl_->transact([&](SQLite::Database& database) {
        impl_->requireRun(id);
        Json texts = Json::array();
        for (const ScoredText& text : scores.texts)
            texts.push_back({{"name", text.name}, {"unit", text.unit}, {"documents", text.documents}});
        execute(database, "INSERT OR REPLACE INTO token_scores (run, tokens, ids, nll, kl, marks, texts, top_tokens) VALUES (?,?,?,?,?,?,?,?)", id,
                static_cast<std::int64_t>(scores.nll.size()), bytesOf(scores.ids), bytesOf(scores.nll), bytesOf(scores.kl), bytesOf(scores.marks),
                texts.dump(-1, ' ', false, Json::error_handler_t::replace), bytesOf(scores.topTokens));
    });
}

void ExperimentLog::addSiteRounding(RunId id, const std::vector<SiteRoundingRow>& rows) {
    impl_->transact([&](SQLite::Database& database) {
        impl_->requireRun(id);
        for (const SiteRoundingRow& row : rows)
            execute(database, "INSERT OR REPLACE INTO site_rounding (run, site, rounder, error_nearest, error, damping, fallback, tokens) VALUES (?,?,?,?,?,?,?,?)", id,
                    row.site, row.rounder, finiteOrNull(row.errorNearest), finiteOrNull(row.error), finiteOrZero(row.damping), row.fallback, row.tokens);
    });
}

void ExperimentLog::setTransform(RunId id, const Json& transform) {
    impl_->transact([&](SQLite::Database& database) {
        impl_->requireRun(id);
        execute(database, "INSERT OR REPLACE INTO transforms (run, json) VALUES (?,?)", id, transform.dump(-1, ' ', false, Json::error_handler_t::replace));
    });
}

namespace {

void insertWarnings(SQLite::Database& database, RunId id, const std::vector<DataWarning>& warnings) {
    std::int64_t position = lookUp(database, 0, "SELECT coalesce(max(position) + 1, 0) FROM warnings WHERE run = ?", id);
    for (const DataWarning& warning : warnings)
        execute(database, "INSERT INTO warnings (run, position, kind, seen, why, remedy, details) VALUES (?,?,?,?,?,?,?)", id, position++, warning.kind,
                warning.seen, warning.why, warning.remedy, Json(warning.details).dump(-1, ' ', false, Json::error_handler_t::replace));
}

} // namespace

void ExperimentLog::setWarnings(RunId id, const std::vector<DataWarning>& warnings) {
    impl_->transact([&](SQLite::Database& database) {
        impl_->requireRun(id);
        execute(database, "DELETE FROM warnings WHERE run = ?", id);
        insertWarnings(database, id, warnings);
    });
}

void ExperimentLog::addWarnings(RunId id, const std::vector<DataWarning>& warnings) {
    impl_->transact([&](SQLite::Database& database) {
        impl_->requireRun(id);
        insertWarnings(database, id, warnings);
    });
}

void ExperimentLog::addExpertCoverage(RunId id, const std::vector<ExpertCoverageRow>& rows) {
    impl_->transact([&](SQLite::Database& database) {
        impl_->requireRun(id);
        for (const ExpertCoverageRow& row : rows)
            execute(database, "INSERT OR REPLACE INTO expert_coverage (run, block, expert, tokens) VALUES (?,?,?,?)", id, row.block, row.expert, row.tokens);
    });
}

void ExperimentLog::setOutputPairs(RunId id, const std::vector<OutputPairRow>& rows) {
    impl_->transact([&](SQLite::Database& database) {
        impl_->requireRun(id);
        execute(database, "DELETE FROM output_pairs WHERE run = ?", id);
        std::int64_t position = 0;
        for (const OutputPairRow& row : rows)
            execute(database, "INSERT INTO output_pairs (run, position, prompt_id, prompt, divergence, cosine, json) VALUES (?,?,?,?,?,?,?)", id, position++, row.promptId, row.prompt,
                    row.divergence, row.cosine, row.json.dump(-1, ' ', false, Json::error_handler_t::replace));
    });
}

void ExperimentLog::setResult(RunId id, const Json& result) {
    Json kept = result;
    if (kept.is_object()) {
        kept.erase("sites");
        kept.erase("cells");
    }
    impl_->transact([&](SQLite::Database& database) {
        impl_->requireRun(id);
        // Which shards a merged sweep was made of stays known.
        execute(database,
                "INSERT INTO results (run, json) VALUES (?,?) ON CONFLICT (run) DO UPDATE SET json = CASE WHEN json_type(json, '$.merged') IS NULL "
                "THEN excluded.json ELSE json_set(excluded.json, '$.merged', json_extract(json, '$.merged')) END",
                id, kept.dump(-1, ' ', false, Json::error_handler_t::replace));
    });
}

void ExperimentLog::setNote(RunId id, const std::string& note) {
    impl_->transact([&](SQLite::Database& database) {
        impl_->requireRun(id);
        if (note.empty())
            execute(database, "DELETE FROM notes WHERE run = ?", id);
        else
            execute(database, "INSERT OR REPLACE INTO notes (run, text, written_at) VALUES (?,?,?)", id, note, utcNow());
    });
}

void ExperimentLog::setStar(RunId id, bool starred) {
    impl_->transact([&](SQLite::Database& database) {
        impl_->requireRun(id);
        execute(database, "UPDATE runs SET starred = ? WHERE id = ?", starred ? 1 : 0, id);
    });
}

void ExperimentLog::addTag(RunId id, const std::string& tag) {
    impl_->transact([&](SQLite::Database& database) {
        impl_->requireRun(id);
        execute(database, "INSERT OR IGNORE INTO tags (run, tag) VALUES (?,?)", id, tag);
    });
}

void ExperimentLog::removeTag(RunId id, const std::string& tag) {
    impl_->transact([&](SQLite::Database& database) {
        impl_->requireRun(id);
        execute(database, "DELETE FROM tags WHERE run = ? AND tag = ?", id, tag);
    });
}

std::vector<SensitivityCell> ExperimentLog::knownCells(RunId id, const Model& model) const {
    const std::lock_guard lock(impl_->mutex);
    return guarded(impl_->path, [&] {
        impl_->requireRun(id);
        std::vector<SensitivityCell> cells;
        SQLite::Statement rows(*impl_->database, "SELECT site, format, used, bytes, value, standard_error, tokens FROM sensitivities WHERE run = ?");
        bindValues(rows, id);
        while (rows.executeStep()) {
            const std::string name = rows.getColumn(0).getString();
            cells.push_back({siteOfCell(model, name, id), name, rows.getColumn(1).getString(), rows.getColumn(2).getString(),
                             static_cast<std::uint64_t>(rows.getColumn(3).getInt64()), rows.getColumn(4).getDouble(), rows.getColumn(5).getDouble(),
                             rows.getColumn(6).getInt64()});
        }
        return cells;
    });
}

} // namespace bw
