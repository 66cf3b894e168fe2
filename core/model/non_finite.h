// SPDX-License-Identifier: GPL-3.0-or-later
// Weights that are no numbers: which tensors hold them, by damaged blocks. What they count as is said when a model is
// opened (NonFinite in model.h). Not for: activations that overflow (walk.h).
#pragma once

#include "core/model/model.h"

#include <string>
#include <vector>

namespace bw {

struct NonFiniteTensor {
    std::string tensor;           ///< Site::tensor
    std::int64_t weights = 0;     ///< that are NaN or infinite
    std::int64_t blocks = 0;      ///< that hold one of them; a NaN or infinite scale damages its whole block
    std::int64_t blockLength = 1; ///< weights in a block of the tensor's type; 1 for plain numbers
    std::int64_t allBlocks = 0;   ///< of the tensor
    std::int64_t firstRow = 0, firstBlock = 0; ///< of the first one, the block counted in its row
    /// "blk.0.ffn_down.weight: 2 of 512 blocks of 32 weights are not finite, the first in row 3, block 1".
    std::string text() const;
};

/// Of the tensors with sites, in model order; every weight is read once. Unit of progress: weights.
std::vector<NonFiniteTensor> findNonFinite(const Model& model, JobContext& job);

/// NaN and infinities become 0.
void zeroNonFinite(MatrixView<float> weights);

} // namespace bw
