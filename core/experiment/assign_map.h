// SPDX-License-Identifier: GPL-3.0-or-later
// What an assignment works on, read from the log: the costs of one map with what other runs measured better, shrunk for
// the solver, and the predictor of whole mixes. Private to core/experiment. Not for: sizes and solving.
#pragma once

#include "core/assign/budget.h"
#include "core/experiment/workbench.h"
#include "core/sensitivity/experts.h"
#include "core/sensitivity/prediction.h"

namespace bw {

struct MapCell {
    double value = 0, standardError = 0;
    double solving = 0;               ///< what the solver counts: `value` shrunk by its error, or `value` itself
    std::int64_t tokens = 0;          ///< that passed the site; 0 = not recorded
    bool measured = false;            ///< taken from one of the assignment's measured runs
    Projections projections;          ///< of a Fisher sketch; else empty
};

struct AssignMap {
    std::string metric;               ///< "output", "kl" or "fisher"
    std::vector<std::string> formats; ///< in the order of the sweep's recipe, none twice
    std::map<std::string, std::map<std::string, MapCell>> cells; ///< site → format
    int draws = 1;                    ///< probes of one window
    Saturation saturation;
    std::vector<StarvedExpert> starved;
    std::vector<std::string> forbid;  ///< "SITE=FORMAT" that the policy for starved experts rules out

    bool inNats() const { return metric != "output"; }
    const char* unit() const { return inNats() ? "nats" : ""; }
};

/// Reads `wanted`'s sweep run, scale run and measured runs.
/// @throws Error(usage) for runs that are no finished sweeps, of another checkpoint, or in another unit;
/// Error(unknownRun).
AssignMap readAssignMap(Workbench& bench, const Model& model, const Recipe::Assignment& wanted, JobContext& job);

/// Whole mixes over the model's sites that have cells of a map in nats; options in the order of the map's formats.
struct MixPredictors {
    MixPredictor
        solving; ///< on the values that the solver counts: a mix that was chosen by them is not favoured by luck
    MixPredictor plain;    ///< on the values as they are, whose errors hang together window by window
    /// The estimate of the first with the errors of the second.
    Prediction predict(const std::vector<int>& choice) const;
};
MixPredictors mixPredictors(const AssignMap& map, const Model& model);

} // namespace bw
