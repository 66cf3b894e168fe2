// SPDX-License-Identifier: GPL-3.0-or-later
// Colour tables for values: viridis and cividis for sizes (both readable with every kind of colour vision and in grey),
// a blue–amber map for differences. No rainbow: its bright bands invent edges that are not in the data.
#pragma once

#include <QColor>
#include <array>

namespace bw {

enum class ColorMap { viridis, cividis, diverging };

using ColorTable = std::array<QRgb, 256>;

/// The 256 entries of a map. `dark` only matters for `diverging`: its middle (no difference) is the colour of a raised
/// surface, so that what does not differ steps back.
const ColorTable& colorTable(ColorMap map, bool dark);

/// Colour at `t` in 0…1; outside it is clamped, NaN gives the middle.
QColor colorAt(ColorMap map, double t, bool dark);

} // namespace bw
