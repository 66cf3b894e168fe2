// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/cli/calibration_report.h"

#include "app/cli/output.h"
#include "core/base/text.h"

#include <fmt/format.h>

namespace bw::cli {
namespace {

constexpr std::size_t kMostDetails = 5;

/// Calls use(site) for the first site of every input: sites that share an input share its statistics.
template <class Use>
void eachInput(const Json& result, Use use) {
    std::string last;
    for (const Json& site : result.at("sites")) {
        const std::string input = site.at("input");
        if (input != last)
            use(site);
        last = input;
    }
}

std::string field(const Json& object, const char* name, int digits) { return object.contains(name) ? number(object.at(name), digits) : std::string("–"); }

void printInputs(const Json& result) {
    Table table({{"input", false}, {"absmax"}, {"outliers"}, {"channels"}, {"kurtosis"}, {"percentile"}, {"kl"}, {"mse"}});
    eachInput(result, [&](const Json& site) {
        const auto high = [&](const char* name) { return site.at("ranges").contains(name) ? number(site.at("ranges").at(name).at(1), 4) : std::string("–"); };
        table.add({site.at("input"), number(site.at("absmax"), 4), fmt::format("{:.3f} %", 100 * site.at("outlier_share").get<double>()),
                   std::to_string(site.at("outlier_channels").get<int>()), number(site.at("kurtosis"), 3), high("percentile"), high("kl"), high("mse")});
    });
    printLine("What enters each input, and where calibrators would clip it");
    printLine(table.text());
}

void printErrors(const Json& result) {
    Table table({{"input", false}, {"min-max"}, {"average"}, {"percentile"}, {"kl"}, {"mse"}, {"ch min-max"}, {"ch mse"}, {"per token"}});
    eachInput(result, [&](const Json& site) {
        const Json &tensor = site.at("heldout_error"), &channel = site.at("heldout_channel_error");
        table.add({site.at("input"), field(tensor, "minmax", 3), field(tensor, "average", 3), field(tensor, "percentile", 3), field(tensor, "kl", 3),
                   field(tensor, "mse", 3), field(channel, "minmax", 3), field(channel, "mse", 3), field(site, "heldout_token_error", 3)});
    });
    printLine("Relative squared error of 8 bits on held-out windows: one range for the tensor, one a channel, one a token");
    printLine(table.text());
    std::string means;
    for (const auto& [name, share] : result.at("calibrators").items())
        if (name != "tensor:minmax")
            means += fmt::format("{}{} {}", means.empty() ? "" : ", ", name, number(share, 3));
    printLine("geometric mean, min-max per tensor = 1: " + means);
    printLine();
}

void printExperts(const Json& experts) {
    Table table({{"block"}, {"expert"}, {"tokens"}});
    const auto floor = experts.at("floor").get<std::int64_t>();
    for (const Json& expert : experts.at("tokens"))
        if (expert.at("tokens").get<std::int64_t>() < floor)
            table.add({std::to_string(expert.at("block").get<int>()), std::to_string(expert.at("expert").get<int>()), groupDigits(expert.at("tokens").get<double>())});
    printLine(fmt::format("experts with fewer than {} tokens: {} of {}", floor, experts.at("below_floor").get<std::int64_t>(), experts.at("tokens").size()));
    if (!table.empty())
        printLine(table.text());
}

} // namespace

void printCalibration(const Json& result) {
    printLine(fmt::format("{} windows, {} tokens", result.at("windows").get<std::int64_t>(), result.at("tokens").get<std::int64_t>()));
    printInputs(result);
    printErrors(result);
    if (result.contains("experts"))
        printExperts(result.at("experts"));
    for (const Json& warning : result.at("data_warnings")) {
        printLine(fmt::format("warning: {}: {}", warning.at("seen").get<std::string>(), warning.at("why").get<std::string>()));
        printLine("  " + warning.at("remedy").get<std::string>());
        const Json& details = warning.at("details");
        for (std::size_t i = 0; i < details.size() && i < kMostDetails; ++i)
            printLine("  · " + escapeForDisplay(details[i].get<std::string>(), 200));
        if (details.size() > kMostDetails)
            printLine(fmt::format("  · and {} more", details.size() - kMostDetails));
    }
}

void printWhatIf(const Json& table) {
    for (std::size_t q = 0; q < table.at("questions").size(); ++q) {
        printLine(fmt::format("What if {}: predicted from the statistics of run {}, as it is → after", table.at("questions")[q].get<std::string>(), table.at("run").get<std::int64_t>()));
        Table rows({{"input", false}, {"max |x|"}, {"outlier ch."}, {"int8 tensor"}, {"int8 token"}, {"int4 token"}, {"int8 weights"}});
        for (const Json& input : table.at("inputs")) {
            const Json &before = input.at("before"), &after = input.at("after")[q];
            const auto pair = [&](const char* bits, const char* what) { return number(before.at(bits).at(what), 2) + "→" + number(after.at(bits).at(what), 2); };
            rows.add({input.at("input"), number(before.at("absmax"), 3) + "→" + number(after.at("absmax"), 3),
                      fmt::format("{}→{}", before.at("outlier_channels").get<int>(), after.at("outlier_channels").get<int>()), pair("int8", "tensor"), pair("int8", "token"),
                      pair("int4", "token"), pair("int8", "weight")});
        }
        printLine(rows.text());
        std::string means;
        for (const auto& [name, ratio] : table.at("means")[q].items())
            means += fmt::format("{}{} ×{}", means.empty() ? "" : ", ", name, number(ratio, 3));
        printLine("geometric mean of after / before: " + means);
        printLine();
    }
    printLine("errors: relative squared error at the outputs of the sites that read the input");
}

} // namespace bw::cli
