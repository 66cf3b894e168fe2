// SPDX-License-Identifier: GPL-3.0-or-later
// Trials of clip factors on pieces of rows, and the walk that brings the inputs.
#include "core/quantize/clip.h"

#include "core/base/error.h"
#include "core/base/parallel.h"
#include "core/compute/cpu_device.h"
#include "core/format/affine.h"
#include "core/format/float_format.h"
#include "core/format/nf4.h"
#include "core/quantize/outlier_split.h"

#include <algorithm>
#include <set>

namespace bw {
namespace {

constexpr int kFactors = 20;
constexpr int kSweeps = 2;
constexpr std::int64_t kRowsAtOnce = 128; ///< whose products keep a core busy for some ms

/// 1 first: ties keep the whole range.
float factor(int k) { return 1.0f - 0.025f * static_cast<float>(k); }

/// Grids whose scale follows from both ends of a range; those of all others from the largest magnitude.
bool hasZeroPoint(const Format& format) {
    const auto* affine = dynamic_cast<const AffineFormat*>(&format);
    return affine != nullptr && !affine->grid().symmetric;
}

/// One row's weights of one unit, held within `factor` times the range that sets their scale.
void clip(const float* x, std::int64_t n, float factor, bool bothEnds, float* out) {
    const auto [least, most] = std::minmax_element(x, x + n);
    const float peak = std::max(-*least, *most);
    const float low = (bothEnds ? std::min(*least, 0.0f) : -peak) * factor, high = (bothEnds ? std::max(*most, 0.0f) : peak) * factor;
    for (std::int64_t i = 0; i < n; ++i) out[i] = std::clamp(x[i], low, high);
}

/// Rows [begin, begin + rows) of a weight.
class RowSearch {
public:
    RowSearch(MatrixView<const float> weight, const Format& format, MatrixView<const float> gram, float* shrink)
        : weight_(weight), format_(format), gram_(gram), shrink_(shrink), unit_(clipUnit(format, weight.cols)),
          units_(weight.cols / unit_), bothEnds_(hasZeroPoint(format)), errors_(weight.rows, weight.cols), clipped_(weight.rows, unit_), trial_(weight.rows, unit_), best_(weight.rows, unit_),
          product_(weight.rows, unit_), cross_(weight.rows, unit_), least_(static_cast<std::size_t>(weight.rows)), bytes_(format.bytes(weight.rows, unit_)) {}

    void run(JobContext& job) {
        std::fill_n(shrink_, weight_.rows * units_, 1.0f);
        for (std::int64_t u = 0; u < units_; ++u) tryFactor(u, 1.0f, errors_.view().middleCols(u * unit_, unit_));
        for (int sweep = 0; sweep < kSweeps; ++sweep)
            for (std::int64_t u = 0; u < units_; ++u) {
                job.throwIfStopped();
                choose(u);
            }
    }

private:
    MatrixView<const float> block(std::int64_t u) const { return gram_.middleRows(u * unit_, unit_).middleCols(u * unit_, unit_); }

    /// out = what rounding with this factor adds to the weights of unit u.
    void tryFactor(std::int64_t u, float factor, MatrixView<float> out) {
        const auto part = weight_.middleCols(u * unit_, unit_);
        for (std::int64_t r = 0; r < part.rows; ++r) clip(part.row(r), unit_, factor, bothEnds_, clipped_.row(r));
        format_.encode(std::as_const(clipped_).view(), {}, bytes_);
        format_.decodeRows(bytes_, part.rows, 0, clipped_.view());
        for (std::int64_t r = 0; r < part.rows; ++r)
            for (std::int64_t c = 0; c < part.cols; ++c) out(r, c) = clipped_.row(r)[c] - part(r, c);
    }

    void choose(std::int64_t u) {
        const auto mine = errors_.view().middleCols(u * unit_, unit_);
        // What the other units do to the outputs, as seen from this one: E·G less this unit's own part.
        gemmTransposed(std::as_const(errors_).view(), gram_.middleRows(u * unit_, unit_), cross_.view());
        gemmTransposed(mine, block(u), product_.view());
        for (std::int64_t i = 0; i < cross_.size(); ++i) cross_.data()[i] -= product_.data()[i];
        for (int k = 0; k < kFactors; ++k) {
            tryFactor(u, factor(k), trial_.view());
            gemmTransposed(std::as_const(trial_).view(), block(u), product_.view());
            for (std::int64_t r = 0; r < weight_.rows; ++r) consider(r, u, factor(k), k == 0);
        }
        for (std::int64_t r = 0; r < weight_.rows; ++r) std::copy_n(best_.row(r), unit_, mine.row(r));
    }

    void consider(std::int64_t r, std::int64_t u, float factor, bool first) {
        double error = 0;
        for (std::int64_t c = 0; c < unit_; ++c)
            error += static_cast<double>(trial_.row(r)[c]) * (static_cast<double>(product_.row(r)[c]) + 2 * static_cast<double>(cross_.row(r)[c]));
        double& least = least_[static_cast<std::size_t>(r)];
        if (!first && !(error < least)) return;
        least = error;
        shrink_[r * units_ + u] = factor;
        std::copy_n(trial_.row(r), unit_, best_.row(r));
    }

    MatrixView<const float> weight_;
    const Format& format_;
    MatrixView<const float> gram_;
    float* shrink_;
    std::int64_t unit_, units_;
    bool bothEnds_;
    Matrix errors_, clipped_, trial_, best_, product_, cross_;
    std::vector<double> least_;
    std::vector<std::byte> bytes_;
};

/// Quantizes the sites of a block when its inputs are known.
class ClipRun {
public:
    ClipRun(const Model& model, const std::vector<SiteFormat>& mine, const ImportanceLookup& importance, const RounderOptions& rounder, const KeptLookup& kept,
            QuantizedModel& into, JobContext& job)
        : model_(model), importance_(importance), rounder_(rounder), kept_(kept), into_(into), job_(job) {
        for (const SiteFormat& format : mine) byBlock_[model.site(format.site).block.value()].push_back(format);
    }

    std::set<int> groups() const {
        std::set<int> groups;
        for (const auto& [block, sites] : byBlock_)
            for (const SiteFormat& format : sites) groups.insert(model_.site(format.site).inputGroup);
        return groups;
    }

    void roundBlock(BlockIndex block, const BlockInputs& inputs) {
        const auto sites = byBlock_.find(block.value());
        if (sites == byBlock_.end()) return;
        for (const SiteFormat& format : sites->second) round(format, inputs.at(model_.site(format.site).inputGroup).gram);
    }

private:
    void round(const SiteFormat& format, const Gram& gram) {
        const Site& site = model_.site(format.site);
        const Matrix weight = model_.siteWeight(site);
        job_.checkpoint();
        try {
            const RounderOptions rounder = siteRounder(rounder_, format.rounder);
            const KeptWeights kept = kept_ ? kept_(site, weight.view()) : KeptWeights{};
            const Matrix without = kept.empty() ? Matrix() : withoutKept(weight.view(), kept);
            const Matrix clipped = clippedWeight(kept.empty() ? weight.view() : without.view(), *format.used, gram, job_);
            if (clipped.size() > 0)
                into_.set(quantizeClipped(site, weight.view(), clipped.view(), format.used, rounder, kept));
            else
                into_.set(quantizeAround(site, weight.view(), format.used, importance_ ? importance_(site) : std::span<const float>(), rounder, kept));
        } catch (Error& e) {
            e.add("site", site.name);
            throw;
        }
    }

    const Model& model_;
    const ImportanceLookup& importance_;
    const RounderOptions& rounder_;
    const KeptLookup& kept_;
    QuantizedModel& into_;
    JobContext& job_;
    std::map<int, std::vector<SiteFormat>> byBlock_; ///< −1 = an output matrix of its own
};

} // namespace

std::int64_t clipUnit(const Format& format, std::int64_t cols) {
    if (const auto* affine = dynamic_cast<const AffineFormat*>(&format))
        return affine->grid().scope == AffineScope::group ? affine->grid().group : affine->grid().scope == AffineScope::channel ? cols : 0;
    // The steps of fp4 are so coarse that its scales are better searched upwards as well, as its encoder does.
    if (const auto* floats = dynamic_cast<const FloatFormat*>(&format); floats != nullptr && floats->grid().code != FloatCode::e2m1)
        return floats->grid().scope == FloatScope::group ? floats->grid().group : floats->grid().scope == FloatScope::channel ? cols : 0;
    if (const auto* nf4 = dynamic_cast<const Nf4Format*>(&format)) return nf4->grid().doubleQuantized ? 0 : nf4->grid().block;
    return 0;
}

std::vector<float> searchClip(MatrixView<const float> weight, const Format& format, const Gram& gram, JobContext& job) {
    const std::int64_t unit = clipUnit(format, weight.cols);
    if (unit <= 0 || weight.cols % unit != 0 || gram.tokens() == 0) return {};
    const JobScope scope(&job);
    const Matrix full = gram.full();
    const std::int64_t units = weight.cols / unit;
    std::vector<float> shrink(static_cast<std::size_t>(weight.rows * units));
    parallelFor(weight.rows, kRowsAtOnce, [&](std::int64_t begin, std::int64_t end) {
        RowSearch(weight.middleRows(begin, end - begin), format, full.view(), shrink.data() + begin * units).run(job);
    });
    return shrink;
}

Matrix clippedWeight(MatrixView<const float> weight, const Format& format, const Gram& gram, JobContext& job) {
    const std::vector<float> shrink = searchClip(weight, format, gram, job);
    if (shrink.empty()) return {};
    Matrix clipped(weight.rows, weight.cols);
    const std::int64_t unit = clipUnit(format, weight.cols), units = weight.cols / unit;
    const bool bothEnds = hasZeroPoint(format);
    parallelFor(weight.rows, kRowsAtOnce, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t r = begin; r < end; ++r)
            for (std::int64_t u = 0; u < units; ++u)
                clip(weight.row(r) + u * unit, unit, shrink[static_cast<std::size_t>(r * units + u)], bothEnds, clipped.row(r) + u * unit);
    });
    return clipped;
}

QuantizedTensor quantizeClipped(const Site& site, MatrixView<const float> weight, MatrixView<const float> clipped, const FormatPtr& format,
                                const RounderOptions& rounder, const KeptWeights& kept) {
    RounderOptions options = rounder;
    options.weighted = options.clipSearch = false;
    QuantizedTensor tensor = quantizeSite(site, clipped, format, {}, options);
    tensor.kept = kept;
    measureRounding(tensor, weight);
    return tensor;
}

std::shared_ptr<QuantizedModel> clippedModel(const Model& model, const std::vector<SiteFormat>& formats, const Windows& windows,
                                             const ImportanceLookup& importance, const RounderOptions& rounder, JobContext& job, const KeptLookup& kept, InputStore* store) {
    std::vector<SiteFormat> plain, clipped;
    for (const SiteFormat& format : formats) {
        const Site& site = model.site(format.site);
        const bool mine = format.used && format.rounder != "gptq" && site.kind != SiteKind::tokenEmbedding && clipUnit(*format.used, site.cols) > 0;
        (mine ? clipped : plain).push_back(format);
    }
    const auto result = kept ? buildAround(model, plain, importance, rounder, kept, job) : QuantizedModel::build(model, plain, importance, rounder, job);
    result->setFormats(formats);
    if (clipped.empty()) return result;
    ClipRun run(model, clipped, importance, rounder, kept, *result, job);
    walkInputs(model, windows, run.groups(), {}, store, "clip", [&](BlockIndex block, const BlockInputs& inputs) { run.roundBlock(block, inputs); }, job);
    return result;
}

} // namespace bw
