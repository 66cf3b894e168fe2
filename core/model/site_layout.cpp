// SPDX-License-Identifier: GPL-3.0-or-later
// Which linear layers the blocks have and which of them share an input, and the check that a checkpoint's tensors agree
// with its configuration.
#include "core/base/error.h"
#include "core/base/text.h"
#include "core/checkpoint/expected_shapes.h"
#include "core/checkpoint/tensor_names.h"
#include "core/model/model_impl.h"

#include <algorithm>
#include <array>
#include <fmt/format.h>
#include <set>

namespace bw {
namespace {

class LayoutBuilder {
public:
    LayoutBuilder(const ModelConfig& config, const Checkpoint& checkpoint) : c_(config), checkpoint_(checkpoint) {}

    SiteLayout build() {
        // The head's group is the last one, so token_embd learns its number in the end.
        addSite("token_embd", SiteKind::tokenEmbedding, BlockIndex{-1}, c_.vocabulary, c_.width, -1);
        for (int b = 0; b < c_.blocks; ++b) addBlock(BlockIndex{b});
        const int head = addGroup("output_in", BlockIndex{-1}, c_.width);
        if (c_.tiedHead) {
            Site& embedding = layout_.sites.front();
            embedding.inputGroup = head;
            layout_.groups.back().sites.push_back(embedding.id);
        } else {
            addSite("output", SiteKind::output, BlockIndex{-1}, c_.vocabulary, c_.width, head);
        }
        return std::move(layout_);
    }

private:
    int addGroup(std::string name, BlockIndex block, std::int64_t width) {
        layout_.groups.push_back({std::move(name), block, width, {}});
        return static_cast<int>(layout_.groups.size()) - 1;
    }

    Site& addSite(std::string name, SiteKind kind, BlockIndex block, std::int64_t rows, std::int64_t cols, int group) {
        Site site;
        site.id = SiteId{static_cast<int>(layout_.sites.size())};
        site.tensor = name + ".weight";
        site.name = std::move(name);
        site.kind = kind;
        site.block = block;
        site.rows = rows;
        site.cols = cols;
        site.inputGroup = group;
        if (group >= 0) layout_.groups[static_cast<std::size_t>(group)].sites.push_back(site.id);
        layout_.sites.push_back(std::move(site));
        return layout_.sites.back();
    }

    void addBlock(BlockIndex block) {
        const bool experts = c_.layers[static_cast<std::size_t>(block.value())].experts;
        prefix_ = fmt::format("blk.{}.", block.value());
        block_ = block;
        BlockLayout at;
        at.firstSite = static_cast<int>(layout_.sites.size());
        at.attnIn = addGroup(prefix_ + "attn_in", block, c_.width);
        at.attnOutputIn = addGroup(prefix_ + "attn_output_in", block, c_.queryWidth());
        const bool everyTokenPasses = !experts || c_.sharedFeedForward > 0;
        if (everyTokenPasses)
            at.ffnIn = c_.parallelResidual ? at.attnIn : addGroup(prefix_ + "ffn_in", block, c_.width);
        addAttention(at);
        if (experts) addExperts(at);
        if (everyTokenPasses && experts)
            addFeedForward(at, {SiteKind::ffnGateShared, SiteKind::ffnUpShared, SiteKind::ffnDownShared},
                           c_.sharedFeedForward, "ffn_down_shexp_in");
        else if (everyTokenPasses)
            addFeedForward(at, {SiteKind::ffnGate, SiteKind::ffnUp, SiteKind::ffnDown}, c_.feedForward, "ffn_down_in");
        at.sites = static_cast<int>(layout_.sites.size()) - at.firstSite;
        layout_.blocks.push_back(at);
    }

    Site& addBlockSite(SiteKind kind, std::int64_t rows, std::int64_t cols, int group) {
        return addSite(prefix_ + std::string(siteKindName(kind)), kind, block_, rows, cols, group);
    }

    void addAttention(const BlockLayout& at) {
        const std::int64_t q = c_.queryWidth(), kv = c_.kvWidth();
        if (c_.fusedQkv) {
            addBlockSite(SiteKind::attnQkv, q + 2 * kv, c_.width, at.attnIn);
        } else {
            addBlockSite(SiteKind::attnQ, q, c_.width, at.attnIn);
            addBlockSite(SiteKind::attnK, kv, c_.width, at.attnIn);
            addBlockSite(SiteKind::attnV, kv, c_.width, at.attnIn);
        }
        addBlockSite(SiteKind::attnOutput, c_.width, q, at.attnOutputIn);
    }

    struct FeedForwardKinds {
        SiteKind gate, up, down;
    };
    void addFeedForward(BlockLayout& at, FeedForwardKinds kinds, std::int64_t width, const char* downGroup) {
        at.ffnDownIn = addGroup(prefix_ + downGroup, block_, width);
        if (c_.gated && !c_.fusedGateUp) addBlockSite(kinds.gate, width, c_.width, at.ffnIn);
        addBlockSite(kinds.up, c_.fusedGateUp ? 2 * width : width, c_.width, at.ffnIn);
        addBlockSite(kinds.down, c_.width, width, at.ffnDownIn);
    }

    void addExperts(BlockLayout& at) {
        const std::int64_t f = c_.expertFeedForward;
        at.firstExpert = static_cast<int>(layout_.groups.size());
        for (int e = 0; e < c_.experts; ++e) {
            const int in = addGroup(fmt::format("{}ffn_in.e{}", prefix_, e), block_, c_.width);
            const int down = addGroup(fmt::format("{}ffn_down_in.e{}", prefix_, e), block_, f);
            addExpertSite("ffn_gate", SiteKind::ffnGateExperts, e, f, c_.width, in);
            addExpertSite("ffn_up", SiteKind::ffnUpExperts, e, f, c_.width, in);
            addExpertSite("ffn_down", SiteKind::ffnDownExperts, e, c_.width, f, down);
        }
    }

    void addExpertSite(const char* role, SiteKind kind, int expert, std::int64_t rows, std::int64_t cols, int group) {
        Site& site = addSite(fmt::format("{}{}.e{}", prefix_, role, expert), kind, block_, rows, cols, group);
        site.expert = expert;
        const std::string stack = fmt::format("{}{}.weight", prefix_, siteKindName(kind));
        const std::string fused = prefix_ + "ffn_gate_up_exps.weight";
        if (kind != SiteKind::ffnDownExperts && checkpoint_.find(fused) != nullptr) {
            site.tensor = fused;
            site.firstRow = 2 * expert * rows + (kind == SiteKind::ffnUpExperts ? rows : 0);
        } else if (checkpoint_.find(site.tensor) == nullptr) {
            site.tensor = stack;
            site.firstRow = expert * rows;
        }
    }

    const ModelConfig& c_;
    const Checkpoint& checkpoint_;
    SiteLayout layout_;
    std::string prefix_;
    BlockIndex block_{-1};
};

std::string shapeText(std::span<const std::int64_t> shape) {
    std::string text = "[";
    for (std::size_t i = 0; i < shape.size(); ++i) text += (i ? ", " : "") + std::to_string(shape[i]);
    return text + "]";
}

void checkShape(const Checkpoint& checkpoint, const ExpectedShape& wanted) {
    const TensorInfo* tensor = checkpoint.find(wanted.canonical);
    if (tensor == nullptr)
        throw Error(
            ErrorCode::tensorMissing,
            fmt::format("{}: the forward pass needs tensor '{}', which is not there",
                        escapeForDisplay(checkpoint.path()), wanted.canonical),
            "The checkpoint is incomplete or of another architecture; its other tensors can still be inspected.");
    if (!tensor->packed && !storageTypeInfo(tensor->type).decodes)
        throw Error(ErrorCode::unsupportedType,
                    fmt::format("{}: tensor '{}' is stored as {}, which is not decoded here",
                                escapeForDisplay(checkpoint.path()), escapeForDisplay(tensor->name),
                                escapeForDisplay(tensor->typeName)),
                    "Open a variant of this checkpoint in another type, or the original it was made from.");
    if (sameShape(tensor->shape, wanted.shape)) return;
    throw Error(ErrorCode::shapeMismatch,
                fmt::format("{}: tensor '{}' has shape {}, but the configuration asks for {}",
                            escapeForDisplay(checkpoint.path()), escapeForDisplay(tensor->name),
                            shapeText(tensor->shape), shapeText(wanted.shape)),
                "The configuration belongs to another checkpoint; get both from the same source.");
}

/// A parameter inside a block under a name that the family's table does not know.
bool isStrangeParameter(const TensorInfo& tensor) {
    if (!tensor.canonical.empty()) return false;
    const std::string_view name = tensor.name;
    // The vision part of a model that also sees pictures has layers of its own.
    constexpr std::array<std::string_view, 5> kBlocks{"model.layers.", "transformer.h.", "h.",
                                                      "language_model.model.layers.", "model.language_model.layers."};
    const bool inBlock =
        std::any_of(kBlocks.begin(), kBlocks.end(), [&](auto start) { return name.starts_with(start); });
    const bool mask = name.ends_with(".attn.bias") || name.ends_with(".attn.masked_bias"); // GPT-2's causal mask
    return inBlock && !mask && (name.ends_with(".weight") || name.ends_with(".bias"));
}

} // namespace

SiteLayout layOutSites(const ModelConfig& config, const Checkpoint& checkpoint) {
    return LayoutBuilder(config, checkpoint).build();
}

void checkTensors(const Checkpoint& checkpoint, const ModelConfig& config) {
    std::set<std::string> known{"rope_freqs.weight", "rope_factors_long.weight", "rope_factors_short.weight"};
    const auto expected =
        expectedShapes(config, [&](const std::string& name) { return checkpoint.find(name) != nullptr; });
    for (const auto& tensor : expected) known.insert(tensor.canonical);
    for (const auto& tensor : checkpoint.tensors()) {
        const auto inBlock = parseBlockName(tensor.canonical);
        const bool plays = tensor.canonical == "output.bias" || (inBlock && inBlock->block < config.blocks) ||
                           isStrangeParameter(tensor);
        // Files made early in 2024 repeat the rotation's factors in every block.
        if (!plays || known.contains(tensor.canonical) || (inBlock && inBlock->rest.starts_with("rope_"))) continue;
        throw Error(
            ErrorCode::unsupportedModel,
            fmt::format("{}: tensor '{}' has no part in the forward pass of this family, so results would be wrong",
                        escapeForDisplay(checkpoint.path()), escapeForDisplay(tensor.name)),
            fmt::format("Its tensors can be inspected and quantized; running needs a plain {} checkpoint.",
                        config.family));
    }
    for (const auto& tensor : expected) checkShape(checkpoint, tensor);
}

} // namespace bw
