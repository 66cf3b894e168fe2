// SPDX-License-Identifier: GPL-3.0-or-later
// Rotation of the residual stream and of each head's values, folded into the weights. Private to core/quantize.
#pragma once

#include "core/checkpoint/derived.h"
#include "core/quantize/transform.h"

#include <optional>

namespace bw {

/// Why a rotation of the residual stream would change what this model computes; nothing when it may be rotated.
std::optional<std::string> whyNoRotation(const Model& model);
/// What a rotation does to this model that is worth knowing: head of its own, odd widths.
std::vector<std::string> rotationNotes(const Model& model);
/// Norm weights go into the linears after them, the residual stream x becomes x·R, the values of each head v·Rₕ.
/// @throws Error(unsupportedModel) with whyNoRotation().
Derivation rotationOf(const Model& model, std::uint64_t seed);

} // namespace bw
