// SPDX-License-Identifier: GPL-3.0-or-later
// The compiled shaders, built into the program.
#pragma once

#include <cstdint>
#include <span>

namespace bw::vk {

enum class ShaderName { gemm, gemmDirect, norm, rope, map, attention, histogram, gram, score, divergence, gemv, rows, channels, tokens, bins, extremes, round, bytes, byteProduct, byteDotProduct, pick };
/// @param smallTypes of shaders with weights: that which reads bytes and halves as such (DeviceContext::smallTypes).
std::span<const std::uint32_t> shaderCode(ShaderName name, bool smallTypes = false);

} // namespace bw::vk
