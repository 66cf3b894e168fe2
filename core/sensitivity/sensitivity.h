// SPDX-License-Identifier: GPL-3.0-or-later
// What it costs to quantize one site to one format: relative output error from one walk, or measured KL with each site
// alone, restarted from its block's stored input. Both are resumable: finished cells are handed out as they come and
// cells already known are skipped.
#pragma once

#include "core/calibrate/input_store.h"
#include "core/model/walk.h"
#include "core/quantize/gptq.h"

#include <functional>
#include <string>
#include <vector>

namespace bw {

enum class SensitivityMetric { outputError, measuredKl, fisher };
std::string_view metricName(SensitivityMetric metric);     ///< "output", "kl", "fisher"
SensitivityMetric parseMetric(std::string_view text);       ///< @throws Error(usage)

/// One cell of the map. `value`: outputError: ‖X(W−Ŵ)ᵀ‖²/‖XWᵀ‖²; measuredKl: mean KL(base‖quantized) in nats per token;
/// fisher: its estimate from gradients (fisher.h).
struct SensitivityCell {
    SiteId site;
    std::string site_name;
    std::string format;       ///< as asked
    std::string used;         ///< after fallback
    std::uint64_t bytes = 0;
    double value = 0;
    double standardError = 0; ///< KL: over windows' tokens (σ/√n); output error, fisher: over windows
    std::int64_t tokens = 0;  ///< that passed the site: of an expert those routed to it; 0 = not recorded
};

/// What is full and what is quantized while one site is measured.
enum class SweepContext {
    alone, ///< the site is quantized, the rest full: KL(base‖that)
    rest,  ///< the rest is quantized to `SweepOptions::rest`, the site to the cell's format: KL(base‖that) −
           ///< KL(base‖with the site full)
};
std::string_view contextName(SweepContext context);         ///< "alone", "rest"
SweepContext parseContext(std::string_view text);           ///< @throws Error(usage)

/// How choices rounded by GPTQ ("q4_k@gptq") are made: each site by itself, under the inputs of the unchanged model. In
/// a whole model a site makes up for its predecessors' rounding too, so that damages add up to a little more than there
/// is.
struct GptqSweep {
    const Windows* windows = nullptr; ///< of the calibration text; needed where GPTQ is asked for
    GptqOptions options;
    bool byDefault = false;           ///< also for choices that name no rounder
    InputStore* inputs = nullptr;     ///< where Gram matrices of the model's inputs are looked for and left; or null
};

struct SweepOptions {
    SensitivityMetric metric = SensitivityMetric::outputError;
    std::vector<std::string> formats;
    RounderOptions rounder;
    GptqSweep gptq;
    bool includeHead = true;   ///< token_embd / output too (tied: damage through both look-up and head)
    std::vector<std::string> sites;    ///< name patterns, or "PATTERN=FORMAT" for single cells; empty = all

    // Measured KL only:
    SweepContext context = SweepContext::alone;
    std::string rest;                  ///< format of the rest in that context
    /// Share of the scored positions that the head is run for, evenly spread, in (0, 1]: the errors grow as it shrinks.
    double positions = 1;
    /// Products of what differs from the unchanged model in bf16 where the CPU has them: twice as fast, and a
    /// divergence changes by up to 2e-3 of itself, a fiftieth of its error on 1,000 tokens. False: all products in f32.
    bool halfDifferences = true;
    std::uint64_t memory = 0;  ///< bytes that blocks in f32 and what they know may take; 0 = half of what is free
    int shard = 1, shards = 1; ///< only every `shards`-th cell, the `shard`-th (1 …): by site and format, not by order
    /// Expected damage of a cell: the dearest first, so that a stopped sweep knows what matters; null = model order.
    std::function<double(const std::string& site, const std::string& format)> expected;
};

/// Cells that contradict their neighbours at the same site: more damage than a format of fewer bytes by more than three
/// joint standard errors and by half. Indices into `cells`, with the reason for people.
struct CellDoubt { std::size_t cell = 0; std::string why; };
std::vector<CellDoubt> doubtfulCells(const std::vector<SensitivityCell>& cells);

/// @param known cells of an earlier, interrupted run (matched by site name and asked format): not computed again.
/// @param onCell called on the walk's thread for every new cell as soon as it is known: block by block in model order,
/// embedding and head last, or by `expected`; commit there. Formats that fall back to the same one at a site are
/// measured once.
/// @return known and new cells, in model order, then in the order of the formats.
/// @throws Error(usage), also for a pattern without a site; Error(textTooShort); Error(nonFinite) naming site and
/// format; Error(cancelled): cells handed out before stay valid. Memory: output error: the Gram matrices of one block
/// (≤ 1 GiB of folds, at least one); KL: every block's boundary and the base logits (scratch, spilled past the limit),
/// all blocks in f32 when half of the free memory holds them, and what their linears make of the base (2 bytes a
/// weight, 4 a value) when that fits too. Cost: output error: one forward walk + per cell O·I² flops on the Gram
/// matrix; KL: per cell the blocks behind the site.
std::vector<SensitivityCell> sweep(const Model& model, const Windows& windows, const SweepOptions& options,
                                   const ImportanceLookup& importance, const std::vector<SensitivityCell>& known,
                                   const std::function<void(const SensitivityCell&)>& onCell, JobContext& job);

} // namespace bw
