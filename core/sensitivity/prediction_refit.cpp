// SPDX-License-Identifier: GPL-3.0-or-later
// Damage that levels off, and its two numbers fitted to measured mixes.
#include "core/sensitivity/prediction.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace bw {
namespace {

/// What the model itself is off by on one mix, in log KL: keeps one point with a tiny error from deciding alone.
constexpr double kModelError = 0.05;
constexpr int kSteps = 64;    ///< of the coarse search
constexpr int kHalvings = 40; ///< of the fine one

double misfit(const Saturation& saturation, const std::vector<MeasuredPoint>& points) {
    double sum = 0;
    for (const MeasuredPoint& point : points) {
        const double error = std::log(point.kl) -
                             std::log(std::max(saturation.apply(point.estimate), std::numeric_limits<double>::min()));
        const double relative = point.se / point.kl;
        sum += error * error / (relative * relative + kModelError * kModelError);
    }
    return sum;
}

/// The x in [low, high] of the least f: a grid, then ever smaller steps around its best point.
template <class F>
double leastAt(double low, double high, const F& f) {
    double best = low, least = std::numeric_limits<double>::infinity(), step = (high - low) / kSteps;
    for (int i = 0; i <= kSteps; ++i)
        if (const double x = low + step * i, value = f(x); value < least) {
            least = value;
            best = x;
        }
    for (int i = 0; i < kHalvings; ++i, step *= 0.5)
        for (const double x : {best - 0.5 * step, best + 0.5 * step})
            if (const double value = x >= low && x <= high ? f(x) : std::numeric_limits<double>::infinity();
                value < least) {
                least = value;
                best = x;
            }
    return best;
}

Saturation withBestScale(double limit, const std::vector<MeasuredPoint>& points) {
    // Wider than what is accepted, so that what lies outside is seen to.
    const double log = leastAt(std::log(0.2), std::log(5.0), [&](double x) {
        return misfit({limit, std::exp(x)}, points);
    });
    return {limit, std::exp(log)};
}

} // namespace

double Saturation::slope(double s) const {
    const double level = limit > 0 ? std::tanh(scale * std::max(0.0, s) / limit) : 0.0;
    return scale * (1 - level * level);
}

double Saturation::apply(double s) const {
    const double damage = scale * std::max(0.0, s);
    return limit > 0 ? limit * std::tanh(damage / limit) : damage;
}

Saturation refit(const Saturation& from, const std::vector<MeasuredPoint>& points) {
    std::vector<MeasuredPoint> usable;
    std::ranges::copy_if(points, std::back_inserter(usable), [](const MeasuredPoint& point) {
        return std::isfinite(point.estimate) && std::isfinite(point.kl) && std::isfinite(point.se) &&
               point.estimate > 0 && point.kl > 0 && point.se >= 0;
    });
    if (usable.empty()) return from;
    Saturation fitted = withBestScale(from.limit, usable);
    const auto large = std::ranges::count_if(
        usable, [&](const MeasuredPoint& point) { return from.limit > 0 && point.estimate > from.limit / 10; });
    if (large >= 3) {
        const double log = leastAt(std::log(from.limit / 4), std::log(from.limit * 4), [&](double x) {
            const double limit = std::exp(x);
            return misfit(withBestScale(limit, usable), usable);
        });
        fitted = withBestScale(std::exp(log), usable);
    }
    return fitted.scale >= 0.5 && fitted.scale <= 2 ? fitted : from;
}

} // namespace bw
