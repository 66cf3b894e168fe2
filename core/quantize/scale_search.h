// SPDX-License-Identifier: GPL-3.0-or-later
// Scales of input channels from what enters them: SmoothQuant's formula and AWQ's search. Private to core/quantize; folding
// them in is fold.h's.
#pragma once

#include "core/quantize/transform.h"

namespace bw {

/// How the scales of every point are chosen.
struct ScaleMethod {
    enum class Kind {
        smooth,       ///< s = max|x|^α / max|w|^(1−α)
        smoothSearch, ///< the same, α of 0.1 … 0.9 with the least error at the output of each point
        awq,          ///< s = mean|x|^r, r of 0, 1/grid … 1 − 1/grid with the least error
    } kind = Kind::smooth;
    double alpha = 0.5;
    int grid = 20;
};

struct ScaleFit {
    std::map<std::string, std::vector<float>> scales; ///< by point; none for points left as they are
    std::vector<FittedPoint> points;
    std::vector<std::string> notes;
    std::vector<DataWarning> warnings;
};

/// One walk. Searches measure tr(ΔW·G·ΔWᵀ) over the sites that have a format, on up to a few hundred rows of a point's
/// weights, spread evenly; points without such a site keep a scale of 1 in searches. A search tries every fourth candidate or
/// so and then those beside the best, since the error has one valley but for noise.
/// @param formats by site name.
/// Memory: one block's weights and Gram matrices. @throws Error nonFinite, cancelled.
ScaleFit fitScales(const Model& model, const ScaleMethod& method, const std::map<std::string, FormatPtr>& formats,
                   const TransformInputs& inputs, JobContext& job);

} // namespace bw
