// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/sensitivity/sensitivity.h"

#include "core/base/error.h"
#include "core/base/text.h"
#include "core/sensitivity/cells.h"

namespace bw {

std::string_view metricName(SensitivityMetric metric) {
    switch (metric) {
    case SensitivityMetric::outputError: return "output";
    case SensitivityMetric::measuredKl: return "kl";
    case SensitivityMetric::fisher: return "fisher";
    }
    return "";
}

SensitivityMetric parseMetric(std::string_view text) {
    for (const SensitivityMetric metric :
         {SensitivityMetric::outputError, SensitivityMetric::measuredKl, SensitivityMetric::fisher})
        if (text == metricName(metric))
            return metric;
    throw Error(ErrorCode::usage, "sensitivity metric '" + escapeForDisplay(text) + "' is not known",
                "use output, kl or fisher");
}

std::string_view contextName(SweepContext context) { return context == SweepContext::alone ? "alone" : "rest"; }

SweepContext parseContext(std::string_view text) {
    for (const SweepContext context : {SweepContext::alone, SweepContext::rest})
        if (text == contextName(context))
            return context;
    throw Error(ErrorCode::usage, "the context '" + escapeForDisplay(text) + "' of a sweep is not known",
                "use alone (one site quantized, the rest full) or rest (one site changed, the rest quantized)");
}

std::vector<SensitivityCell> sweep(const Model& model, const Windows& windows, const SweepOptions& options,
                                   const ImportanceLookup& importance, const std::vector<SensitivityCell>& known,
                                   const std::function<void(const SensitivityCell&)>& onCell, JobContext& job) {
    if (options.metric == SensitivityMetric::fisher)
        throw Error(ErrorCode::usage, "the Fisher estimate is a walk of its own, not a sweep of candidates",
                    "use output or kl here");
    detail::Sweep work(model, windows, options, importance, known, onCell, job);
    if (work.cellsLeft() > 0) {
        work.prepare();
        if (options.metric == SensitivityMetric::outputError)
            detail::sweepOutputError(work);
        else
            detail::sweepMeasuredKl(work);
    }
    return work.result();
}

} // namespace bw
