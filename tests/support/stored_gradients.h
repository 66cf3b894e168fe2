// SPDX-License-Identifier: GPL-3.0-or-later
// Compares gathered gradients with what make_gradients.py stored of torch's: norm, sum and projections. Not for: saying
// what difference is allowed.
#pragma once

#include "core/base/json.h"
#include "tests/support/collect_gradients.h"

#include <algorithm>

namespace bw::test {

/// Largest difference between a gradient and what is stored of it, over its norm; projections on cosines of as many
/// values as it has are of the size of the norm.
inline double gradientDifference(const Json& stored, const Doubles& gradient) {
    const double norm = stored.at("norm").get<double>();
    double sum = 0, worst = std::abs(gradient.norm() - norm);
    for (const double v : gradient.values) sum += v;
    const double values = std::sqrt(static_cast<double>(gradient.values.size()));
    worst = std::max(worst, std::abs(sum - stored.at("sum").get<double>()) / values);
    for (int j = 0; j < 3; ++j) {
        double dot = 0;
        for (std::int64_t r = 0; r < gradient.rows; ++r)
            for (std::int64_t c = 0; c < gradient.cols; ++c)
                dot += gradient.at(r, c) * std::cos(12.9898 * static_cast<double>(r) + 78.233 * static_cast<double>(c) + 4.1 * j);
        worst = std::max(worst, std::abs(dot - stored.at("dots").at(static_cast<std::size_t>(j)).get<double>()));
    }
    return norm > 0 ? worst / norm : worst;
}

/// The largest of every entry of `stored` in window 0, whose values are taken `scale` times; `where` names it.
inline double worstDifference(const Json& stored, const std::map<CollectGradients::Key, Doubles>& found, int draw, double scale,
                              std::string& where) {
    double worst = 0;
    for (const auto& [name, values] : stored.items()) {
        const auto at = found.find({name, 0, draw});
        Doubles gradient = at == found.end() ? Doubles{} : at->second;
        for (double& v : gradient.values) v /= scale;
        // An expert that no token chooses has a gradient of zero, which isn't handed out.
        const double gap = gradientDifference(values, gradient);
        if (gap <= worst) continue;
        worst = gap;
        where = name;
    }
    return worst;
}

} // namespace bw::test
