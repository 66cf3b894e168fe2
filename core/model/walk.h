// SPDX-License-Identifier: GPL-3.0-or-later
// The block walk: all windows of text go through one block before the next block's weights are loaded, so that memory is
// one block, the boundary activations (spilled past a limit) and the head.
#pragma once

#include "core/base/scratch.h"
#include "core/model/model.h"

namespace bw {

/// B windows of T tokens, row-major ids.
struct Windows {
    std::int64_t count = 0, length = 0;
    std::vector<TokenId> ids;
    std::span<const TokenId> window(std::int64_t w) const {
        return {ids.data() + w * length, static_cast<std::size_t>(length)};
    }
    std::int64_t tokens() const { return count * length; }
};

/// What a walk may do between blocks. All members optional to override; called on the walk's thread.
class WalkVisitor {
public:
    virtual ~WalkVisitor() = default;
    /// Before a block's windows run. `states` are the (B·T)×C inputs of that block: a boundary to store or compare.
    virtual void beforeBlock(BlockIndex, MatrixView<const float> /*states*/) {}
    virtual void afterBlock(BlockIndex, MatrixView<const float> /*states*/) {}
    /// Non-null: receives the inputs of every site group of this block.
    virtual ActivationObserver* observer(BlockIndex) { return nullptr; }
};

/// Walks every block; returns the (B·T)×C states that enter the final norm. Progress unit: tokens·blocks as "tokens".
/// @throws Error(nonFinite) naming the first block whose output has NaN or Inf; Error(cancelled).
ScratchMatrix walkBlocks(const Model& model, const Windows& windows, const WeightSource* source, WalkVisitor* visitor,
                         JobContext& job, const std::string& stage = "forward");

/// Calls use(window, logits T×V) for each window in order, logits in a reused buffer.
void walkHead(const Model& model, const Windows& windows, MatrixView<const float> finalStates, const WeightSource* source,
              JobContext& job, const std::function<void(std::int64_t, MatrixView<const float>)>& use,
              ActivationObserver* observer = nullptr);
/// walkHead() with logits that may lie on the model's device alone: use() asks it for what it reads (Device::toHost), and is called
/// again for a window in whose middle the device failed.
void walkHeadOnDevice(const Model& model, const Windows& windows, MatrixView<const float> finalStates, const WeightSource* source,
                      JobContext& job, const std::function<void(std::int64_t, MatrixView<const float>)>& use,
                      ActivationObserver* observer = nullptr);

} // namespace bw
