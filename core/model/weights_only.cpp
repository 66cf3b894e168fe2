// SPDX-License-Identifier: GPL-3.0-or-later
// Sites of a checkpoint that cannot be run: every weight matrix by itself, so that rounding each on its own and writing
// the result work for architectures nobody described here.
#include "core/base/error.h"
#include "core/base/text.h"
#include "core/checkpoint/tensor_names.h"
#include "core/model/model_impl.h"

#include <algorithm>
#include <array>

namespace bw {
namespace {

/// Parts of names of matrices that are no linear layers or too delicate to round without looking at what they do.
constexpr std::array<std::string_view, 10> kNotRounded{"norm", "router",   "gate_inp", "position_embd", "conv",
                                                       "ssm_", "time_mix", "rope_",    "rotary",        "lora"};

SiteKind kindOf(const std::string& canonical) {
    if (canonical == "token_embd.weight") return SiteKind::tokenEmbedding;
    if (canonical == "output.weight") return SiteKind::output;
    const auto block = parseBlockName(canonical);
    for (const SiteKind kind :
         {SiteKind::attnQ, SiteKind::attnK, SiteKind::attnV, SiteKind::attnQkv, SiteKind::attnOutput, SiteKind::ffnGate,
          SiteKind::ffnUp, SiteKind::ffnDown, SiteKind::ffnGateExperts, SiteKind::ffnUpExperts,
          SiteKind::ffnDownExperts, SiteKind::ffnGateShared, SiteKind::ffnUpShared, SiteKind::ffnDownShared})
        if (block && block->rest == std::string(siteKindName(kind)) + ".weight") return kind;
    return SiteKind::other;
}

bool isWeight(const TensorInfo& tensor) {
    if (!tensor.name.ends_with(".weight") || (tensor.shape.size() != 2 && tensor.shape.size() != 3)) return false;
    if (tensor.rows() < 2 || tensor.cols() < 2) return false;
    if (!tensor.packed && (tensor.type == StorageType::unknown || !storageTypeInfo(tensor.type).decodes)) return false;
    const std::string& name = tensor.canonical.empty() ? tensor.name : tensor.canonical;
    return std::none_of(kNotRounded.begin(), kNotRounded.end(),
                        [&](std::string_view part) { return name.find(part) != std::string::npos; });
}

} // namespace

SiteLayout layOutWeights(const Checkpoint& checkpoint) {
    SiteLayout layout;
    for (const TensorInfo& tensor : checkpoint.tensors()) {
        if (!isWeight(tensor)) continue;
        Site site;
        site.id = SiteId{static_cast<int>(layout.sites.size())};
        site.tensor = tensor.canonical.empty() ? tensor.name : tensor.canonical;
        site.name = site.tensor.substr(0, site.tensor.size() - std::string_view(".weight").size());
        site.kind = kindOf(site.tensor);
        if (const auto block = parseBlockName(site.tensor); block && block->block < checkpoint.config().blocks)
            site.block = BlockIndex{static_cast<int>(block->block)};
        site.rows = tensor.rows();
        site.cols = tensor.cols();
        layout.sites.push_back(std::move(site));
    }
    if (layout.sites.empty())
        throw Error(ErrorCode::unsupportedModel,
                    escapeForDisplay(checkpoint.path()) +
                        " holds no weight matrix that could be quantized: " + checkpoint.config().whyNot,
                    "Its tensors and their histograms can still be inspected.");
    return layout;
}

} // namespace bw
