// SPDX-License-Identifier: GPL-3.0-or-later
// Taking old runs out of a log, and giving their space back. Never what a person marked, nor what another run rests on.
#pragma once

#include "core/base/types.h"

#include <cstdint>
#include <string>
#include <vector>

namespace bw {

/// Runs that fit every rule that is given are taken out.
struct PruneRules {
    std::vector<RunId> runs;        ///< these; empty = any
    std::vector<std::string> kinds; ///< "sweep" …; empty = any
    std::vector<std::string> statuses = {}; ///< "failed", "cancelled" …; empty = any
    std::int64_t olderThanDays = 0; ///< begun before that; 0 = any age
    std::int64_t keep = 0;          ///< the newest so many that fit stay
};

struct PruneReport {
    std::vector<RunId> removed;
    struct Kept { RunId run; std::string why; };
    std::vector<Kept> kept;         ///< fit the rules but stay: starred, tagged, has a note, at work, or "run 12 uses its map"
    std::uint64_t bytesBefore = 0, bytesAfter = 0; ///< of the log's file
};

/// @param pretend  says what would go; nothing is written.
/// One transaction, then the free pages are given back (VACUUM): needs as much free disk as the log is large; without it the
/// runs are gone all the same and the file keeps its size. Files that runs wrote (models) are not touched.
/// @throws Error(usage) when no rule is given, Error fileNotFound, logTooNew, logCorrupt, logBusy.
PruneReport pruneLog(const std::string& path, const PruneRules& rules, bool pretend);

/// Gives free pages back and checks the log's structure. @return bytes before and after.
/// @throws Error(logCorrupt) naming what is damaged ('runs salvage' saves what can be read), diskFull, logBusy.
std::pair<std::uint64_t, std::uint64_t> vacuumLog(const std::string& path);

} // namespace bw
