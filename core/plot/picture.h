// SPDX-License-Identifier: GPL-3.0-or-later
// A drawing as a list of shapes, in pixels at scale 1 with y downwards: the plots draw into it once, and it is written as
// SVG or painted as PNG. Knows nothing of data.
#pragma once

#include "core/plot/palette.h"

#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace bw::plot {

struct Point {
    double x = 0, y = 0;
};

struct Box {
    double x = 0, y = 0, width = 0, height = 0;
    double right() const { return x + width; }
    double bottom() const { return y + height; }
    bool overlaps(const Box& other) const { return x < other.right() && other.x < right() && y < other.bottom() && other.y < bottom(); }
    Box grown(double by) const { return {x - by, y - by, width + 2 * by, height + 2 * by}; }
};

struct Stroke {
    Color color;
    double width = 1;
    std::vector<double> dash = {}; ///< lengths of stroke and gap; empty = solid
};

struct Rectangle {
    Box box;
    double radius = 0;
    std::optional<Color> fill;
    std::optional<Stroke> stroke;
};
struct Circle {
    Point center;
    double radius = 0;
    std::optional<Color> fill;
    std::optional<Stroke> stroke;
};
struct Path {
    std::vector<Point> points;
    bool closed = false;
    std::optional<Color> fill;
    std::optional<Stroke> stroke;
};
enum class Anchor { start, middle, end };
struct Text {
    std::string text; ///< UTF-8
    Point at;         ///< on the base line
    double size = 11;
    Color color;
    bool bold = false;
    Anchor anchor = Anchor::start;
    double degrees = 0; ///< turned around `at`, clockwise
    std::optional<Color> halo = {}; ///< drawn around the letters, so that they read on lines
};
/// Shapes until the matching Unclip are cut at the box. Does not nest.
struct Clip {
    Box box;
};
struct Unclip {};

/// One shape. `mark` is set on those that stand for data: what a pointer over them is told ("blk.3.attn_q: 0.0012").
struct Shape {
    std::variant<Rectangle, Circle, Path, Text, Clip, Unclip> what;
    std::optional<std::string> mark;
};

struct Picture {
    double width = 0, height = 0;
    Color ground;
    std::string title; ///< for people who cannot see it
    std::vector<Shape> shapes;

    template <class What>
    void add(What what, std::optional<std::string> mark = {}) {
        Shape& shape = shapes.emplace_back();
        shape.what.template emplace<What>(std::move(what));
        shape.mark = std::move(mark);
    }
    void line(Point from, Point to, Stroke stroke) { add(Path{{from, to}, false, {}, std::move(stroke)}); }
};

/// A whole SVG document; text stays text. Numbers have at most two decimals, so that the same picture gives the same bytes.
std::string toSvg(const Picture& picture);

/// A PNG file's bytes, `scale` pixels to the unit. Text is drawn with DejaVu Sans, else Noto or Liberation Sans, else
/// whatever cairo finds, fitted to the width that the layout has for it.
/// @throws Error(usage) when the picture would be larger than 100 million pixels; Error(outOfMemory).
std::string toPng(const Picture& picture, double scale);

} // namespace bw::plot
