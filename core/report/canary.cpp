// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/report/report.h"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>

namespace bw {
namespace {

constexpr double kErrors = 3; ///< one false alarm in about 700 looks

const MetricRow* metricOf(const RunDetail& run, const std::string& name) {
    for (const MetricRow& metric : run.summary.metrics)
        if (metric.name == name) return &metric;
    return nullptr;
}

} // namespace

std::vector<Canary> canaryAdvice(const RunDetail& run, double tokens) {
    std::vector<Canary> out;
    const MetricRow* scored = metricOf(run, "evaluation_tokens");
    if (scored == nullptr || !(scored->value > 0) || !(tokens > 0)) return out;
    const double widen = std::sqrt(scored->value / tokens);
    const auto watch = [&](const char* metric, bool above, const char* what) {
        const MetricRow* row = metricOf(run, metric);
        if (row == nullptr || !row->standardError || !std::isfinite(row->value) || !std::isfinite(*row->standardError)) return;
        // The run's own figure is uncertain as well.
        const double reach = kErrors * *row->standardError * std::hypot(1.0, widen);
        const double alarm = above ? row->value + reach : std::max(0.0, row->value - reach);
        out.push_back({metric, row->value, alarm, above, what});
    };
    watch("kl_mean", true, "KL to the full model on a fixed set of prompts: the file, the runtime or its settings have changed");
    watch("same_top1", false, "share of tokens where both models agree on the likeliest one");
    watch("perplexity", true, "perplexity on fresh text of the same kind: the text has drifted, or the model is damaged");
    return out;
}

} // namespace bw
