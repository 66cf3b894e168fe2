// SPDX-License-Identifier: GPL-3.0-or-later
// Why a mix is as it is: what the next step of every item would buy, what the last one bought, and why the budget is
// used as far as it is. Not for: choosing (solver.h).
#pragma once

#include "core/assign/solver.h"

#include <string>
#include <vector>

namespace bw {

/// One step away from a solution. An upgrade is the heavier option that buys most per byte; a downgrade the lighter one
/// that frees bytes at the least cost: undone, it is the last step that the budget paid for.
struct AssignStep {
    enum class Kind { upgrade, downgrade } kind = Kind::upgrade;
    std::size_t item = 0;
    int from = 0, to = 0;       ///< option indices; `from` is the solution's
    std::int64_t bytes = 0;     ///< what `to` takes more (upgrade > 0, downgrade < 0)
    double cost = 0;            ///< what `to` costs more (upgrade < 0; a downgrade may cost nothing)
    double perMegabyte = 0;     ///< −cost per 10^6 bytes: cost that a megabyte buys here, ≥ 0
    bool fits = false;          ///< within what the budget and the item's limit leave free; downgrades always
};

/// At most one upgrade and one downgrade per item, best worth first; equal ones in the order of items, upgrades first.
/// @param budgetBytes as given to solve(); only `fits` depends on it.
/// Threads: none; cost O(items · options).
std::vector<AssignStep> explain(const AssignProblem& problem, const AssignSolution& solution,
                                std::uint64_t budgetBytes);

/// "+1.8 MB on blk.3.attn_v (q4_k → q6_k) buys −0.0021 nats"; a downgrade reads "1.8 MB of … bought …": what would be
/// lost. `unit` follows the number: "nats".
std::string stepText(const AssignProblem& problem, const AssignStep& step, const std::string& unit);

/// Why the budget is used as far as it is, one sentence per limit that matters: what stays free and which step it is
/// too small for, what a megabyte more would buy, whether the mix is proven.
std::string budgetText(const AssignProblem& problem, const AssignSolution& solution, std::uint64_t budgetBytes,
                       const std::string& unit);

} // namespace bw
