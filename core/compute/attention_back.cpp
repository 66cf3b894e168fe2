// SPDX-License-Identifier: GPL-3.0-or-later
// Reverse of attention: per block of queries, first the softmax anew for every head of every window, then the gradients
// of all draws from it. A key head's gradients are summed by one thread in the order of its query heads and blocks, so
// that results don't depend on the number of threads.
#include "core/compute/attention.h"

#include "core/base/matrix.h"
#include "core/base/parallel.h"
#include "core/compute/gemm.h"
#include "core/compute/kernels.h"

#include <algorithm>
#include <cassert>

namespace bw {
namespace {

float* scratchGradients(std::int64_t count) {
    thread_local Matrix gradients;
    if (gradients.size() < count) gradients = Matrix(1, count);
    return gradients.data();
}

void zero(MatrixView<float> x) {
    constexpr std::int64_t kRows = 64;
    parallelFor(x.rows, kRows, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t r = begin; r < end; ++r) std::fill_n(x.row(r), x.cols, 0.0f);
    });
}

/// Everything of one window and draw that a key head's query heads need; views have T rows.
struct WindowGradients {
    MatrixView<const float> q, k, v, dOut;
    MatrixView<float> dq, dk, dv;
};

/// Adds what one block of queries of one head contributes. `weights` (and `slopes`) are that block's softmax.
void headBack(const AttentionShape& shape, std::int64_t head, const QueryBlock& block, const float* weights,
              const float* slopes, const WindowGradients& w) {
    const std::int64_t headDim = shape.headDim, column = head * headDim, keys = block.keys, rows = block.rows;
    const std::int64_t kvColumn = head / (shape.heads / shape.kvHeads) * headDim;
    const auto queryPart = [&](auto view) { return view.data + block.first * view.stride + column; };
    const auto keyPart = [&](auto view) { return view.data + block.oldest * view.stride + kvColumn; };
    const GemmTable& gemm = gemmTable();
    float* scores = scratchGradients(rows * keys);
    gemm.timesTransposed(queryPart(w.dOut), w.dOut.stride, keyPart(w.v), w.v.stride, scores, keys, rows, keys, headDim,
                         false);
    const float scale = attentionScale(shape);
    for (std::int64_t r = 0; r < rows; ++r)
        kernels::softmaxBackRow(weights + r * keys, slopes == nullptr ? nullptr : slopes + r * keys, scale,
                                scores + r * keys, keys);
    gemm.times(scores, keys, keyPart(w.k), w.k.stride, queryPart(w.dq), w.dq.stride, rows, headDim, keys, false);
    gemm.transposedTimes(scores, keys, queryPart(w.q), w.q.stride, keyPart(w.dk), w.dk.stride, keys, headDim, rows,
                         true);
    gemm.transposedTimes(weights, keys, queryPart(w.dOut), w.dOut.stride, keyPart(w.dv), w.dv.stride, keys, headDim,
                         rows, true);
}

} // namespace

void attentionBackCpu(MatrixView<const float> q, MatrixView<const float> k, MatrixView<const float> v,
                      const AttentionShape& shape, std::int64_t windowLength, MatrixView<const float> dOut,
                      MatrixView<float> dq, MatrixView<float> dk, MatrixView<float> dv) {
    assert(shape.position0 == 0 && windowLength > 0 && q.rows % windowLength == 0 && dOut.rows % q.rows == 0);
    const std::int64_t windows = q.rows / windowLength, draws = dOut.rows / q.rows;
    const std::int64_t group = shape.heads / shape.kvHeads;
    zero(dk);
    zero(dv);
    std::int64_t widest = 0;
    for (std::int64_t b = 0; b < queryBlocks(windowLength); ++b) {
        const QueryBlock block = queryBlock(shape, windowLength, b);
        widest = std::max(widest, block.rows * block.keys);
    }
    Matrix weights(windows * shape.heads, widest), slopes;
    if (shape.softCap > 0) slopes = Matrix(weights.rows(), widest);
    const auto slopesOf = [&](std::int64_t row) { return shape.softCap > 0 ? slopes.row(row) : nullptr; };
    for (std::int64_t b = 0; b < queryBlocks(windowLength); ++b) {
        const QueryBlock block = queryBlock(shape, windowLength, b);
        parallelFor(weights.rows(), 1, [&](std::int64_t begin, std::int64_t end) {
            for (std::int64_t task = begin; task < end; ++task) {
                const std::int64_t row = task / shape.heads * windowLength;
                attentionWeights(q.middleRows(row, windowLength), k.middleRows(row, windowLength), shape,
                                 task % shape.heads, block, weights.row(task), slopesOf(task));
            }
        });
        parallelFor(draws * windows * shape.kvHeads, 1, [&](std::int64_t begin, std::int64_t end) {
            for (std::int64_t task = begin; task < end; ++task) {
                const std::int64_t drawn = task / shape.kvHeads, kvHead = task % shape.kvHeads;
                const std::int64_t window = drawn % windows;
                const auto rowsOf = [&](auto view, std::int64_t index) {
                    return view.middleRows(index * windowLength, windowLength);
                };
                const WindowGradients part{rowsOf(q, window), rowsOf(k, window), rowsOf(v, window), rowsOf(dOut, drawn),
                                           rowsOf(dq, drawn), rowsOf(dk, drawn), rowsOf(dv, drawn)};
                for (std::int64_t head = kvHead * group; head < (kvHead + 1) * group; ++head) {
                    const std::int64_t at = window * shape.heads + head;
                    headBack(shape, head, block, weights.row(at), slopesOf(at), part);
                }
            }
        });
    }
}

} // namespace bw
