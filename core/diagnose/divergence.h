// SPDX-License-Identifier: GPL-3.0-or-later
// Where two models part: after each block, how far the hidden states of the changed model are from the base's, and how much
// of that the block adds by itself.
#pragma once

#include "core/diagnose/swapped_sites.h"
#include "core/model/walk.h"

#include <vector>

namespace bw {

struct BlockDivergence {
    BlockIndex block;
    double relative = 0; ///< ‖h' − h‖/‖h‖ over all tokens, h after the block
    double own = 0;      ///< the same when the changed block is given the base's own inputs
    double cosine = 1;   ///< mean over tokens of the angle's cosine between h' and h
};

/// @throws as walkBlocks(). Cost: three walks. Memory: two sets of states more than a walk.
std::vector<BlockDivergence> divergenceTrace(const ChangedModel& changed, const Windows& windows, JobContext& job);

} // namespace bw
