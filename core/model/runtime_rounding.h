// SPDX-License-Identifier: GPL-3.0-or-later
// What a runtime rounds besides weights while it runs a model: the inputs of linears, and the keys and values it caches.
// A WeightSource may carry one; every walk then simulates it. Schemes themselves: core/quantize/{activation,cache}_scheme.h.
#pragma once

#include "core/base/types.h"

namespace bw {

/// Immutable; called by many threads at once. Rounding is per row or per fixed scale, so that results depend neither on how
/// windows are batched nor on threads.
class RuntimeRounding {
public:
    virtual ~RuntimeRounding() = default;
    /// Is the input of this group (index into Model::inputGroups()) rounded?
    virtual bool roundsInput(int inputGroup) const = 0;
    /// Replaces x, T×I, by what the linears of the group are given: decode(encode(x)).
    virtual void roundInput(int inputGroup, MatrixView<float> x) const = 0;
    /// Does roundInput() round every row to its symmetric grid of 8 bits, and nothing else (Device::roundToBytes)?
    virtual bool roundsToBytes(int /*inputGroup*/) const { return false; }
    /// Is what enters this one site rounded in a way of its own, after its group's? Where the type of a weight says how
    /// its input is rounded, the sites of a group may differ.
    virtual bool roundsSite(SiteId) const { return false; }
    /// Replaces x, T×I, by what this site alone is given.
    virtual void roundSite(SiteId, MatrixView<float> /*x*/) const {}
    /// Are keys or values of this block rounded?
    virtual bool roundsCache(BlockIndex block) const = 0;
    /// How many tokens, 1 … `most`, may enter a cache of `seen` tokens at once so that each of them finds it as if they had
    /// come one by one: until a token leaves the 16-bit window or fills a group, which changes rows that others have read.
    virtual std::int64_t cacheRun(BlockIndex block, std::int64_t seen, std::int64_t most) const = 0;
    /// Makes keys (after their norm and rotation) and values of one sequence, N×(kvHeads·D) each and row t at position t, lie
    /// as they do in the cache when all N tokens have been seen. The first `seen` rows are as an earlier call left them; a
    /// row changes when it enters and when it is rounded, once each, whatever the steps the sequence grew by.
    virtual void roundCache(BlockIndex block, MatrixView<float> keys, MatrixView<float> values, std::int64_t seen) const = 0;
};

} // namespace bw
