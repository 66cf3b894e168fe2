// SPDX-License-Identifier: GPL-3.0-or-later
// Statistics of one site's weight for the window: what the tree, the histogram and the inspector show. Pure functions,
// called on the background thread.
#pragma once

#include "widgets/session/session.h"

namespace bw {

/// Kurtosis, outlier share, maximum and a profile of channel maxima. Reads the whole weight once.
SiteFacts siteFacts(const Model& model, const Site& site);

/// Everything the weight panel shows. With `format`, the error of decode(encode(W)) and the levels of its grid; a format
/// that does not fit the shape is replaced by its fallback, whose name the view carries.
WeightView weightView(const Model& model, const Site& site, const QString& format);

/// Values (ascending, ≤ 256) that `format` can take in the group of W with the largest magnitude.
std::vector<float> gridLevels(MatrixView<const float> weight, const Format& format);

} // namespace bw
