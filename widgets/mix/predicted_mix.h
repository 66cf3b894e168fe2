// SPDX-License-Identifier: GPL-3.0-or-later
// A solver's problem seen through the whole-mix predictor: every member site of an item at the item's format. What the
// solver does not decide stays as it is.
#pragma once

#include "core/assign/improve.h"
#include "core/sensitivity/prediction.h"

#include <memory>

namespace bw {

class PredictedMix final : public AssignObjective {
public:
    /// @param siteChoice option of every predictor's site to begin with, −1 = full precision.
    PredictedMix(std::shared_ptr<const MixPredictor> predictor, const AssignProblem& problem, const std::vector<int>& siteChoice);
    double cost() const override { return state_.prediction().kl; }
    double costIf(std::size_t item, int option) const override;
    void set(std::size_t item, int option) override { apply(state_, item, option); }
    Prediction prediction() const { return state_.prediction(); }

private:
    struct Link {
        std::size_t site = 0;      ///< of the predictor
        std::vector<int> options;  ///< predictor's by the item's
    };
    void apply(MixPredictor::State& state, std::size_t item, int option) const;
    std::shared_ptr<const MixPredictor> predictor_;
    std::vector<std::vector<Link>> links_; ///< by item
    MixPredictor::State state_;
};

} // namespace bw
