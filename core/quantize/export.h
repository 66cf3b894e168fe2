// SPDX-License-Identifier: GPL-3.0-or-later
// Plan before, write, audit after. The plan says for every tensor what will be written and why it differs from what was
// asked, exact to the byte; the audit re-opens what was written and holds it against the plan.
#pragma once

#include "core/model/walk.h"
#include "core/quantize/quantized_model.h"

namespace bw {

enum class ExportKind { gguf, safetensors };

struct PlannedTensor {
    std::string name;          ///< in the output
    SiteId site{-1};           ///< −1 for tensors that are no site; the first of `sites` else
    std::vector<SiteId> sites; ///< all sites that lie in it: several for a stack of experts
    std::string asked, used, whyDiffers;
    std::uint64_t bytes = 0;   ///< in the output, all parts of it
};

/// What a file is to be besides its tensors.
struct ExportOptions {
    /// Longest file. GGUF: above it parts "-00001-of-00003.gguf" are written; 0 = one file. Folders: most tensor bytes of a
    /// model-00001-of-00003.safetensors; 0 = 5 GiB.
    std::uint64_t partBytes = 0;
    int fileType = -1;           ///< GGUF, general.file_type: of the named mix; −1 = that of the type most weights have
    std::string layout = {};     ///< one of exportLayoutNames(); empty = by the path
    std::string profile = {};    ///< whose rules the file obeys, one of exportProfileNames(); empty = the layout's own
    std::string activations = {}; ///< ActivationScheme of the recipe: compressed-tensors states it, others leave it to the runtime
    std::string cache = {};       ///< CacheScheme of the recipe: likewise, fp8 with one scale or none
};

/// Scales that calibration fitted for static schemes; values are code·scale. Empty where the schemes have none.
struct RuntimeScales {
    std::vector<float> inputs;       ///< by input group, one each; 0 = no calibration token reached it
    std::vector<float> keys, values; ///< by block
};

/// Why a mix can't be written as asked: one rule, the sites that break it, the way out.
struct ExportProblem {
    std::string what;               ///< "vllm with gptq reads no integers of 5 bits"
    std::vector<std::string> sites; ///< never empty
    std::string remedy;
};

/// All that stands against writing these formats in the layout and for the profile of `options`; empty when nothing does. No
/// file is touched. @param outPath names the layout where options don't. @throws Error(usage) for unknown layouts and profiles,
/// and for layouts that the profile or the path contradicts.
std::vector<ExportProblem> exportProblems(const Model& model, const std::vector<SiteFormat>& formats, const std::string& outPath,
                                          const ExportOptions& options);
/// Does this runtime load q/k/v and gate/up as one layer each, so that a mix must tie them? false for unknown names.
bool profileFusesLayers(std::string_view profile);
std::vector<std::string> exportLayoutNames();
std::vector<std::string> exportProfileNames();

struct PlannedFile {
    std::string path;
    std::uint64_t bytes = 0; ///< exact
};

struct ExportPlan {
    ExportKind kind = ExportKind::gguf;
    std::string path;               ///< what opens the result: the file, its first part, or the folder
    std::string target;             ///< as asked, absolute: the same, but without the number of a part
    std::vector<PlannedFile> files; ///< GGUF: one, or the parts in order
    ExportOptions options;
    std::string layout;             ///< that was chosen: "gguf", "compressed-tensors" …
    std::vector<PlannedTensor> tensors;
    std::uint64_t tensorBytes = 0, fileBytes = 0; ///< fileBytes: exact size of all weight files
    std::uint64_t memoryBytes = 0;                ///< peak estimate
    std::uint64_t diskFree = 0;
    double bitsPerWeight = 0;                     ///< tensorBytes·8 / parameters
    double secondsEstimate = 0;
    std::vector<std::string> warnings;
    bool differsFromAsked() const;
};

/// Kind from the path: ".gguf" or a folder. Formats that the container can't hold (affine in GGUF, k-quants in
/// safetensors) get the nearest one it can, with the reason; where options name a layout or a profile they are refused
/// instead, before any work. A layout that is named keeps the embedding table as it is, which loaders want.
/// @throws Error targetIsSource, targetExists, diskFull, unsupportedModel; formatDoesNotFit naming the sites (see exportProblems).
ExportPlan planExport(const Model& model, const std::vector<SiteFormat>& formats, const std::string& outPath, bool replace,
                      const ExportOptions& options = {});

struct AuditReport {
    bool ok = false;
    std::int64_t tensorsChecked = 0, rowsDecoded = 0;
    std::vector<std::string> mismatches;       ///< "blk.0.attn_v: planned q8_0, found q5_0"
    double simulatedNll = 0, reopenedNll = 0;  ///< short evaluation, nats per token; 0 tokens when skipped
    std::int64_t evaluatedTokens = 0;
    double klFromSimulation = 0;               ///< KL(simulation‖file), nats per token, over evaluatedTokens
};

/// Writes under a temporary name, re-opens, audits, renames (of several parts all or none). On a mismatch the file is kept with the suffix
/// ".failed-audit", nothing appears under the final name, and Error(auditFailed) lists the differences. Weights kept beside the
/// grid (outlier split), which no layout holds, are refused before anything is written.
/// @param auditWindows tokens for the short evaluation (may be empty: skipped).
/// @param scales needed where the file states static inputs or a cache. @throws Error(formatDoesNotFit) naming the sites that
/// calibration did not reach.
AuditReport exportModel(const Model& model, const QuantizedModel& quantized, const ExportPlan& plan, bool replace,
                        const Windows& auditWindows, JobContext& job, const RuntimeScales& scales = {});

} // namespace bw
