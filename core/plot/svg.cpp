// SPDX-License-Identifier: GPL-3.0-or-later
// The picture as SVG 1.1: shapes one to one, text as text.
#include "core/plot/picture.h"

#include <cmath>
#include <fmt/format.h>

namespace bw::plot {
namespace {

/// At most two decimals, no trailing zeros: "12", "12.5". Not finite is nowhere.
std::string num(double value) {
    if (!std::isfinite(value)) value = 0;
    std::string text = fmt::format("{:.2f}", value);
    text.erase(text.find_last_not_of('0') + 1);
    if (text.back() == '.') text.pop_back();
    return text == "-0" ? "0" : text;
}

std::string escaped(std::string_view text) {
    std::string out;
    for (const char c : text) {
        switch (c) {
        case '&': out += "&amp;"; break;
        case '<': out += "&lt;"; break;
        case '>': out += "&gt;"; break;
        case '"': out += "&quot;"; break;
        default: out += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
        }
    }
    return out;
}

std::string hex(const Color& c) { return fmt::format("#{:02x}{:02x}{:02x}", c.r, c.g, c.b); }

std::string paint(const std::optional<Color>& fill, const std::optional<Stroke>& stroke) {
    std::string out = fill ? fmt::format(" fill=\"{}\"", hex(*fill)) : " fill=\"none\"";
    if (fill && fill->alpha < 1) out += fmt::format(" fill-opacity=\"{}\"", num(fill->alpha));
    if (!stroke) return out;
    out += fmt::format(" stroke=\"{}\" stroke-width=\"{}\"", hex(stroke->color), num(stroke->width));
    if (stroke->color.alpha < 1) out += fmt::format(" stroke-opacity=\"{}\"", num(stroke->color.alpha));
    for (std::size_t i = 0; i < stroke->dash.size(); ++i) out += (i == 0 ? " stroke-dasharray=\"" : " ") + num(stroke->dash[i]);
    return stroke->dash.empty() ? out : out + "\"";
}

class Writer {
public:
    std::string out;
    void operator()(const Rectangle& r) {
        element(fmt::format("rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\"{}", num(r.box.x), num(r.box.y), num(r.box.width), num(r.box.height),
                            r.radius > 0 ? fmt::format(" rx=\"{}\"", num(r.radius)) : "") + paint(r.fill, r.stroke), "rect");
    }
    void operator()(const Circle& c) {
        element(fmt::format("circle cx=\"{}\" cy=\"{}\" r=\"{}\"", num(c.center.x), num(c.center.y), num(c.radius)) + paint(c.fill, c.stroke), "circle");
    }
    void operator()(const Path& p) {
        std::string d;
        for (std::size_t i = 0; i < p.points.size(); ++i) d += fmt::format("{}{} {}", i == 0 ? "M" : "L", num(p.points[i].x), num(p.points[i].y));
        element(fmt::format("path d=\"{}{}\"", d, p.closed ? "Z" : "") + paint(p.fill, p.stroke), "path");
    }
    void operator()(const Text& t) {
        std::string head = fmt::format("text x=\"{}\" y=\"{}\" font-size=\"{}\" fill=\"{}\"", num(t.at.x), num(t.at.y), num(t.size), hex(t.color));
        if (t.bold) head += " font-weight=\"bold\"";
        if (t.anchor != Anchor::start) head += t.anchor == Anchor::middle ? " text-anchor=\"middle\"" : " text-anchor=\"end\"";
        if (t.degrees != 0) head += fmt::format(" transform=\"rotate({} {} {})\"", num(t.degrees), num(t.at.x), num(t.at.y));
        if (t.halo) head += fmt::format(" stroke=\"{}\" stroke-width=\"3\" stroke-linejoin=\"round\" paint-order=\"stroke\"", hex(*t.halo));
        out += "<" + head + ">" + escaped(t.text) + "</text>\n";
    }
    void operator()(const Clip& c) {
        const int id = clips_++;
        out += fmt::format("<clipPath id=\"c{}\"><rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\"/></clipPath>\n<g clip-path=\"url(#c{})\">\n", id, num(c.box.x),
                           num(c.box.y), num(c.box.width), num(c.box.height), id);
    }
    void operator()(const Unclip&) { out += "</g>\n"; }
    void draw(const Shape& shape) {
        mark_ = shape.mark ? &*shape.mark : nullptr;
        std::visit(*this, shape.what);
    }

private:
    void element(const std::string& head, const char* name) {
        if (mark_) out += fmt::format("<{} class=\"mark\"><title>{}</title></{}>\n", head, escaped(*mark_), name);
        else out += "<" + head + "/>\n";
    }
    const std::string* mark_ = nullptr;
    int clips_ = 0;
};

} // namespace

std::string toSvg(const Picture& picture) {
    Writer writer;
    writer.out = fmt::format("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{0}\" height=\"{1}\" viewBox=\"0 0 {0} {1}\" "
                             "role=\"img\" font-family=\"'DejaVu Sans', Verdana, sans-serif\">\n<title>{2}</title>\n<rect width=\"{0}\" height=\"{1}\" fill=\"{3}\"/>\n",
                             num(picture.width), num(picture.height), escaped(picture.title), hex(picture.ground));
    for (const Shape& shape : picture.shapes) writer.draw(shape);
    return writer.out + "</svg>\n";
}

} // namespace bw::plot
