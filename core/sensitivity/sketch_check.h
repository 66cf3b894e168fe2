// SPDX-License-Identifier: GPL-3.0-or-later
// A Fisher sketch held against a few of its own cells, measured by KL on the same kind of text: where damage is large,
// as at two bits, the first step away from the original says too little, and by how much can be seen format by format.
// Not for: measuring (sensitivity.h).
#pragma once

#include "core/sensitivity/sensitivity.h"

#include <utility>

namespace bw {

/// Which cells to measure: of every format that does at least a tenth of the most damaging one's damage, `perFormat`
/// sites, half of them the dearest, half evenly through the rest by cost. Choices of one format by several rounders
/// count as one format. @return site and format as asked, in the order of `sketch`.
std::vector<std::pair<std::string, std::string>> cellsToCheck(const std::vector<SensitivityCell>& sketch,
                                                              std::size_t perFormat);

/// One cell known both ways. `error` is the standard error of `measured`.
struct CheckedCell { double estimate = 0, measured = 0, error = 0; };

/// What the estimates of one format must be multiplied by, and its relative standard error.
struct SketchBias { double factor = 1, error = 0; };

/// The mean of log(measured/estimate), shrunk towards no bias by its own error; factor 1 and no error with less than
/// three cells that stand out of their noise. Source: ratio estimation of two-phase sampling (Cochran 1977, ch. 12).
SketchBias sketchBias(const std::vector<CheckedCell>& cells);

} // namespace bw
