// SPDX-License-Identifier: GPL-3.0-or-later
// The values that scales of fold points may have: 2^(k/8), k in −128 … 127. Any scale preserves the function, so a coarse grid
// costs nothing and keeps every scale finite and a fit one byte a channel. Private to core/quantize.
#pragma once

#include <algorithm>
#include <cmath>
#include <span>

namespace bw {

constexpr double kScaleStepsPerOctave = 8;

inline float scaleOfStep(int step) { return static_cast<float>(std::exp2(step / kScaleStepsPerOctave)); }
/// The nearest step; 0 (a scale of 1) for what is no positive finite number.
inline int scaleStep(double scale) {
    if (!(scale > 0) || !std::isfinite(scale)) return 0;
    return static_cast<int>(std::lround(std::clamp(kScaleStepsPerOctave * std::log2(scale), -128.0, 127.0)));
}
inline void snapScales(std::span<float> scales) {
    for (float& scale : scales) scale = scaleOfStep(scaleStep(static_cast<double>(scale)));
}

} // namespace bw
