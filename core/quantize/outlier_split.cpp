// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/quantize/outlier_split.h"

#include <algorithm>
#include <charconv>
#include <cmath>

namespace bw {
namespace {

constexpr float kLargestHalf = 65504;

double option(const TransformSpec::Part& part, const char* name) {
    const auto found = part.options.find(name);
    double value = 0;
    if (found != part.options.end()) std::from_chars(found->second.data(), found->second.data() + found->second.size(), value);
    return value;
}

/// How much of the rounding error a weight stands for; less than all others where it is kept anyway.
std::vector<float> scores(MatrixView<const float> weight, const std::vector<std::int32_t>& columns, std::span<const float> importance) {
    std::vector<float> of(static_cast<std::size_t>(weight.cols), 1.0f);
    for (std::size_t j = 0; j < of.size() && !importance.empty(); ++j) of[j] = std::sqrt(std::max(0.0f, importance[j]));
    for (const std::int32_t column : columns) of[static_cast<std::size_t>(column)] = -1;
    std::vector<float> out(static_cast<std::size_t>(weight.size()));
    for (std::int64_t r = 0; r < weight.rows; ++r)
        for (std::int64_t c = 0; c < weight.cols; ++c) {
            const float factor = of[static_cast<std::size_t>(c)], score = std::abs(weight(r, c)) * factor;
            out[static_cast<std::size_t>(r * weight.cols + c)] = factor < 0 ? -1.0f : std::isfinite(score) ? score : 0.0f;
        }
    return out;
}

void keepLargest(MatrixView<const float> weight, const std::vector<float>& score, std::size_t count, KeptWeights& kept) {
    std::vector<float> sorted = score;
    const auto last = sorted.begin() + static_cast<std::ptrdiff_t>(count - 1);
    std::nth_element(sorted.begin(), last, sorted.end(), std::greater<>());
    const float least = *last;
    if (!(least >= 0)) return; // fewer are left than were asked for
    auto equal = count - static_cast<std::size_t>(std::count_if(score.begin(), score.end(), [least](float s) { return s > least; }));
    for (std::size_t i = 0; i < score.size(); ++i) {
        if (score[i] < least || (score[i] == least && equal == 0)) continue;
        if (score[i] == least) --equal;
        const auto at = static_cast<std::int64_t>(i);
        kept.rowOf.push_back(static_cast<std::int32_t>(at / weight.cols));
        kept.columnOf.push_back(static_cast<std::int32_t>(at % weight.cols));
        kept.values.push_back(keptHalf(weight(at / weight.cols, at % weight.cols)));
    }
}

} // namespace

std::uint16_t keptHalf(float value) { return floatToHalf(std::isnan(value) ? value : std::clamp(value, -kLargestHalf, kLargestHalf)); }

Matrix withoutKept(MatrixView<const float> weight, const KeptWeights& kept) {
    Matrix rest(weight.rows, weight.cols);
    for (std::int64_t r = 0; r < weight.rows; ++r) {
        std::copy_n(weight.row(r), weight.cols, rest.row(r));
        for (const std::int32_t column : kept.columns) rest.row(r)[column] = 0;
    }
    for (std::size_t i = 0; i < kept.values.size(); ++i) rest.row(kept.rowOf[i])[kept.columnOf[i]] = 0;
    return rest;
}

OutlierSplit outlierSplit(const TransformSpec& spec) {
    const TransformSpec::Part* part = spec.find("outliers");
    return part ? OutlierSplit{option(*part, "threshold"), option(*part, "weights")} : OutlierSplit{};
}

std::vector<std::vector<std::int32_t>> outlierColumns(const Model& model, const CalibrationResult& statistics, double threshold) {
    std::vector<std::vector<std::int32_t>> columns(model.inputGroups().size());
    for (std::size_t g = 0; g < columns.size(); ++g) {
        const InputGroup& group = model.inputGroups()[g];
        const InputStatistics* found = group.sites.empty() || group.block.value() < 0 ? nullptr : statistics.forSite(group.sites.front());
        for (std::size_t j = 0; found && j < found->channelMax.size(); ++j)
            if (static_cast<double>(found->channelMax[j]) > threshold) columns[g].push_back(static_cast<std::int32_t>(j));
    }
    return columns;
}

KeptWeights keptWeights(MatrixView<const float> weight, const std::vector<std::int32_t>& columns, double share, std::span<const float> importance) {
    KeptWeights kept;
    kept.columns = columns;
    for (std::int64_t r = 0; r < weight.rows && !columns.empty(); ++r)
        for (const std::int32_t column : columns) kept.columnValues.push_back(keptHalf(weight(r, column)));
    const auto count = static_cast<std::size_t>(std::llround(share * static_cast<double>(weight.size())));
    const std::size_t left = static_cast<std::size_t>(weight.size()) - static_cast<std::size_t>(weight.rows) * columns.size();
    if (std::min(count, left) > 0) keepLargest(weight, scores(weight, columns, importance), std::min(count, left), kept);
    return kept;
}

QuantizedTensor quantizeAround(const Site& site, MatrixView<const float> weight, const FormatPtr& format, std::span<const float> importance,
                               const RounderOptions& options, KeptWeights kept) {
    if (kept.empty()) return quantizeSite(site, weight, format, importance, options);
    const Matrix rest = withoutKept(weight, kept);
    QuantizedTensor tensor = quantizeSite(site, rest.view(), format, importance, options);
    tensor.kept = std::move(kept);
    measureRounding(tensor, weight);
    return tensor;
}

std::shared_ptr<QuantizedModel> buildAround(const Model& model, const std::vector<SiteFormat>& formats, const ImportanceLookup& importance,
                                            const RounderOptions& options, const KeptLookup& kept, JobContext& job) {
    auto result = std::make_shared<QuantizedModel>();
    result->setFormats(formats);
    std::int64_t total = 0;
    for (const SiteFormat& format : formats)
        if (format.used) total += model.site(format.site).rows * model.site(format.site).cols;
    job.beginStage("quantize", total, "weights");
    for (const SiteFormat& format : formats) {
        if (!format.used) continue;
        job.checkpoint();
        const Site& site = model.site(format.site);
        const Matrix weight = model.siteWeight(site);
        job.checkpoint();
        const auto columns = importance ? importance(site) : std::span<const float>();
        result->set(quantizeAround(site, weight.view(), format.used, columns, siteRounder(options, format.rounder), kept(site, weight.view())));
        job.advance(weight.size());
    }
    return result;
}

} // namespace bw
