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

} // namespace

void attentionCpu(MatrixView<const float> q, MatrixView<const float> k, MatrixView<const float> v,
                  const AttentionShape& shape, MatrixView<float> out) {
    const std::int64_t tokens = q.rows, headDim = shape.headDim;
    assert(shape.kvHeads > 0 && shape.heads % shape.kvHeads == 0);
    assert(k.rows == shape.position0 + tokens && v.rows == k.rows);
    const std::int64_t group = shape.heads / shape.kvHeads;
    const std::int64_t blocks = (tokens + kQueryBlock - 1) / kQueryBlock;
    const float scale = shape.scale > 0 ? shape.scale : 1.0f / std::sqrt(static_cast<float>(headDim));
    const auto oldestSeen = [&](std::int64_t position) {
        return shape.window > 0 ? std::max<std::int64_t>(0, position - shape.window + 1) : 0;
    };
    const GemmTable& gemm = gemmTable();
    parallelFor(shape.heads * blocks, 1, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t task = begin; task < end; ++task) {
            const std::int64_t head = task / blocks, first = task % blocks * kQueryBlock;
            const std::int64_t rows = std::min(kQueryBlock, tokens - first);
            // Keys that some query of this block sees.
            const std::int64_t oldest = oldestSeen(shape.position0 + first);
            const std::int64_t keys = shape.position0 + first + rows - oldest;
            const std::int64_t kvColumn = head / group * headDim;
            float* scores = scratchScores(rows * keys);
            gemm.timesTransposed(q.data + first * q.stride + head * headDim, q.stride,
                                 k.data + oldest * k.stride + kvColumn, k.stride, scores, keys, rows, keys, headDim,
                                 false);
            for (std::int64_t r = 0; r < rows; ++r) {
                const std::int64_t position = shape.position0 + first + r;
                const std::int64_t hidden = oldestSeen(position) - oldest, seen = position + 1 - oldest - hidden;
                float* row = scores + r * keys;
                std::fill_n(row, hidden, 0.0f);
                if (shape.softCap > 0) kernels::softCap(row + hidden, seen, scale, shape.softCap);
                kernels::softmaxRow(row + hidden, seen, keys - hidden, shape.softCap > 0 ? 1.0f : scale);
            }
            gemm.times(scores, keys, v.data + oldest * v.stride + kvColumn, v.stride,
                       out.data + first * out.stride + head * headDim, out.stride, rows, headDim, keys, false);
        }
    });
}

} // namespace bw
