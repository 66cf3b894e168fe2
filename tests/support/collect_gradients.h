// SPDX-License-Identifier: GPL-3.0-or-later
// Gathers everything that a walk backwards hands out, with the weights' gradients summed up in f64: for models of a few
// thousand weights. Not for: speed.
#pragma once

#include "core/base/matrix.h"
#include "core/model/reverse.h"

#include <cmath>
#include <map>
#include <vector>

namespace bw::test {

/// rows×cols in f64.
struct Doubles {
    std::int64_t rows = 0, cols = 0;
    std::vector<double> values;

    void shape(std::int64_t r, std::int64_t c) {
        if (!values.empty()) return;
        rows = r;
        cols = c;
        values.assign(static_cast<std::size_t>(r * c), 0.0);
    }
    double& at(std::int64_t r, std::int64_t c) { return values[static_cast<std::size_t>(r * cols + c)]; }
    double at(std::int64_t r, std::int64_t c) const { return values[static_cast<std::size_t>(r * cols + c)]; }
    double norm() const {
        double sum = 0;
        for (const double v : values) sum += v * v;
        return std::sqrt(sum);
    }
};

/// Rows of one window of a view.
inline Doubles windowRows(const WindowRows& windows, std::int64_t b, MatrixView<const float> x) {
    Doubles out;
    const auto first = windows.starts[static_cast<std::size_t>(b)], last = windows.starts[static_cast<std::size_t>(b + 1)];
    out.shape(last - first, x.cols);
    for (std::int64_t r = first; r < last; ++r)
        for (std::int64_t c = 0; c < x.cols; ++c) out.at(r - first, c) = static_cast<double>(x(r, c));
    return out;
}

class CollectGradients : public GradientObserver {
public:
    struct Key {
        std::string name; ///< site, input group, "blk.0.k", "blk.0.v", "embedded"
        std::int64_t window;
        int draw;
        auto operator<=>(const Key&) const = default;
    };
    /// Without `withInputs` only weights, caches and embeddings are gathered.
    explicit CollectGradients(const Model& model, bool withInputs = true) : model_(model), wantsInputs_(withInputs) {}
    bool wantsInputs() const override { return wantsInputs_; }
    bool wantsCache() const override { return true; }
    void beginBlock(BlockIndex block) override { order.push_back(block.value()); }

    void onSite(const SiteGradients& g) override {
        for (std::int64_t b = 0; b < g.windows.count(); ++b)
            for (std::size_t k = 0; k < g.outputGradients.size(); ++k) {
                const Doubles dy = windowRows(g.windows, b, g.outputGradients[k]), x = windowRows(g.windows, b, g.input);
                Doubles& sum = weights[{g.site.name, g.windows.first + b, static_cast<int>(k)}];
                sum.shape(g.site.rows, g.site.cols);
                for (std::int64_t r = 0; r < x.rows; ++r)
                    for (std::int64_t o = 0; o < sum.rows; ++o)
                        for (std::int64_t i = 0; i < sum.cols; ++i) sum.at(o, i) += dy.at(r, o) * x.at(r, i);
                if (wantsInputs_) addInput(g.site, dy, g.windows.first + b, static_cast<int>(k));
            }
    }
    void onInput(const InputGradients& g) override {
        const std::string& name = model_.inputGroups()[static_cast<std::size_t>(g.group)].name;
        for (std::int64_t b = 0; b < g.windows.count(); ++b)
            for (std::size_t k = 0; k < g.gradients.size(); ++k)
                inputs[{name, g.windows.first + b, static_cast<int>(k)}] = windowRows(g.windows, b, g.gradients[k]);
    }
    void onCache(const CacheGradients& g) override {
        const std::string prefix = "blk." + std::to_string(g.block.value());
        for (std::int64_t b = 0; b < g.windows.count(); ++b)
            for (std::size_t k = 0; k < g.keyGradients.size(); ++k) {
                const std::int64_t window = g.windows.first + b;
                caches[{prefix + ".k", window, static_cast<int>(k)}] = windowRows(g.windows, b, g.keyGradients[k]);
                caches[{prefix + ".v", window, static_cast<int>(k)}] = windowRows(g.windows, b, g.valueGradients[k]);
            }
    }
    /// The gradients of the states, and those of the rows of token_embd, which a tied head adds to.
    void onEmbedding(const EmbeddingGradients& g) override {
        const Site& table = model_.sites().front();
        for (std::int64_t b = 0; b < g.windows.count(); ++b)
            for (std::size_t k = 0; k < g.gradients.size(); ++k) {
                const Doubles dx = windowRows(g.windows, b, g.gradients[k]);
                const Key key{"embedded", g.windows.first + b, static_cast<int>(k)};
                Doubles& sum = weights[{table.name, key.window, key.draw}];
                sum.shape(table.rows, table.cols);
                for (std::int64_t r = 0; r < dx.rows; ++r) {
                    const auto at = static_cast<std::size_t>(g.windows.starts[static_cast<std::size_t>(b)] + r);
                    for (std::int64_t c = 0; c < dx.cols; ++c)
                        sum.at(g.ids[at], c) += static_cast<double>(g.scale) * dx.at(r, c);
                }
                inputs[key] = dx;
            }
    }

    std::map<Key, Doubles> weights; ///< O×I
    std::map<Key, Doubles> inputs;  ///< what the walk said about input groups and the embedded tokens
    std::map<Key, Doubles> caches;
    std::map<Key, Doubles> summed;  ///< of input groups: Σ over its sites of dy·W, worked out here
    std::vector<int> order;         ///< blocks as they came

private:
    void addInput(const Site& site, const Doubles& dy, std::int64_t window, int draw) {
        const Matrix w = model_.siteWeight(site);
        Doubles& sum = summed[{model_.inputGroups()[static_cast<std::size_t>(site.inputGroup)].name, window, draw}];
        sum.shape(dy.rows, site.cols);
        for (std::int64_t r = 0; r < dy.rows; ++r)
            for (std::int64_t o = 0; o < site.rows; ++o)
                for (std::int64_t i = 0; i < site.cols; ++i)
                    sum.at(r, i) += dy.at(r, o) * static_cast<double>(w.row(o)[i]);
    }

    const Model& model_;
    bool wantsInputs_;
};

/// Σ over positions of −log p(label), label t given, times `factors[draw]`.
class LabelLoss final : public LogitLoss {
public:
    LabelLoss(std::vector<std::vector<TokenId>> labels, std::vector<float> factors)
        : labels_(std::move(labels)), factors_(std::move(factors)) {}
    int draws() const override { return static_cast<int>(factors_.size()); }
    void gradient(std::int64_t window, int draw, MatrixView<const float> logits, MatrixView<float> gradient) override {
        const std::vector<TokenId>& labels = labels_[static_cast<std::size_t>(window)];
        const auto factor = static_cast<double>(factors_[static_cast<std::size_t>(draw)]);
        for (std::int64_t t = 0; t < logits.rows; ++t) {
            double total = 0, peak = -INFINITY;
            for (const float v : logits.rowSpan(t)) peak = std::max(peak, static_cast<double>(v));
            for (const float v : logits.rowSpan(t)) total += std::exp(static_cast<double>(v) - peak);
            const auto label = labels[static_cast<std::size_t>(t)];
            if (draw == 0) loss_ += peak + std::log(total) - static_cast<double>(logits(t, label));
            for (std::int64_t c = 0; c < logits.cols; ++c) {
                const double p = std::exp(static_cast<double>(logits(t, c)) - peak) / total;
                gradient(t, c) = static_cast<float>(factor * (p - (c == label ? 1.0 : 0.0)));
            }
        }
    }
    /// Of all windows so far, without the factors.
    double loss() const { return loss_; }

private:
    std::vector<std::vector<TokenId>> labels_;
    std::vector<float> factors_;
    double loss_ = 0;
};

} // namespace bw::test
