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
    /// Are keys or values of this block rounded?
    virtual bool roundsCache(BlockIndex block) const = 0;
    /// Rounds keys (after their norm and rotation) and values of one sequence in place: T×(kvHeads·D) each, row t at position
    /// position0+t, as they lie in the cache when the tokens up to `position0+T−1` have been seen. Row t's result depends on
    /// rows of the same group of tokens only (per-channel scales of a group of tokens), never on later groups.
    virtual void roundCache(BlockIndex block, MatrixView<float> keys, MatrixView<float> values, std::int64_t position0) const = 0;
};

} // namespace bw
