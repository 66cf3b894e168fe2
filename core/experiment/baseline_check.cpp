// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/experiment/baseline_check.h"

#include "core/base/error.h"
#include "core/base/text.h"

#include <filesystem>
#include <fmt/format.h>

namespace bw {

std::string loggedBaseline(const LogReader& log, RunId run) {
    const Json result = log.result(run);
    if (!result.is_object())
        return {};
    const Json& holder = result.contains("evaluation") && result.at("evaluation").is_object() ? result.at("evaluation") : result;
    const auto found = holder.find("base_sha256");
    return found != holder.end() && found->is_string() ? found->get<std::string>() : std::string();
}

void requireBaselineThere(RunId run, const Recipe& recipe) {
    std::error_code ignored;
    if (!recipe.base.empty() && !std::filesystem::exists(recipe.base, ignored))
        throw Error(ErrorCode::fileNotFound, fmt::format("run {} was measured against '{}', which is not there any more", run.value(), escapeForDisplay(recipe.base, 200)),
                    "put the baseline back, or evaluate again with --base CHECKPOINT");
}

void requireSameBaseline(Workbench& bench, const LogReader& log, RunId run, const Recipe& recipe, JobContext& job) {
    requireBaselineThere(run, recipe);
    const std::string was = loggedBaseline(log, run);
    if (recipe.base.empty() || was.empty())
        return;
    const std::string is = bench.checkpointSha256(*bench.model(recipe.base, recipe.device, recipe.nonFinite == "zero" ? NonFinite::zero : NonFinite::refuse), job);
    if (was != is)
        throw Error(ErrorCode::fileChanged, fmt::format("the weights of '{}', which run {} was measured against, have changed: {} then, {} now", escapeForDisplay(recipe.base, 200), run.value(), was.substr(0, 12), is.substr(0, 12)),
                    "a KL to another baseline is another figure: put the old one back, or evaluate anew");
}

} // namespace bw
