// SPDX-License-Identifier: GPL-3.0-or-later
// What the drawings share: heading, axes, notes, the empty state, and places for labels. Private to core/plot.
#pragma once

#include "core/plot/axis.h"
#include "core/plot/plot.h"
#include "core/plot/text_width.h"

namespace bw::plot {

inline constexpr double kMargin = 24, kTitleSize = 17, kTextSize = 11, kSmallSize = 10;

/// Text centred on a height instead of standing on a line.
Text centered(std::string text, Point middle, double size, Color color, Anchor anchor = Anchor::middle, bool bold = false);

/// Ground, title and subtitle, cut to the width. Returns the y below them.
double drawHeading(Picture& picture, const Heading& heading, const Tokens& colors);
/// Words in place of a plot whose data hold nothing.
Picture emptyPicture(const Heading& heading, const std::string& why, const Tokens& colors);

/// A panel with grid lines, ticks and figures below and at the left, titles beyond them.
void drawAxes(Picture& picture, const Box& area, const Scale& x, const Scale& y, const std::string& xTitle, const std::string& yTitle, const Tokens& colors,
              double xUnit = 1);
/// Where a value lies in the area; values a log axis has no place for lie on its edge.
Point place(const Box& area, const Scale& x, const Scale& y, double xValue, double yValue);

/// A bar of error at a point, with caps; its lower end on the edge when it reaches nothing or below on a log axis.
void drawError(Picture& picture, const Box& area, const Scale& scale, Point at, double value, double error, bool vertical, const Stroke& stroke);

enum class MarkShape { circle, square, diamond, triangle };
/// A mark of a point; `hollow` draws its edge only, over the ground.
void drawMark(Picture& picture, MarkShape shape, Point at, double radius, Color color, bool hollow, const Tokens& colors, std::optional<std::string> mark = {});

struct Label {
    Point at;          ///< the point named
    std::string text;
    double reach = 5;  ///< half the size of its mark
    Color color;
    bool bold = false;
};
/// Writes each label beside its point where it covers no other label and none of `taken`, keeping off `curve` where there is
/// room; further away it is tied to its point by a line. Returns the labels that found no place.
std::vector<std::string> drawLabels(Picture& picture, const std::vector<Label>& labels, std::vector<Box> taken, const std::vector<Point>& curve, const Box& area,
                                    const Tokens& colors);

} // namespace bw::plot
