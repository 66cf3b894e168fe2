// SPDX-License-Identifier: GPL-3.0-or-later
// The name table and the two walks over it. Source of the pairs: transformers' modules and llama.cpp's tensor list
// (PyPI `gguf`, tensor_mapping.py); names of one expert ("ffn_up.e5") and one head ("attn_q_norm.h2") are this program's.
#include "core/checkpoint/tensor_names.h"

#include <array>
#include <charconv>
#include <span>

namespace bw {
namespace {

/// Names without their last part (".weight", ".bias"); '*' stands for a number, the same on both sides.
struct NamePair {
    std::string_view huggingFace, canonical;
    std::string_view families = {}; ///< separated by spaces; empty = every family. Rows of a family stand before these.
};

constexpr std::array kModelNames{
    NamePair{"wte", "token_embd", "gpt2"},
    NamePair{"wpe", "position_embd", "gpt2"},
    NamePair{"ln_f", "output_norm", "gpt2"},
    NamePair{"embed_tokens", "token_embd"},
    NamePair{"norm", "output_norm"},
    NamePair{"lm_head", "output"},
};

constexpr std::string_view kPostNormFamilies = "gemma2 gemma3_text";

constexpr std::array kBlockNames{
    NamePair{"ln_1", "attn_norm", "gpt2"},
    NamePair{"attn.c_attn", "attn_qkv", "gpt2"},
    NamePair{"attn.c_proj", "attn_output", "gpt2"},
    NamePair{"ln_2", "ffn_norm", "gpt2"},
    NamePair{"mlp.c_fc", "ffn_up", "gpt2"},
    NamePair{"mlp.c_proj", "ffn_down", "gpt2"},
    NamePair{"post_attention_layernorm", "post_attention_norm", kPostNormFamilies},
    NamePair{"pre_feedforward_layernorm", "ffn_norm", kPostNormFamilies},
    NamePair{"post_feedforward_layernorm", "post_ffw_norm", kPostNormFamilies},
    NamePair{"self_attn.qkv_proj", "attn_qkv", "phi3"},
    NamePair{"mlp.gate_up_proj", "ffn_up", "phi3"},
    NamePair{"self_attn.q_layernorm.norms.*", "attn_q_norm.h*", "stablelm"},
    NamePair{"self_attn.k_layernorm.norms.*", "attn_k_norm.h*", "stablelm"},
    NamePair{"self_attn.q_layernorm.norms", "attn_q_norm", "stablelm"},
    NamePair{"self_attn.k_layernorm.norms", "attn_k_norm", "stablelm"},
    NamePair{"block_sparse_moe.gate", "ffn_gate_inp", "mixtral"},
    NamePair{"block_sparse_moe.experts.*.w1", "ffn_gate.e*", "mixtral"},
    NamePair{"block_sparse_moe.experts.*.w2", "ffn_down.e*", "mixtral"},
    NamePair{"block_sparse_moe.experts.*.w3", "ffn_up.e*", "mixtral"},
    NamePair{"input_layernorm", "attn_norm"},
    NamePair{"self_attn.q_proj", "attn_q"},
    NamePair{"self_attn.k_proj", "attn_k"},
    NamePair{"self_attn.v_proj", "attn_v"},
    NamePair{"self_attn.o_proj", "attn_output"},
    NamePair{"self_attn.q_norm", "attn_q_norm"},
    NamePair{"self_attn.k_norm", "attn_k_norm"},
    NamePair{"post_attention_layernorm", "ffn_norm"},
    NamePair{"mlp.gate_proj", "ffn_gate"},
    NamePair{"mlp.up_proj", "ffn_up"},
    NamePair{"mlp.down_proj", "ffn_down"},
    NamePair{"mlp.gate", "ffn_gate_inp"},
    NamePair{"mlp.experts.*.gate_proj", "ffn_gate.e*"},
    NamePair{"mlp.experts.*.up_proj", "ffn_up.e*"},
    NamePair{"mlp.experts.*.down_proj", "ffn_down.e*"},
    NamePair{"mlp.shared_expert_gate", "ffn_gate_inp_shexp"},
    NamePair{"mlp.shared_expert.gate_proj", "ffn_gate_shexp"},
    NamePair{"mlp.shared_expert.up_proj", "ffn_up_shexp"},
    NamePair{"mlp.shared_expert.down_proj", "ffn_down_shexp"},
};

constexpr std::string_view kCanonicalPrefix = "blk.";
constexpr std::array<std::string_view, 2> kSuffixes{".weight", ".bias"};

/// Digits at the front of `text`, as file names have them: no sign, no leading zero.
std::optional<std::pair<std::int64_t, std::size_t>> leadingNumber(std::string_view text) {
    std::int64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    const auto digits = static_cast<std::size_t>(end - text.data());
    if (error != std::errc() || digits == 0 || text.front() == '-' || (digits > 1 && text.front() == '0')) return std::nullopt;
    return std::pair{number, digits};
}

/// "7.rest" → 7 and "rest".
std::optional<BlockName> splitBlock(std::string_view text) {
    const auto number = leadingNumber(text);
    if (!number || number->second >= text.size() || text[number->second] != '.') return std::nullopt;
    return BlockName{number->first, text.substr(number->second + 1)};
}

bool hasFamily(std::string_view list, std::string_view family) {
    while (!list.empty()) {
        const auto space = list.find(' ');
        if (list.substr(0, space) == family) return true;
        list = space == std::string_view::npos ? std::string_view{} : list.substr(space + 1);
    }
    return false;
}

/// `to` with the number that stands at the '*' of `from`; empty when the stem is not of the form `from`.
std::string fill(std::string_view stem, std::string_view from, std::string_view to) {
    const auto star = from.find('*');
    if (star == std::string_view::npos) return stem == from ? std::string(to) : std::string();
    if (!stem.starts_with(from.substr(0, star))) return {};
    const std::string_view rest = stem.substr(star);
    const auto number = leadingNumber(rest);
    if (!number || rest.substr(number->second) != from.substr(star + 1)) return {};
    std::string filled(to);
    return filled.replace(filled.find('*'), 1, rest.substr(0, number->second));
}

std::string lookUp(std::span<const NamePair> table, std::string_view stem, std::string_view family, bool toCanonical) {
    for (const NamePair& pair : table) {
        if (!pair.families.empty() && !hasFamily(pair.families, family)) continue;
        if (auto found = fill(stem, toCanonical ? pair.huggingFace : pair.canonical, toCanonical ? pair.canonical : pair.huggingFace); !found.empty()) return found;
    }
    return {};
}

/// Checkpoints of the bare model leave the outer module's name away; those with an image tower have one more.
std::string_view withoutOuterModules(std::string_view name) {
    for (const std::string_view outer : {"model.", "transformer.", "language_model.", "model."})
        if (name.starts_with(outer)) name.remove_prefix(outer.size());
    return name;
}

std::string toCanonical(std::string_view stem, std::string_view family) {
    stem = withoutOuterModules(stem);
    if (auto found = lookUp(kModelNames, stem, family, true); !found.empty()) return found;
    const std::string_view blocks = family == "gpt2" ? "h." : "layers.";
    if (!stem.starts_with(blocks)) return {};
    const auto parts = splitBlock(stem.substr(blocks.size()));
    if (!parts) return {};
    const auto found = lookUp(kBlockNames, parts->rest, family, true);
    return found.empty() ? std::string() : std::string(kCanonicalPrefix) + std::to_string(parts->block) + "." + found;
}

std::string toHuggingFace(std::string_view stem, std::string_view family) {
    const std::string outer = family == "gpt2" ? "transformer." : "model.";
    if (auto found = lookUp(kModelNames, stem, family, false); !found.empty()) return found == "lm_head" ? found : outer + found;
    const auto parts = parseBlockName(stem);
    if (!parts) return {};
    const auto found = lookUp(kBlockNames, parts->rest, family, false);
    return found.empty() ? std::string() : outer + (family == "gpt2" ? "h." : "layers.") + std::to_string(parts->block) + "." + found;
}

template <class Translate>
std::string translate(std::string_view name, std::string_view family, Translate stemTo) {
    for (const auto suffix : kSuffixes) {
        if (!name.ends_with(suffix)) continue;
        const std::string found = stemTo(name.substr(0, name.size() - suffix.size()), family);
        return found.empty() ? found : found + std::string(suffix);
    }
    return {};
}

} // namespace

std::string canonicalTensorName(std::string_view huggingFaceName, std::string_view family) { return translate(huggingFaceName, family, toCanonical); }
std::string huggingFaceTensorName(std::string_view canonicalName, std::string_view family) { return translate(canonicalName, family, toHuggingFace); }

std::optional<BlockName> parseBlockName(std::string_view canonicalName) {
    if (!canonicalName.starts_with(kCanonicalPrefix)) return std::nullopt;
    return splitBlock(canonicalName.substr(kCanonicalPrefix.size()));
}

std::optional<ExpertName> parseExpertName(std::string_view canonicalName) {
    const auto parts = parseBlockName(canonicalName);
    if (!parts) return std::nullopt;
    const auto mark = parts->rest.find(".e");
    if (mark == std::string_view::npos) return std::nullopt;
    const std::string_view behind = parts->rest.substr(mark + 2);
    const auto number = leadingNumber(behind);
    if (!number || behind.substr(number->second) != ".weight") return std::nullopt;
    const std::string stem(canonicalName.substr(0, canonicalName.size() - parts->rest.size()));
    return ExpertName{stem + std::string(parts->rest.substr(0, mark)) + "_exps.weight", number->first};
}

} // namespace bw
