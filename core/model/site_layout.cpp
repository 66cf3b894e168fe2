// SPDX-License-Identifier: GPL-3.0-or-later
// The Llama family as data: which linear layers a block has, which of them share an input, and the check that a
// checkpoint's tensors agree with its configuration.
#include "core/base/error.h"
#include "core/base/text.h"
#include "core/model/model_impl.h"

#include <array>
#include <fmt/format.h>

namespace bw {
namespace {

enum class Width { model, query, keyValue, feedForward };

struct BlockSite {
    SiteKind kind;
    Width out, in;
    int group; ///< within the block
};

/// Order of Model::sites() and of BlockWeights::owned.
constexpr std::array<BlockSite, 7> kBlockSites{{
    {SiteKind::attnQ, Width::query, Width::model, 0},
    {SiteKind::attnK, Width::keyValue, Width::model, 0},
    {SiteKind::attnV, Width::keyValue, Width::model, 0},
    {SiteKind::attnOutput, Width::model, Width::query, 1},
    {SiteKind::ffnGate, Width::feedForward, Width::model, 2},
    {SiteKind::ffnUp, Width::feedForward, Width::model, 2},
    {SiteKind::ffnDown, Width::model, Width::feedForward, 3},
}};

struct BlockGroup {
    const char* name;
    Width width;
};
constexpr std::array<BlockGroup, 4> kBlockGroups{{{"attn_in", Width::model},
                                                  {"attn_output_in", Width::query},
                                                  {"ffn_in", Width::model},
                                                  {"ffn_down_in", Width::feedForward}}};

std::int64_t widthOf(const ModelConfig& config, Width width) {
    switch (width) {
    case Width::model:
        return config.width;
    case Width::query:
        return config.heads * config.headDim;
    case Width::keyValue:
        return config.kvHeads * config.headDim;
    case Width::feedForward:
        return config.feedForward;
    }
    return 0;
}

std::string shapeText(std::span<const std::int64_t> shape) {
    std::string text = "[";
    for (std::size_t i = 0; i < shape.size(); ++i) text += (i ? ", " : "") + std::to_string(shape[i]);
    return text + "]";
}

void checkShape(const Checkpoint& checkpoint, const std::string& name, std::span<const std::int64_t> wanted) {
    const TensorInfo* tensor = checkpoint.find(name);
    if (tensor == nullptr)
        throw Error(
            ErrorCode::tensorMissing,
            fmt::format("{}: the forward pass needs tensor '{}', which is not there",
                        escapeForDisplay(checkpoint.path()), name),
            "The checkpoint is incomplete or of another architecture; its other tensors can still be inspected.");
    if (!tensor->packed && !storageTypeInfo(tensor->type).decodes)
        throw Error(ErrorCode::unsupportedType,
                    fmt::format("{}: tensor '{}' is stored as {}, which is not decoded here",
                                escapeForDisplay(checkpoint.path()), escapeForDisplay(tensor->name),
                                escapeForDisplay(tensor->typeName)),
                    "Open a variant of this checkpoint in another type, or the original it was made from.");
    if (std::equal(tensor->shape.begin(), tensor->shape.end(), wanted.begin(), wanted.end())) return;
    throw Error(ErrorCode::shapeMismatch,
                fmt::format("{}: tensor '{}' has shape {}, but the configuration asks for {}",
                            escapeForDisplay(checkpoint.path()), escapeForDisplay(tensor->name),
                            shapeText(tensor->shape), shapeText(wanted)),
                "The configuration belongs to another checkpoint; get both from the same source.");
}

} // namespace

void layOutSites(const ModelConfig& config, std::vector<Site>& sites, std::vector<InputGroup>& groups) {
    const auto addSite = [&](std::string name, SiteKind kind, BlockIndex block, std::int64_t rows, std::int64_t cols,
                             int group) {
        const SiteId id{static_cast<int>(sites.size())};
        std::string tensor = name + ".weight";
        sites.push_back({id, std::move(name), std::move(tensor), kind, block, rows, cols, group, -1, 0});
        if (group >= 0) groups[static_cast<std::size_t>(group)].sites.push_back(id);
    };
    for (int b = 0; b < config.blocks; ++b)
        for (const auto& group : kBlockGroups)
            groups.push_back(
                {fmt::format("blk.{}.{}", b, group.name), BlockIndex{b}, widthOf(config, group.width), {}});
    const int head = static_cast<int>(groups.size());
    groups.push_back({"output_in", BlockIndex{-1}, config.width, {}});

    addSite("token_embd", SiteKind::tokenEmbedding, BlockIndex{-1}, config.vocabulary, config.width,
            config.tiedHead ? head : -1);
    for (int b = 0; b < config.blocks; ++b)
        for (const auto& site : kBlockSites)
            addSite(fmt::format("blk.{}.{}", b, siteKindName(site.kind)), site.kind, BlockIndex{b},
                    widthOf(config, site.out), widthOf(config, site.in), 4 * b + site.group);
    if (!config.tiedHead) addSite("output", SiteKind::output, BlockIndex{-1}, config.vocabulary, config.width, head);
}

void checkTensors(const Checkpoint& checkpoint, const ModelConfig& config, const std::vector<Site>& sites) {
    for (const auto& tensor : checkpoint.tensors()) {
        const bool bias = tensor.canonical.ends_with(".bias") &&
                          (tensor.canonical.starts_with("blk.") || tensor.canonical == "output.bias");
        const bool extraNorm =
            tensor.canonical.ends_with("attn_q_norm.weight") || tensor.canonical.ends_with("attn_k_norm.weight");
        if (bias || extraNorm || tensor.name == "rope_freqs.weight")
            throw Error(
                ErrorCode::unsupportedModel,
                fmt::format("{}: tensor '{}' has no part in the forward pass of this family, so results would be wrong",
                            escapeForDisplay(checkpoint.path()), escapeForDisplay(tensor.name)),
                "Tensors and histograms can be inspected; running needs a plain Llama checkpoint.");
    }
    const std::array<std::int64_t, 1> norm{config.width};
    for (const auto& site : sites) {
        const std::array<std::int64_t, 2> shape{site.rows, site.cols};
        checkShape(checkpoint, site.tensor, shape);
    }
    for (std::int64_t b = 0; b < config.blocks; ++b) {
        checkShape(checkpoint, fmt::format("blk.{}.attn_norm.weight", b), norm);
        checkShape(checkpoint, fmt::format("blk.{}.ffn_norm.weight", b), norm);
    }
    checkShape(checkpoint, "output_norm.weight", norm);
}

} // namespace bw
