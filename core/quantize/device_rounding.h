// SPDX-License-Identifier: GPL-3.0-or-later
// Rounding a weight to nearest with a device's help: the bytes are those of Format::encode().
#pragma once

#include "core/format/format.h"

#include <optional>
#include <span>

namespace bw {

class Device;

namespace detail {

/// Encodes into `out`, Format::bytes(), where the device does such rounding (a GPU) and the format and options are plain
/// (plain_rounding.h). @returns Σ (w − ŵ)² to f32 rounding; nothing, and `out` is as it was, when the format's own code is to do it,
/// which names weights that are not finite, too.
std::optional<double> roundOnDevice(Device& device, MatrixView<const float> weight, const Format& format, const EncodeOptions& options, std::span<std::byte> out);

} // namespace detail
} // namespace bw
