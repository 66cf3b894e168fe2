// SPDX-License-Identifier: GPL-3.0-or-later
// The steps of a diagnosis, stage_diagnose.cpp is their order. Private to core/experiment.
#pragma once

#include "core/diagnose/swapped_sites.h"
#include "core/experiment/quantize_job.h"

#include <memory>
#include <string>
#include <vector>

namespace bw {

/// One thing that was found out. Sorted by rank, then by share: what makes other findings worthless comes first.
struct Finding {
    enum class Rank { invalid, cause, context };
    Rank rank = Rank::context;
    std::string kind;      ///< stack | unfair | tokenizer | non-finite | culprits | spread | activations | block | calibration | domain | warning kinds
    std::string title;     ///< one line
    std::string evidence;  ///< with figures
    std::string advice;
    double share = 0;      ///< of the loss, 0 where that has no meaning
};
Json findingsJson(std::vector<Finding> findings);

/// The run that is diagnosed and what its checkpoint became.
struct DiagnosedRun {
    RunDetail detail;
    std::shared_ptr<const Model> baseKept;            ///< of an evaluation: its baseline
    std::shared_ptr<const WeightSource> source;       ///< null: the changed model is a checkpoint as it is
    const Model* base = nullptr;
    const Model* model = nullptr;
    std::vector<SiteFormat> formats;                  ///< of a quantization
    ChangedModel changed() const { return {*base, *model, source.get()}; }
};

/// Rounds again what a quantize run rounded, in the formats that the log holds for it, or opens what an evaluate run measured.
/// @throws Error(usage) for runs of another kind, without a baseline, or not finished.
DiagnosedRun reopenRun(const Stage& stage, const RunDetail& detail, const QuantizeTexts& texts);

/// Some of the windows, evenly spread, and where they come from.
struct DiagnosisWindows {
    Windows windows;
    std::vector<std::int64_t> index;   ///< in the evaluation's order
    std::vector<std::string> text;     ///< name of the file that each is from
};
DiagnosisWindows diagnosisWindows(const TextSet& texts, const Protocol& protocol, std::int64_t tokens);

/// Has anything that the run's figures rest on changed: texts, checkpoint, program, machine?
std::vector<Finding> checkFairness(const Stage& stage, const DiagnosedRun& run, const TextSet& texts);
/// Are the KLs of the same tokens still what the log holds? `tokens` as KlMeter gives them.
std::vector<Finding> checkStack(const Stage& stage, const DiagnosedRun& run, const DiagnosisWindows& windows, const std::vector<float>& tokens);
/// Does the damage depend on the text? Needs two texts or more.
std::vector<Finding> checkDomains(const DiagnosisWindows& windows, const std::vector<float>& tokens, Json& byText);

} // namespace bw
