// SPDX-License-Identifier: GPL-3.0-or-later
// The name table and the two walks over it.
#include "core/checkpoint/tensor_names.h"

#include <array>
#include <charconv>

namespace bw {
namespace {

struct NamePair {
    std::string_view huggingFace, canonical; ///< without the last part (".weight", ".bias")
};

constexpr std::array<NamePair, 3> kModelNames{{
    {"model.embed_tokens", "token_embd"},
    {"model.norm", "output_norm"},
    {"lm_head", "output"},
}};

/// Inside a block; shared by Llama and the families that took over its names.
constexpr std::array<NamePair, 11> kBlockNames{{
    {"input_layernorm", "attn_norm"},
    {"self_attn.q_proj", "attn_q"},
    {"self_attn.k_proj", "attn_k"},
    {"self_attn.v_proj", "attn_v"},
    {"self_attn.o_proj", "attn_output"},
    {"self_attn.q_norm", "attn_q_norm"},
    {"self_attn.k_norm", "attn_k_norm"},
    {"post_attention_layernorm", "ffn_norm"},
    {"mlp.gate_proj", "ffn_gate"},
    {"mlp.up_proj", "ffn_up"},
    {"mlp.down_proj", "ffn_down"},
}};

constexpr std::string_view kBlockPrefix = "model.layers.";
constexpr std::string_view kCanonicalPrefix = "blk.";
constexpr std::array<std::string_view, 2> kSuffixes{".weight", ".bias"};

/// "7.rest" → 7 and "rest"; block numbers have no sign and no leading zero.
std::optional<BlockName> splitBlock(std::string_view text) {
    std::int64_t block = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), block);
    const auto digits = static_cast<std::size_t>(end - text.data());
    if (error != std::errc() || block < 0 || digits >= text.size() || *end != '.' || text.front() == '-') return std::nullopt;
    if (digits > 1 && text.front() == '0') return std::nullopt;
    return BlockName{block, text.substr(digits + 1)};
}

template <std::size_t N>
std::string_view lookUp(const std::array<NamePair, N>& table, std::string_view stem, bool toCanonical) {
    for (const auto& pair : table)
        if ((toCanonical ? pair.huggingFace : pair.canonical) == stem) return toCanonical ? pair.canonical : pair.huggingFace;
    return {};
}

std::string translate(std::string_view name, bool toCanonical) {
    for (const auto suffix : kSuffixes) {
        if (!name.ends_with(suffix)) continue;
        const std::string_view stem = name.substr(0, name.size() - suffix.size());
        if (const auto found = lookUp(kModelNames, stem, toCanonical); !found.empty()) return std::string(found) + std::string(suffix);
        const std::string_view from = toCanonical ? kBlockPrefix : kCanonicalPrefix;
        const std::string_view to = toCanonical ? kCanonicalPrefix : kBlockPrefix;
        if (!stem.starts_with(from)) return {};
        const auto parts = splitBlock(stem.substr(from.size()));
        if (!parts) return {};
        const auto found = lookUp(kBlockNames, parts->rest, toCanonical);
        if (found.empty()) return {};
        return std::string(to) + std::to_string(parts->block) + "." + std::string(found) + std::string(suffix);
    }
    return {};
}

} // namespace

std::string canonicalTensorName(std::string_view huggingFaceName) { return translate(huggingFaceName, true); }
std::string huggingFaceTensorName(std::string_view canonicalName) { return translate(canonicalName, false); }

std::optional<BlockName> parseBlockName(std::string_view canonicalName) {
    if (!canonicalName.starts_with(kCanonicalPrefix)) return std::nullopt;
    return splitBlock(canonicalName.substr(kCanonicalPrefix.size()));
}

} // namespace bw
