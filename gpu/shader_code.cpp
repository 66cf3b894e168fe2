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
constexpr std::uint32_t kHistogram[] = {
#include "histogram.comp.inc"
};

} // namespace

std::span<const std::uint32_t> gemmShader() {
    return kGemm;
}
std::span<const std::uint32_t> gemmDirectShader() {
    return kGemmDirect;
}
std::span<const std::uint32_t> histogramShader() {
    return kHistogram;
}

} // namespace bw::vk
