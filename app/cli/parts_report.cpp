// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/cli/parts_report.h"

#include "app/cli/output.h"
#include "core/base/text.h"

#include <fmt/format.h>

namespace bw::cli {
namespace {

void printPart(const Json& rows, const char* title) {
    const bool based = rows.front().contains("kl_mean");
    Table table(based ? std::vector<Table::Column>{{title, false}, {"tokens"}, {"perplexity"}, {"KL"}, {"same top 1"}} : std::vector<Table::Column>{{title, false}, {"tokens"}, {"perplexity"}});
    for (const Json& row : rows) {
        std::vector<std::string> cells{escapeForDisplay(row.at("name").get<std::string>(), 40), groupDigits(row.at("tokens").get<double>()), number(row.at("perplexity"), 5)};
        if (based) {
            cells.push_back(withError(row.at("kl_mean"), row.at("kl_se"), 4));
            cells.push_back(fmt::format("{:.2f} %", 100 * row.at("same_top1").get<double>()));
        }
        table.add(std::move(cells));
    }
    printLine(table.text());
}

void printPairedPart(const Json& rows, const char* title) {
    Table table({{title, false}, {"figure", false}, {"tokens"}, {"a"}, {"b"}, {"b − a"}, {"95 % interval"}, {"", false}});
    for (const Json& row : rows)
        for (const Json& figure : row.at("figures")) {
            if (figure.at("name") != "kl_mean" && (figure.at("name") != "nll" || row.at("figures").size() > 2)) // without a baseline: the likelihood
                continue;
            table.add({escapeForDisplay(row.at("name").get<std::string>(), 30), figure.at("name"), groupDigits(row.at("tokens").get<double>()), number(figure.at("a"), 4), number(figure.at("b"), 4),
                       number(figure.at("difference"), 3), figure.at("ci_low").is_number() ? fmt::format("{} … {}", number(figure.at("ci_low"), 3), number(figure.at("ci_high"), 3)) : "",
                       !figure.at("ci_low").is_number() ? "" : figure.at("distinguishable").get<bool>() ? (figure.at("difference").get<double>() < 0 ? "b is better" : "b is worse") : "not distinguishable"});
        }
    if (!table.empty())
        printLine(table.text());
}

} // namespace

void printParts(const Json& evaluation) {
    if (const Json texts = evaluation.value("by_text", Json::array()); texts.size() > 1)
        printPart(texts, "text");
    if (const Json positions = evaluation.value("positions", Json::array()); positions.size() > 1)
        printPart(positions, "position");
}

void printPairedParts(const Json& comparison) {
    if (comparison.at("by_text").size() > 1)
        printPairedPart(comparison.at("by_text"), "text");
    if (comparison.at("positions").size() > 1)
        printPairedPart(comparison.at("positions"), "position");
}

} // namespace bw::cli
