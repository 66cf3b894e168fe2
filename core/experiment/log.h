// SPDX-License-Identifier: GPL-3.0-or-later
// The experiment log: one SQLite database (WAL, foreign keys, numbered migrations) that a plain sqlite3 shell can read.
// `ExperimentLog` is the one writer of a process; `LogReader` opens its own read-only connection per thread.
// Tables: checkpoints, datasets, stacks, runs, metrics, site_statistics, histograms, sensitivities, fisher_probes,
// assignments, site_rounding, transforms, warnings, range_errors, channel_statistics, expert_coverage, outputs, artifacts,
// output_pairs, notes, tags (see schema.h). Times are UTC ISO 8601.
#pragma once

#include "core/base/json.h"
#include "core/calibrate/data_warnings.h"
#include "core/calibrate/observers.h"
#include "core/evaluate/parts.h"
#include "core/experiment/recipe.h"
#include "core/quantize/export.h"
#include "core/sensitivity/sensitivity.h"

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace bw {

struct FisherRow;   // core/sensitivity/fisher.h
struct FisherFacts;

enum class RunStatus { running, done, failed, cancelled, interrupted };
std::string_view runStatusName(RunStatus status);

struct MetricRow { std::string name; double value = 0; std::optional<double> standardError; std::string unit; };

/// One line of the runs table.
struct RunSummary {
    RunId id;
    std::string kind, name, status, checkpoint, startedAt; ///< checkpoint: display name
    double seconds = 0;
    std::string error;                    ///< empty unless failed
    std::vector<MetricRow> metrics;
    std::vector<std::string> tags;
    bool starred = false;
    std::string note;
    std::string checkpointPath;
};

struct CheckpointRow { std::int64_t id = 0; std::string path, name, kind, family; std::int64_t parameters = 0; std::uint64_t bytes = 0; double bitsPerWeight = 0; };
struct StackRow { std::int64_t id = 0; std::string program, compiler, libraries, cpu, device; int threads = 0; };
struct DatasetRow { std::int64_t id = 0; std::string path, sha256, role; std::uint64_t bytes = 0; std::int64_t tokens = 0; };
struct SiteStatisticsRow { std::string group, sites; std::int64_t tokens = 0; double absMax = 0, outlierShare = 0, kurtosis = 0; int outlierChannels = 0;
    std::vector<float> channelMax; std::map<std::string, ClipRange> ranges; std::map<std::string, double> heldOutError; Histogram histogram; };
struct SensitivityRow { std::string site, format, used, metric; std::uint64_t bytes = 0; double value = 0, standardError = 0;
    std::int64_t tokens = 0; ///< that passed the site; 0: not recorded
};
struct AssignmentRow { std::string site, asked, used, why; std::uint64_t bytes = 0; double cost = 0; double relativeError = 0; };
struct ArtifactRow { std::string kind, path, sha256; std::uint64_t bytes = 0; std::string state; };
struct OutputRow { std::string prompt, text; Json ids; };
/// What a rounder made of a site; errors are relative output errors of nearest rounding and of what was kept.
struct SiteRoundingRow { std::string site, rounder; double errorNearest = 0, error = 0, damping = 0; std::string fallback; std::int64_t tokens = 0; };
/// Calibration tokens that were routed to an expert.
struct ExpertCoverageRow { int block = 0, expert = 0; std::int64_t tokens = 0; };
/// Relative squared error of an 8-bit grid on held-out windows. scope: tensor, channel, token.
struct RangeErrorRow { std::string group, scope, calibrator; double error = 0; };
/// Per channel of an input; weightMax and weightSquares are of its column in the sites that read it and may be empty.
struct ChannelStatisticsRow { std::string group; std::vector<float> mean, meanAbsolute, meanSquare, low, high, weightMax, weightSquares; };
/// A run that was asked for the same kind of work on the same checkpoint by this very executable, CPU and device.
struct EarlierRun {
    RunId id;
    std::string status, startedAt;
    Json recipe, result;                  ///< result: null unless the run is done
    std::vector<DatasetRow> datasets;
    std::vector<ArtifactRow> artifacts;
};
/// Per-token scores of an evaluation kept for plots (window order).
struct TokenScoreRow {
    std::vector<float> nll, kl;
    std::vector<TokenId> ids;
    std::vector<std::uint8_t> marks = {};  ///< kTokenWasLikeliest, kSameLikeliest; empty for runs of older versions
    std::vector<ScoredText> texts = {};    ///< in window order; empty for runs of older versions
    std::vector<std::uint8_t> topTokens = {}; ///< packed as TopTokenTable reads them; empty for runs of older versions
};

/// Both models' outputs to one prompt; `json` as schema.cpp says.
struct OutputPairRow { std::string promptId, prompt; std::int64_t divergence = -1; double cosine = 1; Json json; };

/// Everything about one run.
struct RunDetail {
    RunSummary summary;
    Json recipe;
    CheckpointRow checkpoint;
    StackRow stack;
    std::vector<DatasetRow> datasets;
    std::vector<AssignmentRow> assignments;
    std::vector<ArtifactRow> artifacts;
    std::vector<OutputRow> outputs;
    std::string commandLine;
};

/// Read models; safe to use while a writer works. Short transactions.
class LogReader {
public:
    /// A log of a newer version is read as long as it has every table and column that is read here.
    /// @throws Error fileNotFound, logTooNew (names what is missing), logCorrupt, logBusy.
    explicit LogReader(const std::string& path);
    ~LogReader();
    /// What a person should know about this log ("made by a newer version: only read"); mostly empty.
    const std::string& notice() const;
    /// Newest first. @param before  only runs older than this one: a page ends with the run that the next one begins behind.
    /// Cost: about 10 µs a run.
    std::vector<RunSummary> runs(std::int64_t limit = 10000, RunId before = {}) const;
    /// Finished runs of the same recipe but for seed, name and where a file goes, this one included if it is finished; oldest first.
    std::vector<RunId> replicates(RunId id) const;
    RunDetail run(RunId id) const;                                   ///< @throws Error(unknownRun)
    /// Of the weights that a finished run worked on; empty while it is not known.
    std::string checkpointSha256(RunId id) const;
    /// What a finished run gave its caller, as setResult took it; null while there is none.
    Json result(RunId id) const;
    std::vector<SensitivityRow> sensitivities(RunId id) const;
    /// Projections of a Fisher sketch by site and asked format; empty when the run has none.
    std::map<std::string, std::map<std::string, std::vector<float>>> fisherProjections(RunId id) const;
    std::optional<FisherFacts> fisherFacts(RunId id) const;
    std::vector<SiteStatisticsRow> siteStatistics(RunId id) const;
    std::optional<TokenScoreRow> tokenScores(RunId id) const;
    // Empty for runs of older versions.
    std::vector<SiteRoundingRow> siteRounding(RunId id) const;  ///< by site name
    Json transform(RunId id) const;                             ///< null: none was fitted
    std::vector<DataWarning> warnings(RunId id) const;          ///< in the order they were added
    std::vector<RangeErrorRow> rangeErrors(RunId id) const;     ///< by input, scope and calibrator
    std::vector<ChannelStatisticsRow> channelStatistics(RunId id) const; ///< by input
    std::vector<ExpertCoverageRow> expertCoverage(RunId id) const;       ///< by block and expert
    std::vector<OutputPairRow> outputPairs(RunId id) const;              ///< in the order of the prompts
    /// Latest finished run of a kind for a checkpoint path; none → RunId(0).
    RunId latest(const std::string& kind, const std::string& checkpointPath) const;
    /// Grows with every commit by any connection: poll it (about 4 Hz) to know when to read again.
    std::int64_t dataVersion() const;
    std::vector<CheckpointRow> checkpoints() const;

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

/// The writer. Every call is its own transaction; thread safe (one mutex).
class ExperimentLog {
public:
    /// Creates or migrates. A log of a newer version: Error(logTooNew), nothing written. Migrations back up first.
    /// Runs left "running" by a process that is gone become "interrupted" (resumable); what they were writing is removed.
    /// `kInMemory` keeps nothing: for plans and dry runs (no LogReader can open it).
    static constexpr const char* kInMemory = ":memory:";
    explicit ExperimentLog(const std::string& path);
    ~ExperimentLog();
    const std::string& path() const;
    /// Runs that opening this log found interrupted, oldest first.
    const std::vector<RunId>& recovered() const;
    /// $XDG_DATA_HOME/bitwright/experiments.db or ~/.local/share/…; folders are made.
    static std::string defaultPath();

    RunId beginRun(const Recipe& recipe, const std::string& commandLine, const Checkpoint& checkpoint, const Device& device);
    void finishRun(RunId id, RunStatus status, const std::string& error = {});
    void addDataset(RunId id, const TextData& data, const std::string& role);
    void addMetrics(RunId id, const std::vector<MetricRow>& metrics);
    void addSiteStatistics(RunId id, const CalibrationResult& result);
    /// The same with site names (index = SiteId) instead of numbers in the `sites` column.
    void addSiteStatistics(RunId id, const CalibrationResult& result, const std::vector<std::string>& siteNamesById);
    void addSensitivity(RunId id, const SensitivityCell& cell, SensitivityMetric metric);
    /// The cell and its projections together.
    void addFisherRow(RunId id, const FisherRow& row);
    /// Metrics "fisher_windows", "fisher_draws" and "saturation" (nats).
    void addFisherFacts(RunId id, const FisherFacts& facts);
    void addAssignments(RunId id, const std::vector<AssignmentRow>& rows);
    void addArtifact(RunId id, const ArtifactRow& artifact);
    void addOutput(RunId id, const OutputRow& output);
    void addTokenScores(RunId id, const TokenScoreRow& scores);
    /// In place of those that the run had.
    void setOutputPairs(RunId id, const std::vector<OutputPairRow>& rows);
    void addSiteRounding(RunId id, const std::vector<SiteRoundingRow>& rows);
    /// The run's one transform; a later call replaces it.
    void setTransform(RunId id, const Json& transform);
    /// In place of the warnings that the run had.
    void setWarnings(RunId id, const std::vector<DataWarning>& warnings);
    /// Behind those that the run has.
    void addWarnings(RunId id, const std::vector<DataWarning>& warnings);
    void addExpertCoverage(RunId id, const std::vector<ExpertCoverageRow>& rows);
    /// What the run gave its caller, without "sites" and "cells", which are rows.
    void setResult(RunId id, const Json& result);
    /// Newest first; the run's recipe decides what of it can be taken over. Reads nothing of the checkpoint's weights.
    std::vector<EarlierRun> earlierRuns(const std::string& kind, const Checkpoint& checkpoint, const Device& device) const;
    void setNote(RunId id, const std::string& note);
    void setStar(RunId id, bool starred);
    void addTag(RunId id, const std::string& tag);
    void removeTag(RunId id, const std::string& tag);
    /// Cells the run has committed; those of activations and of caches have no site (id −1).
    std::vector<SensitivityCell> knownCells(RunId id, const Model& model) const;
    /// Marks an interrupted run as running again. @throws Error(unknownRun).
    void resumeRun(RunId id);

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

} // namespace bw
