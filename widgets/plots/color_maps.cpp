// SPDX-License-Identifier: GPL-3.0-or-later
#include "widgets/plots/color_maps.h"

#include <algorithm>
#include <cmath>
#include <span>

namespace bw {
namespace {

struct Lab { double l, a, b; };

double toLinear(double c) { return c <= 0.04045 ? c / 12.92 : std::pow((c + 0.055) / 1.055, 2.4); }
double fromLinear(double c) { return c <= 0.0031308 ? 12.92 * c : 1.055 * std::pow(c, 1 / 2.4) - 0.055; }

/// sRGB to OKLab (Ottosson 2020): equal steps look equal, so a straight line in it is an even ramp.
Lab toLab(QRgb rgb) {
    const double r = toLinear(qRed(rgb) / 255.0), g = toLinear(qGreen(rgb) / 255.0), b = toLinear(qBlue(rgb) / 255.0);
    const double l = std::cbrt(0.4122214708 * r + 0.5363325363 * g + 0.0514459929 * b);
    const double m = std::cbrt(0.2119034982 * r + 0.6806995451 * g + 0.1073969566 * b);
    const double s = std::cbrt(0.0883024619 * r + 0.2817188376 * g + 0.6299787005 * b);
    return {0.2104542553 * l + 0.7936177850 * m - 0.0040720468 * s,
            1.9779984951 * l - 2.4285922050 * m + 0.4505937099 * s,
            0.0259040371 * l + 0.7827717662 * m - 0.8086757660 * s};
}

QRgb fromLab(const Lab& lab) {
    const double l = std::pow(lab.l + 0.3963377774 * lab.a + 0.2158037573 * lab.b, 3);
    const double m = std::pow(lab.l - 0.1055613458 * lab.a - 0.0638541728 * lab.b, 3);
    const double s = std::pow(lab.l - 0.0894841775 * lab.a - 1.2914855480 * lab.b, 3);
    const auto byte = [](double c) { return static_cast<int>(std::lround(255 * fromLinear(std::clamp(c, 0.0, 1.0)))); };
    return qRgb(byte(4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s),
                byte(-1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s),
                byte(-0.0041960863 * l - 0.7034186147 * m + 1.7076147010 * s));
}

/// Ramps through equally spaced anchors, straight in OKLab between neighbours.
ColorTable ramp(std::span<const QRgb> anchors) {
    ColorTable table{};
    const double last = static_cast<double>(anchors.size() - 1);
    for (std::size_t i = 0; i < table.size(); ++i) {
        const double position = static_cast<double>(i) / 255.0 * last;
        const auto left = std::min(static_cast<std::size_t>(position), anchors.size() - 2);
        const double f = position - static_cast<double>(left);
        const Lab p = toLab(anchors[left]), q = toLab(anchors[left + 1]);
        table[i] = fromLab({p.l + f * (q.l - p.l), p.a + f * (q.a - p.a), p.b + f * (q.b - p.b)});
    }
    return table;
}

// Anchor colours as published with the maps: viridis at ninths (Smith, van der Walt 2015), cividis at twelfths
// (Nuñez, Anderton, Renslow 2018).
constexpr std::array<QRgb, 9> kViridis{0xff440154, 0xff472d7b, 0xff3b528b, 0xff2c728e, 0xff21908c,
                                       0xff27ad81, 0xff5dc863, 0xffaadc32, 0xfffde725};
constexpr std::array<QRgb, 12> kCividis{0xff00204d, 0xff00306f, 0xff2a406c, 0xff48526b, 0xff5e626e, 0xff727374,
                                        0xff878479, 0xff9e9677, 0xffb6a971, 0xffd0be67, 0xffead357, 0xffffea46};
// Lightness goes away from the ground on both sides, towards blue below the middle and amber above it.
constexpr std::array<QRgb, 5> kDivergingDark{0xff7cc0ff, 0xff3b78c4, 0xff262c36, 0xffa87a12, 0xfff6c344};
constexpr std::array<QRgb, 5> kDivergingLight{0xff0b4f9e, 0xff6fa3dc, 0xffe9ecf1, 0xffdcab45, 0xff8a5a00};

} // namespace

const ColorTable& colorTable(ColorMap map, bool dark) {
    static const ColorTable viridis = ramp(kViridis);
    static const ColorTable cividis = ramp(kCividis);
    static const ColorTable divergingDark = ramp(kDivergingDark);
    static const ColorTable divergingLight = ramp(kDivergingLight);
    switch (map) {
    case ColorMap::viridis: return viridis;
    case ColorMap::cividis: return cividis;
    case ColorMap::diverging: break;
    }
    return dark ? divergingDark : divergingLight;
}

QColor colorAt(ColorMap map, double t, bool dark) {
    const double clamped = std::isnan(t) ? 0.5 : std::clamp(t, 0.0, 1.0);
    return QColor(colorTable(map, dark)[static_cast<std::size_t>(std::lround(clamped * 255))]);
}

} // namespace bw
