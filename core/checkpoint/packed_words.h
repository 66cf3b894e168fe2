// SPDX-License-Identifier: GPL-3.0-or-later
// GPTQ and AWQ parts: 32-bit words of affine codes stored input-major. Private to core/checkpoint.
#pragma once

#include "core/checkpoint/writer.h"
#include "core/format/affine.h"

namespace bw {

std::vector<OutputTensor> gptqTensors(const std::string& module, const AffineGrid& grid, std::int64_t rows, std::int64_t cols);
/// @param minusOne zero points less one, as the first generation has them; every zero point must be ≥ 1 then.
std::vector<std::vector<std::byte>> gptqBytes(const AffineFormat& format, std::span<const std::byte> encoded, std::int64_t rows, std::int64_t cols, bool minusOne);

std::vector<OutputTensor> awqTensors(const std::string& module, const AffineGrid& grid, std::int64_t rows, std::int64_t cols);
std::vector<std::vector<std::byte>> awqBytes(const AffineFormat& format, std::span<const std::byte> encoded, std::int64_t rows, std::int64_t cols);

} // namespace bw
