// SPDX-License-Identifier: GPL-3.0-or-later
// Bringing the runs of other logs into one: what machines of a cluster measured apart, and the shards of one sweep, which
// become one run. Not for: damaged logs (salvage.h).
#pragma once

#include "core/base/job.h"
#include "core/base/types.h"

#include <string>
#include <vector>

namespace bw {

/// One sweep that shards were put together for.
struct MergedSweep {
    RunId run;                         ///< in the log that was merged into
    int shards = 0;                    ///< that it was cut into
    std::vector<std::string> missing;  ///< "3/4": not there, or begun and not finished; empty: the run is done
    std::int64_t cells = 0;            ///< it has now
};

struct MergeReport {
    std::int64_t added = 0;            ///< runs that were new here, shards included
    std::int64_t known = 0;            ///< runs that were here already, by what they are
    std::int64_t named = 0;            ///< copyRuns: of the runs it took, those that only recipes of chosen ones name
    std::int64_t completed = 0;        ///< of the known ones: unfinished here, further on there
    std::vector<MergedSweep> sweeps;
};

/// Copies every run of `sources` into the log `target`, which is made when missing. A run that is there already — same
/// kind, recipe, checkpoint, command and time of start — is not copied again. Sweeps with the same recipe apart from their
/// shard, on the same checkpoint and texts, become one run with all their cells: done when every shard is, else
/// interrupted, so that resuming it measures what is missing. Numbers of runs inside recipes follow their runs.
/// All of it is one transaction: an error or a stop leaves the target as it was. Sources are only read.
/// @throws Error(usage) for a source that is the target; when two shards measured one cell differently (names the cell and
/// both values); when shards that would complete each other come from different checkpoints or texts (names both).
/// Error fileNotFound, logTooNew, logCorrupt, logBusy, diskFull, cancelled.
/// @param pretend  works on a copy in memory: what would be done is reported, the target is neither made nor changed.
MergeReport mergeLogs(const std::string& target, const std::vector<std::string>& sources, JobContext& job, bool pretend = false);

/// Chosen runs of one log into another, with everything that hangs on them, and the runs that their recipes name (their maps). Empty: all.
/// @throws as mergeLogs, and Error(unknownRun) for a run that the source lacks.
MergeReport copyRuns(const std::string& target, const std::string& source, const std::vector<RunId>& runs, JobContext& job, bool pretend = false);

} // namespace bw
