// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/model/site.h"

namespace bw {

std::string_view siteKindName(SiteKind kind) {
    switch (kind) {
    case SiteKind::tokenEmbedding:
        return "token_embd";
    case SiteKind::attnQ:
        return "attn_q";
    case SiteKind::attnK:
        return "attn_k";
    case SiteKind::attnV:
        return "attn_v";
    case SiteKind::attnQkv:
        return "attn_qkv";
    case SiteKind::attnOutput:
        return "attn_output";
    case SiteKind::ffnGate:
        return "ffn_gate";
    case SiteKind::ffnUp:
        return "ffn_up";
    case SiteKind::ffnDown:
        return "ffn_down";
    case SiteKind::ffnGateExperts:
        return "ffn_gate_exps";
    case SiteKind::ffnUpExperts:
        return "ffn_up_exps";
    case SiteKind::ffnDownExperts:
        return "ffn_down_exps";
    case SiteKind::ffnGateShared:
        return "ffn_gate_shexp";
    case SiteKind::ffnUpShared:
        return "ffn_up_shexp";
    case SiteKind::ffnDownShared:
        return "ffn_down_shexp";
    case SiteKind::output:
        return "output";
    case SiteKind::other:
        return "other";
    }
    return "?";
}

} // namespace bw
