// SPDX-License-Identifier: GPL-3.0-or-later
// Plans for recipes: with an export path the exporter's own plan; without one (simulation only) the plan of the container
// the formats would go into. Private to core/experiment.
#pragma once

#include "core/experiment/log.h"
#include "core/quantize/export.h"

namespace bw {

/// Default, rules and pins of the recipe, resolved for the model's sites.
inline BlockSearch blockSearch(const Recipe& recipe) { return recipe.search == "reference" ? BlockSearch::reference : BlockSearch::best; }
std::vector<SiteFormat> recipeFormats(const Model& model, const Recipe& recipe);

/// @throws as planExport when the recipe names an export path; without one only for formats that don't parse.
ExportPlan planFor(const Model& model, const std::vector<SiteFormat>& formats, const Recipe& recipe);

/// The formats that will really be written: where the container can't hold what was asked, what the plan uses instead.
std::vector<SiteFormat> asPlanned(std::vector<SiteFormat> formats, const ExportPlan& plan);

Json planJson(const ExportPlan& plan);
/// One row per site in model order.
std::vector<AssignmentRow> assignmentRows(const Model& model, const ExportPlan& plan, const std::vector<SiteFormat>& formats = {});
/// Σ site bytes·8 / Σ site weights: what a budget in bits per weight counts. Norms and headers come on top.
double siteBitsPerWeight(const Model& model, const ExportPlan& plan);
std::int64_t siteWeights(const Model& model);

/// @throws Error(strictViolation) that lists what would differ.
void requireAsAsked(const ExportPlan& plan);

} // namespace bw
