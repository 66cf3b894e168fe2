// SPDX-License-Identifier: GPL-3.0-or-later
// Pictures of logged runs: the command `plot`, and `--plot FILE` of the commands that make such runs.
#pragma once

#include "app/cli/context.h"
#include "core/plot/plot.h"

namespace bw::cli {

/// "--plot FILE" (a .svg or .png) for a command that makes a run worth a picture.
void addPlotOption(CLI::App& command, std::string& file);
/// Before the run: that the picture can be written after it; none asked for is fine. @throws as plot::requirePlotFile.
void requirePlot(const std::string& file, bool replace = false);

enum class PlotKind { heatmap, pareto, agreement };
/// Draws these runs of the log and writes the file. `file.path` empty: does nothing.
/// @throws Error(usage) for a number of runs that the kind does not take; as plot_rows.h and writePlot.
void plotRuns(Context& context, PlotKind kind, const std::vector<RunId>& runs, const plot::PlotFile& file, const std::vector<std::string>& formats = {});

void addPlotCommand(CLI::App& app, Context& context); ///< plot

} // namespace bw::cli
