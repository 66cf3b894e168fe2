// SPDX-License-Identifier: GPL-3.0-or-later
// The frequencies of rotary position embedding and the ways to stretch them. Not for: rotating (core/compute).
#pragma once

#include "core/checkpoint/model_config.h"

#include <vector>

namespace bw {

/// Radians per token for each of the dims/2 channel pairs, in f32 like the reference implementations (transformers'
/// modeling_rope_utils): θ^(−2i/dims), then linear, llama3, YaRN or longrope scaling and the divisors.
/// @param longSequence the sequence may grow past originalContext, so that `longFactors` hold.
std::vector<float> ropeFrequencies(const RopeConfig& rope, bool longSequence = false);

/// The same as divisors of the unscaled frequencies: what GGUF stores in rope_freqs.weight for Llama 3.
std::vector<float> ropeDivisors(const RopeConfig& rope, bool longSequence = false);

} // namespace bw
