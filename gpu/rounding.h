// SPDX-License-Identifier: GPL-3.0-or-later
// Weights rounded to grids whose scales are known, and the extremes that scales follow from: the same to the bit as on the CPU.
#pragma once

#include "gpu/gemm.h"
#include "gpu/shader_code.h"

#include <array>
#include <memory>

namespace bw::vk {

/// Not thread safe. Results as those of Operations; weights lie on the host and pass through in pieces.
class Rounding {
public:
    Rounding(DeviceContext& context, Stream& work) : context_(context), work_(work) {}

    /// Device::extremes().
    VkResult extremes(MatrixView<const float> w, std::int64_t group, std::span<Extremes> out);
    /// Device::roundToGrid(). Rows with a quotient that devices may round otherwise are rounded here by the CPU.
    VkResult roundToGrid(MatrixView<const float> w, const RoundingGrid& grid, std::span<std::uint8_t> codes, std::span<double> errors);

private:
    VkResult room(Buffer& buffer, std::uint64_t words);
    /// Rows that pass through at once; 0: not even one fits.
    std::int64_t rowsAtOnce(std::int64_t cols, double valueWork) const;

    DeviceContext& context_;
    Stream& work_;
    std::unique_ptr<Kernel> extremes_;
    std::array<std::unique_ptr<Kernel>, 4> rounds_; ///< by RoundingGrid::Rule
    Buffer weights_, cells_, codes_, made_;
};

} // namespace bw::vk
