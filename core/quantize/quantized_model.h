// SPDX-License-Identifier: GPL-3.0-or-later
// A quantized model: encoded bytes of every replaced site, usable as a WeightSource for evaluation (simulation) and as
// the source of an export. Rounding a site: nearest, importance-weighted, with or without clip search.
#pragma once

#include "core/quantize/assignment.h"

namespace bw {

class TensorCache;

struct RounderOptions {
    bool weighted = false;   ///< use calibration importance (mean squared inputs)
    bool clipSearch = true;  ///< affine grids: search the clip of each group
    BlockSearch search = BlockSearch::best; ///< GGML blocks: how scales are searched
    bool stochastic = false; ///< up or down with the probability that makes the mean right, instead of to the nearest
    std::uint64_t seed = 0;  ///< of stochastic rounding
};

/// The options of a site whose choice names a rounder of its own; empty: `recipe` as it is.
RounderOptions siteRounder(const RounderOptions& recipe, const std::string& rounder);

/// Weights kept beside the grid in f16, in place of what it decodes to: whole input columns, single weights, or both.
struct KeptWeights {
    std::vector<std::int32_t> columns;        ///< n input channels, rising
    std::vector<std::uint16_t> columnValues;  ///< f16 bits, O×n
    std::vector<std::int32_t> rowOf, columnOf; ///< of single weights, by row then column
    std::vector<std::uint16_t> values;        ///< f16 bits, one for each of these
    bool empty() const { return columns.empty() && values.empty(); }
    /// As they would lie in a file: 4 bytes a column index, 2 a kept value, 4 a single weight's column and 4 a row's start.
    std::uint64_t bytes(std::int64_t rows) const;
};

/// What of a site's weight stays beside the grid; empty for most.
using KeptLookup = std::function<KeptWeights(const Site&, MatrixView<const float>)>;

struct QuantizedTensor {
    SiteId site;
    FormatPtr format;
    std::vector<std::byte> bytes;
    double relativeError = 0;    ///< ‖W−Ŵ‖²/‖W‖²
    double uniformNoise = 0;     ///< expected of a uniform grid: Δ²/12 over mean W² (0 where no grid step is known)
    KeptWeights kept = {};       ///< outlier split
    std::string rounder = {};    ///< that made it, when the recipe's did not: "nearest: GPTQ was worse"
    /// What the site's weight becomes, O×I, kept weights included.
    void decode(MatrixView<float> weight) const;
};

/// Rounds one weight. @param importance I values or empty. @param device rounds to nearest without a search if it is a GPU, to the
/// same bytes; null: the CPU. @throws Error(nonFinite) naming the site and element.
QuantizedTensor quantizeSite(const Site& site, MatrixView<const float> weight, const FormatPtr& format,
                             std::span<const float> importance, const RounderOptions& options, Device* device = nullptr);

/// Fills in relativeError and uniformNoise of a tensor whose bytes were made from `weight`.
void measureRounding(QuantizedTensor& tensor, MatrixView<const float> weight);

/// importance(site) gives the per-column weights or an empty span.
using ImportanceLookup = std::function<std::span<const float>(const Site&)>;

class QuantizedModel final : public WeightSource {
public:
    /// Quantizes every site with a format; unit of progress: weights. Sites with `used == nullptr` stay; those that name a
    /// rounder are rounded by it. @throws Error(usage) for GPTQ, which needs inputs (gptq.h).
    /// @param cache tensors rounded before are taken from it and new ones kept there; null = none. The result is the same.
    static std::shared_ptr<QuantizedModel> build(const Model& model, const std::vector<SiteFormat>& formats,
                                                 const ImportanceLookup& importance, const RounderOptions& options,
                                                 JobContext& job, TensorCache* cache = nullptr);
    void apply(const Site& site, MatrixView<float> weight) const override;
    bool replaces(const Site& site) const override { return find(site.id) != nullptr; }
    /// Of integer grids without kept weights.
    std::optional<CodedRows> codedRows(const Site& site) const override;
    const QuantizedTensor* find(SiteId site) const;
    const std::vector<SiteFormat>& formats() const { return formats_; }

    // For rounders that make tensors themselves, and for what is rounded at run time.
    void setFormats(std::vector<SiteFormat> formats) { formats_ = std::move(formats); }
    void set(QuantizedTensor tensor) { tensors_.insert_or_assign(tensor.site.value(), std::move(tensor)); }
    void setRounding(std::shared_ptr<const RuntimeRounding> rounding) { rounding_ = std::move(rounding); }
    std::shared_ptr<const RuntimeRounding> rounding() const override { return rounding_; }

private:
    std::vector<SiteFormat> formats_;
    std::shared_ptr<const RuntimeRounding> rounding_;
    std::map<int, QuantizedTensor> tensors_;
};

} // namespace bw
