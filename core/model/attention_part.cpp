// SPDX-License-Identifier: GPL-3.0-or-later
// The attention of one block: projections, norms of queries and keys, rotation, and what each token sees. The output
// projection is forward.cpp's.
#include "core/model/model_impl.h"

#include <algorithm>

namespace bw {

void normalizeHeads(const BlockPass& pass, const Norm& norm, MatrixView<float> x) {
    if (norm.weight.empty()) return;
    const std::int64_t headDim = pass.config().headDim, heads = x.cols / headDim;
    const auto columns = [&](std::int64_t head) { return x.middleCols(head * headDim, headDim); };
    switch (pass.config().qkNorm) {
    case QkNorm::none:
        return;
    case QkNorm::width:
        return pass.model.applyNorm(norm, x, x);
    case QkNorm::head:
        if (x.stride == x.cols) { // heads follow each other: one call over all of them
            const MatrixView<float> rows(x.data, x.rows * heads, headDim);
            return pass.model.applyNorm(norm, rows, rows);
        }
        for (std::int64_t h = 0; h < heads; ++h) pass.model.applyNorm(norm, columns(h), columns(h));
        return;
    case QkNorm::perHead:
        for (std::int64_t h = 0; h < heads; ++h) {
            const auto* first = norm.weight.data() + h * headDim;
            pass.model.applyNorm({{first, first + headDim}, {}}, columns(h), columns(h));
        }
    }
}

void rotate(const BlockPass& pass, MatrixView<float> x, std::int64_t position0, std::int64_t sequence, bool back) {
    const int index = pass.model.blockConfig(pass.weights.block).rope;
    if (index < 0) return;
    const RopeConfig& rope = pass.config().ropes[static_cast<std::size_t>(index)];
    const auto& frequencies = pass.model.ropes[static_cast<std::size_t>(index)];
    const bool isLong = !rope.longFactors.empty() && sequence > rope.originalContext;
    std::vector<float> used = isLong ? frequencies.longSequence : frequencies.usual;
    if (back)
        for (float& frequency : used) frequency = -frequency;
    const RopeShape shape{pass.config().headDim, used, static_cast<float>(rope.attentionFactor)};
    pass.device().rope(x, shape, position0);
}

AttentionShape attentionShape(const BlockPass& pass, std::int64_t position0) {
    const ModelConfig& config = pass.config();
    return {config.heads,
            config.kvHeads,
            config.headDim,
            position0,
            pass.model.blockConfig(pass.weights.block).window,
            static_cast<float>(config.attentionScale),
            static_cast<float>(config.attentionSoftCap)};
}

namespace {

/// Queries, keys and values of some rows, wherever they lie.
struct Projections {
    MatrixView<float> q, k, v;
};

void project(const BlockPass& pass, MatrixView<const float> normed, const Projections& to) {
    pass.multiply(normed, pass.weights.q, to.q);
    pass.multiply(normed, pass.weights.k, to.k);
    pass.multiply(normed, pass.weights.v, to.v);
    pass.pause();
}

void normalize(const BlockPass& pass, const Projections& p) {
    normalizeHeads(pass, pass.weights.qNorm, p.q);
    normalizeHeads(pass, pass.weights.kNorm, p.k);
}

/// Attention of the queries from `past` on, where keys and values are rounded as they lie in a cache: the new ones enter
/// it in runs that change nothing which an earlier token has read. keys, values (past+T)×(kvHeads·D).
void attendRounded(const BlockPass& pass, MatrixView<const float> q, MatrixView<float> keys, MatrixView<float> values,
                   std::int64_t past, MatrixView<float> mixed) {
    const RuntimeRounding& rounding = *pass.weights.rounding;
    for (std::int64_t first = 0, count = 0; first < q.rows; first += count) {
        const std::int64_t seen = past + first;
        count = rounding.cacheRun(pass.weights.block, seen, q.rows - first);
        const auto k = keys.middleRows(0, seen + count), v = values.middleRows(0, seen + count);
        pass.device().toHost(k);
        pass.device().toHost(v);
        rounding.roundCache(pass.weights.block, k, v, seen);
        pass.device().hostWrote(k);
        pass.device().hostWrote(v);
        pass.device().attention(q.middleRows(first, count), k, v, attentionShape(pass, seen), mixed.middleRows(first, count));
        pass.pause();
    }
}

/// Attention inside each window, whose positions start at 0.
void attendWindows(const BlockPass& pass, const Projections& p, MatrixView<float> mixed) {
    const std::int64_t length = pass.windowLength;
    for (std::int64_t first = 0; first < p.q.rows; first += length) {
        const auto q = p.q.middleRows(first, length), k = p.k.middleRows(first, length);
        const auto v = p.v.middleRows(first, length), out = mixed.middleRows(first, length);
        rotate(pass, q, 0, length);
        rotate(pass, k, 0, length);
        if (pass.roundsCache())
            attendRounded(pass, q, k, v, 0, out);
        else
            pass.device().attention(q, k, v, attentionShape(pass, 0), out);
        pass.pause();
    }
}

/// Attention of the next tokens of a sequence. `p.k` and `p.v` are the cache's own rows.
void attendCache(const BlockPass& pass, const Projections& p, KvCache& cache, MatrixView<float> mixed) {
    const std::int64_t past = cache.length(), total = past + p.q.rows;
    // The capacity is the sequence's length to be: what was cached early must fit what comes late.
    rotate(pass, p.q, past, cache.capacity());
    rotate(pass, p.k, past, cache.capacity());
    const auto keys = cache.keys(pass.weights.block, total), values = cache.values(pass.weights.block, total);
    if (pass.roundsCache()) return attendRounded(pass, p.q, keys, values, past, mixed);
    pass.device().attention(p.q, keys, values, attentionShape(pass, past), mixed);
}

} // namespace

void attend(const BlockPass& pass, MatrixView<const float> normed, KvCache* cache, MatrixView<float> mixed) {
    const std::int64_t rows = normed.rows, q = pass.config().queryWidth(), kv = pass.config().kvWidth();
    const bool fused = pass.weights.qkv.weight != nullptr;
    Projections cached{};
    if (cache != nullptr) {
        const std::int64_t past = cache->length();
        cached.k = cache->keys(pass.weights.block, past + rows).middleRows(past, rows);
        cached.v = cache->values(pass.weights.block, past + rows).middleRows(past, rows);
    }
    if (fused) {
        BufferPool::Lease all = pass.buffer(rows, q + 2 * kv);
        pass.multiply(normed, pass.weights.qkv, all.view());
        pass.pause();
        Projections p{all.view().middleCols(0, q), all.view().middleCols(q, kv), all.view().middleCols(q + kv, kv)};
        normalize(pass, p);
        if (cache == nullptr) return attendWindows(pass, p, mixed);
        pass.device().copy(p.k, cached.k);
        pass.device().copy(p.v, cached.v);
        return attendCache(pass, {p.q, cached.k, cached.v}, *cache, mixed);
    }
    BufferPool::Lease queries = pass.buffer(rows, q);
    if (cache != nullptr) {
        cached.q = queries.view();
        project(pass, normed, cached);
        normalize(pass, cached);
        return attendCache(pass, cached, *cache, mixed);
    }
    BufferPool::Lease keys = pass.buffer(rows, kv), values = pass.buffer(rows, kv);
    const Projections p{queries.view(), keys.view(), values.view()};
    project(pass, normed, p);
    normalize(pass, p);
    attendWindows(pass, p, mixed);
}

} // namespace bw
