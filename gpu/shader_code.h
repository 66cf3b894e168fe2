// SPDX-License-Identifier: GPL-3.0-or-later
// The compiled shaders, built into the program.
#pragma once

#include <cstdint>
#include <span>

namespace bw::vk {

std::span<const std::uint32_t> gemmShader();
std::span<const std::uint32_t> gemmDirectShader();
std::span<const std::uint32_t> histogramShader();

} // namespace bw::vk
