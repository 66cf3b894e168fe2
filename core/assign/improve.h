// SPDX-License-Identifier: GPL-3.0-or-later
// Local search on an objective that is no plain sum: sites act together, so the additive optimum can be bettered by
// moving a little. Knows the objective only through an interface.
#pragma once

#include "core/assign/solver.h"

namespace bw {

/// A mix whose cost is asked for step by step. Items and options as in the problem that it is improved for.
class AssignObjective {
public:
    virtual ~AssignObjective() = default;
    virtual double cost() const = 0;                               ///< of the mix as it stands
    virtual double costIf(std::size_t item, int option) const = 0; ///< if the item took that option
    virtual void set(std::size_t item, int option) = 0;
};

struct Improvement {
    std::vector<int> choice;
    std::uint64_t bytes = 0;    ///< with fixedBytes
    double before = 0, after = 0; ///< of the objective
    std::int64_t moves = 0;     ///< single moves and swaps taken
};

/// Moves one item, or one up and another down, as long as that lowers the objective within the budget and the limits.
/// Deterministic. Never worse than `choice`.
/// @param choice    fits the budget and the limits: @throws Error(usage) otherwise.
/// @param objective stands at any mix; ends at the result.
/// @throws Error(nonFinite) when the objective is; Error(cancelled).
/// Cost: costIf() about rounds·(items·options + 4096) times, at most 50 rounds.
Improvement improve(const AssignProblem& problem, std::vector<int> choice, std::uint64_t budgetBytes,
                    AssignObjective& objective, JobContext& job);

} // namespace bw
