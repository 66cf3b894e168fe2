// SPDX-License-Identifier: GPL-3.0-or-later
// The report of mix and demo.
#include "app/cli/mix_report.h"

#include "app/cli/output.h"
#include "core/base/text.h"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <map>
#include <utility>

namespace bw::cli {
namespace {

std::string heading(const std::string& text) {
    std::string out = text + " ";
    while (displayColumns(out) < kReportColumns)
        out += "─";
    return out + "\n";
}

std::string stagesTable(const Json& stages) {
    Table table({{"stage", false}, {"run"}, {"seconds"}});
    double total = 0;
    int taken = 0;
    for (const Json& stage : stages) {
        total += stage.at("seconds").get<double>();
        const char* how = stage.at("taken").get<bool>() ? " (taken from the log)" : stage.at("resumed").get<bool>() ? " (gone on)" : "";
        taken += stage.at("taken").get<bool>();
        table.add({stage.at("what").get<std::string>() + how, std::to_string(stage.at("run").get<std::int64_t>()), fmt::format("{:.2f}", stage.at("seconds").get<double>())});
    }
    table.add({"in all", "", fmt::format("{:.2f}", total)});
    std::string out = table.text();
    if (taken > 0)
        out += fmt::format("{} of {} stages were done before and are taken from their runs; --fresh measures all of them again\n", taken, stages.size());
    return out;
}

std::string qualityTable(const Json& rows) {
    Table table({{"model", false}, {"bytes"}, {"bits"}, {"ppl"}, {"KL predicted"}, {"KL measured"}, {"top 1"}});
    for (const Json& row : rows)
        table.add({row.at("name"), groupDigits(row.at("bytes").get<double>()), fmt::format("{:.3f}", row.at("bits_per_weight").get<double>()), number(row.at("perplexity"), 5),
                   row.at("predicted").is_number() ? withError(row.at("predicted"), row.at("predicted_se"), 3) : "–", withError(row.at("kl"), row.at("kl_se"), 3),
                   fmt::format("{:.2f} %", 100 * row.at("same_top1").get<double>())});
    return table.text();
}

/// The mix against the best uniform format of its size (or the next size up): what a person wants to know first.
std::string verdict(const Json& result) {
    if (!result.at("chosen").get<std::string>().starts_with("mix "))
        return ""; // told below
    const double kl = result.at("measured_kl").get<double>(), bytes = result.at("bytes").get<double>();
    const Json* rival = nullptr;
    const auto rank = [](const Json& uniform) { return std::pair(uniform.at("bytes").get<double>(), uniform.at("kl").get<double>()); };
    for (const Json& uniform : result.at("uniform"))
        if (uniform.at("bytes").get<double>() >= bytes && (!rival || rank(uniform) < rank(*rival)))
            rival = &uniform;
    if (!rival)
        return "no uniform format of the list is as large as the mix\n";
    const double theirs = rival->at("kl").get<double>();
    const double saved = rival->at("bytes").get<double>() - bytes;
    const std::string size = saved > 0 ? fmt::format("and {} smaller", formatBytes(static_cast<std::uint64_t>(saved))) : "at the same size";
    const double mine = number(kl, 6) == number(theirs, 6) ? theirs : kl;
    const std::string verdict = mine == theirs ? "the same KL" : fmt::format("KL {} times {}", number(mine < theirs ? theirs / mine : mine / theirs, 3), mine < theirs ? "lower" : "HIGHER");
    return fmt::format("against {} ({}), the best uniform: {}, {}\n", rival->at("format").get<std::string>(), rival->at("rounder").get<std::string>(), verdict, size);
}

/// Every mix tried, predicted beside measured.
std::string rounds(const Json& result) {
    std::string out;
    for (const Json& round : result.at("rounds")) {
        const double measured = round.at("measured").get<double>();
        out += round.at("predicted").is_number()
                   ? fmt::format("predicted KL {}, measured {}  (ratio {}){}\n", withError(round.at("predicted"), round.at("predicted_se"), 4), withError(measured, round.at("measured_se"), 4),
                                 number(measured > 0 ? round.at("predicted").get<double>() / measured : 0.0, 3), round.value("refit", false) ? ", corrected by what was measured" : "")
                   : fmt::format("measured KL {}\n", withError(measured, round.at("measured_se"), 4));
    }
    const std::string chosen = result.at("chosen");
    if (!chosen.starts_with("mix "))
        out += fmt::format("handed out: {}, which measured better on the evaluation text than the solved mix\n", chosen);
    return out;
}

std::string solution(const Json& result) {
    const std::string proof = result.at("optimal").get<bool>() ? "proven best" : "within " + number(result.at("gap"), 2) + " of the best";
    return fmt::format("mix: {} ({} at its predicted cost)\nsizes reach from {} to {} bytes\n", mixSummary(result.at("formats")), proof,
                       groupDigits(result.at("floor").get<double>()), groupDigits(result.at("ceiling").get<double>()));
}

std::string written(const Json& result) {
    if (!result.contains("audit"))
        return "nothing was written (no --out)\n";
    const Json& audit = result.at("audit");
    return fmt::format("written  {}\naudit    re-opened, {} tensors as planned, {} rows decoded, nll {} ({} simulated)\n", result.at("path").get<std::string>(),
                       audit.at("tensors_checked").get<std::int64_t>(), audit.at("rows_decoded").get<std::int64_t>(), number(audit.at("reopened_nll"), 7),
                       number(audit.at("simulated_nll"), 7));
}

/// Lines of at most the report's width, broken between words; all but the first begin with `indent`.
std::string wrapped(const std::string& text, const std::string& indent) {
    std::string out, line;
    for (std::size_t at = 0; at < text.size();) {
        const std::size_t end = std::min(text.find(' ', at), text.size());
        const std::string word = text.substr(at, end - at);
        if (!line.empty() && displayColumns(line + " " + word) > kReportColumns) {
            out += line + "\n";
            line = indent + word;
        } else {
            line += (line.empty() || at == 0 ? "" : " ") + word;
        }
        at = end + 1;
    }
    return out + line + "\n";
}

constexpr std::size_t kReportedSteps = 6; ///< of the explanation; --json has more

} // namespace

std::string explanationsText(const Json& result, std::size_t most) {
    std::string out = wrapped(result.at("budget_text").get<std::string>(), "");
    std::size_t shown = 0;
    for (const Json& step : result.at("explanations"))
        if (shown++ < most)
            out += wrapped("– " + step.at("text").get<std::string>(), "  ");
    return out;
}

std::string mixSummary(const Json& formats) {
    std::map<std::string, int> uses;
    for (const auto& entry : formats.items())
        ++uses[entry.value().get<std::string>()];
    std::string out;
    for (const auto& [format, count] : uses)
        out += fmt::format("{}{} ×{}", out.empty() ? "" : ", ", format, count);
    return out;
}

std::string mixReport(const Json& result, const std::string& checkpoint, const std::string& logPath) {
    std::string out = heading("Mixed bits: " + checkpoint);
    out += stagesTable(result.at("stages")) + "\n";
    out += solution(result) + explanationsText(result, kReportedSteps) + "\n";
    out += qualityTable(result.at("table")) + "\n";
    out += verdict(result) + rounds(result) + "\n";
    if (result.contains("runtime")) {
        const Json& e = result.at("runtime");
        out += fmt::format("as {} computes it: perplexity {}, KL {}\n", e.at("runtime").get<std::string>(), withError(e.at("perplexity"), e.at("perplexity_se"), 5), withError(e.at("kl_mean"), e.at("kl_se"), 3));
    }
    out += written(result);
    out += "memory   " + formatBytes(result.at("peak_memory").get<std::uint64_t>()) + " at most\n";
    out += "log      " + logPath + "\n";
    return out;
}

} // namespace bw::cli
