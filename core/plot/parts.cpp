// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/plot/parts.h"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <numbers>

namespace bw::plot {
namespace {

double crisp(double v) { return std::floor(v) + 0.5; } ///< a line one unit wide then covers one row of pixels

/// Does the segment a–b cross the box? Sampled: boxes are tens of units large.
bool crosses(const Box& box, Point a, Point b) {
    const int steps = std::clamp(static_cast<int>(std::hypot(b.x - a.x, b.y - a.y) / 4), 1, 200);
    for (int i = 0; i <= steps; ++i) {
        const double t = static_cast<double>(i) / steps, x = a.x + t * (b.x - a.x), y = a.y + t * (b.y - a.y);
        if (x >= box.x && x <= box.right() && y >= box.y && y <= box.bottom()) return true;
    }
    return false;
}

/// Where a line from a point meets a box.
Point lineEnd(Point from, const Box& box) { return {std::clamp(from.x, box.x, box.right()), std::clamp(from.y, box.y, box.bottom())}; }

struct Place {
    Box box;
    double distance = 0;
};

/// Places around a point, the nearest first; beside it before above and below.
std::vector<Place> placesAround(const Label& label, double width, double height) {
    std::vector<Place> places;
    for (const double away : {4.0, 12.0, 22.0, 36.0, 54.0, 76.0, 104.0, 140.0})
        for (const int angle : {0, 180, -45, 45, -135, 135, -90, 90, -20, 20, -160, 160}) {
            const double radians = angle * std::numbers::pi / 180, dx = std::cos(radians), dy = std::sin(radians), r = label.reach + away;
            // The corner or side of the box that looks at the point lies on the circle around it.
            const double x = label.at.x + r * dx - (dx > 0.4 ? 0 : dx < -0.4 ? width : width / 2);
            const double y = label.at.y + r * dy - (dy > 0.4 ? 0 : dy < -0.4 ? height : height / 2);
            places.push_back({{x, y, width, height}, away});
        }
    return places;
}

} // namespace

Text centered(std::string text, Point middle, double size, Color color, Anchor anchor, bool bold) {
    return {std::move(text), {middle.x, middle.y + size * kCapHeight / 2}, size, color, bold, anchor};
}

double drawHeading(Picture& picture, const Heading& heading, const Tokens& colors) {
    picture.ground = colors.ground;
    picture.title = printable(heading.title);
    const double room = picture.width - 2 * kMargin;
    picture.add(Text{elided(printable(heading.title), room, kTitleSize, true), {kMargin, kMargin + 13}, kTitleSize, colors.text, true});
    if (heading.subtitle.empty()) return kMargin + 28;
    picture.add(Text{elided(printable(heading.subtitle), room, kTextSize), {kMargin, kMargin + 33}, kTextSize, colors.muted});
    return kMargin + 48;
}

Picture emptyPicture(const Heading& heading, const std::string& why, const Tokens& colors) {
    Picture picture{720, 300, colors.ground, {}, {}};
    const double top = drawHeading(picture, heading, colors);
    const Box area{kMargin, top, picture.width - 2 * kMargin, picture.height - top - kMargin};
    picture.add(Rectangle{area, 8, colors.panel, Stroke{colors.line}});
    picture.add(centered(why, {area.x + area.width / 2, area.y + area.height / 2}, 13, colors.muted));
    return picture;
}

void drawAxes(Picture& picture, const Box& area, const Scale& x, const Scale& y, const std::string& xTitle, const std::string& yTitle, const Tokens& colors, double xUnit) {
    picture.add(Rectangle{{crisp(area.x), crisp(area.y), std::floor(area.width), std::floor(area.height)}, 0, colors.panel, {}});
    const Stroke major{colors.line}, minor{colors.line.withAlpha(0.4)}, axis{colors.muted};
    const auto ticksOf = [](const Scale& s, double unit, int wanted) {
        Scale scaled = s;
        scaled.low /= unit;
        scaled.high /= unit;
        std::vector<Tick> ticks = scaled.ticks(wanted);
        for (Tick& tick : ticks) tick.value *= unit;
        return ticks;
    };
    for (const Tick& tick : ticksOf(x, xUnit, static_cast<int>(area.width / 70))) {
        const double at = crisp(area.x + x.position(tick.value) * area.width);
        picture.line({at, area.y}, {at, area.bottom()}, tick.label.empty() ? minor : major);
        picture.line({at, area.bottom()}, {at, area.bottom() + (tick.label.empty() ? 3.0 : 5.0)}, axis);
        if (!tick.label.empty()) picture.add(Text{tick.label, {at, area.bottom() + 18}, kTextSize, colors.muted, false, Anchor::middle});
    }
    for (const Tick& tick : ticksOf(y, 1, static_cast<int>(area.height / 60))) {
        const double at = crisp(area.bottom() - y.position(tick.value) * area.height);
        picture.line({area.x, at}, {area.right(), at}, tick.label.empty() ? minor : major);
        picture.line({area.x - (tick.label.empty() ? 3.0 : 5.0), at}, {area.x, at}, axis);
        if (!tick.label.empty()) picture.add(centered(tick.label, {area.x - 9, at}, kTextSize, colors.muted, Anchor::end));
    }
    picture.line({crisp(area.x), area.y}, {crisp(area.x), area.bottom()}, axis);
    picture.line({area.x, crisp(area.bottom())}, {area.right(), crisp(area.bottom())}, axis);
    picture.add(Text{elided(xTitle, area.width, 12), {area.x + area.width / 2, area.bottom() + 40}, 12, colors.text, false, Anchor::middle});
    picture.add(Text{elided(yTitle, area.height, 12), {area.x - 52, area.y + area.height / 2}, 12, colors.text, false, Anchor::middle, -90});
}

Point place(const Box& area, const Scale& x, const Scale& y, double xValue, double yValue) {
    const auto inside = [](double position) { return std::clamp(position, 0.0, 1.0); };
    return {area.x + inside(x.position(xValue)) * area.width, area.bottom() - inside(y.position(yValue)) * area.height};
}

void drawError(Picture& picture, const Box& area, const Scale& scale, Point at, double value, double error, bool vertical, const Stroke& stroke) {
    if (!(error > 0) || !std::isfinite(error)) return;
    const auto along = [&](double v) {
        const double position = std::clamp(scale.position(v), 0.0, 1.0);
        return vertical ? area.bottom() - position * area.height : area.x + position * area.width;
    };
    const double low = along(value - error), high = along(value + error);
    if (vertical) picture.line({at.x, low}, {at.x, high}, stroke);
    else picture.line({low, at.y}, {high, at.y}, stroke);
    for (const double end : {value - error, value + error}) {
        if (!(scale.position(end) >= 0 && scale.position(end) <= 1)) continue; // goes on outside: no cap
        const double c = along(end);
        if (vertical) picture.line({at.x - 3, c}, {at.x + 3, c}, stroke);
        else picture.line({c, at.y - 3}, {c, at.y + 3}, stroke);
    }
}

void drawMark(Picture& picture, MarkShape shape, Point at, double r, Color color, bool hollow, const Tokens& colors, std::optional<std::string> mark) {
    const std::optional<Color> fill = hollow ? colors.panel : color;
    const std::optional<Stroke> edge = hollow ? Stroke{color, 2} : Stroke{colors.panel, 1};
    switch (shape) {
    case MarkShape::circle: picture.add(Circle{at, r, fill, edge}, std::move(mark)); break;
    case MarkShape::square: picture.add(Rectangle{{at.x - r * 0.9, at.y - r * 0.9, r * 1.8, r * 1.8}, 1, fill, edge}, std::move(mark)); break;
    case MarkShape::diamond:
        picture.add(Path{{{at.x, at.y - r * 1.25}, {at.x + r * 1.25, at.y}, {at.x, at.y + r * 1.25}, {at.x - r * 1.25, at.y}}, true, fill, edge}, std::move(mark));
        break;
    case MarkShape::triangle:
        picture.add(Path{{{at.x, at.y - r * 1.2}, {at.x + r * 1.1, at.y + r * 0.8}, {at.x - r * 1.1, at.y + r * 0.8}}, true, fill, edge}, std::move(mark));
        break;
    }
}

std::vector<std::string> drawLabels(Picture& picture, const std::vector<Label>& labels, std::vector<Box> taken, const std::vector<Point>& curve, const Box& area,
                                    const Tokens& colors) {
    std::vector<std::string> homeless;
    for (const Label& label : labels) {
        const std::string text = elided(printable(label.text), area.width / 3, kTextSize, label.bold);
        const double width = textWidth(text, kTextSize, label.bold) + 4, height = kTextSize + 4;
        const Box own = Box{label.at.x, label.at.y, 0, 0}.grown(label.reach);
        const Place* best = nullptr;
        double bestCost = 1e30;
        const std::vector<Place> places = placesAround(label, width, height);
        for (const Place& p : places) {
            if (p.box.x < area.x || p.box.right() > area.right() || p.box.y < area.y || p.box.bottom() > area.bottom()) continue;
            if (std::any_of(taken.begin(), taken.end(), [&](const Box& box) { return box.overlaps(p.box); })) continue;
            double cost = p.distance;
            for (std::size_t i = 1; i < curve.size(); ++i)
                if (crosses(p.box, curve[i - 1], curve[i])) {
                    cost += 45; // better a short line than words on the curve
                    break;
                }
            if (p.distance > 10 && std::any_of(taken.begin(), taken.end(), [&](const Box& box) { return !box.overlaps(own) && crosses(box, label.at, lineEnd(label.at, p.box)); }))
                cost += 60; // a line through other marks seems to name them
            if (cost < bestCost) {
                bestCost = cost;
                best = &p;
            }
        }
        if (!best) {
            homeless.push_back(text);
            continue;
        }
        const Box& box = best->box;
        if (best->distance > 10) {
            picture.line(label.at, lineEnd(label.at, box), Stroke{colors.muted.withAlpha(0.6), 1});
        }
        Text written = centered(text, {box.x + width / 2, box.y + height / 2}, kTextSize, label.color, Anchor::middle, label.bold);
        written.halo = colors.panel;
        picture.add(std::move(written));
        taken.push_back(box);
    }
    return homeless;
}

} // namespace bw::plot
