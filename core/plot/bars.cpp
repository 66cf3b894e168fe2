// SPDX-License-Identifier: GPL-3.0-or-later
// Values of things in an order: bars, or a joined line, with errors and a limit.
#include "core/plot/parts.h"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>

namespace bw::plot {
namespace {

/// Names below every n-th bar, so that neighbours do not touch.
std::size_t nameStep(const BarsData& data, double slot) {
    double widest = 0;
    for (const BarsData::Bar& bar : data.bars) widest = std::max(widest, textWidth(bar.name, kSmallSize));
    return static_cast<std::size_t>(std::max(1.0, std::ceil((widest + 8) / slot)));
}

} // namespace

Picture drawBars(const BarsData& data, const Tokens& colors) {
    std::vector<double> values{0.0};
    int unknown = 0;
    for (const BarsData::Bar& bar : data.bars) {
        if (!std::isfinite(bar.value)) {
            ++unknown;
            continue;
        }
        values.push_back(bar.value + (bar.error > 0 && std::isfinite(bar.error) ? bar.error : 0));
    }
    if (values.size() == 1) return emptyPicture(data.heading, "there is no value to show", colors);
    if (data.limit > 0) values.push_back(data.limit);
    Picture picture{960, 360, colors.ground, data.heading.title, {}};
    const double top = drawHeading(picture, data.heading, colors) + 4;
    const Box area{kMargin + 66, top, picture.width - 2 * kMargin - 66, picture.height - top - 74};
    Scale y = Scale::fit(values, false);
    y.low = std::min(0.0, y.low);
    y.high = y.high > y.low ? y.high + 0.06 * (y.high - y.low) : y.low + 1;
    const auto count = static_cast<double>(data.bars.size());
    picture.add(Rectangle{area, 4, colors.panel, {}});
    for (const Tick& tick : y.ticks(static_cast<int>(area.height / 44))) {
        if (tick.label.empty()) continue;
        const double at = area.bottom() - y.position(tick.value) * area.height;
        picture.line({area.x, at}, {area.right(), at}, Stroke{colors.line});
        picture.add(Text{tick.label, {area.x - 8, at + 4}, kTextSize, colors.muted, false, Anchor::end});
    }
    const double slot = area.width / count, zero = area.bottom() - y.position(0) * area.height;
    const std::size_t step = nameStep(data, slot);
    std::vector<Point> line;
    for (std::size_t i = 0; i < data.bars.size(); ++i) {
        const BarsData::Bar& bar = data.bars[i];
        const double middle = area.x + (static_cast<double>(i) + 0.5) * slot;
        if (i % step == 0) picture.add(Text{bar.name, {middle, area.bottom() + 16}, kSmallSize, colors.muted, false, Anchor::middle});
        if (!std::isfinite(bar.value)) continue;
        const double height = area.bottom() - y.position(bar.value) * area.height;
        const Color color = bar.marked ? colors.amber : colors.accent;
        const std::string told = fmt::format("{}: {}{}", bar.name, figure(bar.value, 4), bar.error > 0 ? " ± " + figure(bar.error, 2) : "");
        if (data.line) {
            line.push_back({middle, height});
            picture.add(Circle{{middle, height}, 3, color, {}}, told);
        } else {
            picture.add(Rectangle{{middle - 0.38 * slot, std::min(zero, height), 0.76 * slot, std::max(0.5, std::abs(zero - height))}, std::min(2.0, 0.2 * slot), color, {}}, told);
        }
        if (bar.error > 0 && std::isfinite(bar.error)) drawError(picture, area, y, {middle, height}, bar.value, bar.error, true, Stroke{colors.text.withAlpha(0.7), 1.2});
    }
    if (line.size() > 1) picture.add(Path{std::move(line), false, {}, Stroke{colors.accent, 2}});
    if (data.limit > 0) {
        const double at = area.bottom() - y.position(data.limit) * area.height;
        picture.line({area.x, at}, {area.right(), at}, Stroke{colors.red, 1.2, {5, 4}});
        Text name{data.limitName, {area.right() - 6, at - 5}, kTextSize, colors.red, false, Anchor::end};
        name.halo = colors.panel;
        picture.add(std::move(name));
    }
    picture.add(Text{data.xTitle, {area.x + area.width / 2, area.bottom() + 38}, 12, colors.text, false, Anchor::middle});
    picture.add(Text{data.yTitle, {kMargin, area.y + area.height / 2}, 12, colors.text, false, Anchor::middle, -90});
    if (unknown > 0) picture.add(Text{fmt::format("{} without a value left out", unknown), {kMargin, picture.height - 10}, kSmallSize, colors.muted});
    return picture;
}

} // namespace bw::plot
