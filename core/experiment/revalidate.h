// SPDX-License-Identifier: GPL-3.0-or-later
// Do logged figures still hold after an upgrade? Runs are repeated and their figures held against the first time's errors.
#pragma once

#include "core/experiment/runner.h"

#include <string>
#include <vector>

namespace bw {

struct RevalidateOptions {
    std::vector<RunId> runs; ///< these; empty = by tag
    std::string tag;         ///< runs with this tag; empty = with any tag
    bool all = false;        ///< every finished run that has figures
};

/// @return {runs:[{run, again, name, kind, verdict, seconds, stack_changes, drifted:[{name, was, is, error, relative}], why}], same, within_error,
/// drifted, failed}. verdict: "same" (within the tolerance of rerun()), "within error" (every figure within its standard
/// error of the first time), "drifted", "failed" (its checkpoint or texts are gone; `why` says which). Each repetition is
/// a logged run. @throws Error(usage) when no run fits; Error(cancelled): what was repeated before stays in the log.
Json revalidate(Runner& runner, const LogReader& log, const RevalidateOptions& options, JobContext& job, const std::string& commandLine);

/// What became of the same runs over time: every finished repetition (same recipe and seed) against the first one. Nothing is run.
/// @return {runs: [{run, name, kind, times: [{run, started_at, program, stack_changes, verdict, figures: [{name, value, error, drift}]}]}], drifted}; figures are
/// those with a standard error; drift: difference to the first time in units of its error; verdict as revalidate()'s, of the first time "first".
/// `drifted` counts runs whose newest time has drifted. @throws Error(usage) as revalidate().
Json decayHistory(const LogReader& log, const RevalidateOptions& options);

} // namespace bw
