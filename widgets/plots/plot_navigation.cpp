// SPDX-License-Identifier: GPL-3.0-or-later
#include "widgets/plots/plot_navigation.h"

#include <QKeyEvent>
#include <QWheelEvent>
#include <algorithm>
#include <cmath>

namespace bw {

ViewKey viewKey(const QKeyEvent& event) {
    switch (event.key()) {
    case Qt::Key_Plus:
    case Qt::Key_Equal: return ViewKey::closer;
    case Qt::Key_Minus: return ViewKey::farther;
    case Qt::Key_0: return ViewKey::all;
    default: break;
    }
    if (!(event.modifiers() & Qt::ShiftModifier)) return ViewKey::none;
    switch (event.key()) {
    case Qt::Key_Left: return ViewKey::left;
    case Qt::Key_Right: return ViewKey::right;
    case Qt::Key_Up: return ViewKey::up;
    case Qt::Key_Down: return ViewKey::down;
    default: return ViewKey::none;
    }
}

double zoomFactor(const QWheelEvent& event) {
    constexpr double kNotch = 120; // eighths of a degree
    return std::pow(kZoomStep, event.angleDelta().y() / kNotch);
}

ViewSpan heldWithin(ViewSpan view, ViewSpan home, bool log) {
    if (log) {
        const auto lg = [](double v, double fallback) { return v > 0 ? std::log10(v) : fallback; };
        const ViewSpan all{std::log10(home.low), std::log10(home.high)};
        const ViewSpan kept = heldWithin({lg(view.low, all.low), lg(view.high, all.high)}, all);
        return {std::pow(10.0, kept.low), std::pow(10.0, kept.high)};
    }
    const double whole = home.high - home.low;
    const double size = std::clamp(view.high - view.low, kClosest * whole, whole);
    if (size >= whole) return home;
    const double low = std::clamp((view.low + view.high - size) / 2, home.low, home.high - size);
    return {low, low + size};
}

} // namespace bw
