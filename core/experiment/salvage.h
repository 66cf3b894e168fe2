// SPDX-License-Identifier: GPL-3.0-or-later
// Getting the readable rows out of a damaged log. Not for: healthy logs, other programs' databases.
#pragma once

#include "core/base/job.h"

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace bw {

struct SalvageReport {
    bool healthy = false;       ///< nothing was wrong, nothing was done; the rest is empty
    std::string keptAside;      ///< the damaged log, byte for byte as it was
    std::vector<std::pair<std::string, std::int64_t>> rows; ///< table, rows in the new log
    std::int64_t orphans = 0;   ///< rows whose run or text was lost, left out
    std::vector<std::string> damaged; ///< tables that could not be read to their end
    bool rebuiltHeader = false; ///< the first page was lost and taken from a new log of the same version
};

/// Copies the log aside ("PATH.damaged", "-2" …), reads every row that can be read into a new log, and puts that in its
/// place. Runs that lost their checkpoint's or stack's row keep a placeholder. No other program may use the log meanwhile.
/// @throws Error fileNotFound; logCorrupt when nothing of a log can be read (the file is left as it is); logTooNew; diskFull,
/// writeFailed; cancelled. Cost: the size of the log, three times.
SalvageReport salvageLog(const std::string& path, JobContext& job);

} // namespace bw
