// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/report/html.h"

#include "core/base/text.h"
#include "core/plot/axis.h"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>

namespace bw::report {
namespace {

/// No script, no font, no file from elsewhere. Colours are the window's; paper gets the light ones.
constexpr const char* kStyle = R"css(
:root{--ground:#f5f6f8;--panel:#fff;--raised:#eef0f4;--line:#d8dce3;--text:#1a1e26;--muted:#5c6675;--accent:#186bcb;--amber:#8f6400;--red:#c8282e;--green:#1b7a57}
@media (prefers-color-scheme:dark){:root{--ground:#14171c;--panel:#1b1f26;--raised:#242a34;--line:#2f3642;--text:#e6e9ef;--muted:#98a2b1;--accent:#4c9ffe;--amber:#e5a50a;--red:#ef676b;--green:#3fb68b}
.light{display:none}}
@media (prefers-color-scheme:light),print{.dark{display:none}}
@media print{:root{--ground:#fff;--panel:#fff;--raised:#f3f4f6;--line:#ccd1d9;--text:#000;--muted:#444;--accent:#1a5fb4;--amber:#7a5600;--red:#b01f25;--green:#15664a}
.light{display:block}section,figure,tr{break-inside:avoid}details>*{display:block}}
*{box-sizing:border-box}
body{margin:0;background:var(--ground);color:var(--text);font:15px/1.5 "Inter","Noto Sans","DejaVu Sans",system-ui,sans-serif;font-variant-numeric:tabular-nums}
main{max-width:1040px;margin:0 auto;padding:32px 24px 64px}
h1{font-size:26px;line-height:1.25;margin:0 0 4px;overflow-wrap:anywhere}
h2{font-size:18px;margin:0 0 12px}
p{margin:0 0 10px}
.muted{color:var(--muted)}
section{background:var(--panel);border:1px solid var(--line);border-radius:10px;padding:20px 22px;margin-top:18px}
.cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(170px,1fr));gap:12px;margin-top:20px}
.card{background:var(--panel);border:1px solid var(--line);border-radius:10px;padding:12px 16px}
.card b{display:block;font-size:24px;font-weight:600;line-height:1.3}
.card span{color:var(--muted);font-size:13px}
table{border-collapse:collapse;width:100%;font-size:14px}
.scroll{overflow-x:auto}
th{color:var(--muted);font-weight:600;text-align:left;border-bottom:1px solid var(--line);padding:6px 10px 6px 0}
td{border-bottom:1px solid var(--line);padding:6px 10px 6px 0;vertical-align:top;overflow-wrap:anywhere}
tr:last-child td{border-bottom:0}
td,th{padding-right:18px}.num{text-align:right;white-space:nowrap}
figure{margin:14px 0 4px;overflow-x:auto}
figure svg{max-width:100%;height:auto;border:1px solid var(--line);border-radius:8px}
figcaption{color:var(--muted);font-size:13px;margin-top:4px}
details{margin-top:10px}
summary{cursor:pointer;color:var(--accent)}
pre{background:var(--raised);border-radius:8px;padding:12px 14px;overflow-x:auto;font:12.5px/1.5 "JetBrains Mono","DejaVu Sans Mono",monospace;white-space:pre-wrap;overflow-wrap:anywhere}
.badge{display:inline-block;border-radius:99px;padding:1px 10px;font-size:13px;border:1px solid currentColor}
.good{color:var(--green)}.bad{color:var(--red)}.warn{color:var(--amber)}
ol.findings{padding-left:22px;margin:0}ol.findings li{margin-bottom:12px}
nav{margin-top:16px;font-size:14px}nav a{color:var(--accent);margin-right:14px;text-decoration:none}
footer{color:var(--muted);font-size:13px;margin-top:28px}
)css";

/// An SVG inside HTML needs no document head.
std::string inlineSvg(const plot::PlotData& data, bool dark) {
    const std::string svg = plot::toSvg(plot::draw(data, dark));
    const std::size_t start = svg.find("<svg");
    return start == std::string::npos ? svg : svg.substr(start);
}

} // namespace

std::string escaped(std::string_view text) {
    std::string out;
    out.reserve(text.size() + text.size() / 8);
    while (!text.empty()) {
        const std::size_t length = utf8SequenceLength(text);
        const std::string_view letter = text.substr(0, std::max<std::size_t>(1, length));
        const auto byte = static_cast<unsigned char>(letter.front());
        if (length == 0 || (byte < 0x20 && byte != '\n' && byte != '\t') || byte == 0x7f)
            out += fmt::format("\\x{:02X}", byte);
        else if (letter == "&") out += "&amp;";
        else if (letter == "<") out += "&lt;";
        else if (letter == ">") out += "&gt;";
        else if (letter == "\"") out += "&quot;";
        else if (letter == "'") out += "&#39;";
        else out += letter;
        text.remove_prefix(letter.size());
    }
    return out;
}

std::string html(const HtmlTable& table) {
    const auto cells = [&](const std::vector<std::string>& row, const char* tag) {
        std::string out = "<tr>";
        for (std::size_t c = 0; c < row.size(); ++c) {
            const bool right = std::find(table.numeric.begin(), table.numeric.end(), c) != table.numeric.end();
            out += fmt::format("<{0}{1}>{2}</{0}>", tag, right ? " class=\"num\"" : "", row[c]);
        }
        return out + "</tr>\n";
    };
    std::string out = "<div class=\"scroll\"><table>\n";
    if (!table.head.empty()) out += "<thead>" + cells(table.head, "th") + "</thead>\n";
    out += "<tbody>";
    for (const auto& row : table.rows) out += cells(row, "td");
    return out + "</tbody></table></div>\n";
}

std::string figure(const plot::PlotData& data, const std::string& caption) {
    return "<figure><div class=\"light\">" + inlineSvg(data, false) + "</div><div class=\"dark\">" + inlineSvg(data, true) + "</div>" +
           (caption.empty() ? std::string() : "<figcaption>" + escaped(caption) + "</figcaption>") + "</figure>\n";
}

std::string section(const std::string& id, const std::string& title, const std::string& body) {
    return fmt::format("<section id=\"{}\"><h2>{}</h2>\n{}</section>\n", escaped(id), escaped(title), body);
}

std::string details(const std::string& summary, const std::string& body) {
    return fmt::format("<details><summary>{}</summary>\n{}</details>\n", escaped(summary), body);
}

std::string number(double value, int digits) {
    if (!std::isfinite(value)) return "–";
    if (std::abs(value) < 10000) return plot::figure(value, digits);
    std::string out = fmt::format("{:.0f}", value);
    for (auto i = static_cast<std::ptrdiff_t>(out.size()) - 3; i > (value < 0 ? 1 : 0); i -= 3) out.insert(static_cast<std::size_t>(i), ",");
    return out;
}

std::string page(const std::string& title, const std::string& subtitle, const std::string& body) {
    return "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">"
           "<meta name=\"color-scheme\" content=\"light dark\"><meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n<title>" +
           escaped(title) + "</title>\n<style>" + kStyle + "</style></head>\n<body><main>\n<h1>" + escaped(title) + "</h1>\n<p class=\"muted\">" + escaped(subtitle) + "</p>\n" + body +
           "</main></body></html>\n";
}

} // namespace bw::report
