// SPDX-License-Identifier: GPL-3.0-or-later
// Causal grouped-query attention on the CPU, and its reverse; private to core/compute.
#pragma once

#include "core/compute/device.h"

namespace bw {

/// See Device::attention. Parallel over heads and blocks of queries.
void attentionCpu(MatrixView<const float> q, MatrixView<const float> k, MatrixView<const float> v,
                  const AttentionShape& shape, MatrixView<float> out);

/// See Device::attentionBack. Parallel over windows, key heads and draws, one block of queries after the other.
void attentionBackCpu(MatrixView<const float> q, MatrixView<const float> k, MatrixView<const float> v,
                      const AttentionShape& shape, std::int64_t windowLength, MatrixView<const float> dOut,
                      MatrixView<float> dq, MatrixView<float> dk, MatrixView<float> dv);

/// Queries that are worked on together, and the keys that some of them see.
struct QueryBlock {
    std::int64_t first = 0, rows = 0; ///< queries
    std::int64_t oldest = 0, keys = 0;
};
std::int64_t queryBlocks(std::int64_t tokens);
QueryBlock queryBlock(const AttentionShape& shape, std::int64_t tokens, std::int64_t index);

/// What q·k is multiplied by.
float attentionScale(const AttentionShape& shape);

/// weights rows×keys ← softmax(scale·q·kᵀ) of one head, 0 where a query doesn't see a key. `slopes` (may be null; only for
/// shapes with a soft cap) ← derivative of the capped score by the scaled one, rows×keys.
void attentionWeights(MatrixView<const float> q, MatrixView<const float> k, const AttentionShape& shape,
                      std::int64_t head, const QueryBlock& block, float* weights, float* slopes);

} // namespace bw
