// SPDX-License-Identifier: GPL-3.0-or-later
// f32 weights of the blocks, kept while memory allows, and blocks with one weight exchanged. Private to core/sensitivity.
#pragma once

#include "core/model/model.h"

namespace bw::detail {

/// Bytes of memory that can be had without pushing anything out, the cgroup's limit included; half of it is fair to take.
std::uint64_t availableMemory();

class BlockStore {
public:
    /// Keeps every block that was asked for when all of them fit into `memory` bytes, else only the last.
    BlockStore(const Model& model, std::uint64_t memory);
    bool keepsAll() const { return keepsAll_; }
    BlockWeightsPtr block(BlockIndex index);

private:
    const Model& model_;
    bool keepsAll_ = false;
    std::vector<BlockWeightsPtr> blocks_;
};

/// A block that differs in one site; shares the rest with `base`, which it keeps alive.
class PatchedBlock {
public:
    PatchedBlock(const Model& model, BlockWeightsPtr base, const Site& site, Matrix weight);
    const BlockWeights& weights() const { return patched_; }

private:
    BlockWeightsPtr base_;
    BlockWeights patched_;
};

} // namespace bw::detail
