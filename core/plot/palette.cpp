// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/plot/palette.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace bw::plot {
namespace {

constexpr Color rgb(std::uint32_t code) {
    return {static_cast<std::uint8_t>(code >> 16), static_cast<std::uint8_t>(code >> 8 & 0xFF), static_cast<std::uint8_t>(code & 0xFF), 1};
}

/// Viridis (Smith and van der Walt 2015) at fifteenths of its length; straight lines in sRGB between them.
constexpr std::array<std::uint32_t, 16> kViridis{0x440154, 0x481a6c, 0x472f7d, 0x414487, 0x39568c, 0x31688e, 0x2a788e, 0x23888e,
                                                 0x1f988b, 0x22a884, 0x35b779, 0x54c568, 0x7ad151, 0xa5db36, 0xd2e21b, 0xfde725};

/// Relative luminance of WCAG 2.
double luminance(const Color& c) {
    const auto linear = [](std::uint8_t v) {
        const double x = v / 255.0;
        return x <= 0.04045 ? x / 12.92 : std::pow((x + 0.055) / 1.055, 2.4);
    };
    return 0.2126 * linear(c.r) + 0.7152 * linear(c.g) + 0.0722 * linear(c.b);
}

} // namespace

const Tokens& tokens(bool dark) {
    static const Tokens kDark{rgb(0x14171c), rgb(0x1b1f26), rgb(0x242a34), rgb(0x2f3642), rgb(0xe6e9ef), rgb(0x98a2b1), rgb(0x4c9ffe), rgb(0xe5a50a), rgb(0xef676b), rgb(0x3fb68b), true};
    static const Tokens kLight{rgb(0xf5f6f8), rgb(0xffffff), rgb(0xeef0f4), rgb(0xd8dce3), rgb(0x1a1e26), rgb(0x5c6675), rgb(0x186bcb), rgb(0x8f6400), rgb(0xc8282e), rgb(0x1b7a57), false};
    return dark ? kDark : kLight;
}

Color bitsColor(int bits) {
    switch (bits) {
    case 2: return rgb(0xc2467e);
    case 3: return rgb(0xe0732c);
    case 4: return rgb(0xd9a521);
    case 5: return rgb(0x7fb24a);
    case 6: return rgb(0x2fa58c);
    case 7:
    case 8: return rgb(0x3f86d6);
    default: return rgb(0x8a93a3);
    }
}

Color viridis(double t) {
    const double position = std::clamp(std::isnan(t) ? 0.0 : t, 0.0, 1.0) * static_cast<double>(kViridis.size() - 1);
    const auto left = std::min(static_cast<std::size_t>(position), kViridis.size() - 2);
    const double f = position - static_cast<double>(left);
    const Color a = rgb(kViridis[left]), b = rgb(kViridis[left + 1]);
    const auto mix = [f](std::uint8_t x, std::uint8_t y) { return static_cast<std::uint8_t>(std::lround(x + f * (y - x))); };
    return {mix(a.r, b.r), mix(a.g, b.g), mix(a.b, b.b), 1};
}

Color inkOn(const Color& background) {
    const double l = luminance(background);
    return (l + 0.05) * (l + 0.05) > 0.05 * 1.05 ? rgb(0x101216) : rgb(0xffffff);
}

} // namespace bw::plot
