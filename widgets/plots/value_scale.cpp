// SPDX-License-Identifier: GPL-3.0-or-later
#include "widgets/plots/value_scale.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace bw {

ValueScale ValueScale::fit(const QVector<double>& values, bool log, bool symmetric) {
    ValueScale scale;
    scale.log = log;
    double low = std::numeric_limits<double>::infinity(), high = -low;
    for (const double v : values) {
        if (!std::isfinite(v) || (log && v <= 0)) continue;
        low = std::min(low, v);
        high = std::max(high, v);
    }
    if (low > high) {
        // A log scale over nothing but zeros still shows them, all at the bottom.
        scale.known = log && std::any_of(values.begin(), values.end(), [](double v) { return std::isfinite(v); });
        return scale;
    }
    if (symmetric && !log) {
        high = std::max(std::abs(low), std::abs(high));
        low = -high;
    }
    scale.low = low;
    scale.high = high;
    scale.known = true;
    return scale;
}

double ValueScale::position(double v) const {
    if (std::isnan(v)) return v;
    if (log && v <= 0) return 0;
    if (!(high > low)) return 0.5;
    const double t = log ? std::log(v / low) / std::log(high / low) : (v - low) / (high - low);
    return std::clamp(t, 0.0, 1.0);
}

double ValueScale::value(double t) const {
    return log ? low * std::pow(high / low, t) : low + t * (high - low);
}

} // namespace bw
