// SPDX-License-Identifier: GPL-3.0-or-later
// The rules of the named mixes as one table; the first row that holds for a tensor decides. Rows say what llama.cpp's
// llama-quantize does, including what looks odd there (the fused attn_qkv counts as attn_v; layers are counted in file order).
#include "core/quantize/presets.h"

#include <algorithm>
#include <array>
#include <charconv>

namespace bw {

namespace {

using enum StorageType;

enum Mix : std::uint32_t {
    mxTq1_0 = 1u << 0, mxTq2_0 = 1u << 1, mxQ2_K_S = 1u << 2, mxQ2_K = 1u << 3, mxQ3_K_S = 1u << 4, mxQ3_K_M = 1u << 5,
    mxQ3_K_L = 1u << 6, mxIq4_Xs = 1u << 7, mxMxfp4 = 1u << 8, mxQ4_0 = 1u << 9, mxIq4_Nl = 1u << 10, mxQ4_K_S = 1u << 11,
    mxQ4_K_M = 1u << 12, mxQ4_1 = 1u << 13, mxQ5_0 = 1u << 14, mxQ5_K_S = 1u << 15, mxQ5_K_M = 1u << 16, mxQ5_1 = 1u << 17,
    mxQ6_K = 1u << 18, mxQ8_0 = 1u << 19, mxF16 = 1u << 20, mxBf16 = 1u << 21,
};
constexpr std::uint32_t kEveryMix = ~0u;

/// In the order of the bits above.
constexpr std::array<NamedMix, 22> kMixes{{
    {"tq1_0", tq1_0, 36, "ternary weights, 1.69 bits"},
    {"tq2_0", tq2_0, 37, "ternary weights, 2.06 bits"},
    {"q2_k_s", q2_k, 21, "q2_k nearly everywhere; wants importance"},
    {"q2_k", q2_k, 10, "q2_k, with q3_k in attn_v, attn_output and ffn_down"},
    {"q3_k_s", q3_k, 11, "q3_k everywhere"},
    {"q3_k_m", q3_k, 12, "q3_k, with q4_k and q5_k in attn_v, attn_output and ffn_down"},
    {"q3_k_l", q3_k, 13, "q3_k, with q5_k in attn_v, attn_output and ffn_down"},
    {"iq4_xs", iq4_xs, 30, "iq4_xs, with q5_k in the first ffn_down and in small attn_v"},
    {"mxfp4_moe", mxfp4, 38, "mxfp4 in the experts, q8_0 elsewhere"},
    {"q4_0", q4_0, 2, "q4_0, head q6_k"},
    {"iq4_nl", iq4_nl, 25, "iq4_nl, with q5_k in the first ffn_down and in small attn_v"},
    {"q4_k_s", q4_k, 14, "q4_k, with q5_k in the first attn_v and ffn_down"},
    {"q4_k_m", q4_k, 15, "q4_k, with q6_k in half of attn_v and ffn_down"},
    {"q4_1", q4_1, 3, "q4_1, head q6_k"},
    {"q5_0", q5_0, 8, "q5_0, head q6_k"},
    {"q5_k_s", q5_k, 16, "q5_k, head q6_k"},
    {"q5_k_m", q5_k, 17, "q5_k, with q6_k in half of attn_v and ffn_down"},
    {"q5_1", q5_1, 9, "q5_1, head q6_k"},
    {"q6_k", q6_k, 18, "q6_k everywhere"},
    {"q8_0", q8_0, 7, "q8_0 everywhere"},
    {"f16", f16, 1, "f16 everywhere"},
    {"bf16", bf16, 32, "bf16 everywhere"},
}};

enum Kind : std::uint16_t { // kdV: what llama-quantize treats as attn_v, the fused projections included
    kdEmbedding = 1, kdOutput = 2, kdQ = 4, kdK = 8, kdV = 16, kdAttnOutput = 32, kdUp = 64, kdGate = 128, kdDown = 256, kdOther = 512,
};
constexpr std::uint16_t kAnyKind = 0xffff;

/// Layers a row holds for, from the tensor's index i of n.
enum class Where : std::uint8_t { everywhere, firstEighth, firstSixteenth, firstTwo, firstFour, outerAndEveryThird };

enum Fact : std::uint8_t { // of model and tensor
    ftGrouped4 = 1,   ///< at least four query heads share a key head
    ftExperts8 = 2,   ///< exactly eight experts
    ftImportance = 4, ///< an importance matrix is at hand
    ftFalcon = 8,
    ftStacked = 16,
};

struct Row {
    std::uint32_t mixes;
    std::uint16_t kinds;
    Where where;
    std::uint8_t need, forbid; ///< facts that must and must not hold
    StorageType type;
};

constexpr std::array kRows{
    Row{mxMxfp4, kdEmbedding | kdOutput, Where::everywhere, 0, 0, q8_0},
    Row{mxMxfp4, kAnyKind, Where::everywhere, ftStacked, 0, mxfp4},
    Row{mxMxfp4, kAnyKind, Where::everywhere, 0, 0, q8_0},
    Row{mxTq1_0 | mxTq2_0, kdEmbedding, Where::everywhere, 0, 0, q4_k},

    Row{kEveryMix, kdV | kdK, Where::everywhere, ftExperts8, 0, q8_0},
    Row{mxQ2_K, kdV, Where::everywhere, ftGrouped4, 0, q4_k},
    Row{mxQ2_K, kdV, Where::everywhere, 0, 0, q3_k},
    Row{mxQ2_K_S, kdV, Where::everywhere, ftGrouped4, 0, q4_k},
    Row{mxQ3_K_M, kdV, Where::firstTwo, 0, 0, q5_k},
    Row{mxQ3_K_M, kdV, Where::everywhere, 0, 0, q4_k},
    Row{mxQ3_K_L, kdV, Where::everywhere, 0, 0, q5_k},
    Row{mxIq4_Nl | mxIq4_Xs, kdV, Where::everywhere, ftGrouped4, 0, q5_k},
    Row{mxQ4_K_M | mxQ5_K_M, kdV, Where::outerAndEveryThird, 0, 0, q6_k},
    Row{mxQ4_K_S, kdV, Where::firstFour, 0, 0, q5_k},

    Row{mxQ2_K, kdDown, Where::everywhere, 0, 0, q3_k},
    Row{mxQ2_K_S, kdDown, Where::firstEighth, 0, 0, q4_k},
    Row{mxQ3_K_M, kdDown, Where::firstSixteenth, 0, 0, q5_k},
    Row{mxQ3_K_M, kdDown, Where::everywhere, 0, ftFalcon, q4_k},
    Row{mxQ3_K_M, kdDown, Where::outerAndEveryThird, ftFalcon, 0, q4_k},
    Row{mxQ3_K_L, kdDown, Where::everywhere, ftFalcon, 0, q4_k},
    Row{mxQ3_K_L, kdDown, Where::everywhere, 0, ftFalcon, q5_k},
    Row{mxQ4_K_M, kdDown, Where::firstSixteenth, ftFalcon, 0, q6_k},
    Row{mxQ4_K_M, kdDown, Where::outerAndEveryThird, ftFalcon, 0, q5_k},
    Row{mxQ4_K_M, kdDown, Where::outerAndEveryThird, 0, ftFalcon, q6_k},
    Row{mxIq4_Nl | mxIq4_Xs, kdDown, Where::firstEighth, 0, ftImportance, q5_k},
    Row{mxQ5_K_M, kdDown, Where::outerAndEveryThird, 0, 0, q6_k},
    Row{mxQ4_K_S, kdDown, Where::firstEighth, 0, ftFalcon, q5_k},
    Row{mxQ4_0, kdDown, Where::firstEighth, ftImportance, 0, q4_1},
    Row{mxQ5_0, kdDown, Where::firstEighth, ftImportance, 0, q5_1},

    Row{mxQ3_K_L, kdAttnOutput, Where::everywhere, ftFalcon, 0, q4_k},
    Row{mxQ2_K | mxQ3_K_S | mxQ3_K_M | mxIq4_Nl | mxQ4_K_S | mxQ4_K_M | mxIq4_Xs, kdAttnOutput, Where::everywhere, ftExperts8, ftFalcon, q5_k},
    Row{mxQ2_K, kdAttnOutput, Where::everywhere, 0, ftFalcon | ftExperts8, q3_k},
    Row{mxQ3_K_M, kdAttnOutput, Where::everywhere, 0, ftFalcon | ftExperts8, q4_k},
    Row{mxQ3_K_L, kdAttnOutput, Where::everywhere, 0, ftFalcon | ftExperts8, q5_k},
};

/// Names of tensors that stay as they are although they are matrices: tiny, or harmed most by rounding.
constexpr std::array<std::string_view, 38> kKept{
    "_norm.weight", "ffn_gate_inp.weight", "ffn_gate_tid2eid.weight", "altup", "laurel", "per_layer_model_proj", "ssm_conv1d",
    "shortconv.conv.weight", "indexer.k_proj.weight", "indexer.q_proj.weight", "time_mix_first.weight", "time_mix_w0.weight",
    "time_mix_w1.weight", "time_mix_w2.weight", "time_mix_v0.weight", "time_mix_v1.weight", "time_mix_v2.weight",
    "time_mix_a0.weight", "time_mix_a1.weight", "time_mix_a2.weight", "time_mix_g1.weight", "time_mix_g2.weight",
    "time_mix_decay_w1.weight", "time_mix_decay_w2.weight", "time_mix_lerp_fused.weight", "attn_rel_b.weight", ".position_embd",
    "sam.pos_embd", "sam.neck.", "sam.net_", ".rel_pos", ".patch_embd", ".patch_merger", "a.rvq.codebook", "mm.a.code_embd",
    "position_embd.weight", "token_types.weight", "rope_freqs.weight"};

bool has(std::string_view text, std::string_view part) { return text.find(part) != std::string_view::npos; }

Kind kindOf(std::string_view name) {
    if (name == "output.weight") return kdOutput;
    if (name == "token_embd.weight" || name == "per_layer_token_embd.weight") return kdEmbedding;
    if (has(name, "attn_qkv.weight") || has(name, "attn_kv_b.weight") || has(name, "attn_v.weight")) return kdV;
    if (has(name, "attn_k.weight")) return kdK;
    if (has(name, "attn_q.weight")) return kdQ;
    if (has(name, "attn_output.weight")) return kdAttnOutput;
    if (has(name, "ffn_up")) return kdUp;
    if (has(name, "ffn_gate")) return kdGate;
    if (has(name, "ffn_down")) return kdDown;
    return kdOther;
}

/// −1 for tensors outside of blocks.
std::int64_t blockOf(std::string_view name) {
    std::int64_t block = -1;
    if (name.starts_with("blk.")) std::from_chars(name.data() + 4, name.data() + name.size(), block);
    return block;
}

bool holds(Where where, std::int64_t i, std::int64_t n) {
    switch (where) {
    case Where::everywhere: return true;
    case Where::firstEighth: return i < n / 8;
    case Where::firstSixteenth: return i < n / 16;
    case Where::firstTwo: return i < 2;
    case Where::firstFour: return i < 4;
    case Where::outerAndEveryThird: return i < n / 8 || i >= 7 * n / 8 || (i - n / 8) % 3 == 2;
    }
    return false;
}

/// Models that llama.cpp calls "70B": eight heads share each of the small attn_v, which get more bits.
bool isSeventyB(const MixModel& m) {
    if (m.architecture == "llama") return m.blocks == 80 && m.experts != 8 && m.heads != m.kvHeads;
    if (m.architecture == "jais2") return m.blocks == 68;
    return m.blocks == 80 && (m.architecture == "qwen2" || m.architecture == "deci");
}

class Chooser {
public:
    Chooser(const NamedMix& mix, const MixModel& model, std::span<const MixTensor> tensors, std::optional<StorageType> headType)
        : mix_(mix), bit_(1u << (&mix - kMixes.data())), model_(model), headType_(headType) {
        if (model.kvHeads > 0 && model.heads / model.kvHeads >= 4) facts_ |= ftGrouped4;
        if (model.experts == 8) facts_ |= ftExperts8;
        if (model.importance) facts_ |= ftImportance;
        if (model.architecture == "falcon") facts_ |= ftFalcon;
        for (const MixTensor& t : tensors) {
            values_ += kindOf(t.name) == kdV;
            tied_ = tied_ && t.name != "output.weight";
        }
    }

    StorageType choose(const MixTensor& tensor) {
        if (tensor.given) return *tensor.given;
        const Kind kind = kindOf(tensor.name);
        if (mix_.base == f16 || mix_.base == bf16) return headIs(kind) ? headType_.value_or(mix_.base) : mix_.base;
        if (headIs(kind)) return head(tensor);
        std::int64_t i = 0, n = model_.blocks;
        if (kind == kdV) {
            i = valuesSeen_++;
            n = values_;
        } else if (kind == kdDown) {
            i = downSeen_++;
            if (model_.experts > 1) i = blockOf(tensor.name); // several tensors in a block
        }
        StorageType type = rule(kind, i, n, tensor.stacked);
        if (kind == kdV && (type == q3_k || type == q4_k) && isSeventyB(model_)) type = q5_k;
        return type;
    }

private:
    bool headIs(Kind kind) const { return kind == kdOutput || (tied_ && kind == kdEmbedding); }

    StorageType head(const MixTensor& tensor) const {
        if (headType_) return *headType_;
        if (bit_ == mxMxfp4) return q8_0;
        if (model_.architecture == "falcon" || tensor.cols % storageTypeInfo(mix_.base).blockElements != 0) return q8_0;
        return mix_.base == q8_0 ? q8_0 : q6_k;
    }

    StorageType rule(Kind kind, std::int64_t i, std::int64_t n, bool stacked) const {
        const auto facts = static_cast<std::uint8_t>(facts_ | (stacked ? ftStacked : 0));
        const auto row = std::find_if(kRows.begin(), kRows.end(), [&](const Row& r) {
            return (r.mixes & bit_) != 0 && (r.kinds & kind) != 0 && (facts & r.need) == r.need && (facts & r.forbid) == 0 && holds(r.where, i, n);
        });
        return row == kRows.end() ? mix_.base : row->type;
    }

    const NamedMix& mix_;
    std::uint32_t bit_;
    const MixModel& model_;
    std::optional<StorageType> headType_;
    std::uint8_t facts_ = 0;
    bool tied_ = true; ///< no output matrix of its own: the embedding is treated as one
    std::int64_t values_ = 0, valuesSeen_ = 0, downSeen_ = 0;
};

} // namespace

std::span<const NamedMix> namedMixes() { return kMixes; }

const NamedMix* findMix(std::string_view name) {
    std::string lower(name);
    std::transform(lower.begin(), lower.end(), lower.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
    if (lower == "q3_k" || lower == "q4_k" || lower == "q5_k") lower += "_m";
    const auto found = std::find_if(kMixes.begin(), kMixes.end(), [&](const NamedMix& m) { return m.name == lower; });
    return found == kMixes.end() ? nullptr : &*found;
}

bool mixQuantizes(std::string_view name, std::size_t dimensions) {
    return dimensions >= 2 && name.ends_with("weight") &&
           std::none_of(kKept.begin(), kKept.end(), [&](std::string_view part) { return has(name, part); });
}

std::vector<StorageType> mixTypes(const NamedMix& mix, const MixModel& model, std::span<const MixTensor> tensors,
                                  std::optional<StorageType> headType) {
    // Layers are counted in llama.cpp's order of tensors: by block, then by name.
    std::vector<std::size_t> order(tensors.size());
    for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
    std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
        const std::int64_t left = blockOf(tensors[a].name), right = blockOf(tensors[b].name);
        return left != right ? left < right : tensors[a].name < tensors[b].name;
    });
    Chooser chooser(mix, model, tensors, headType);
    std::vector<StorageType> types(tensors.size());
    for (const std::size_t i : order) types[i] = chooser.choose(tensors[i]);
    return types;
}

} // namespace bw
