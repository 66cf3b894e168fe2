// SPDX-License-Identifier: GPL-3.0-or-later
// A method to try: a recipe with a name and the reason it is worth trying. Not for: running it (methods.h).
#pragma once

#include "core/experiment/recipe.h"

namespace bw {

/// A recipe to try, of kind "quantize".
struct MethodTrial {
    std::string name; ///< for people; unique within a call
    std::string why;  ///< of a guide's proposal; may be empty
    Recipe recipe;
};

/// What people call it: "nearest", "importance-weighted", "GPTQ", "AWQ + GPTQ", "SmoothQuant, activations a8:token",
/// "rotation + GPTQ" … without the formats.
std::string methodName(const Recipe& recipe);

} // namespace bw
