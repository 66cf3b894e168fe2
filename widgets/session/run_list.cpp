// SPDX-License-Identifier: GPL-3.0-or-later
#include "widgets/session/run_list.h"

#include <algorithm>
#include <cstring>
#include <tuple>

namespace bw {
namespace {

/// Bit by bit: a figure that is not a number has not changed when it still is none.
bool sameNumber(double a, double b) { return std::memcmp(&a, &b, sizeof a) == 0; }

bool sameRun(const RunSummary& a, const RunSummary& b) {
    const auto parts = [](const RunSummary& r) {
        return std::tie(r.id, r.kind, r.name, r.status, r.checkpoint, r.checkpointPath, r.startedAt, r.error, r.tags, r.starred, r.note);
    };
    const auto sameMetric = [](const MetricRow& x, const MetricRow& y) {
        return x.name == y.name && x.unit == y.unit && sameNumber(x.value, y.value) && x.standardError.has_value() == y.standardError.has_value() &&
               sameNumber(x.standardError.value_or(0), y.standardError.value_or(0));
    };
    return parts(a) == parts(b) && sameNumber(a.seconds, b.seconds) && std::equal(a.metrics.begin(), a.metrics.end(), b.metrics.begin(), b.metrics.end(), sameMetric);
}

} // namespace

RunList::RunList(const std::vector<RunSummary>& runs) {
    runs_.reserve(runs.size());
    for (const RunSummary& run : runs) runs_.push_back(std::make_shared<const RunSummary>(run));
}

RunList RunList::renewed(std::vector<RunSummary> fresh, bool whole) const {
    RunList out;
    out.runs_.reserve(std::max(fresh.size(), runs_.size()));
    auto old = runs_.begin();
    for (RunSummary& run : fresh) {
        while (old != runs_.end() && (*old)->id > run.id) ++old; // gone
        const bool known = old != runs_.end() && (*old)->id == run.id && sameRun(**old, run);
        out.runs_.push_back(known ? *old : std::make_shared<const RunSummary>(std::move(run)));
    }
    if (whole || fresh.empty()) return out;
    while (old != runs_.end() && (*old)->id >= out.runs_.back()->id) ++old;
    out.runs_.insert(out.runs_.end(), old, runs_.end());
    return out;
}

const RunSummary* RunList::find(RunId run) const {
    const auto at = std::lower_bound(runs_.begin(), runs_.end(), run, [](const Pointer& r, RunId id) { return r->id > id; });
    return at != runs_.end() && (*at)->id == run ? at->get() : nullptr;
}

} // namespace bw
