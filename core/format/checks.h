// SPDX-License-Identifier: GPL-3.0-or-later
// Checks every encoder makes before it rounds: shapes, finite weights, usable importance. Private to core/format.
#pragma once

#include "core/format/format.h"

namespace bw {

/// @throws Error formatDoesNotFit, shapeMismatch (output size, importance length), nonFinite (names row and column).
/// One parallel pass over the weight.
void checkEncodeArguments(const Format& format, MatrixView<const float> weight, const EncodeOptions& options,
                          std::size_t outBytes);

/// The importance of columns [first, first+length), or null where there is none or all of it is zero (then all count alike).
const float* groupImportance(std::span<const float> importance, std::int64_t first, std::int64_t length);

/// Rows per piece of a parallel loop, about 64 Ki weights: long enough to hide the cost of a task.
std::int64_t rowGrain(std::int64_t cols);

} // namespace bw
