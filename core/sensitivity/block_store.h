// SPDX-License-Identifier: GPL-3.0-or-later
// f32 weights of the blocks, kept while memory allows, and blocks with one weight exchanged. Private to
// core/sensitivity.
#pragma once

#include "core/sensitivity/near_block.h"

namespace bw::detail {

/// Bytes of memory that can be had without pushing anything out, the cgroup's limit included; half of it is fair to
/// take.
std::uint64_t availableMemory();

class BlockStore {
public:
    /// Keeps every block that was asked for when all of them fit into `memory` bytes, else only the last.
    /// @param source replaces weights (null: the checkpoint's). `near`: blocks that know `tokens` tokens are wanted
    /// too; what they know is kept when it fits beside all blocks.
    BlockStore(const Model& model, std::uint64_t memory, const WeightSource* source = nullptr, bool near = false,
               std::int64_t tokens = 0);
    bool keepsAll() const { return keepsAll_; }
    bool near() const { return near_; }
    bool keepsKnown() const { return keepsKnown_; }
    BlockWeightsPtr block(BlockIndex index);
    /// Only with near().
    NearBlock& nearBlock(BlockIndex index);

private:
    const Model& model_;
    const WeightSource* source_;
    bool keepsAll_ = false, near_ = false, keepsKnown_ = false;
    std::vector<BlockWeightsPtr> blocks_;
    std::vector<std::unique_ptr<NearBlock>> nearBlocks_;
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
