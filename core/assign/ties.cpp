// SPDX-License-Identifier: GPL-3.0-or-later
// Which sites one decision covers: names of tied items. Not for: what they may choose (map_problem.cpp).
#include "core/assign/budget.h"

#include <algorithm>

namespace bw {
namespace {

struct TieWords { bool known = true, fused = false, stacks = false, experts = false; };

TieWords wordsOf(std::string_view tie) {
    TieWords words;
    for (;;) {
        const auto plus = tie.find('+');
        const std::string_view word = tie.substr(0, plus);
        if (word == "fused")
            words.fused = true;
        else if (word == "stacks")
            words.stacks = true;
        else if (word == "experts")
            words.experts = true;
        else if (word != "none" || plus != std::string_view::npos)
            words.known = false;
        if (plus == std::string_view::npos)
            return words;
        tie.remove_prefix(plus + 1);
    }
}

/// "blk.3." · "ffn_up" · ".e5" (an expert) or "_shexp" (the shared one) or nothing.
struct SiteParts { std::string prefix, kind, share; };

SiteParts partsOf(const std::string& site) {
    SiteParts parts;
    std::string rest = site;
    if (const auto dot = rest.rfind('.'); dot != std::string::npos && dot + 2 < rest.size() && rest[dot + 1] == 'e' &&
                                          std::all_of(rest.begin() + static_cast<std::ptrdiff_t>(dot) + 2, rest.end(),
                                                      [](char c) { return c >= '0' && c <= '9'; })) {
        parts.share = rest.substr(dot);
        rest.resize(dot);
    }
    if (const auto dot = rest.rfind('.'); dot != std::string::npos)
        parts.prefix = rest.substr(0, dot + 1);
    parts.kind = rest.substr(parts.prefix.size());
    if (constexpr std::string_view kShared = "_shexp"; parts.share.empty() && parts.kind.ends_with(kShared)) {
        parts.share = kShared;
        parts.kind.resize(parts.kind.size() - kShared.size());
    }
    return parts;
}

} // namespace

bool isTie(std::string_view tie) { return wordsOf(tie).known; }

std::string withStacks(std::string_view tie) {
    const TieWords words = wordsOf(tie);
    if (words.stacks || words.experts)
        return std::string(tie);
    return tie == "none" ? "stacks" : std::string(tie) + "+stacks";
}

std::string tiedItemName(const std::string& site, std::string_view tie) {
    const TieWords words = wordsOf(tie);
    SiteParts parts = partsOf(site);
    const bool feedForward = parts.kind == "ffn_gate" || parts.kind == "ffn_up" || parts.kind == "ffn_down";
    const bool expert = feedForward && parts.share.starts_with(".e");
    if (expert && words.experts)
        return parts.prefix + "ffn_exps";
    if (words.fused && parts.share.empty() &&
        (parts.kind == "attn_q" || parts.kind == "attn_k" || parts.kind == "attn_v"))
        parts.kind = "attn_qkv";
    if (words.fused && feedForward && parts.kind != "ffn_down")
        parts.kind = "ffn_gate_up";
    if (expert && words.stacks)
        parts.share = "_exps";
    return parts.prefix + parts.kind + parts.share;
}

} // namespace bw
