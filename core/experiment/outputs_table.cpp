// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/experiment/outputs_table.h"

#include "core/base/error.h"
#include "core/base/text.h"

#include <algorithm>
#include <fmt/format.h>
#include <map>
#include <set>

namespace bw {
namespace {

constexpr double kAlertCosine = 0.95; // METHODS, Evaluation

OutputCell cellOf(const OutputPairRow& pair) {
    const Json& json = pair.json;
    OutputCell out;
    out.divergence = pair.divergence;
    out.cosine = pair.cosine;
    out.lowestCosine = json.value("lowest_cosine", pair.cosine);
    out.editDistance = json.value("edit_distance", std::int64_t{0});
    if (const Json model = json.value("model", Json::object()); model.is_object()) {
        out.text = model.value("text", std::string());
        out.collapsed = model.value("collapse", Json::object()).value("collapsed", false);
    }
    return out;
}

std::string baseText(const OutputPairRow& pair) {
    const Json base = pair.json.value("base", Json::object());
    return base.is_object() ? base.value("text", std::string()) : std::string();
}

using ByPrompt = std::map<std::pair<std::string, std::string>, const OutputPairRow*>;

} // namespace

OutputsTable outputsTable(const LogReader& log, const std::vector<RunId>& runs) {
    if (runs.empty() || runs.size() > kMostOutputRuns)
        throw Error(ErrorCode::usage, fmt::format("{} runs were named; outputs of 1 to {} can stand side by side", runs.size(), kMostOutputRuns), "name fewer runs");
    if (std::set<RunId>(runs.begin(), runs.end()).size() != runs.size())
        throw Error(ErrorCode::usage, "a run is named twice", "name each run once");
    OutputsTable out;
    std::vector<std::vector<OutputPairRow>> pairs;
    for (const RunId run : runs) {
        const RunSummary summary = log.run(run).summary;
        out.runs.push_back({run, summary.name.empty() ? summary.checkpoint : summary.name});
        pairs.push_back(log.outputPairs(run));
        if (pairs.back().empty())
            throw Error(ErrorCode::usage, fmt::format("run {} compared no outputs", run.value()), "make them with: eval MODEL --base ORIGINAL --prompts FILE.jsonl --outputs");
    }
    std::vector<ByPrompt> byPrompt(runs.size());
    for (std::size_t r = 0; r < runs.size(); ++r)
        for (const OutputPairRow& pair : pairs[r])
            byPrompt[r].emplace(std::make_pair(pair.promptId, pair.prompt), &pair);
    std::size_t all = 0;
    for (const OutputPairRow& first : pairs.front()) {
        OutputPromptRow row{first.promptId, first.prompt, baseText(first), {}};
        for (std::size_t r = 0; r < runs.size(); ++r) {
            const auto found = byPrompt[r].find({first.promptId, first.prompt});
            if (found == byPrompt[r].end())
                break;
            if (baseText(*found->second) != row.base)
                throw Error(ErrorCode::usage, fmt::format("the baselines of runs {} and {} wrote different texts to prompt '{}'", runs.front().value(), runs[r].value(), escapeForDisplay(first.promptId, 80)),
                            "side by side stand runs against one baseline, with one --max-tokens: measure them again alike");
            row.cells.push_back(cellOf(*found->second));
        }
        if (row.cells.size() == runs.size())
            out.rows.push_back(std::move(row));
    }
    for (const std::vector<OutputPairRow>& of : pairs)
        all = std::max(all, of.size());
    out.skipped = static_cast<std::int64_t>(all - out.rows.size());
    if (out.rows.empty())
        throw Error(ErrorCode::usage, "the runs have no prompt in common", "measure them with the same prompt set");
    for (std::size_t r = 0; r < runs.size(); ++r) {
        OutputColumn& column = out.runs[r];
        double cosines = 0;
        for (const OutputPromptRow& row : out.rows) {
            const OutputCell& cell = row.cells[r];
            column.same += cell.divergence < 0;
            column.alerts += cell.cosine < kAlertCosine;
            column.collapsed += cell.collapsed;
            cosines += cell.cosine;
        }
        column.meanCosine = cosines / static_cast<double>(out.rows.size());
    }
    return out;
}

Json toJson(const OutputsTable& table) {
    Json out{{"runs", Json::array()}, {"prompts", Json::array()}, {"skipped", table.skipped}};
    for (const OutputColumn& column : table.runs)
        out["runs"].push_back({{"run", column.run.value()}, {"name", column.name}, {"same", column.same}, {"alerts", column.alerts}, {"collapsed", column.collapsed}, {"mean_cosine", column.meanCosine}});
    for (const OutputPromptRow& row : table.rows) {
        Json& made = out["prompts"].emplace_back(Json{{"id", row.id}, {"prompt", row.prompt}, {"base", row.base}, {"outputs", Json::array()}});
        for (const OutputCell& cell : row.cells)
            made["outputs"].push_back({{"text", cell.text}, {"divergence", cell.divergence}, {"cosine", cell.cosine}, {"lowest_cosine", cell.lowestCosine}, {"edit_distance", cell.editDistance}, {"collapsed", cell.collapsed}});
    }
    return out;
}

} // namespace bw
