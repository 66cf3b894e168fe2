// SPDX-License-Identifier: GPL-3.0-or-later
// Scales of axes and colour bars: where a value lies, and which values get a tick and how they are written.
#pragma once

#include <span>
#include <string>
#include <vector>

namespace bw::plot {

/// "0.00123", "12.4", "3.1e-6"; at most `digits` significant figures, with a real minus sign.
std::string figure(double value, int digits);

struct Tick {
    double value = 0;
    std::string label; ///< empty: a short tick without a figure
};

/// Linear or logarithmic, low < high, both finite (log: above 0).
struct Scale {
    double low = 0, high = 1;
    bool log = false;
    bool known = false; ///< false: there was no value to fit

    /// Covers the values; log: those above 0, at most `decades` below the largest. NaN and infinities are passed over.
    static Scale fit(std::span<const double> values, bool log, double decades = 12);
    /// Wider by a share of its length on both sides.
    Scale grown(double share) const;
    /// 0 at low, 1 at high, beyond outside; values a log axis has no place for: −∞.
    double position(double value) const;
    double value(double position) const;
    /// About `wanted` figures at round values (1, 2, 5 times powers of ten), log axes with the steps between unlabelled.
    std::vector<Tick> ticks(int wanted) const;
};

/// "MiB" and its bytes: the unit in which this many bytes are 1 to 1023.
struct ByteUnit {
    const char* name;
    double bytes;
};
ByteUnit byteUnit(double bytes);

} // namespace bw::plot
