// SPDX-License-Identifier: GPL-3.0-or-later
// What the stages of a job share: opened models, tokenizers, texts and calibration results, each made once. Private to
// core/experiment. Used from the job's thread only.
#pragma once

#include "core/base/error.h"
#include "core/calibrate/data_warnings.h"
#include "core/calibrate/input_store.h"
#include "core/calibrate/observers.h"
#include "core/experiment/runner.h"
#include "core/quantize/transform.h"

#include <map>
#include <memory>
#include <set>
#include <string>
#include <tuple>
#include <vector>

namespace bw {

/// Texts of one role and the windows cut from them.
struct TextSet {
    std::vector<TextData> texts;
    Windows windows;
    std::vector<DataWarning> reading = {}; ///< what was left out, and repeats
    std::vector<std::int64_t> counts = {}; ///< evaluation: windows of each text
    std::vector<TokenId> ids() const; ///< all texts, one after another
};

/// Calibration windows walked, and per-column importance of every site that has one.
struct Calibrated {
    TextSet set;              ///< empty when the importance comes from a file
    CalibrationResult result;
    std::map<int, std::vector<float>> importance; ///< by SiteId
    std::string storeId = {};  ///< of the statistics on disk (calibration_store.h); empty when they are not kept
    bool fromStore = false;    ///< no walk was needed
    ImportanceLookup lookup() const;              ///< valid while this object lives
};

/// A model with a recipe's transform folded in.
struct TransformedModel {
    std::shared_ptr<const Model> model;
    FittedTransform fitted;
    double seconds = 0; ///< that fitting took
};

class Workbench {
public:
    Workbench(ExperimentLog& log, const DeviceFactory& devices) : log_(log), devices_(devices) {}

    ExperimentLog& log() { return log_; }
    std::shared_ptr<const Model> model(const std::string& path, const std::string& device, NonFinite nonFinite = NonFinite::refuse);
    /// The checkpoint of a recipe, its weights treated as it says.
    std::shared_ptr<const Model> model(const Recipe& recipe) {
        return model(recipe.checkpoint, recipe.device, recipe.nonFinite == "zero" ? NonFinite::zero : NonFinite::refuse);
    }
    std::shared_ptr<const Tokenizer> tokenizer(const Model& model);
    /// Of the weight files, from the user's cache of digests where they have not changed.
    const std::string& checkpointSha256(const Model& model, JobContext& job);
    /// @throws Error(usage) when no file is named.
    TextSet calibrationTexts(const Model& model, const Recipe& recipe, JobContext& job);
    TextSet evaluationTexts(const Model& model, const Recipe& recipe, JobContext& job);
    /// Which scored tokens are of which text and document.
    std::vector<ScoredText> scoredParts(const Model& model, const Recipe& recipe, const TextSet& evaluation);
    /// @param whole calibrators of every channel and facts of the weights too, as the calibrate stage reports them.
    std::shared_ptr<const Calibrated> calibrated(const Model& model, const Recipe& recipe, JobContext& job, bool whole = false);
    /// The model with the recipe's transform folded in, fitted for rounding to `formats`; null when the recipe
    /// has none. Valid while this object lives.
    const TransformedModel* transformed(const Model& model, const Recipe& recipe, const std::vector<SiteFormat>& formats, JobContext& job);
    /// Where Gram matrices of a model's inputs are kept; null when nothing is to be kept.
    InputStore* inputStore(const Model& model, JobContext& job);
    /// What all of them did so far, for the run's result and the user; null where none was asked.
    Json inputStoreReport(JobContext& job);
    /// The states that enter the final norm of a full checkpoint over these windows: from the store on disk, else by a walk
    /// that leaves them there. @param model  one that this workbench opened from a path; of others a walk.
    ScratchMatrix baseStates(const Model& model, const Windows& windows, JobContext& job);
    /// Evaluations of this job by everything they depend on, so that what was measured and is then written is not measured
    /// twice.
    std::map<std::string, Evaluation>& evaluations() { return evaluations_; }
    /// Notes a warning, once per job however many stages would give it.
    void warn(JobContext& job, const std::string& warning);

private:
    ExperimentLog& log_;
    const DeviceFactory& devices_;
    std::map<std::tuple<std::string, std::string, NonFinite>, std::shared_ptr<const Model>> models_;
    std::map<const Checkpoint*, std::shared_ptr<const Tokenizer>> tokenizers_;
    std::map<const Checkpoint*, std::string> digests_;
    std::map<std::pair<const Tokenizer*, std::string>, TextData> texts_;
    std::map<std::string, std::shared_ptr<const Calibrated>> calibrations_;
    std::map<std::string, std::unique_ptr<TransformedModel>> transformed_;
    std::map<std::string, Evaluation> evaluations_;
    std::map<const Checkpoint*, std::unique_ptr<InputStore>> inputStores_;
    std::set<std::string> warned_;
    std::map<std::string, TextSet> calibrationSets_; ///< by everything that decides the windows
    const TextData& text(const Model& model, const std::string& path, const TextOptions& options, JobContext& job);
    /// From the store on disk, else by a walk that leaves them there.
    CalibrationResult statistics(const Model& model, const Windows& windows, bool whole, bool grams, Calibrated& made, JobContext& job);
    TextSet makeCalibrationTexts(const Model& model, const Recipe& recipe, JobContext& job);
    /// Windows that bring every expert to the recipe's floor of tokens, of a pool four times as large as asked for.
    void balance(const Model& model, const Recipe& recipe, const std::vector<const TextData*>& texts, Sampling sampling, SampledWindows& out, JobContext& job);
};

/// Everything a stage works with.
struct Stage {
    Workbench& bench;
    RunId run;
    const Recipe& recipe;
    const Model& model;
    JobContext& job;
    bool strict = false;
    bool resumed = false;
    ExperimentLog& log() const { return bench.log(); }
};

// Each stage logs what it finds under `stage.run` and returns the command's JSON (CLI.md).
Json runCalibrate(const Stage& stage);
Json runSweep(const Stage& stage);
Json runAssign(const Stage& stage);
Json runQuantize(const Stage& stage);
Json runEvaluate(const Stage& stage);
Json runGenerate(const Stage& stage);
Json runDiagnose(const Stage& stage);

/// Before a run is logged for it. @throws Error(usage) for a run that can't be diagnosed as this recipe asks: unfinished, of another
/// kind, without a baseline, or without a text.
void requireDiagnosable(const LogReader& log, const Recipe& recipe);

/// Importance for rounding by the recipe's policy for experts that saw too few tokens. Valid while `calibrated` lives.
ImportanceLookup roundingImportance(const Model& model, const Recipe& recipe, const Calibrated& calibrated);

/// Refuses calibration on the evaluation text; notes and logs the warnings of a careful engineer, and returns them.
std::vector<DataWarning> checkTexts(const Stage& stage, const TextSet& calibration, const TextSet* evaluation);
/// As other programs read them.
Json warningsJson(const std::vector<DataWarning>& warnings);

/// How a recipe's calibration texts are read.
TextOptions textOptions(const Recipe& recipe);

/// Runs one recipe as one logged run; failures and cancellations are logged, then rethrown with the run's id as context.
RunOutcome runLogged(Workbench& bench, const Recipe& recipe, JobContext& job, const std::string& commandLine, RunId resume, bool strict);

/// SHA-256 and size of a file, or of a folder's files in name order (names included).
std::pair<std::string, std::uint64_t> hashArtifact(const std::string& path, JobContext& job);

} // namespace bw
