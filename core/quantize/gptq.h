// SPDX-License-Identifier: GPL-3.0-or-later
// GPTQ (Frantar et al. 2022): columns of a weight are rounded one after the other, and what each rounding does to the output is
// made up for by the columns still to come, under H = 2/n·Σxᵀx of inputs that come from already quantized predecessors.
// Works for every format that has a fixed grid. Start at gptqModel(); gptqSite() is the method on one weight.
#pragma once

#include "core/base/matrix.h"
#include "core/calibrate/gram.h"
#include "core/format/fixed_grid.h"
#include "core/model/walk.h"
#include "core/quantize/quantized_model.h"

namespace bw {

struct GptqOptions {
    double damping = 0.01;       ///< of H's mean diagonal; raised tenfold until the factorisation succeeds
    bool activationOrder = true; ///< columns in falling order of H's diagonal, with static groups: exports need no g_idx
    bool sequential = true;      ///< inside a block q/k/v → o → gate/up → down see what was quantized before; false: block inputs only
    bool clipOutputs = false;    ///< scales by searchClip() (clip.h) in place of the rounder's own search
    bool refitScales = false;    ///< scales of a group are chosen when it is reached, from updated weights (index order only)
    /// Rounds over all columns afterwards, at most: each column to the best codes given all others, scales to the best for the
    /// codes; fewer once a round gains less than 1 %. 0 = GPTQ as published.
    int sweeps = 8;
    std::int64_t minimumTokens = 0; ///< an expert with fewer falls back to weighted nearest; 0 = its input width / 4
    /// Share, 0 … 1, of the damage that rounding has done before a site which its weight is moved to make up for, times 1 − I/T
    /// because a fit to few tokens T is not to be trusted; 0 = GPTQ as published. Walks the original model beside the rounded one, so only when `sequential`.
    double correction = 0;
};

/// What the inputs of sites have lost to the rounding before them, as sums over tokens: x̂ enters in place of x.
struct InputDrift {
    Matrix inputs;   ///< Σ (x−x̂)ᵀx̂, I×I
    Matrix residual; ///< Σ (h−ĥ)ᵀx̂, C×I, of the hidden states that the outputs are added to; empty where they are not
};

struct GptqSite {
    QuantizedTensor tensor;
    double nearestError = 0, error = 0; ///< tr(ΔW·G·ΔWᵀ)/tr(W·G·Wᵀ) of weighted nearest and of what is kept
    double damping = 0;                 ///< that was needed, share of the mean diagonal
    std::int64_t deadColumns = 0, tokens = 0;
    std::string fallback;               ///< why nearest was kept; empty = GPTQ
};

/// @param scales as the rounder's options say (clip search, importance weighting), chosen before columns are rounded unless
/// refitScales. Never worse than nearest under G: then nearest is kept and `fallback` says so. Deterministic for any number of
/// threads. @param drift null = W·x̂ is what outputs are held against, else W·x by the share options.correction of it.
/// @param kept stays beside the grid: its values take up the errors of columns before, in f16 (kept_grid.h); sweeps move codes alone then.
/// Cost: I³/3 + O·I² flops. @throws Error(nonFinite) naming the site.
GptqSite gptqSite(const Site& site, MatrixView<const float> weight, const FormatPtr& format, const Gram& gram,
                  const RounderOptions& rounder, const GptqOptions& options, JobContext& job, const InputDrift* drift = nullptr,
                  const KeptWeights& kept = {});

/// Quantizes a whole model, block by block over all windows. Sites whose SiteFormat::rounder (or the default) is not gptq are
/// rounded as they ask. Every block runs once, stage by stage (core/model/staged_block.h); twice when not sequential or
/// when the original is walked too (options.correction).
/// @param report one entry per site in the order they were rounded; may be null.
/// @param kept what stays beside the grid, of every site that is rounded; may be empty.
/// @throws Error(usage) without windows; Error(nonFinite) naming the block; Error(cancelled).
/// Memory: one block's weights and Gram matrices, the activations of all windows at one place of a block.
std::shared_ptr<QuantizedModel> gptqModel(const Model& model, const std::vector<SiteFormat>& formats, const Windows& windows,
                                          const ImportanceLookup& importance, const RounderOptions& rounder,
                                          const GptqOptions& options, std::vector<GptqSite>* report, JobContext& job, const KeptLookup& kept = {});

} // namespace bw
