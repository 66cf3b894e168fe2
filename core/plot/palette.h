// SPDX-License-Identifier: GPL-3.0-or-later
// The colours of the plots: the window's tokens in dark and light, the colours of bit widths, and viridis.
#pragma once

#include <cstdint>
#include <string>

namespace bw::plot {

struct Color {
    std::uint8_t r = 0, g = 0, b = 0;
    double alpha = 1;
    Color withAlpha(double a) const { return {r, g, b, a}; }
};

struct Tokens {
    Color ground, panel, raised, line, text, muted, accent, amber, red, green;
    bool dark = false;
};
const Tokens& tokens(bool dark);

/// Of formats with this many bits to a code.
Color bitsColor(int bits);
/// t in 0…1, clamped; dark blue is little, yellow much.
Color viridis(double t);
/// Black or white, whichever reads better on `background`.
Color inkOn(const Color& background);

} // namespace bw::plot
