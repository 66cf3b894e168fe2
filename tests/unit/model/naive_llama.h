// SPDX-License-Identifier: GPL-3.0-or-later
// The Llama forward pass written as plainly as possible in f64, straight from its formulas: the yardstick for the real
// one. Quadratic in everything; for models of a few thousand weights.
#pragma once

#include "core/model/model.h"

#include <cmath>

namespace bw::test {

using Rows = std::vector<std::vector<double>>;

/// What may be changed on the way, to see how the logits follow: weights, and values of one token as they pass a place:
/// "embedded", "blk.0.k" and "blk.0.v" as a cache holds them, or an input group's name.
struct NaiveChanges {
    const WeightSource* source = nullptr;
    std::function<void(const std::string& place, std::size_t token, std::vector<double>& values)> touch;
    void pass(const std::string& place, std::size_t token, std::vector<double>& values) const {
        if (touch) touch(place, token, values);
    }
};

inline std::vector<double> naiveTimes(const Matrix& weight, const std::vector<double>& x) {
    std::vector<double> y(static_cast<std::size_t>(weight.rows()), 0.0);
    for (std::int64_t o = 0; o < weight.rows(); ++o)
        for (std::int64_t i = 0; i < weight.cols(); ++i)
            y[static_cast<std::size_t>(o)] += static_cast<double>(weight.row(o)[i]) * x[static_cast<std::size_t>(i)];
    return y;
}

inline std::vector<double> naiveNorm(const Model& model, const std::string& tensor, const std::vector<double>& x) {
    std::vector<float> weight(x.size());
    model.checkpoint().read(model.checkpoint().require(tensor), weight);
    double mean = 0;
    for (const double v : x) mean += v * v / static_cast<double>(x.size());
    std::vector<double> y;
    for (std::size_t i = 0; i < x.size(); ++i)
        y.push_back(x[i] / std::sqrt(mean + model.config().normEpsilon) * static_cast<double>(weight[i]));
    return y;
}

inline void naiveRope(const ModelConfig& c, std::vector<double>& x, double position) {
    const auto half = static_cast<std::size_t>(c.headDim / 2);
    for (std::size_t head = 0; head < x.size(); head += 2 * half) {
        for (std::size_t i = 0; i < half; ++i) {
            const double angle = position * std::pow(c.ropes.front().theta, -static_cast<double>(i) / static_cast<double>(half));
            const double a = x[head + i], b = x[head + half + i];
            x[head + i] = a * std::cos(angle) - b * std::sin(angle);
            x[head + half + i] = b * std::cos(angle) + a * std::sin(angle);
        }
    }
}

/// softmax(q·k/√D)·v of the last token of `k` and `v`.
inline std::vector<double> naiveAttention(const ModelConfig& c, const std::vector<double>& q, const Rows& k,
                                          const Rows& v) {
    std::vector<double> out(q.size(), 0.0);
    const auto dim = static_cast<std::size_t>(c.headDim);
    for (std::size_t h = 0; h < static_cast<std::size_t>(c.heads); ++h) {
        const std::size_t kv = h / static_cast<std::size_t>(c.heads / c.kvHeads);
        std::vector<double> p;
        double total = 0;
        for (const auto& key : k) {
            double score = 0;
            for (std::size_t d = 0; d < dim; ++d) score += q[h * dim + d] * key[kv * dim + d];
            p.push_back(std::exp(score / std::sqrt(static_cast<double>(dim))));
            total += p.back();
        }
        for (std::size_t j = 0; j < k.size(); ++j)
            for (std::size_t d = 0; d < dim; ++d) out[h * dim + d] += p[j] / total * v[j][kv * dim + d];
    }
    return out;
}

inline void naiveBlock(const Model& model, int block, Rows& x, const NaiveChanges& changes) {
    const std::string prefix = "blk." + std::to_string(block) + ".";
    const auto weight = [&](const char* name) { return model.siteWeight(*model.findSite(prefix + name), changes.source); };
    const Matrix q = weight("attn_q"), k = weight("attn_k"), v = weight("attn_v"), o = weight("attn_output");
    const Matrix gate = weight("ffn_gate"), up = weight("ffn_up"), down = weight("ffn_down");
    Rows keys, values;
    for (std::size_t t = 0; t < x.size(); ++t) {
        auto n = naiveNorm(model, prefix + "attn_norm.weight", x[t]);
        changes.pass(prefix + "attn_in", t, n);
        auto query = naiveTimes(q, n);
        keys.push_back(naiveTimes(k, n));
        values.push_back(naiveTimes(v, n));
        naiveRope(model.config(), query, static_cast<double>(t));
        naiveRope(model.config(), keys.back(), static_cast<double>(t));
        changes.pass(prefix + "k", t, keys.back());
        changes.pass(prefix + "v", t, values.back());
        auto attended = naiveAttention(model.config(), query, keys, values);
        changes.pass(prefix + "attn_output_in", t, attended);
        const auto mixed = naiveTimes(o, attended);
        for (std::size_t i = 0; i < mixed.size(); ++i) x[t][i] += mixed[i];
    }
    for (std::size_t t = 0; t < x.size(); ++t) {
        auto n = naiveNorm(model, prefix + "ffn_norm.weight", x[t]);
        changes.pass(prefix + "ffn_in", t, n);
        auto g = naiveTimes(gate, n);
        const auto u = naiveTimes(up, n);
        for (std::size_t i = 0; i < g.size(); ++i) g[i] = g[i] / (1 + std::exp(-g[i])) * u[i];
        changes.pass(prefix + "ffn_down_in", t, g);
        const auto d = naiveTimes(down, g);
        for (std::size_t i = 0; i < d.size(); ++i) x[t][i] += d[i];
    }
}

inline Rows naiveLogitRows(const Model& model, std::span<const TokenId> ids, const NaiveChanges& changes = {}) {
    const Matrix embedding = model.siteWeight(model.sites().front(), changes.source);
    const Matrix head =
        model.siteWeight(model.config().tiedHead ? model.sites().front() : model.sites().back(), changes.source);
    Rows x, logits;
    for (const TokenId id : ids) {
        x.emplace_back(embedding.row(id), embedding.row(id) + embedding.cols());
        changes.pass("embedded", x.size() - 1, x.back());
    }
    for (int b = 0; b < model.config().blocks; ++b) naiveBlock(model, b, x, changes);
    for (std::size_t t = 0; t < x.size(); ++t) {
        auto n = naiveNorm(model, "output_norm.weight", x[t]);
        changes.pass("output_in", t, n);
        logits.push_back(naiveTimes(head, n));
    }
    return logits;
}

inline std::vector<float> naiveLogits(const Model& model, std::span<const TokenId> ids) {
    std::vector<float> logits;
    for (const auto& row : naiveLogitRows(model, ids))
        for (const double v : row) logits.push_back(static_cast<float>(v));
    return logits;
}

} // namespace bw::test
