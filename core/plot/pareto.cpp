// SPDX-License-Identifier: GPL-3.0-or-later
// Size against damage: the best that is predicted at every size, and mixes with what was predicted and measured of them.
#include "core/plot/parts.h"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>

namespace bw::plot {
namespace {

struct Look {
    MarkShape shape;
    Color color;
    const char* name;
    double radius;
};

Look lookOf(ParetoPoint::Kind kind, const Tokens& colors) {
    switch (kind) {
    case ParetoPoint::Kind::mix: return {MarkShape::circle, colors.accent, "this mix", 6};
    case ParetoPoint::Kind::uniform: return {MarkShape::square, colors.amber, "uniform", 5};
    case ParetoPoint::Kind::ruleList: return {MarkShape::diamond, colors.green, "rule list", 5};
    case ParetoPoint::Kind::other: break;
    }
    return {MarkShape::triangle, colors.muted, "other mixes", 5};
}

bool usable(double bytes, double damage) { return std::isfinite(bytes) && bytes > 0 && std::isfinite(damage); }

class Pareto {
public:
    Pareto(const ParetoData& data, const Tokens& colors) : data_(data), colors_(colors) {}
    Picture draw();

private:
    bool fit();
    void drawFront();
    void drawPoints();
    void drawBitsAxis();
    void drawLegend(const std::vector<std::string>& homeless);
    Point at(double bytes, double damage) const { return place(area_, x_, y_, bytes, damage); }
    std::string told(const ParetoPoint& p) const;

    const ParetoData& data_;
    const Tokens& colors_;
    Picture picture_{960, 640, {}, {}, {}};
    Box area_;
    Scale x_, y_;
    std::vector<Point> curve_;
    int left_ = 0, floored_ = 0; ///< points without a size or any damage; points at or below nothing
    std::vector<std::string> homeless_;
};

bool Pareto::fit() {
    std::vector<double> sizes, damages;
    const auto take = [&](double bytes, double damage, double error) {
        if (!usable(bytes, damage)) return;
        sizes.push_back(bytes);
        damages.push_back(damage);
        if (error > 0 && std::isfinite(error)) {
            damages.push_back(damage + error);
            if (damage - error > damage / 10) damages.push_back(damage - error);
        }
    };
    for (const ParetoPoint& p : data_.points) {
        take(p.bytes, p.predicted, p.predictedError);
        take(p.bytes, p.measured, p.measuredError);
        left_ += usable(p.bytes, p.predicted) || usable(p.bytes, p.measured) ? 0 : 1;
        floored_ += (p.predicted <= 0 ? 1 : 0) + (p.measured <= 0 ? 1 : 0);
    }
    for (const ParetoData::Step& s : data_.front) take(s.bytes, s.damage, 0);
    if (data_.budgetBytes > 0 && !sizes.empty()) sizes.push_back(data_.budgetBytes);
    x_ = Scale::fit(sizes, false).grown(0.05);
    y_ = Scale::fit(damages, true, 5).grown(0.06);
    if (x_.low < 0) x_.low = 0;
    return y_.known && x_.known;
}

void Pareto::drawFront() {
    std::vector<Point> low, high;
    for (const ParetoData::Step& s : data_.front) {
        if (!usable(s.bytes, s.damage) || s.damage <= 0) continue;
        curve_.push_back(at(s.bytes, s.damage));
        if (s.standardError > 0 && std::isfinite(s.standardError)) {
            low.push_back(at(s.bytes, s.damage - s.standardError));
            high.push_back(at(s.bytes, s.damage + s.standardError));
        }
    }
    if (low.size() > 1) {
        std::vector<Point> band = high;
        band.insert(band.end(), low.rbegin(), low.rend());
        picture_.add(Path{std::move(band), true, colors_.accent.withAlpha(0.16), {}});
    }
    if (curve_.size() > 1) picture_.add(Path{curve_, false, {}, Stroke{colors_.accent, 2}});
    if (data_.front.size() <= 400)
        for (const ParetoData::Step& s : data_.front)
            if (usable(s.bytes, s.damage) && s.damage > 0)
                picture_.add(Circle{at(s.bytes, s.damage), 2, colors_.accent, {}}, fmt::format("front: {} {}, {} {}", figure(s.bytes / byteUnit(s.bytes).bytes, 4), byteUnit(s.bytes).name,
                                                                                              figure(s.damage, 4), data_.unit));
}

std::string Pareto::told(const ParetoPoint& p) const {
    std::string text = printable(p.label) + ": " + figure(p.bytes / byteUnit(p.bytes).bytes, 4) + " " + byteUnit(p.bytes).name;
    const auto with = [&](const char* what, double value, double error) {
        if (!std::isfinite(value)) return;
        text += fmt::format(", {} {}", what, figure(value, 4)) + (error > 0 ? " ± " + figure(error, 2) : "");
    };
    with("predicted", p.predicted, p.predictedError);
    with("measured", p.measured, p.measuredError);
    return text + " " + data_.unit;
}

void Pareto::drawPoints() {
    std::vector<Label> labels;
    std::vector<Box> taken;
    // This mix last, so that it lies on top, but first among the labels.
    std::vector<const ParetoPoint*> order;
    for (const ParetoPoint& p : data_.points) order.push_back(&p);
    std::stable_sort(order.begin(), order.end(), [](const ParetoPoint* a, const ParetoPoint* b) { return (a->kind == ParetoPoint::Kind::mix) < (b->kind == ParetoPoint::Kind::mix); });
    for (const ParetoPoint* p : order) {
        const Look look = lookOf(p->kind, colors_);
        const bool predicted = usable(p->bytes, p->predicted), measured = usable(p->bytes, p->measured);
        if (!predicted && !measured) continue;
        if (predicted && measured) // belongs together
            picture_.line(at(p->bytes, p->predicted), at(p->bytes, p->measured), Stroke{look.color.withAlpha(0.7), 1, {2, 2}});
        const auto mark = [&](double value, double error, bool hollow) {
            const Point where = at(p->bytes, value);
            drawError(picture_, area_, y_, where, value, error, true, Stroke{look.color, 1.4});
            drawMark(picture_, look.shape, where, look.radius - (hollow ? 1 : 0), look.color, hollow, colors_, told(*p));
            taken.push_back(Box{where.x, where.y, 0, 0}.grown(look.radius + 1));
        };
        if (predicted) mark(p->predicted, p->predictedError, true);
        if (measured) mark(p->measured, p->measuredError, false);
        const bool mine = p->kind == ParetoPoint::Kind::mix;
        labels.push_back({at(p->bytes, measured ? p->measured : p->predicted), p->label, look.radius, mine ? colors_.accent : colors_.text, mine});
    }
    std::stable_sort(labels.begin(), labels.end(), [](const Label& a, const Label& b) { return a.bold > b.bold; });
    homeless_ = drawLabels(picture_, labels, taken, curve_, area_, colors_);
}

/// Bits per weight above the plot, when it is known how many bytes are weights.
void Pareto::drawBitsAxis() {
    if (!(data_.weights > 0)) return;
    const auto bits = [&](double bytes) { return 8 * (bytes - data_.otherBytes) / data_.weights; };
    Scale scale = x_;
    scale.low = bits(x_.low);
    scale.high = bits(x_.high);
    for (const Tick& tick : scale.ticks(static_cast<int>(area_.width / 70))) {
        if (tick.value <= 0) continue;
        const double x = area_.x + scale.position(tick.value) * area_.width;
        picture_.line({x, area_.y - 5}, {x, area_.y}, Stroke{colors_.muted});
        picture_.add(Text{tick.label, {x, area_.y - 9}, kTextSize, colors_.muted, false, Anchor::middle});
    }
    picture_.add(Text{"bits per weight", {area_.x + area_.width / 2, area_.y - 28}, 12, colors_.text, false, Anchor::middle});
}

void Pareto::drawLegend(const std::vector<std::string>& homeless) {
    double x = kMargin;
    const double y = picture_.height - kMargin - 4;
    const auto word = [&](const std::string& text) {
        picture_.add(Text{text, {x, y}, kTextSize, colors_.muted});
        x += textWidth(text, kTextSize) + 22;
    };
    if (!data_.front.empty()) {
        picture_.line({x, y - 4}, {x + 22, y - 4}, Stroke{colors_.accent, 2});
        x += 28;
        word("best at each size, predicted");
    }
    for (const auto kind : {ParetoPoint::Kind::mix, ParetoPoint::Kind::uniform, ParetoPoint::Kind::ruleList, ParetoPoint::Kind::other}) {
        if (std::none_of(data_.points.begin(), data_.points.end(), [&](const ParetoPoint& p) { return p.kind == kind; })) continue;
        const Look look = lookOf(kind, colors_);
        drawMark(picture_, look.shape, {x + 5, y - 4}, 5, look.color, false, colors_);
        x += 16;
        word(look.name);
    }
    const bool hollow = std::any_of(data_.points.begin(), data_.points.end(), [](const ParetoPoint& p) { return std::isfinite(p.predicted); });
    if (hollow) word("filled: measured, hollow: predicted");
    std::string notes;
    if (left_ > 0) notes += fmt::format("{} without a size or a damage left out. ", left_);
    if (floored_ > 0) notes += fmt::format("{} at or below nothing stand at the lower edge. ", floored_);
    for (const std::string& name : homeless) notes += (&name == &homeless.front() ? "Not named: " : ", ") + name;
    if (!notes.empty()) picture_.add(Text{elided(notes, picture_.width - 2 * kMargin, kSmallSize), {kMargin, y + 16}, kSmallSize, colors_.muted});
}

Picture Pareto::draw() {
    if (!fit()) return emptyPicture(data_.heading, data_.points.empty() && data_.front.empty() ? "there is no mix to show" : "no mix here has a size and a damage above nothing", colors_);
    const double top = drawHeading(picture_, data_.heading, colors_) + (data_.weights > 0 ? 36 : 4);
    area_ = {kMargin + 66, top, picture_.width - 2 * kMargin - 66, picture_.height - top - 104};
    const ByteUnit unit = byteUnit(x_.high);
    drawAxes(picture_, area_, x_, y_, fmt::format("size, {}", unit.name), "damage, " + data_.unit, colors_, unit.bytes);
    drawBitsAxis();
    picture_.add(Clip{area_.grown(8)});
    if (data_.budgetBytes > 0) {
        const double x = area_.x + x_.position(data_.budgetBytes) * area_.width;
        picture_.line({x, area_.y}, {x, area_.bottom()}, Stroke{colors_.muted, 1, {5, 4}});
        picture_.add(Text{"budget", {x - 5, area_.y + 14}, kTextSize, colors_.muted, false, Anchor::end});
    }
    drawFront();
    drawPoints();
    picture_.add(Unclip{});
    drawLegend(homeless_);
    return std::move(picture_);
}

} // namespace

Picture drawPareto(const ParetoData& data, const Tokens& colors) { return Pareto(data, colors).draw(); }

} // namespace bw::plot
