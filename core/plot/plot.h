// SPDX-License-Identifier: GPL-3.0-or-later
// The plots of a sensitivity study as plain data, drawn by one code to SVG or PNG: heatmap, Pareto and agreement. Depends on
// core/base only: what the figures mean and where they come from is the caller's.
//
// Every value may be NaN or infinite: such cells are shown as not measured, such points are left out and counted in a line
// under the plot. Data without any value give a picture that says so.
#pragma once

#include "core/plot/picture.h"

#include <limits>
#include <string>
#include <variant>
#include <vector>

namespace bw::plot {

inline constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();

/// Title and the lines under it; the same for every plot.
struct Heading {
    std::string title;    ///< "Sensitivity of SmolLM2-135M"
    std::string subtitle; ///< "run 12 · measured KL · 2,048 tokens"
};

struct HeatmapCell {
    double value = kUnknown;
    double standardError = 0;
    bool doubtful = false; ///< contradicts its neighbours: marked
    std::string note = {}; ///< further words for the pointer
};

/// One map; several stand side by side and share the colour scale.
struct HeatmapPanel {
    std::string name; ///< "q4_0"
    int bits = 0;     ///< colours the name; 0 = none
    /// Row by row, rows × columns of the whole map; a missing cell (an absent site) is drawn empty.
    std::vector<std::optional<HeatmapCell>> cells;
    std::vector<HeatmapCell> extra; ///< one per HeatmapData::extraRows
};

struct HeatmapData {
    Heading heading;
    std::vector<std::string> rows;      ///< "0", "1" …: blocks
    std::string rowTitle = "block";
    /// Site kinds in model order, experts of a role together: "ffn_up.e0", "ffn_up.e1" … share one name above them.
    std::vector<std::string> columns;
    std::vector<std::string> extraRows; ///< sites outside the blocks: "token_embd", "output"
    std::vector<HeatmapPanel> panels;
    std::string unit;                   ///< beside the colours: "nats per token"
};

struct ParetoPoint {
    enum class Kind { mix, uniform, ruleList, other };
    Kind kind = Kind::other;
    std::string label;
    double bytes = kUnknown;
    double predicted = kUnknown, predictedError = 0;
    double measured = kUnknown, measuredError = 0; ///< NaN = not measured; of the two at least one should be known
};

struct ParetoData {
    Heading heading;
    struct Step {
        double bytes = 0, damage = 0, standardError = 0;
    };
    std::vector<Step> front;         ///< least predicted damage at each size, by bytes
    std::vector<ParetoPoint> points; ///< each keeps its label when there is room for it
    std::string unit = "nats per token";
    double weights = 0;              ///< for the axis in bits per weight; 0 = none
    double otherBytes = 0;           ///< bytes that are no weights of sites
    double budgetBytes = 0;          ///< a line at this size; 0 = none
};

struct AgreementSeries {
    std::string name; ///< a format
    int bits = 0;
    struct Pair {
        std::string name;
        double x = 0, y = 0, xError = 0, yError = 0;
    };
    std::vector<Pair> pairs;
    double spearman = kUnknown, medianRatio = kUnknown; ///< NaN = not defined
};

struct AgreementData {
    Heading heading;
    std::string xTitle, yTitle; ///< "run 3: Fisher estimate, nats per token"
    bool sameUnit = true;       ///< one range for both axes, with the line where both are equal
    std::vector<AgreementSeries> series;
    AgreementSeries all = {};   ///< only its figures: over all series
};

/// Values of things in an order, bars from zero upwards.
struct BarsData {
    Heading heading;
    std::string xTitle, yTitle;
    struct Bar {
        std::string name;       ///< "blk.3"; written below where there is room
        double value = kUnknown, error = 0;
        bool marked = false;    ///< stands out
    };
    std::vector<Bar> bars;
    double limit = 0;           ///< a line at this height with `limitName`; 0 = none
    std::string limitName;
    bool line = false;          ///< joined points instead of bars
};

/// Confidence against what came true.
struct ReliabilityData {
    Heading heading;
    struct Bin {
        double confidence = 0, accuracy = 0, low = 0, high = 0; ///< 0…1; low…high: interval of the accuracy
        double count = 0;
    };
    struct Series {
        std::string name;
        std::vector<Bin> bins;
    };
    std::vector<Series> series; ///< at most four
};

using PlotData = std::variant<HeatmapData, ParetoData, AgreementData, BarsData, ReliabilityData>;

/// Cost: O(cells), Pareto: O(labels · (labels + points)).
/// @throws Error(usage) for more than 200,000 cells or points.
Picture draw(const PlotData& data, bool dark);

struct PlotFile {
    std::string path;   ///< ends in .svg or .png
    bool dark = false;
    double scale = 1;   ///< PNG pixels to the unit, 0.25…8; an SVG has no pixels
    bool replace = false;
};
/// Checks what can be checked before any work: the ending, the scale, that the folder is there. @throws Error(usage, fileNotFound, targetExists).
void requirePlotFile(const PlotFile& file);
/// Draws and writes; the file appears whole or not at all. @throws as requirePlotFile, draw, toPng and AtomicFile.
void writePlot(const PlotData& data, const PlotFile& file);

// The drawings; `draw` picks.
Picture drawHeatmap(const HeatmapData& data, const Tokens& colors);
Picture drawPareto(const ParetoData& data, const Tokens& colors);
Picture drawAgreement(const AgreementData& data, const Tokens& colors);
Picture drawBars(const BarsData& data, const Tokens& colors);
Picture drawReliability(const ReliabilityData& data, const Tokens& colors);

} // namespace bw::plot
