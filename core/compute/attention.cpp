// SPDX-License-Identifier: GPL-3.0-or-later
// Attention as two small matrix products per head and block of queries, with a softmax between; scores of one block
// stay in the second-level cache. Not for: keeping keys and values (core/model's KvCache).
#include "core/compute/attention.h"

#include "core/base/matrix.h"
#include "core/base/parallel.h"
#include "core/compute/gemm.h"
#include "core/compute/kernels.h"

#include <algorithm>
#include <cassert>
#include <cmath>

namespace bw {
namespace {

/// 64 queries × 2048 keys of f32 scores are 512 KiB. Larger blocks would waste more work above the diagonal.
constexpr std::int64_t kQueryBlock = 64;

float* scratchScores(std::int64_t count) {
    thread_local Matrix scores;
    if (scores.size() < count) scores = Matrix(1, count);
    return scores.data();
}

std::int64_t oldestSeen(const AttentionShape& shape, std::int64_t position) {
    return shape.window > 0 ? std::max<std::int64_t>(0, position - shape.window + 1) : 0;
}

} // namespace

std::int64_t queryBlocks(std::int64_t tokens) {
    return (tokens + kQueryBlock - 1) / kQueryBlock;
}

QueryBlock queryBlock(const AttentionShape& shape, std::int64_t tokens, std::int64_t index) {
    QueryBlock block;
    block.first = index * kQueryBlock;
    block.rows = std::min(kQueryBlock, tokens - block.first);
    block.oldest = oldestSeen(shape, shape.position0 + block.first);
    block.keys = shape.position0 + block.first + block.rows - block.oldest;
    return block;
}

float attentionScale(const AttentionShape& shape) {
    return shape.scale > 0 ? shape.scale : 1.0f / std::sqrt(static_cast<float>(shape.headDim));
}

void attentionWeights(MatrixView<const float> q, MatrixView<const float> k, const AttentionShape& shape,
                      std::int64_t head, const QueryBlock& block, float* weights, float* slopes) {
    const std::int64_t headDim = shape.headDim, keys = block.keys;
    const std::int64_t kvColumn = head / (shape.heads / shape.kvHeads) * headDim;
    const float scale = attentionScale(shape);
    gemmTable().timesTransposed(q.data + block.first * q.stride + head * headDim, q.stride,
                                k.data + block.oldest * k.stride + kvColumn, k.stride, weights, keys, block.rows, keys,
                                headDim, false);
    for (std::int64_t r = 0; r < block.rows; ++r) {
        const std::int64_t position = shape.position0 + block.first + r;
        const std::int64_t hidden = oldestSeen(shape, position) - block.oldest;
        const std::int64_t seen = position + 1 - block.oldest - hidden;
        float* row = weights + r * keys;
        std::fill_n(row, hidden, 0.0f);
        if (shape.softCap > 0) kernels::softCap(row + hidden, seen, scale, shape.softCap);
        if (slopes != nullptr) {
            float* slope = slopes + r * keys;
            std::fill_n(slope, keys, 0.0f);
            for (std::int64_t j = hidden; j < hidden + seen; ++j) {
                const float tanh = row[j] / shape.softCap;
                slope[j] = 1.0f - tanh * tanh;
            }
        }
        kernels::softmaxRow(row + hidden, seen, keys - hidden, shape.softCap > 0 ? 1.0f : scale);
    }
}

void attentionCpu(MatrixView<const float> q, MatrixView<const float> k, MatrixView<const float> v,
                  const AttentionShape& shape, MatrixView<float> out) {
    const std::int64_t tokens = q.rows, headDim = shape.headDim;
    assert(shape.kvHeads > 0 && shape.heads % shape.kvHeads == 0);
    assert(k.rows == shape.position0 + tokens && v.rows == k.rows);
    const std::int64_t group = shape.heads / shape.kvHeads, blocks = queryBlocks(tokens);
    parallelFor(shape.heads * blocks, 1, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t task = begin; task < end; ++task) {
            const std::int64_t head = task / blocks;
            const QueryBlock block = queryBlock(shape, tokens, task % blocks);
            float* weights = scratchScores(block.rows * block.keys);
            attentionWeights(q, k, shape, head, block, weights, nullptr);
            gemmTable().times(weights, block.keys, v.data + block.oldest * v.stride + head / group * headDim, v.stride,
                              out.data + block.first * out.stride + head * headDim, out.stride, block.rows, headDim,
                              block.keys, false);
        }
    });
}

} // namespace bw
