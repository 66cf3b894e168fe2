// SPDX-License-Identifier: GPL-3.0-or-later
// Budget strings and the problem made from a sensitivity map: pins, forbidden formats, ties, memories of their own.
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

/// One measured cell as the problem needs it. `weights`: of the site, for limits in bits per weight; 0 = not known.
struct CostCell {
    std::string site, format;
    std::uint64_t bytes = 0;
    double value = 0, standardError = 0;
    std::int64_t weights = 0;
};

/// Sites that lie in a memory of their own. `sites`: patterns with commas between them ("blk.0.*,blk.1.*"); `budget`:
/// bytes ("1.5GiB") or bits per weight of these sites ("4.25bpw"). A site lies in one at most.
struct SiteLimit { std::string sites, budget; };

struct ProblemOptions {
    /// What must have one format: words with + between them. "none"; "fused": q/k/v, and gate/up (of an expert and of
    /// the shared one too), as runtimes fuse them; "stacks": the experts of one tensor, which GGUF keeps in one type;
    /// "experts": all experts of a block, as runtimes with one fused kernel for them need.
    std::string tie = "none";
    std::map<std::string, std::string> pins;  ///< site pattern → format
    std::vector<std::string> forbid;          ///< "FORMAT" everywhere, or "SITE=FORMAT" with a site pattern
    std::vector<SiteLimit> limits;
};

/// Whether `tie` is one of the combinations above.
bool isTie(std::string_view tie);
/// The tie with "stacks" in it, for containers that keep the experts of a block in one tensor.
std::string withStacks(std::string_view tie);
/// What the item is called that decides the site under a tie: "blk.3.attn_qkv", "blk.3.ffn_gate_up.e5",
/// "blk.3.ffn_up_exps", "blk.3.ffn_gate_up_exps", "blk.3.ffn_exps"; the site's own name when it is alone.
std::string tiedItemName(const std::string& site, std::string_view tie);

/// Items and options keep the order of the cells. A pin with a site's full name wins over patterns. Tied sites keep the
/// formats that all of them offer, bytes and costs added, errors added in squares. A negative cost counts as 0: neither
/// measure can be negative, so it is noise.
/// @throws Error(usage) for a pin, forbidden format, tie or limit that no cell offers or that contradict each other,
/// and for a site whose every format is forbidden, naming it; Error(nonFinite) for a NaN or infinite cost.
AssignProblem makeProblem(const std::vector<CostCell>& cells, std::uint64_t fixedBytes, const ProblemOptions& options);

} // namespace bw
