// SPDX-License-Identifier: GPL-3.0-or-later
// KL to one base, measured again and again on the same tokens: the base is walked once, its last states are kept.
#pragma once

#include "core/model/walk.h"

#include <vector>

namespace bw {

class KlMeter {
public:
    /// Every position of every window but the last is scored. @throws Error(textTooShort).
    /// Memory: the base's last states (spilled past the limit) and two windows of logits.
    KlMeter(const Model& base, const Windows& windows, JobContext& job);
    /// @param states of the base over these windows, as walkBlocks() gives them.
    KlMeter(const Model& base, const Windows& windows, ScratchMatrix states);
    struct Measured {
        double mean = 0, standardError = 0; ///< nats per token; the error over windows (over tokens of a single one)
        std::vector<float> tokens;          ///< KL of each scored position, window by window
    };
    /// KL(base‖base with `source`). @throws Error(nonFinite). Cost: one walk and two heads.
    Measured measure(const WeightSource& source, JobContext& job) const;
    /// KL(base‖`model` with `source`), of another checkpoint with the same vocabulary.
    Measured measure(const Model& model, const WeightSource* source, JobContext& job) const;
    const Windows& windows() const { return windows_; }

private:
    const Model& base_;
    Windows windows_;
    ScratchMatrix states_;
};

} // namespace bw
