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

/// Items and options keep the order of the cells. A pin with a site's full name wins over patterns. Tied sites keep the
/// formats that all of them offer, bytes and costs added. A negative cost counts as 0: neither measure can be negative, so
/// it is noise. @throws Error(usage) for a pin, forbidden format or tie that no cell offers or that contradict each other,
/// naming it; Error(nonFinite) for a NaN or infinite cost.
AssignProblem makeProblem(const std::vector<CostCell>& cells, std::uint64_t fixedBytes, const ProblemOptions& options);

} // namespace bw
