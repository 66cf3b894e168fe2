// SPDX-License-Identifier: GPL-3.0-or-later
// Which drawing, and into which file.
#include "core/plot/plot.h"

#include "core/base/atomic_file.h"
#include "core/base/error.h"
#include "core/base/text.h"

#include <cmath>
#include <filesystem>
#include <fmt/format.h>

namespace bw::plot {
namespace fs = std::filesystem;

namespace {

constexpr std::size_t kMostMarks = 200'000; ///< a 60-block model with 128 experts in 8 formats; more is no picture

std::size_t marksOf(const HeatmapData& data) {
    std::size_t count = 0;
    for (const HeatmapPanel& panel : data.panels) count += panel.cells.size() + panel.extra.size();
    return count;
}
std::size_t marksOf(const ParetoData& data) { return data.front.size() + data.points.size(); }
std::size_t marksOf(const AgreementData& data) {
    std::size_t count = 0;
    for (const AgreementSeries& series : data.series) count += series.pairs.size();
    return count;
}

std::size_t marksOf(const BarsData& data) { return data.bars.size(); }
std::size_t marksOf(const ReliabilityData& data) {
    std::size_t count = 0;
    for (const ReliabilityData::Series& series : data.series) count += series.bins.size();
    return count;
}

bool isPng(const std::string& path) { return fs::path(path).extension() == ".png"; }

} // namespace

Picture draw(const PlotData& data, bool dark) {
    const std::size_t marks = std::visit([](const auto& d) { return marksOf(d); }, data);
    if (marks > kMostMarks)
        throw Error(ErrorCode::usage, fmt::format("a plot of {} cells or points cannot be read", marks), "plot fewer formats at once");
    struct {
        const Tokens& colors;
        Picture operator()(const HeatmapData& d) const { return drawHeatmap(d, colors); }
        Picture operator()(const ParetoData& d) const { return drawPareto(d, colors); }
        Picture operator()(const AgreementData& d) const { return drawAgreement(d, colors); }
        Picture operator()(const BarsData& d) const { return drawBars(d, colors); }
        Picture operator()(const ReliabilityData& d) const { return drawReliability(d, colors); }
    } const drawing{tokens(dark)};
    return std::visit(drawing, data);
}

void requirePlotFile(const PlotFile& file) {
    const fs::path path(file.path);
    if (path.extension() != ".svg" && path.extension() != ".png")
        throw Error(ErrorCode::usage, "a plot is written as .svg or .png, and '" + escapeForDisplay(file.path) + "' ends in neither", "name it like plot.svg");
    if (!(file.scale >= 0.25 && file.scale <= 8)) throw Error(ErrorCode::usage, fmt::format("a plot's scale is 0.25 to 8, not {}", file.scale));
    std::error_code ignored;
    if (!path.parent_path().empty() && !fs::is_directory(path.parent_path(), ignored))
        throw Error(ErrorCode::fileNotFound, "there is no folder " + escapeForDisplay(path.parent_path().string()) + " for the plot", "make the folder first");
    if (!file.replace && fs::exists(path, ignored))
        throw Error(ErrorCode::targetExists, escapeForDisplay(file.path) + " is there already", "choose another name, or add --replace");
}

void writePlot(const PlotData& data, const PlotFile& file) {
    requirePlotFile(file);
    const Picture picture = draw(data, file.dark);
    writeFileAtomically(file.path, isPng(file.path) ? toPng(picture, file.scale) : toSvg(picture), file.replace ? AtomicFile::Replace::yes : AtomicFile::Replace::no);
}

} // namespace bw::plot
