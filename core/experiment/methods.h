// SPDX-License-Identifier: GPL-3.0-or-later
// Trying several methods on one's own model and data: each recipe is a logged run, measured on the same text, and all are
// ranked by what they measured. Not for: mixes under a budget (Runner::mix).
#pragma once

#include "core/experiment/method_trial.h"
#include "core/experiment/runner.h"

#include <string>
#include <string_view>
#include <vector>

namespace bw {

/// "nearest", "gptq", "awq+gptq", "smooth-w8a8" …: a method that has a name, as the parts of a recipe. Each may be followed by
/// '/' and formats in place of its own ("gptq/int3:g64"), or all parts may be given: TRANSFORM/ROUNDER/FORMAT[/ACTIVATIONS].
struct NamedMethod {
    std::string_view name, transform, rounder, format, about;
    /// Of methods that round inputs too; empty = as the recipe says. Servers keep the head of such models, and so do these
    /// unless the recipe names a format for it.
    std::string_view activations = {};
};
std::span<const NamedMethod> namedMethods();

/// @param from checkpoint, texts, seed, device and evaluation; its format holds where the method is of weights alone (not nf4)
/// and `formatGiven`. @throws Error(usage) for an unknown name or part.
MethodTrial parseMethod(std::string_view text, const Recipe& from, bool formatGiven);

struct MethodsOptions {
    std::vector<MethodTrial> trials; ///< evaluated on one text, so that their KL can be compared
    bool fresh = false;              ///< measure anew, whatever the log holds
};

/// Runs the trials one after the other and ranks them. Trials that the log holds finished with the same content are taken from
/// it, so that the same call after a stop goes on behind the last finished one. A trial that can't be run on this model (a
/// width that no block divides, say) is listed with its reason and does not stop the others.
/// result: methods[{name, why, method, recipe, run, bytes, bits_per_weight, perplexity, kl, kl_se, same_top1, seconds,
/// rounding_seconds, taken, front, beats_nearest}] by rising KL (front: none tried is both smaller and better), failed[{name, reason}].
/// @throws Error(usage) without trials or with trials of different evaluation texts; cancelled.
Json tryMethods(ExperimentLog& log, const DeviceFactory& devices, const MethodsOptions& options, JobContext& job, const std::string& commandLine);

} // namespace bw
