// SPDX-License-Identifier: GPL-3.0-or-later
// plot: heatmap, Pareto front and agreement of logged runs as SVG or PNG.
#include "app/cli/plot_command.h"

#include "app/cli/output.h"
#include "app/cli/plot_rows.h"
#include "core/base/error.h"
#include "core/base/text.h"

#include <fmt/format.h>

namespace bw::cli {
namespace {

struct PlotArguments {
    std::vector<std::int64_t> runs;
    std::vector<std::string> formats;
    std::string kind, theme = "light";
    plot::PlotFile file;
};

const char* nameOf(PlotKind kind) {
    switch (kind) {
    case PlotKind::heatmap: return "heatmap";
    case PlotKind::pareto: return "pareto";
    case PlotKind::agreement: break;
    }
    return "agreement";
}

/// What runs are most likely wanted for: two sweeps to be compared, a sweep for its map, anything else for its mix.
PlotKind kindFor(const LogReader& log, const PlotArguments& given) {
    for (const PlotKind kind : {PlotKind::heatmap, PlotKind::pareto, PlotKind::agreement})
        if (given.kind == nameOf(kind))
            return kind;
    if (given.runs.size() == 2)
        return PlotKind::agreement;
    return log.run(RunId(given.runs.front())).summary.kind == "sweep" ? PlotKind::heatmap : PlotKind::pareto;
}

int runPlot(Context& context, const PlotArguments& given) {
    plot::PlotFile file = given.file;
    file.dark = given.theme == "dark";
    plot::requirePlotFile(file);
    const PlotKind kind = kindFor(LogReader(context.logPath()), given);
    std::vector<RunId> runs;
    for (const std::int64_t id : given.runs)
        runs.emplace_back(id);
    plotRuns(context, kind, runs, file, splitList(given.formats));
    if (context.common.json)
        printJson({{"path", file.path}, {"kind", nameOf(kind)}, {"runs", given.runs}});
    return 0;
}

} // namespace

void addPlotOption(CLI::App& command, std::string& file) { command.add_option("--plot", file, "draw the result: .svg or .png")->type_name("FILE"); }

void requirePlot(const std::string& file, bool replace) {
    if (!file.empty())
        plot::requirePlotFile({file, false, 1, replace});
}

void plotRuns(Context& context, PlotKind kind, const std::vector<RunId>& runs, const plot::PlotFile& file, const std::vector<std::string>& formats) {
    if (file.path.empty())
        return;
    const std::size_t wanted = kind == PlotKind::agreement ? 2 : 1;
    if (runs.size() != wanted)
        throw Error(ErrorCode::usage, fmt::format("a plot of kind '{}' is drawn of {} run{}, not {}", nameOf(kind), wanted, wanted == 1 ? "" : "s", runs.size()));
    if (!formats.empty() && kind != PlotKind::heatmap)
        throw Error(ErrorCode::usage, "--formats chooses the maps of a heatmap", "leave it out, or add --kind heatmap");
    const LogReader log(context.logPath());
    switch (kind) {
    case PlotKind::heatmap: plot::writePlot(heatmapOf(log, runs[0], formats), file); break;
    case PlotKind::pareto: plot::writePlot(paretoOf(log, runs[0]), file); break;
    case PlotKind::agreement: plot::writePlot(agreementOf(log, runs[0], runs[1]), file); break;
    }
    if (!context.common.json)
        printLine("plot       " + escapeForDisplay(file.path, 400));
}

void addPlotCommand(CLI::App& app, Context& context) {
    auto given = std::make_shared<PlotArguments>();
    CLI::App* command = app.add_subcommand("plot", "Draw logged runs: a sensitivity map, sizes against damage, two maps against each other");
    command->add_option("RUN", given->runs, "one run, or two sweeps to hold against each other")->required()->expected(1, 2)->check(CLI::PositiveNumber);
    command->add_option("--out", given->file.path, "picture to write: .svg or .png")->required()->type_name("FILE");
    command->add_option("--kind", given->kind, "default: heatmap of a sweep, pareto of a mix, agreement of two sweeps")->check(CLI::IsMember({"heatmap", "pareto", "agreement"}));
    command->add_option("--formats", given->formats, "heatmap of a sweep: only these")->type_name("A,B,C");
    command->add_option("--theme", given->theme, "light or dark")->check(CLI::IsMember({"light", "dark"}))->capture_default_str();
    command->add_option("--scale", given->file.scale, "pixels of a .png to the unit, 0.25 to 8")->capture_default_str()->type_name("X");
    command->add_flag("--replace", given->file.replace, "replace an existing picture");
    addCommon(*command, context.common);
    command->footer("Examples:\n  bitwright-cli plot 3 --out map.svg\n  bitwright-cli plot 3 --out map.png --formats q4_0 --theme dark --scale 2\n"
                    "  bitwright-cli plot 9 --out pareto.svg\n  bitwright-cli plot 9 --kind heatmap --out mix.svg\n  bitwright-cli plot 3 4 --out agreement.svg");
    command->callback([&context, given] { context.action = [&context, given] { return runPlot(context, *given); }; });
}

} // namespace bw::cli
