// SPDX-License-Identifier: GPL-3.0-or-later
// The Fisher sketch: what every site in every format costs in nats, from one forward and one backward walk. Labels are
// drawn from the model's own next-token distribution; with G the gradient of their negative log-likelihood summed over
// a window's T scored positions, probe k projects every change ΔW = W − Ŵ to c[k] = ⟨ΔW, G_k⟩/√T, and KL ≈ ½·mean_k c².
// A window's positions come in segments with a projection each: up to sixteen times as many probes for the same walks.
// Signed projections add up over sites, so that whole mixes are predicted too (prediction.h).
#pragma once

#include "core/model/reverse.h"
#include "core/sensitivity/sensitivity.h"

namespace bw {

struct FisherOptions {
    std::vector<std::string> formats;      ///< of weights; may be empty when only activations or caches are asked for
    RounderOptions rounder;
    GptqSweep gptq;
    /// Not null: what every site is changed to, in place of rounding; `formats` is then {"f32"}.
    const WeightSource* given = nullptr;
    /// Formats laid over each token's row of a site's input ("int8:token" or any format name): cells named after the
    /// input group, "blk.3.ffn_in".
    std::vector<std::string> activations;
    /// The same over each token's keys and values as a cache holds them: cells "blk.3.k_cache", "blk.3.v_cache".
    std::vector<std::string> keys, values;
    int probes = 1024;                     ///< in all: draws per window = ⌈probes / (windows · segments)⌉
    std::uint64_t seed = 1234;             ///< of the labels
    bool halfGradients = true;             ///< gradients in bf16 where the CPU has such products: a tenth of their noise at most
    bool includeHead = true;               ///< token_embd / output and the input of the head too
    std::vector<std::string> sites;        ///< name patterns of weights' sites; empty = all
};

/// One cell's projections, the signed square roots of its damage.
struct FisherRow {
    SensitivityCell cell; ///< value = ½·mean c², standardError from the windows (what is of one window hangs together)
    std::vector<float> projections;        ///< c[k], √(nats per token), k = window·draws + draw and segment
};

/// What the sketch knows about the model as a whole.
struct FisherFacts {
    std::int64_t windows = 0;
    int draws = 0; ///< projections of each window: draws of labels times segments of its positions
    /// Where damage levels off: mean KL of the model's predictions against their own average over all positions, nats.
    double saturation = 0;
};

/// Windows of that length which give so many probes with one draw each.
std::int64_t windowsForProbes(std::int64_t probes, std::int64_t length);

/// @param known  cells an interrupted run has already handed out: worked out neither again nor handed out again.
/// @param onRow  called on the walk's thread when a block's cells are complete: head first, then the last block … the
/// first, the embedding last (a tied embedding is complete only then); commit there.
/// @throws as sweep(); also Error(usage) for a pattern without a site. A site whose gradient has NaN or Inf:
/// Error(nonFinite) naming it. Same seed, same bytes, whatever the number of threads. Cost: about 2 + (2 +
/// formats/32)·draws forward passes over the windows, and rounding every weight to every format. Memory: what the walk
/// backwards takes, W − Ŵ of one block in all formats: up to 1 GiB or a quarter of the free memory, past that its
/// encoded bytes. Source: labels from the model itself make the outer products of gradients the Fisher matrix (Amari
/// 1998; Kunstner et al. 2019 on why the data's own labels do not).
FisherFacts fisherSketch(const Model& model, const Windows& windows, const FisherOptions& options,
                         const ImportanceLookup& importance, const std::vector<SensitivityCell>& known,
                         const std::function<void(const FisherRow&)>& onRow, JobContext& job);

} // namespace bw
