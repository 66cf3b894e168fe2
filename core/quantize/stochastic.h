// SPDX-License-Identifier: GPL-3.0-or-later
// Stochastic rounding: up or down with the probability that makes the mean right. Private to core/quantize.
#pragma once

#include "core/format/fixed_grid.h"

namespace bw::detail {

/// Encodes an O×I weight on the grid that Format::encode() would choose. Weights outside the grid go to its end. Every row
/// draws its own numbers from `seed`, so threads change nothing. out.size() == format.bytes().
/// @throws Error as fixGrid() does; Error(cancelled) inside a JobScope.
void encodeStochastic(const Format& format, MatrixView<const float> weight, const EncodeOptions& options, std::uint64_t seed,
                      std::span<std::byte> out);

} // namespace bw::detail
