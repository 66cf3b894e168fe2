// SPDX-License-Identifier: GPL-3.0-or-later
#include "gpu/shader_code.h"

namespace bw::vk {
namespace {

constexpr std::uint32_t kGemm[] = {
#include "gemm.comp.inc"
};
constexpr std::uint32_t kGemmDirect[] = {
#include "gemm_direct.comp.inc"
};
constexpr std::uint32_t kNorm[] = {
#include "norm.comp.inc"
};
constexpr std::uint32_t kRope[] = {
#include "rope.comp.inc"
};
constexpr std::uint32_t kMap[] = {
#include "map.comp.inc"
};
constexpr std::uint32_t kAttention[] = {
#include "attention.comp.inc"
};
constexpr std::uint32_t kHistogram[] = {
#include "histogram.comp.inc"
};
constexpr std::uint32_t kGram[] = {
#include "gram.comp.inc"
};
constexpr std::uint32_t kScore[] = {
#include "score.comp.inc"
};
constexpr std::uint32_t kDivergence[] = {
#include "divergence.comp.inc"
};
constexpr std::uint32_t kGemv[] = {
#include "gemv.comp.inc"
};
constexpr std::uint32_t kRows[] = {
#include "rows.comp.inc"
};
constexpr std::uint32_t kChannels[] = {
#include "channels.comp.inc"
};
constexpr std::uint32_t kTokens[] = {
#include "tokens.comp.inc"
};
constexpr std::uint32_t kBins[] = {
#include "bins.comp.inc"
};
constexpr std::uint32_t kGemmSmall[] = {
#include "gemm_small.comp.inc"
};
constexpr std::uint32_t kGemmDirectSmall[] = {
#include "gemm_direct_small.comp.inc"
};
constexpr std::uint32_t kGemvSmall[] = {
#include "gemv_small.comp.inc"
};
constexpr std::uint32_t kRowsSmall[] = {
#include "rows_small.comp.inc"
};
constexpr std::uint32_t kExtremes[] = {
#include "extremes.comp.inc"
};
constexpr std::uint32_t kRound[] = {
#include "round.comp.inc"
};
constexpr std::uint32_t kBytes[] = {
#include "bytes.comp.inc"
};
constexpr std::uint32_t kByteProduct[] = {
#include "byte_product.comp.inc"
};
constexpr std::uint32_t kByteDotProduct[] = {
#include "byte_product_dot.comp.inc"
};
constexpr std::uint32_t kPick[] = {
#include "pick.comp.inc"
};

} // namespace

std::span<const std::uint32_t> shaderCode(ShaderName name, bool smallTypes) {
    switch (name) {
    case ShaderName::gemm: return smallTypes ? std::span<const std::uint32_t>(kGemmSmall) : std::span<const std::uint32_t>(kGemm);
    case ShaderName::gemmDirect: return smallTypes ? std::span<const std::uint32_t>(kGemmDirectSmall) : std::span<const std::uint32_t>(kGemmDirect);
    case ShaderName::norm: return kNorm;
    case ShaderName::rope: return kRope;
    case ShaderName::map: return kMap;
    case ShaderName::attention: return kAttention;
    case ShaderName::histogram: return kHistogram;
    case ShaderName::gram: return kGram;
    case ShaderName::score: return kScore;
    case ShaderName::divergence: return kDivergence;
    case ShaderName::gemv: return smallTypes ? std::span<const std::uint32_t>(kGemvSmall) : std::span<const std::uint32_t>(kGemv);
    case ShaderName::rows: return smallTypes ? std::span<const std::uint32_t>(kRowsSmall) : std::span<const std::uint32_t>(kRows);
    case ShaderName::channels: return kChannels;
    case ShaderName::tokens: return kTokens;
    case ShaderName::bins: return kBins;
    case ShaderName::extremes: return kExtremes;
    case ShaderName::round: return kRound;
    case ShaderName::bytes: return kBytes;
    case ShaderName::byteProduct: return kByteProduct;
    case ShaderName::byteDotProduct: return kByteDotProduct;
    case ShaderName::pick: return kPick;
    }
    return {};
}

} // namespace bw::vk
