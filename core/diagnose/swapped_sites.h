// SPDX-License-Identifier: GPL-3.0-or-later
// A model some of whose sites have the weights of another model of the same shape: what a single site, or all but a few
// of them, do to the whole.
#pragma once

#include "core/model/model.h"

#include <vector>

namespace bw {

/// A model and what became of its weights. `model` may be the base itself, changed by `source`, or another checkpoint
/// of the same architecture; whoever makes one keeps all three alive.
struct ChangedModel {
    const Model& base;
    const Model& model;
    const WeightSource* source = nullptr;
};

/// @throws Error(shapeMismatch) naming a site that one of the two lacks or has in another shape.
void requireSameSites(const ChangedModel& changed);

/// Lays the changed weights over chosen sites of the base; the others stay as the base has them.
class SwappedSites final : public WeightSource {
public:
    /// @param taken index = SiteId of the base. @param atRunTime also rounds inputs and caches as the changed model does.
    SwappedSites(const ChangedModel& changed, std::vector<bool> taken, bool atRunTime);
    void apply(const Site& site, MatrixView<float> weight) const override;
    std::shared_ptr<const RuntimeRounding> rounding() const override;

private:
    ChangedModel changed_;
    std::vector<bool> taken_;
    bool atRunTime_;
};

} // namespace bw
