// SPDX-License-Identifier: GPL-3.0-or-later
// Projects the gradients that a walk backwards passes onto the changes that formats make. Private to core/sensitivity.
#pragma once

#include "core/sensitivity/fisher_cells.h"
#include "core/sensitivity/weight_changes.h"

namespace bw::detail {

class FisherObserver final : public GradientObserver {
public:
    FisherObserver(const Model& model, const Windows& windows, const FisherLayout& layout, FisherCells& cells,
                   WeightChanges& changes, const std::function<void(const FisherRow&)>& onRow, bool halfGradients,
                   JobContext& job);
    bool wantsInputs() const override { return cells_.wantsInputs(); }
    bool wantsCache() const override { return cells_.wantsCache(); }
    void endBlock(BlockIndex block) override;
    void onSite(const SiteGradients& g) override;
    void onInput(const InputGradients& g) override;
    void onCache(const CacheGradients& g) override;
    void onEmbedding(const EmbeddingGradients& g) override;
    void finish(); ///< after the walk: hands out the embedding

private:
    using Gradients = std::span<const MatrixView<const float>>;
    void byRounding(FisherPlace& place, const WindowRows& windows, MatrixView<const float> x, Gradients gradients);
    /// sums[k] += Σ a⊙gradients over the rows of each window, draw and segment.
    void addDots(FisherFormat& format, const WindowRows& windows, MatrixView<const float> a, Gradients gradients);
    double& sum(FisherFormat& format, std::int64_t window, std::size_t draw, std::int64_t segment);
    /// Where a segment of `rows` begins; an expert's rows are cut by their number, not by their positions.
    std::int64_t segmentStart(std::int64_t rows, std::int64_t segment) const {
        return rows * segment / layout_.segments;
    }
    /// Of all windows' segments, and where the last one ends.
    std::vector<std::int64_t> segmentStarts(const WindowRows& windows) const;
    void hand(FisherPlace& place);
    MatrixView<float> room(Matrix& matrix, std::int64_t rows, std::int64_t cols);

    const Model& model_;
    const Windows& windows_;
    FisherLayout layout_;
    FisherCells& cells_;
    WeightChanges& changes_;
    const std::function<void(const FisherRow&)>& onRow_;
    JobContext& job_;
    bool halfGradients_;
    Matrix product_; ///< working memory
    std::vector<double> parts_;
};

/// Σ a·b, in f32 over 16 lanes, 512 values at a time, those in f64: the order hangs on n only.
double dot(const float* a, const float* b, std::int64_t n);

} // namespace bw::detail
