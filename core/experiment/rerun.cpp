// SPDX-License-Identifier: GPL-3.0-or-later
// Repeating a logged run and holding its figures against the first time.
#include "core/experiment/baseline_check.h"
#include "core/experiment/replicates.h"
#include "core/experiment/result_warnings.h"
#include "core/experiment/stack.h"
#include "core/experiment/workbench.h"
#include "core/quantize/tensor_cache.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fmt/format.h>
#include <map>

namespace bw {
namespace {

namespace fs = std::filesystem;

/// On one stack results are the same bits whatever the number of threads; this only forgives text round trips.
constexpr double kSameStack = 1e-9;
/// Other instruction sets add in another order: relative differences of perplexity and KL up to some 1e-5 were seen.
constexpr double kOtherStack = 1e-4;

double relativeDifference(double was, double is) {
    if (was == is || (std::isnan(was) && std::isnan(is)))
        return 0;
    return std::abs(was - is) / std::max({std::abs(was), std::abs(is), 1e-300});
}

Json compareFigures(const RunDetail& was, const RunDetail& is, double tolerance, bool& agrees) {
    std::map<std::string, double> now;
    for (const MetricRow& metric : is.summary.metrics)
        now[metric.name] = metric.value;
    Json rows = Json::array();
    for (const MetricRow& metric : was.summary.metrics) {
        if (isTiming(metric.name))
            continue;
        const auto found = now.find(metric.name);
        const double relative = found == now.end() ? INFINITY : relativeDifference(metric.value, found->second);
        agrees = agrees && relative <= tolerance;
        rows.push_back({{"name", metric.name},
                        {"was", metric.value},
                        {"is", found == now.end() ? Json() : Json(found->second)},
                        {"relative", std::isfinite(relative) ? Json(relative) : Json()},
                        {"agrees", relative <= tolerance}});
    }
    return rows;
}

/// Cells of a sweep: the worst relative difference; a cell that is missing counts as infinite.
double worstCell(const std::vector<SensitivityRow>& was, const std::vector<SensitivityRow>& is) {
    std::map<std::pair<std::string, std::string>, double> now;
    for (const SensitivityRow& row : is)
        now[{row.site, row.format}] = row.value;
    double worst = 0;
    for (const SensitivityRow& row : was) {
        const auto found = now.find({row.site, row.format});
        worst = std::max(worst, found == now.end() ? INFINITY : relativeDifference(row.value, found->second));
    }
    return worst;
}

bool sameAssignments(const RunDetail& was, const RunDetail& is) {
    return std::equal(was.assignments.begin(), was.assignments.end(), is.assignments.begin(), is.assignments.end(),
                      [](const AssignmentRow& a, const AssignmentRow& b) { return a.site == b.site && a.used == b.used && a.bytes == b.bytes; });
}

bool sameOutputs(const RunDetail& was, const RunDetail& is) {
    return std::equal(was.outputs.begin(), was.outputs.end(), is.outputs.begin(), is.outputs.end(),
                      [](const OutputRow& a, const OutputRow& b) { return a.ids == b.ids; });
}

/// "model.gguf" → "model.rerun-12.gguf": beside the first file, never over it.
std::string besidePath(const std::string& path, std::int64_t original) {
    fs::path p(path);
    if (p.filename().empty())
        p = p.parent_path(); // "folder/" names the folder
    for (int n = 0;; ++n) {
        const std::string mark = fmt::format(".rerun-{}{}", original, n == 0 ? "" : "-" + std::to_string(n));
        const fs::path candidate = p.parent_path() / (p.stem().string() + mark + p.extension().string());
        if (!fs::exists(candidate))
            return candidate.string();
    }
}

Json compareArtifacts(const RunDetail& was, const RunDetail& is, bool& agrees) {
    Json rows = Json::array();
    for (std::size_t i = 0; i < was.artifacts.size(); ++i) {
        const ArtifactRow& first = was.artifacts[i];
        if (first.state != "complete")
            continue;
        const bool present = i < is.artifacts.size();
        const bool equal = present && is.artifacts[i].sha256 == first.sha256;
        agrees = agrees && equal;
        rows.push_back({{"path", first.path}, {"was", first.sha256}, {"is", present ? Json(is.artifacts[i].sha256) : Json()}, {"equal", equal}});
    }
    return rows;
}

/// The recipe says all there is to say, except where this repetition had to write somewhere else.
bool sameRecipe(Json a, Json b) {
    a["export"]["path"] = b["export"]["path"] = "";
    return a == b;
}

} // namespace

RunOutcome Runner::rerun(RunId id, JobContext& job, const std::string& commandLine) {
    const LogReader reader(log_.path());
    const RunDetail was = reader.run(id);
    if (was.summary.status != "done")
        throw Error(ErrorCode::usage, fmt::format("run {} is {}: there are no complete figures to repeat", id.value(), was.summary.status),
                    was.summary.kind == "sweep" ? fmt::format("finish it with: sweep --resume {}", id.value()) : "rerun a run that is done");
    Recipe recipe = Recipe::fromJson(was.recipe);
    {
        Workbench bench(log_, devices_);
        requireSameBaseline(bench, reader, id, recipe, job);
    }
    const bool exports = !recipe.exporting.path.empty() && recipe.kind == "quantize";
    if (exports)
        recipe.exporting.path = besidePath(recipe.exporting.path, id.value());

    const WithoutTensorCache rounded; // again, not taken from what the first run left
    const RunOutcome outcome = run(recipe, job, commandLine);
    const RunDetail is = reader.run(outcome.run);
    const std::vector<std::string> changes = stackChanges(was.stack, is.stack);
    const double tolerance = changes.empty() ? kSameStack : kOtherStack;
    bool agrees = sameAssignments(was, is) && sameOutputs(was, is);
    Json metrics = compareFigures(was, is, tolerance, agrees);
    const std::vector<SensitivityRow> cells = reader.sensitivities(id);
    const double worst = worstCell(cells, reader.sensitivities(outcome.run));
    agrees = agrees && worst <= tolerance;
    bool filesEqual = true;
    Json artifacts = compareArtifacts(was, is, filesEqual);
    // Other kernels may round a weight differently; equal bytes are only promised on the same stack.
    agrees = agrees && (filesEqual || !changes.empty());
    if (exports && filesEqual) {
        std::error_code ignored;
        fs::remove_all(recipe.exporting.path, ignored);
        for (ArtifactRow artifact : is.artifacts) {
            artifact.state = "removed (same bytes as the first)";
            log_.addArtifact(outcome.run, artifact);
        }
    }
    if (!changes.empty())
        log_.addWarnings(outcome.run, {stackWarning(id, changes, agrees)});
    return {outcome.run,
            {{"run", outcome.run.value()},
             {"of", id.value()},
             {"agrees", agrees},
             {"tolerance", tolerance},
             {"recipe_equal", sameRecipe(was.recipe, is.recipe)},
             {"stack_changes", changes},
             {"metrics", std::move(metrics)},
             {"cells_compared", cells.size()},
             {"cells_worst", std::isfinite(worst) ? Json(worst) : Json()},
             {"artifacts", std::move(artifacts)}}};
}

} // namespace bw
