// SPDX-License-Identifier: GPL-3.0-or-later
// How a person looks closer at a plot, the same way in all of them: what the wheel and the keys mean, and how far a view may
// go. Knows no plot; Plot and HeatmapPlot act on it.
#pragma once

class QKeyEvent;
class QWheelEvent;

namespace bw {

inline constexpr double kZoomStep = 0.8;  ///< of what is seen, for a notch of the wheel or a key
inline constexpr double kMoveStep = 0.2;  ///< of what is seen
inline constexpr double kClosest = 1e-6;  ///< of everything: figures of the axes still differ

enum class ViewKey { none, closer, farther, all, left, right, up, down };
/// + and −, 0, and arrows with Shift.
ViewKey viewKey(const QKeyEvent& event);
/// By which what is seen changes; 1: not at all. Many small steps of a touch pad make one notch.
double zoomFactor(const QWheelEvent& event);

struct ViewSpan { double low = 0, high = 1; };
/// The view moved, then shortened, so that it lies within `home` and is not closer than kClosest. `log`: by ratios; both
/// of `home` are positive then.
ViewSpan heldWithin(ViewSpan view, ViewSpan home, bool log = false);

} // namespace bw
