// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/quantize/scale_trial.h"

#include "core/base/parallel.h"

#include <algorithm>
#include <cmath>

namespace bw {
namespace {

/// Rows of a point's weights that errors are measured on: bounds the time of a search. The same rows in every trial, so that
/// what differs is the scales.
constexpr std::int64_t kRows = 384;
constexpr std::int64_t kElementsPerPiece = 1 << 15;

} // namespace

ScaleTrial::ScaleTrial(const Model& model, const FoldPoint& point, const std::map<std::string, FormatPtr>& formats, const TransformInputs& inputs)
    : model_(model), formats_(formats), inputs_(inputs), weightMax_(static_cast<std::size_t>(point.width), 0.0f) {
    std::int64_t rows = 0;
    for (const int g : point.inputGroups)
        for (const SiteId id : model.inputGroups()[static_cast<std::size_t>(g)].sites)
            if (formats.contains(model.site(id).name)) rows += model.site(id).rows;
    rowStep_ = std::max<std::int64_t>(1, rows / kRows);
}

/// A scale for the whole tensor depends on all its rows.
bool ScaleTrial::wholeWeight(const Format& format, std::int64_t rows, std::int64_t cols) const {
    return format.bytes(2 * rows, cols) != 2 * format.bytes(rows, cols) && format.name().find(":tensor") != std::string::npos;
}

void ScaleTrial::add(int inputGroup, const GroupInput& input) {
    for (const SiteId id : model_.inputGroups()[static_cast<std::size_t>(inputGroup)].sites) {
        const Site& site = model_.site(id);
        const Matrix weight = model_.siteWeight(site);
        for (std::int64_t r = 0; r < weight.rows(); ++r)
            for (std::int64_t c = 0; c < weight.cols(); ++c) {
                float& most = weightMax_[static_cast<std::size_t>(c)];
                most = std::max(most, std::abs(weight.row(r)[c]));
            }
        const auto format = formats_.find(site.name);
        if (format == formats_.end() || input.gram.tokens() == 0) continue;
        const std::int64_t step = wholeWeight(*format->second, site.rows, site.cols) ? 1 : std::min(rowStep_, site.rows);
        Reader reader{Matrix(site.rows / step, site.cols), format->second, &input};
        for (std::int64_t r = 0; r < reader.weight.rows(); ++r) std::copy_n(weight.row(r * step + step / 2), site.cols, reader.weight.row(r));
        readers_.push_back(std::move(reader));
    }
}

/// Noise of an integer grid: Δ²/12 in every scaled channel, which the rounded weights carry to the output.
double ScaleTrial::inputError(const Reader& reader, std::span<const float> scales, MatrixView<const float> rounded) const {
    const GroupInput& input = *reader.input;
    const double levels = std::exp2(inputs_.noise.bits - 1) - 1;
    const auto range = [&](const float* x) {
        double most = 0;
        for (std::size_t j = 0; j < scales.size(); ++j) most = std::max(most, static_cast<double>(std::abs(x[j]) / scales[j]));
        return most;
    };
    double meanSquaredStep = 0;
    if (inputs_.noise.perToken && input.sampleRows > 0) {
        for (std::int64_t t = 0; t < input.sampleRows; ++t) meanSquaredStep += std::pow(range(input.samples.data() + t * rounded.cols) / levels, 2);
        meanSquaredStep /= static_cast<double>(input.sampleRows);
    } else {
        meanSquaredStep = std::pow(range(input.largest.data()) / levels, 2);
    }
    double gain = 0; // Σ over rows and channels of (s_j·ŵ)²
    for (std::int64_t r = 0; r < rounded.rows; ++r)
        for (const float w : rounded.rowSpan(r)) gain += static_cast<double>(w) * static_cast<double>(w);
    return static_cast<double>(input.tokens) * meanSquaredStep / 12.0 * gain;
}

double ScaleTrial::power(JobContext& job) const {
    double sum = 0;
    for (const Reader& reader : readers_) sum += reader.input->gram.quadratic(reader.weight.view(), job);
    return sum;
}

double ScaleTrial::error(std::span<const float> scales, JobContext& job) const {
    double sum = 0;
    for (const Reader& reader : readers_) {
        job.checkpoint();
        const std::int64_t rows = reader.weight.rows(), cols = reader.weight.cols();
        Matrix scaled(rows, cols), rounded(rows, cols);
        const std::int64_t grain = std::max<std::int64_t>(1, kElementsPerPiece / cols);
        parallelFor(rows, grain, [&](std::int64_t begin, std::int64_t end) {
            for (std::int64_t r = begin; r < end; ++r)
                for (std::int64_t c = 0; c < cols; ++c) scaled.row(r)[c] = reader.weight.row(r)[c] * scales[static_cast<std::size_t>(c)];
        });
        EncodeOptions options; // no clip search, for the time it takes
        options.search = BlockSearch::reference;
        reader.format->roundTrip(std::as_const(scaled).view(), options, rounded.view());
        if (inputs_.noise.bits > 0) sum += inputError(reader, scales, std::as_const(rounded).view());
        parallelFor(rows, grain, [&](std::int64_t begin, std::int64_t end) {
            for (std::int64_t r = begin; r < end; ++r)
                for (std::int64_t c = 0; c < cols; ++c)
                    rounded.row(r)[c] = rounded.row(r)[c] / scales[static_cast<std::size_t>(c)] - reader.weight.row(r)[c];
        });
        sum += reader.input->gram.quadratic(std::as_const(rounded).view(), job);
    }
    return sum;
}

} // namespace bw
