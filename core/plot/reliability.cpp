// SPDX-License-Identifier: GPL-3.0-or-later
// Confidence against what came true: on the diagonal a model is as often right as it is sure.
#include "core/plot/parts.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <fmt/format.h>

namespace bw::plot {
namespace {

constexpr std::size_t kMostSeries = 4;

} // namespace

Picture drawReliability(const ReliabilityData& data, const Tokens& colors) {
    const std::array<Color, kMostSeries> lines{colors.accent, colors.amber, colors.green, colors.red};
    if (std::ranges::all_of(data.series, [](const auto& s) { return s.bins.empty(); }))
        return emptyPicture(data.heading, "no predictions were scored", colors);
    Picture picture{520, 540, colors.ground, data.heading.title, {}};
    const double top = drawHeading(picture, data.heading, colors) + 4;
    const double side = std::min(picture.width - 2 * kMargin - 50, picture.height - top - 92);
    const Box area{kMargin + 50, top, side, side};
    const Scale unit{0, 1, false, true};
    drawAxes(picture, area, unit, unit, "confidence: probability of the likeliest token", "how often it came", colors);
    picture.line({area.x, area.bottom()}, {area.right(), area.y}, Stroke{colors.muted, 1.2, {5, 4}});
    double x = area.x;
    for (std::size_t s = 0; s < std::min(kMostSeries, data.series.size()); ++s) {
        const ReliabilityData::Series& series = data.series[s];
        std::vector<Point> line;
        for (const ReliabilityData::Bin& bin : series.bins) {
            const Point at = place(area, unit, unit, bin.confidence, bin.accuracy);
            picture.line(place(area, unit, unit, bin.confidence, bin.low), place(area, unit, unit, bin.confidence, bin.high), Stroke{lines[s].withAlpha(0.55), 1.4});
            line.push_back(at);
        }
        if (line.size() > 1) picture.add(Path{line, false, {}, Stroke{lines[s], 2}});
        for (std::size_t i = 0; i < line.size(); ++i) {
            const ReliabilityData::Bin& bin = series.bins[i];
            picture.add(Circle{line[i], 3.5, lines[s], {}}, fmt::format("{}: confidence {}, came true {} ({} … {}), {} tokens", series.name, figure(bin.confidence, 3),
                                                                        figure(bin.accuracy, 3), figure(bin.low, 3), figure(bin.high, 3), figure(bin.count, 6)));
        }
        if (data.series.size() > 1) {
            picture.add(Circle{{x + 5, picture.height - 18}, 4, lines[s], {}});
            const std::string name = elided(series.name, 180, kTextSize);
            picture.add(Text{name, {x + 14, picture.height - 14}, kTextSize, colors.text});
            x += textWidth(name, kTextSize) + 34;
        }
    }
    return picture;
}

} // namespace bw::plot
