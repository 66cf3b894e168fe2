// SPDX-License-Identifier: GPL-3.0-or-later
// The sweep that holds a logged Fisher sketch against its own most telling cells. Private to core/experiment and the
// fronts' commands. Not for: what follows from it (assign_map.cpp reads measured runs).
#pragma once

#include "core/experiment/log.h"
#include "core/experiment/recipe.h"

namespace bw {

inline constexpr std::int64_t kCheckCells =
    8; ///< sites of each format: their bias scatters by a tenth, the mean by a thirtieth
inline constexpr std::int64_t kCheckTokens = 4096; ///< a measured cell is then as good as a thousand probes

/// By measured KL on the sketch's texts with its rounder. @param cells sites of each format that is checked.
/// @throws Error(usage) when the run is no finished sketch; Error(unknownRun).
Recipe checkSweep(const LogReader& log, RunId sketch, std::int64_t cells, std::int64_t tokens);

} // namespace bw
