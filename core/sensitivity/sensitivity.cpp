// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/sensitivity/sensitivity.h"

#include "core/base/error.h"
#include "core/base/text.h"
#include "core/sensitivity/cells.h"

namespace bw {

std::string_view metricName(SensitivityMetric metric) { return metric == SensitivityMetric::outputError ? "output" : "kl"; }

SensitivityMetric parseMetric(std::string_view text) {
    for (const SensitivityMetric metric : {SensitivityMetric::outputError, SensitivityMetric::measuredKl})
        if (text == metricName(metric))
            return metric;
    throw Error(ErrorCode::usage, "sensitivity metric '" + escapeForDisplay(text) + "' is not known", "use output or kl");
}

std::vector<SensitivityCell> sweep(const Model& model, const Windows& windows, const SweepOptions& options,
                                   const ImportanceLookup& importance, const std::vector<SensitivityCell>& known,
                                   const std::function<void(const SensitivityCell&)>& onCell, JobContext& job) {
    detail::Sweep work(model, windows, options, importance, known, onCell, job);
    if (work.cellsLeft() > 0) {
        if (options.metric == SensitivityMetric::outputError)
            detail::sweepOutputError(work);
        else
            detail::sweepMeasuredKl(work);
    }
    return work.result();
}

} // namespace bw
