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
};

struct QuantizedTensor {
    SiteId site;
    FormatPtr format;
    std::vector<std::byte> bytes;
    double relativeError = 0;    ///< ‖W−Ŵ‖²/‖W‖²
    double uniformNoise = 0;     ///< expected of a uniform grid: Δ²/12 over mean W² (0 where no grid step is known)
};

/// Rounds one weight. @param importance I values or empty. @throws Error(nonFinite) naming the site and element.
QuantizedTensor quantizeSite(const Site& site, MatrixView<const float> weight, const FormatPtr& format,
                             std::span<const float> importance, const RounderOptions& options);

/// importance(site) gives the per-column weights or an empty span.
using ImportanceLookup = std::function<std::span<const float>(const Site&)>;

class QuantizedModel final : public WeightSource {
public:
    /// Quantizes every site with a format; unit of progress: weights. Sites with `used == nullptr` stay.
    /// @param cache tensors rounded before are taken from it and new ones kept there; null = none. The result is the same.
    static std::shared_ptr<QuantizedModel> build(const Model& model, const std::vector<SiteFormat>& formats,
                                                 const ImportanceLookup& importance, const RounderOptions& options,
                                                 JobContext& job, TensorCache* cache = nullptr);
    void apply(const Site& site, MatrixView<float> weight) const override;
    const QuantizedTensor* find(SiteId site) const;
    const std::vector<SiteFormat>& formats() const { return formats_; }

private:
    std::vector<SiteFormat> formats_;
    std::map<int, QuantizedTensor> tensors_;
};

} // namespace bw
