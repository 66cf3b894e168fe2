// SPDX-License-Identifier: GPL-3.0-or-later
// Measuring the uncertain cells of a map: solve, ask which decisions hang on error bars, measure those cells exactly,
// and solve again, until nothing hangs on an estimate any more.
#include "core/experiment/refine.h"

#include "core/assign/uncertain.h"
#include "core/experiment/assign_problem.h"
#include "core/experiment/reuse.h"

#include <algorithm>
#include <fmt/format.h>
#include <set>

namespace bw {
namespace {

using Cell = std::pair<std::string, std::string>; ///< site, format

class Refinement {
public:
    Refinement(Workbench& bench, const Runner::RefineOptions& options, JobContext& job, const std::string& commandLine)
        : bench_(bench), options_(options), job_(job), commandLine_(commandLine),
          assign_(withAbsolutePaths(options.assign)) {}

    RunOutcome run();

private:
    RunOutcome logged(const Recipe& recipe);
    RunOutcome solveAgain();
    std::vector<Cell> openCells(const Model& model, std::int64_t budget, bool& anyLeft);
    RunId measure(const std::vector<Cell>& cells);

    Workbench& bench_;
    const Runner::RefineOptions& options_;
    JobContext& job_;
    const std::string& commandLine_;
    Recipe assign_;
    std::uint64_t solvedBytes_ = 0;
};

/// Taken from the log or gone on with, where an earlier, stopped call came as far.
RunOutcome Refinement::logged(const Recipe& recipe) {
    if (const std::optional<RunOutcome> twin = finishedTwin(bench_, recipe, job_))
        return *twin;
    return runLogged(bench_, recipe, job_, commandLine_, unfinishedSweep(bench_, recipe, job_), false);
}

RunOutcome Refinement::solveAgain() {
    RunOutcome outcome = logged(assign_);
    solvedBytes_ = outcome.result.at("bytes").get<std::uint64_t>();
    return outcome;
}

/// Cells not measured yet that could flip a decision, the most uncertain decision first; whole decisions only, so that
/// a measured option is never held against an estimated one.
std::vector<Cell> Refinement::openCells(const Model& model, std::int64_t budget, bool& anyLeft) {
    const JobScope scope(&job_);
    const PreparedAssign p = prepareAssign(bench_, model, assign_, job_);
    AssignProblem problem = p.problem;
    const auto isMeasured = [&](const std::string& site, const std::string& format) {
        return p.map.cells.at(site).at(format).measured;
    };
    std::vector<Cell> cells;
    anyLeft = false;
    for (const UncertainItem& uncertain :
         uncertainItems(problem, p.limit == kNoTotal ? solvedBytes_ : p.limit, assign_.seed, job_)) {
        const AssignItem& item = problem.items[uncertain.item];
        std::vector<int> options = uncertain.rivals;
        options.insert(options.begin(), uncertain.chosen);
        std::vector<Cell> wanted;
        for (const std::string& site : item.members)
            for (const int option : options)
                if (const std::string& format = item.options[static_cast<std::size_t>(option)].format;
                    !isMeasured(site, format))
                    wanted.emplace_back(site, format);
        if (wanted.empty())
            continue; // what is known exactly can't be known better on this text
        anyLeft = true;
        if (static_cast<std::int64_t>(cells.size() + wanted.size()) > budget)
            break;
        cells.insert(cells.end(), wanted.begin(), wanted.end());
    }
    return cells;
}

/// The same rounding and texts as the map's own.
RunId Refinement::measure(const std::vector<Cell>& cells) {
    Recipe sweep = Recipe::fromJson(LogReader(bench_.log().path()).run(RunId(assign_.assignment.sweepRun)).recipe);
    sweep.name = fmt::format("measure the uncertain: {} cells", cells.size());
    sweep.checkpoint = assign_.checkpoint;
    sweep.device = assign_.device;
    sweep.sweep = {};
    sweep.sweep.metric = "kl";
    sweep.sweep.tokens = options_.tokens;
    std::set<std::string> formats;
    for (const auto& [site, format] : cells) {
        formats.insert(format);
        sweep.sweep.sites.push_back(site + "=" + format);
    }
    sweep.sweep.formats.assign(formats.begin(), formats.end());
    return logged(sweep).run;
}

RunOutcome Refinement::run() {
    if (assign_.kind != "assign")
        throw Error(ErrorCode::usage,
                    "measuring what is uncertain starts from a recipe of kind 'assign', not '" + assign_.kind + "'",
                    "give the map, the budget and the pins");
    const std::shared_ptr<const Model> model = bench_.model(assign_.checkpoint, assign_.device);
    {
        const AssignMap map = readAssignMap(bench_, *model, assign_.assignment, job_);
        if (!map.inNats())
            throw Error(ErrorCode::usage,
                        fmt::format("sweep {} measured output error; measured KL can't take its place",
                                    assign_.assignment.sweepRun),
                        "start from a sweep with --metric fisher or kl");
    }
    RunOutcome solved = solveAgain();
    Json rounds = Json::array();
    std::int64_t left = options_.cells;
    bool anyLeft = true;
    for (std::int64_t round = 1; round <= options_.rounds; ++round) {
        const std::vector<Cell> cells = openCells(*model, left, anyLeft);
        if (cells.empty())
            break;
        job_.note(fmt::format("round {}: {} cells could change the mix", round, cells.size()));
        const RunId measured = measure(cells);
        left -= static_cast<std::int64_t>(cells.size());
        assign_.assignment.measuredRuns.push_back(measured.value());
        const Json before = solved.result.at("formats");
        solved = solveAgain();
        const Json after = solved.result.at("formats");
        std::int64_t changed = 0;
        for (const auto& entry : after.items())
            changed += before.at(entry.key()) != entry.value();
        rounds.push_back({{"round", round},
                          {"cells", cells.size()},
                          {"sweep", measured.value()},
                          {"assign", solved.run.value()},
                          {"changed", changed}});
    }
    if (!rounds.empty() && anyLeft)
        openCells(*model, left, anyLeft);
    solved.result["rounds"] = rounds;
    solved.result["cells_measured"] = options_.cells - left;
    solved.result["stable"] = !anyLeft;
    solved.result["measured_runs"] = assign_.assignment.measuredRuns;
    return solved;
}

} // namespace

RunOutcome measureUncertainCells(Workbench& bench, const Runner::RefineOptions& options, JobContext& job,
                                 const std::string& commandLine) {
    return Refinement(bench, options, job, commandLine).run();
}

RunOutcome Runner::measureUncertain(const RefineOptions& options, JobContext& job, const std::string& commandLine) {
    Workbench bench(log_, devices_);
    return measureUncertainCells(bench, options, job, commandLine);
}

} // namespace bw
