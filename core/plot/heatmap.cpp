// SPDX-License-Identifier: GPL-3.0-or-later
// Rows are blocks, columns site kinds; panels (formats) side by side on one logarithmic colour scale.
#include "core/plot/parts.h"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>

namespace bw::plot {
namespace {

constexpr double kWidest = 1500;     ///< of a picture before panels go to the next line
constexpr double kPanelGap = 26, kHead = 26, kRowLabel = 34, kBar = 14;

struct Group {
    std::string name;      ///< "attn_q", "ffn_up ×8"
    std::size_t first = 0, count = 1;
};

/// Columns that stand under one name: the experts of a role.
std::vector<Group> groupsOf(const std::vector<std::string>& columns) {
    const auto roleOf = [](const std::string& name) {
        const auto dot = name.rfind(".e");
        return dot == std::string::npos || name.find_first_not_of("0123456789", dot + 2) != std::string::npos ? name : name.substr(0, dot);
    };
    std::vector<Group> groups;
    for (std::size_t c = 0; c < columns.size(); ++c) {
        const std::string role = roleOf(columns[c]);
        if (c > 0 && role != columns[c] && role == groups.back().name) ++groups.back().count;
        else groups.push_back({role, c, 1});
    }
    for (Group& group : groups)
        if (group.count > 1) group.name += fmt::format(" ×{}", group.count);
    return groups;
}

class Heatmap {
public:
    Heatmap(const HeatmapData& data, const Tokens& colors) : data_(data), colors_(colors), groups_(groupsOf(data.columns)) {}
    Picture draw();

private:
    void measure();
    void findScale();
    void drawPanel(const HeatmapPanel& panel, Point at, bool rowLabels);
    void drawCell(const std::optional<HeatmapCell>& cell, const Box& box, const std::string& name);
    void drawBar(double x, double top, double bottom);
    void drawNotes(double y);

    const HeatmapData& data_;
    const Tokens& colors_;
    std::vector<Group> groups_;
    std::vector<Box> columns_; ///< x and width of each within a panel
    Picture picture_;
    Scale scale_;
    double cellHeight_ = 0, labelHeight_ = 0, panelWidth_ = 0, mapHeight_ = 0, rowLabel_ = kRowLabel;
    int figures_ = 0;     ///< significant figures written into cells; 0 = no room
    std::size_t perLine_ = 1;
    int unknown_ = 0, below_ = 0, doubtful_ = 0;
};

void Heatmap::findScale() {
    std::vector<double> values;
    const auto take = [&](const HeatmapCell& cell) {
        if (!std::isfinite(cell.value)) ++unknown_;
        else if (cell.value <= 0) ++below_;
        doubtful_ += cell.doubtful ? 1 : 0;
        values.push_back(cell.value);
    };
    for (const HeatmapPanel& panel : data_.panels) {
        for (const auto& cell : panel.cells)
            if (cell) take(*cell);
        for (const HeatmapCell& cell : panel.extra) take(cell);
    }
    scale_ = Scale::fit(values, true, 6); // below a millionth of the largest nothing decides
}

void Heatmap::measure() {
    const auto columns = static_cast<double>(data_.columns.size());
    const auto rows = static_cast<double>(data_.rows.size());
    const bool one = data_.panels.size() == 1;
    // Experts are many and alike: they share 480 units of a panel; other columns stay wide enough for their names.
    const double wide = one && columns <= 12 ? 58 : 26, narrow = std::min(wide, std::max(4.0, 480 / columns));
    cellHeight_ = rows <= 16 ? 24 : rows <= 48 ? 18 : std::max(5.0, 860 / rows);
    double x = 0, widest = 0;
    bool fit = true; // names stand upright over their columns where these are wide enough, else turned
    for (const Group& group : groups_) {
        const double width = group.count > 1 || columns > 60 ? narrow : std::min(wide, 26 + (one ? 32.0 : 0.0)), begin = x;
        if (begin > 0 && group.count > 1) x += 4;
        for (std::size_t c = 0; c < group.count; ++c, x += width) columns_.push_back({x, 0, width, 0});
        const double name = textWidth(group.name, kTextSize);
        widest = std::max(widest, name);
        fit = fit && name <= x - begin - 4;
    }
    panelWidth_ = x;
    if (one && wide >= 46 && cellHeight_ >= 15) figures_ = 2;
    labelHeight_ = fit ? 20 : widest * 0.71 + 16;
    mapHeight_ = rows * cellHeight_ + static_cast<double>(data_.extraRows.size()) * 20 + (data_.extraRows.empty() ? 0 : 6);
    for (const std::string& name : data_.extraRows) rowLabel_ = std::max(rowLabel_, std::min(120.0, textWidth(name, kSmallSize) + 12));
    for (const std::string& name : data_.rows) rowLabel_ = std::max(rowLabel_, std::min(120.0, textWidth(name, kSmallSize) + 12));
    const double room = kWidest - 2 * kMargin - rowLabel_ - 90;
    perLine_ = std::max<std::size_t>(1, std::min(data_.panels.size(), static_cast<std::size_t>((room + kPanelGap) / (panelWidth_ + kPanelGap))));
}

void Heatmap::drawCell(const std::optional<HeatmapCell>& cell, const Box& box, const std::string& name) {
    const double gap = box.width >= 10 && box.height >= 8 ? 1 : 0, radius = gap > 0 ? 2 : 0;
    const Box inner{box.x, box.y, box.width - gap, box.height - gap};
    if (!cell) return; // no such site in this block
    const bool known = std::isfinite(cell->value);
    std::string told = name + ": " + (known ? figure(cell->value, 4) : "not measured");
    if (known && cell->standardError > 0) told += " ± " + figure(cell->standardError, 2);
    if (known && !data_.unit.empty()) told += " " + data_.unit;
    if (!cell->note.empty()) told += " (" + printable(cell->note) + ")";
    const Color fill = known ? viridis(scale_.position(cell->value)) : colors_.raised;
    picture_.add(Rectangle{inner, radius, fill, {}}, told);
    if (!known && inner.height >= 5)
        picture_.line({inner.x + 2, inner.bottom() - 2}, {inner.right() - 2, inner.y + 2}, Stroke{colors_.muted.withAlpha(0.55), 1});
    if (known && figures_ > 0) {
        const std::string text = figure(cell->value, figures_);
        if (textWidth(text, kSmallSize) <= inner.width - 4) picture_.add(centered(text, {inner.x + inner.width / 2, inner.y + inner.height / 2}, kSmallSize, inkOn(fill)));
    }
    if (cell->doubtful) {
        const double s = std::min({8.0, inner.width / 2, inner.height / 2});
        picture_.add(Path{{{inner.right() - s, inner.y}, {inner.right(), inner.y}, {inner.right(), inner.y + s}}, true, colors_.red, Stroke{fill, 1}});
    }
}

void Heatmap::drawPanel(const HeatmapPanel& panel, Point at, bool rowLabels) {
    double x = at.x;
    if (panel.bits > 0) {
        picture_.add(Rectangle{{x, at.y + 5, 10, 10}, 2, bitsColor(panel.bits), {}});
        x += 16;
    }
    picture_.add(Text{elided(printable(panel.name), panelWidth_ - 16, 12, true), {x, at.y + 14}, 12, colors_.text, true});
    const double labels = at.y + kHead + labelHeight_ - 6, top = at.y + kHead + labelHeight_;
    const bool upright = labelHeight_ <= 20;
    for (const Group& group : groups_) {
        const double middle = at.x + (columns_[group.first].x + columns_[group.first + group.count - 1].right()) / 2;
        if (upright) picture_.add(Text{group.name, {middle, labels}, kTextSize, colors_.muted, false, Anchor::middle});
        else picture_.add(Text{group.name, {middle + 2, labels}, kTextSize, colors_.muted, false, Anchor::start, -45});
    }
    const std::size_t everyRow = cellHeight_ >= 11 ? 1 : static_cast<std::size_t>(std::ceil(11 / cellHeight_ / 5)) * 5;
    for (std::size_t r = 0; r < data_.rows.size(); ++r) {
        const double y = top + static_cast<double>(r) * cellHeight_;
        if (rowLabels && r % everyRow == 0) picture_.add(centered(printable(data_.rows[r]), {at.x - 8, y + cellHeight_ / 2}, kSmallSize, colors_.muted, Anchor::end));
        for (std::size_t c = 0; c < data_.columns.size(); ++c) {
            const std::size_t index = r * data_.columns.size() + c;
            if (index < panel.cells.size())
                drawCell(panel.cells[index], {at.x + columns_[c].x, y, columns_[c].width, cellHeight_},
                         printable(fmt::format("{} {}, {}, {}", data_.rowTitle, data_.rows[r], data_.columns[c], panel.name)));
        }
    }
    for (std::size_t e = 0; e < data_.extraRows.size(); ++e) {
        const double y = top + static_cast<double>(data_.rows.size()) * cellHeight_ + 6 + static_cast<double>(e) * 20;
        if (rowLabels) picture_.add(centered(elided(printable(data_.extraRows[e]), 112, kSmallSize), {at.x - 8, y + 9}, kSmallSize, colors_.muted, Anchor::end));
        if (e < panel.extra.size()) drawCell(panel.extra[e], {at.x, y, panelWidth_ + 1, 19}, printable(data_.extraRows[e] + ", " + panel.name));
    }
}

/// The colours with their values.
void Heatmap::drawBar(double x, double top, double bottom) {
    constexpr int kSteps = 96;
    const double step = (bottom - top) / kSteps;
    for (int i = 0; i < kSteps; ++i) // overlapping by a little: no seams between the steps
        picture_.add(Rectangle{{x, bottom - (i + 1) * step, kBar, step + (i == 0 ? 0 : 0.6)}, 0, viridis((i + 0.5) / kSteps), {}});
    for (const Tick& tick : scale_.ticks(static_cast<int>((bottom - top) / 30))) {
        const double y = bottom - scale_.position(tick.value) * (bottom - top);
        picture_.line({x + kBar, y}, {x + kBar + (tick.label.empty() ? 3.0 : 5.0), y}, Stroke{colors_.muted});
        if (!tick.label.empty()) picture_.add(centered(tick.label, {x + kBar + 9, y}, kTextSize, colors_.muted, Anchor::start));
    }
    picture_.add(Text{elided(data_.unit, bottom - top, kTextSize), {x + kBar + 62, (top + bottom) / 2}, kTextSize, colors_.text, false, Anchor::middle, -90});
}

void Heatmap::drawNotes(double y) {
    double x = kMargin;
    const auto tell = [&](const std::string& text, Color color, bool hatched, bool corner) {
        const Box box{x, y - 9, 12, 12};
        picture_.add(Rectangle{box, 2, color, {}});
        if (hatched) picture_.line({box.x + 2, box.bottom() - 2}, {box.right() - 2, box.y + 2}, Stroke{colors_.muted.withAlpha(0.55), 1});
        if (corner) picture_.add(Path{{{box.right() - 7, box.y}, {box.right(), box.y}, {box.right(), box.y + 7}}, true, colors_.red, {}});
        picture_.add(Text{text, {x + 18, y + 1}, kTextSize, colors_.muted});
        x += 18 + textWidth(text, kTextSize) + 24;
    };
    if (unknown_ > 0) tell(fmt::format("not measured ({})", unknown_), colors_.raised, true, false);
    if (below_ > 0) tell(fmt::format("nothing or less, within noise ({})", below_), viridis(0), false, false);
    if (doubtful_ > 0) tell(fmt::format("contradicts its neighbours ({})", doubtful_), colors_.raised, false, true);
}

Picture Heatmap::draw() {
    findScale();
    if (data_.panels.empty() || data_.columns.empty() || !scale_.known) {
        const bool none = unknown_ + below_ == 0;
        return emptyPicture(data_.heading, none ? "no cell is in this map" : below_ > 0 ? "no cell of this map shows any damage" : "no cell of this map is measured", colors_);
    }
    measure();
    const auto lines = (data_.panels.size() + perLine_ - 1) / perLine_;
    const auto wide = static_cast<double>(perLine_);
    const double lineHeight = kHead + labelHeight_ + mapHeight_, left = kMargin + rowLabel_ + (data_.extraRows.empty() ? 14 : 0);
    picture_.width = std::ceil(std::max(560.0, left + wide * panelWidth_ + (wide - 1) * kPanelGap + 34 + kBar + 72 + kMargin));
    const bool notes = unknown_ + below_ + doubtful_ > 0;
    const double top = drawHeading(picture_, data_.heading, colors_) + 4;
    picture_.height = std::ceil(top + static_cast<double>(lines) * (lineHeight + 22) - 22 + (notes ? 34 : 6) + kMargin);
    for (std::size_t i = 0; i < data_.panels.size(); ++i) {
        const double y = top + static_cast<double>(i / perLine_) * (lineHeight + 22);
        drawPanel(data_.panels[i], {left + static_cast<double>(i % perLine_) * (panelWidth_ + kPanelGap), y}, i % perLine_ == 0);
        if (i % perLine_ == 0 && !data_.rows.empty())
            picture_.add(Text{data_.rowTitle, {kMargin + 10, y + kHead + labelHeight_ + static_cast<double>(data_.rows.size()) * cellHeight_ / 2}, 12, colors_.text, false, Anchor::middle, -90});
    }
    const double barTop = top + kHead + labelHeight_;
    drawBar(left + wide * panelWidth_ + (wide - 1) * kPanelGap + 34, barTop, barTop + std::clamp(mapHeight_, 120.0, 420.0));
    picture_.height = std::max(picture_.height, barTop + 120 + kMargin + (notes ? 34 : 6));
    if (notes) drawNotes(picture_.height - kMargin);
    return std::move(picture_);
}

} // namespace

Picture drawHeatmap(const HeatmapData& data, const Tokens& colors) { return Heatmap(data, colors).draw(); }

} // namespace bw::plot
