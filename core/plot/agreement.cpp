// SPDX-License-Identifier: GPL-3.0-or-later
// Two measures of the same cells against each other, both axes logarithmic; colours by bits, figures of agreement per format.
#include "core/plot/parts.h"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>

namespace bw::plot {
namespace {

constexpr std::size_t kMostErrorBars = 150; ///< more would hide the points
constexpr double kLegend = 268;

class Agreement {
public:
    Agreement(const AgreementData& data, const Tokens& colors) : data_(data), colors_(colors) {}
    Picture draw();

private:
    bool fit();
    void drawIdentity();
    void drawSeries(const AgreementSeries& series, bool errors);
    void drawLegend(double x);

    const AgreementData& data_;
    const Tokens& colors_;
    Picture picture_;
    Box area_;
    Scale x_, y_;
    int left_ = 0, floored_ = 0; ///< pairs with a value that is none; pairs at or below nothing
};

bool Agreement::fit() {
    std::vector<double> xs, ys;
    for (const AgreementSeries& series : data_.series)
        for (const AgreementSeries::Pair& p : series.pairs) {
            if (!std::isfinite(p.x) || !std::isfinite(p.y)) {
                ++left_;
                continue;
            }
            floored_ += p.x <= 0 || p.y <= 0 ? 1 : 0;
            xs.push_back(p.x);
            ys.push_back(p.y);
        }
    if (data_.sameUnit) {
        xs.insert(xs.end(), ys.begin(), ys.end());
        ys = xs;
    }
    x_ = Scale::fit(xs, true, 8).grown(0.04);
    y_ = Scale::fit(ys, true, 8).grown(0.04);
    return x_.known && y_.known;
}

void Agreement::drawIdentity() {
    if (!data_.sameUnit) return;
    const auto along = [&](double factor, const Stroke& stroke) {
        picture_.line({area_.x, area_.bottom() - y_.position(x_.low * factor) * area_.height},
                      {area_.right(), area_.bottom() - y_.position(x_.high * factor) * area_.height}, stroke);
    };
    along(2, Stroke{colors_.muted.withAlpha(0.55), 1, {2, 4}});
    along(0.5, Stroke{colors_.muted.withAlpha(0.55), 1, {2, 4}});
    along(1, Stroke{colors_.text.withAlpha(0.7), 1.2});
}

void Agreement::drawSeries(const AgreementSeries& series, bool errors) {
    const Color color = bitsColor(series.bits);
    for (const AgreementSeries::Pair& p : series.pairs) {
        if (!std::isfinite(p.x) || !std::isfinite(p.y)) continue;
        const Point at = place(area_, x_, y_, p.x, p.y);
        if (errors) {
            drawError(picture_, area_, x_, at, p.x, p.xError, false, Stroke{color.withAlpha(0.5), 1});
            drawError(picture_, area_, y_, at, p.y, p.yError, true, Stroke{color.withAlpha(0.5), 1});
        }
        const std::string told = printable(p.name) + " " + printable(series.name) + ": " + figure(p.x, 4) + " → " + figure(p.y, 4);
        picture_.add(Circle{at, 3.4, color.withAlpha(0.85), Stroke{colors_.panel, 0.8}}, told);
    }
}

void Agreement::drawLegend(double x) {
    double y = area_.y + 12;
    const double rank = x + 168, ratio = x + 216, count = x + kLegend - 8;
    const auto right = [&](const std::string& text, double at, Color color, bool bold = false) { picture_.add(Text{text, {at, y}, kTextSize, color, bold, Anchor::end}); };
    right("ρ", rank, colors_.muted);
    if (data_.sameUnit) right("ratio", ratio, colors_.muted);
    right("cells", count, colors_.muted);
    const auto row = [&](const AgreementSeries& series, std::size_t pairs, bool all) {
        y += 20;
        if (!all) picture_.add(Circle{{x + 5, y - 4}, 4, bitsColor(series.bits), {}});
        picture_.add(Text{elided(printable(series.name), 110, kTextSize, all), {x + 16, y}, kTextSize, colors_.text, all});
        right(std::isfinite(series.spearman) ? fmt::format("{:.3f}", series.spearman) : "–", rank, colors_.text, all);
        if (data_.sameUnit) right(std::isfinite(series.medianRatio) ? fmt::format("{:.2f}", series.medianRatio) : "–", ratio, colors_.text, all);
        right(std::to_string(pairs), count, colors_.text, all);
    };
    std::size_t total = 0;
    for (const AgreementSeries& series : data_.series) {
        row(series, series.pairs.size(), false);
        total += series.pairs.size();
    }
    if (data_.series.size() > 1) {
        AgreementSeries all = data_.all;
        all.name = "all";
        row(all, total, true);
    }
    y += 30;
    const auto line = [&](const std::string& text, std::optional<Stroke> stroke) {
        if (stroke) picture_.line({x, y - 4}, {x + 22, y - 4}, *stroke);
        picture_.add(Text{text, {x + (stroke ? 30 : 0), y}, kSmallSize, colors_.muted});
        y += 17;
    };
    if (data_.sameUnit) {
        line("both equal", Stroke{colors_.text.withAlpha(0.7), 1.2});
        line("one twice the other", Stroke{colors_.muted.withAlpha(0.8), 1, {2, 4}});
    }
    line("ρ: Spearman's rank correlation", {});
    if (data_.sameUnit) line("ratio: median of horizontal / vertical", {});
    if (floored_ > 0) line(fmt::format("{} at or below nothing stand at the edge", floored_), {});
    if (left_ > 0) line(fmt::format("{} without both values left out", left_), {});
}

Picture Agreement::draw() {
    if (!fit()) return emptyPicture(data_.heading, left_ > 0 ? "no cell has both values" : "the two have no cell in common", colors_);
    const double side = 520, rows = static_cast<double>(data_.series.size() + 1) * 20 + 160;
    picture_.width = kMargin + 66 + side + 24 + kLegend + kMargin;
    const double top = drawHeading(picture_, data_.heading, colors_) + 4;
    area_ = {kMargin + 66, top, side, side};
    picture_.height = std::max(top + side + 56 + kMargin, top + rows + kMargin);
    drawAxes(picture_, area_, x_, y_, data_.xTitle, data_.yTitle, colors_);
    std::size_t pairs = 0;
    for (const AgreementSeries& series : data_.series) pairs += series.pairs.size();
    picture_.add(Clip{area_});
    drawIdentity();
    picture_.add(Unclip{});
    picture_.add(Clip{area_.grown(5)}); // marks on the edge are whole
    for (const AgreementSeries& series : data_.series) drawSeries(series, pairs <= kMostErrorBars);
    picture_.add(Unclip{});
    drawLegend(area_.right() + 24);
    return std::move(picture_);
}

} // namespace

Picture drawAgreement(const AgreementData& data, const Tokens& colors) { return Agreement(data, colors).draw(); }

} // namespace bw::plot
