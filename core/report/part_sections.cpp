// SPDX-License-Identifier: GPL-3.0-or-later
// Where a model loses: figures by text and by position in the window, and what seeds alone change.
#include "core/report/report_parts.h"
#include "core/report/words.h"

#include <cmath>
#include <fmt/format.h>

namespace bw::report {
namespace {

double valueOf(const Json& json, const char* key) { return json.contains(key) && json.at(key).is_number() ? json.at(key).get<double>() : std::nan(""); }

std::string pairedTable(const Json& rows, const std::string& what) {
    HtmlTable table{{what, "tokens", "figure", "A", "B", "B − A", "95 % interval", "verdict"}, {}, {1, 3, 4, 5, 6}};
    for (const Json& row : rows)
        for (const Json& figure : row.at("figures")) {
            const Word* word = wordOf(figure.at("name").get<std::string>());
            if (figure.at("name") != "kl_mean" && figure.at("name") != "nll")
                continue;
            const bool known = figure.at("ci_low").is_number(), apart = figure.at("distinguishable").get<bool>(), better = valueOf(figure, "difference") < 0;
            table.rows.push_back({escaped(row.at("name").get<std::string>()), number(valueOf(row, "tokens"), 12), word ? escaped(word->name) : escaped(figure.at("name").get<std::string>()),
                                  number(valueOf(figure, "a"), 4), number(valueOf(figure, "b"), 4), number(valueOf(figure, "difference"), 3),
                                  known ? fmt::format("{} … {}", number(valueOf(figure, "ci_low"), 3), number(valueOf(figure, "ci_high"), 3)) : std::string("–"),
                                  !known ? std::string() : !apart ? std::string("<span class=\"muted\">not distinguishable</span>") : better ? std::string("<span class=\"good\">B is better</span>") : std::string("<span class=\"bad\">B is worse</span>")});
        }
    return table.rows.empty() ? std::string() : html(table);
}

std::string partTable(const Json& rows, const std::string& what) {
    const bool based = rows.front().contains("kl_mean");
    HtmlTable table{{what, "tokens", "perplexity"}, {}, {1, 2, 3, 4}};
    if (based) table.head.insert(table.head.end(), {"KL ± standard error", "same likeliest token"});
    for (const Json& row : rows) {
        std::vector<std::string> cells{escaped(row.at("name").get<std::string>()), number(valueOf(row, "tokens"), 12), number(valueOf(row, "perplexity"), 5)};
        if (based) {
            cells.push_back(number(valueOf(row, "kl_mean"), 4) + " ± " + number(valueOf(row, "kl_se"), 2));
            cells.push_back(number(100 * valueOf(row, "same_top1"), 4) + " %");
        }
        table.rows.push_back(std::move(cells));
    }
    return html(table);
}

} // namespace

std::string partsSection(const Json& evaluation) {
    if (!evaluation.is_object()) return {};
    std::string body;
    const Json texts = evaluation.value("by_text", Json::array()), positions = evaluation.value("positions", Json::array());
    if (texts.size() > 1) body += partTable(texts, "text");
    if (positions.size() > 1) body += partTable(positions, "position in the window");
    return body.empty() ? body : section("parts", "By text and position", body);
}

std::string pairedPartsSection(const Json& compared) {
    std::string body;
    if (compared.at("by_text").size() > 1) body += pairedTable(compared.at("by_text"), "text");
    if (compared.at("positions").size() > 1) body += pairedTable(compared.at("positions"), "position in the window");
    return body.empty() ? body : section("parts", "By text and position", body);
}

std::string noiseSection(const Json& noise) {
    if (!noise.is_object()) return {};
    HtmlTable table{{"figure", "mean", "deviation of one run", "noise of a difference"}, {}, {1, 2, 3}};
    for (const Json& figure : noise.at("figures"))
        if (const Word* word = wordOf(figure.at("name").get<std::string>()); word && valueOf(figure, "deviation") > 0)
            table.rows.push_back({escaped(word->name), number(valueOf(figure, "mean"), 5), number(valueOf(figure, "deviation"), 3), "± " + number(valueOf(figure, "half_width"), 3)});
    std::string runs;
    for (const Json& run : noise.at("runs")) runs += (runs.empty() ? "" : ", ") + run.dump();
    const std::string begin = "<p>Runs " + escaped(runs) + " differ in nothing but their seed.";
    return section("noise", "What chance does", table.rows.empty() ? begin + " Their figures are the same.</p>" : begin + " Differences between recipes within the last column are noise.</p>" + html(table));
}

} // namespace bw::report
