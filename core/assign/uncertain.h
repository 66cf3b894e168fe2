// SPDX-License-Identifier: GPL-3.0-or-later
// Which decisions hang on costs that are not known well enough: what is worth measuring better. Not for: measuring.
#pragma once

#include "core/assign/solver.h"

namespace bw {

/// An item that costs within their errors could decide otherwise.
struct UncertainItem {
    std::size_t item = 0;
    int chosen = 0;             ///< option of the solution at the given costs
    std::vector<int> rivals;    ///< options that could take its place, the most likely first
    double share = 0;           ///< of the perturbed problems whose solution differs here
};

/// Solves again with all costs moved at random within ±2 errors (64 problems, seeded), and with each option's cost 2
/// errors lower and the chosen one's 2 errors higher where the prices of the solution would then prefer it (the 256
/// narrowest of these; further ones on the prices' word). An option whose `error` is 0 is taken as exact. @return the
/// most uncertain first; empty when nothing hangs on noise.
/// @throws as solve(). The same whatever the number of threads. Cost: 64 to 320 times that of solve(),
/// spread over threads.
std::vector<UncertainItem> uncertainItems(const AssignProblem& problem, std::uint64_t budgetBytes, std::uint64_t seed,
                                          JobContext& job);

} // namespace bw
