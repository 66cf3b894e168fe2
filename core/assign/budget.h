// SPDX-License-Identifier: GPL-3.0-or-later
// Budget strings and the problem made from a sensitivity map: pins, forbidden formats, ties.
#pragma once

#include "core/assign/solver.h"

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace bw {

/// "4.5bpw", "1.2GiB", "123456B", "kl=0.05".
struct Budget {
    enum class Kind { bitsPerWeight, bytes, cost } kind = Kind::bytes;
    double value = 0;
    /// Bytes for a model of `parameters` weights; not for Kind::cost.
    std::uint64_t bytes(std::int64_t parameters) const;
};
Budget parseBudget(std::string_view text); ///< @throws Error(usage)

/// One measured cell as the problem needs it.
struct CostCell { std::string site, format; std::uint64_t bytes = 0; double value = 0, standardError = 0; };

struct ProblemOptions {
    std::string tie = "none";                 ///< "none" or "fused" (q/k/v together, gate/up together, per block)
    std::map<std::string, std::string> pins;  ///< site pattern → format
    std::vector<std::string> forbid;          ///< format names
};

/// @throws Error(usage) for a pin or tie that no cell offers, naming it.
AssignProblem makeProblem(const std::vector<CostCell>& cells, std::uint64_t fixedBytes, const ProblemOptions& options);

} // namespace bw
