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
    const float scale = 1.0f / std::sqrt(static_cast<float>(headDim));
    const GemmTable& gemm = gemmTable();
    parallelFor(shape.heads * blocks, 1, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t task = begin; task < end; ++task) {
            const std::int64_t head = task / blocks, first = task % blocks * kQueryBlock;
            const std::int64_t rows = std::min(kQueryBlock, tokens - first);
            const std::int64_t keys = shape.position0 + first + rows;
            const std::int64_t kvColumn = head / group * headDim;
            float* scores = scratchScores(rows * keys);
            gemm.timesTransposed(q.data + first * q.stride + head * headDim, q.stride, k.data + kvColumn, k.stride,
                                 scores, keys, rows, keys, headDim, false);
            for (std::int64_t r = 0; r < rows; ++r)
                kernels::softmaxRow(scores + r * keys, shape.position0 + first + r + 1, keys, scale);
            gemm.times(scores, keys, v.data + kvColumn, v.stride, out.data + first * out.stride + head * headDim,
                       out.stride, rows, headDim, keys, false);
        }
    });
}

} // namespace bw
