// SPDX-License-Identifier: GPL-3.0-or-later
// Where a value lies on a colour or length scale, 0…1: linear, logarithmic or symmetric around zero.
#pragma once

#include <QVector>

namespace bw {

struct ValueScale {
    double low = 0, high = 1;
    bool log = false;
    bool known = false; ///< false: not one finite value (for log: and no positive one)

    /// Fits the finite values. `log` uses the positive ones only; `symmetric` makes low = −high (differences).
    static ValueScale fit(const QVector<double>& values, bool log, bool symmetric = false);
    /// 0…1, clamped. NaN for NaN. Zero and negative values on a log scale lie at 0. One single value lies at 0.5.
    double position(double value) const;
    /// The value at a position: the inverse, for legends.
    double value(double position) const;
};

} // namespace bw
