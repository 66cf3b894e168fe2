// SPDX-License-Identifier: GPL-3.0-or-later
// Pieces of a self-contained HTML page: escaped text, tables, plots in a light and a dark drawing. Private to core/report.
#pragma once

#include "core/plot/plot.h"

#include <string>
#include <string_view>
#include <vector>

namespace bw::report {

/// Text for element content and attribute values; what is no UTF-8 is shown as escapes.
std::string escaped(std::string_view text);

/// Cells are HTML already (escaped by the caller). `numeric`: column numbers that are right-aligned.
struct HtmlTable {
    std::vector<std::string> head;
    std::vector<std::vector<std::string>> rows;
    std::vector<std::size_t> numeric = {};
};
std::string html(const HtmlTable& table);

/// Both drawings of a plot; the page's style shows the one that fits.
std::string figure(const plot::PlotData& data, const std::string& caption);
/// A section with a heading that can be linked to.
std::string section(const std::string& id, const std::string& title, const std::string& body);
/// Closed until it is opened; open in print.
std::string details(const std::string& summary, const std::string& body);
/// "12,345.6", "0.00123": `digits` significant figures; "–" for what is no number.
std::string number(double value, int digits = 4);

/// The whole document.
std::string page(const std::string& title, const std::string& subtitle, const std::string& body);

} // namespace bw::report
