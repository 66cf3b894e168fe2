// SPDX-License-Identifier: GPL-3.0-or-later
// The method guide: which recipes are worth trying for a target, and why. Trying them all and ranking by measured
// KL and size is `methods` (methods.h).
#pragma once

#include "core/experiment/method_trial.h"
#include "core/model/model.h"

namespace bw {

struct GuideRequest {
    std::string target = "cpu";       ///< cpu (llama.cpp, GGUF) | nvidia (vLLM and kin) | apple (llama.cpp on Metal)
    std::string kind = "weight-only"; ///< weight-only | w8a8 (activations too)
    std::string size;                 ///< "4.5bpw", "1.2GiB"; empty = about 4 bits (w8a8: 8)
};

/// Two or three proposals, the most promising first. Each is a recipe of kind "quantize" that can be run as it stands, and
/// written for the target when a path is added: what this program, this model's shapes or the target's layout can't do is
/// left out. Sizes count the sites' weights, scales included.
/// @param from gives checkpoint, texts, seed, device and evaluation. Cost: none (no weights are read).
/// @throws Error(usage) for an unknown target or kind, and for a size that is none; infeasibleBudget for a size that can't
/// be reached, with the least that can; unsupportedModel when nothing can be proposed, with the reason.
std::vector<MethodTrial> proposeMethods(const Model& model, const GuideRequest& request, const Recipe& from);

/// Bits per weight of all sites at the recipe's formats; the shapes decide, no weight is read. @throws as recipe formats do.
double proposedBits(const Model& model, const Recipe& recipe);

} // namespace bw
