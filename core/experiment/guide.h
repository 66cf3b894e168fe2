// SPDX-License-Identifier: GPL-3.0-or-later
// The method guide: which recipes are worth trying for a target, and why. Also the field's name of what a recipe does.
// Trying them all and ranking by measured KL and size is `methods` (methods.h).
#pragma once

#include "core/experiment/recipe.h"

#include <string>
#include <vector>

namespace bw {

struct GuideRequest {
    std::string target = "cpu";       ///< cpu (llama.cpp, GGUF) | nvidia (vLLM and kin) | apple (llama.cpp on Metal)
    std::string kind = "weight-only"; ///< weight-only | w8a8 (activations too)
    std::string size;                 ///< budget as elsewhere ("4.5bpw", "1.2GiB"); empty = about 4 bits (w8a8: 8)
};

struct GuideProposal {
    std::string name;   ///< for people: "AWQ, int4:g128"
    std::string why;    ///< one or two sentences: what it does for this target and model, and what it costs
    Recipe recipe;      ///< kind "quantize", ready to run: checkpoint, texts and seed taken from the recipe it was asked with
};

/// Two or three proposals, the most promising first; each can be run and exported for the target as it stands (shapes, layouts
/// and families are checked). @param from gives checkpoint, texts, seed and evaluation. Cost: none (no weights are read).
/// @throws Error(usage) for an unknown target, kind or a size that can't be reached.
std::vector<GuideProposal> proposeMethods(const Model& model, const GuideRequest& request, const Recipe& from);

/// What people call it: "nearest", "importance-weighted", "GPTQ", "AWQ", "AWQ + GPTQ", "SmoothQuant W8A8", "LLM.int8()",
/// "rotation + GPTQ" … without the formats.
std::string methodName(const Recipe& recipe);

} // namespace bw
