// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/experiment/sketch_checks.h"

#include "core/base/error.h"
#include "core/sensitivity/sketch_check.h"

#include <algorithm>
#include <fmt/format.h>

namespace bw {

Recipe checkSweep(const LogReader& log, RunId sketch, std::int64_t cells, std::int64_t tokens) {
    const RunDetail detail = log.run(sketch);
    Recipe recipe = Recipe::fromJson(detail.recipe);
    if (detail.summary.kind != "sweep" || recipe.sweep.metric != "fisher")
        throw Error(ErrorCode::usage, fmt::format("run {} is no Fisher sketch", sketch.value()),
                    "name a sweep with --metric fisher");
    if (detail.summary.status != "done")
        throw Error(ErrorCode::usage, fmt::format("sketch {} is {}, not done", sketch.value(), detail.summary.status),
                    fmt::format("finish it first: sweep --resume {}", sketch.value()));
    std::vector<SensitivityCell> known;
    for (const SensitivityRow& row : log.sensitivities(sketch))
        if (row.metric == "fisher" && row.bytes > 0) // activations and caches take no bytes of a file
            known.push_back(
                {SiteId(-1), row.site, row.format, row.used, row.bytes, row.value, row.standardError, row.tokens});
    recipe.name = fmt::format("check of sketch {}", sketch.value());
    recipe.sweep = {};
    recipe.sweep.metric = "kl";
    recipe.sweep.tokens = tokens;
    for (const auto& [site, format] : cellsToCheck(known, static_cast<std::size_t>(cells))) {
        recipe.sweep.sites.push_back(site + "=" + format);
        if (std::find(recipe.sweep.formats.begin(), recipe.sweep.formats.end(), format) == recipe.sweep.formats.end())
            recipe.sweep.formats.push_back(format);
    }
    return recipe;
}

} // namespace bw
