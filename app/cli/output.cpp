// SPDX-License-Identifier: GPL-3.0-or-later
// Printing.
#include "app/cli/output.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <fmt/format.h>

namespace bw::cli {

void printJson(const Json& json) { printLine(json.dump(-1, ' ', false, Json::error_handler_t::replace)); }

void printLine(const std::string& text) {
    std::fwrite(text.data(), 1, text.size(), stdout);
    std::fputc('\n', stdout);
}

void printSchemes(const Json& r) {
    if (r.contains("runtime")) {
        const Json& ideal = r.at("ideal");
        printLine(fmt::format("{:<14}{}; in exact arithmetic perplexity {}{}", "runtime", r.at("runtime").get<std::string>(), withError(ideal.at("perplexity"), ideal.at("perplexity_se"), 6),
                              ideal.at("kl_mean").is_null() ? std::string() : ", KL " + withError(ideal.at("kl_mean"), ideal.at("kl_se"), 5)));
    }
    if (r.contains("activations"))
        printLine(fmt::format("{:<14}{}", "activations", r.at("activations").get<std::string>()));
    if (!r.contains("kv_cache"))
        return;
    const double bytes = r.at("cache_bytes_per_token").get<double>(), half = r.at("cache_bytes_per_token_f16").get<double>();
    printLine(fmt::format("{:<14}{}: {} bytes per token, {:.1f} % of f16's {}", "cache", r.at("kv_cache").get<std::string>(), groupDigits(bytes), 100 * bytes / half, groupDigits(half)));
    Table table({{"context", false}, {"tokens scored"}, {"perplexity"}, {"KL"}, {"bytes per token"}});
    for (const Json& row : r.at("by_position"))
        table.add({fmt::format("{} – {}", row.at("from").get<std::int64_t>(), row.at("to").get<std::int64_t>() - 1), groupDigits(row.at("tokens").get<double>()),
                   number(row.at("perplexity"), 5), row.at("kl").is_null() ? "–" : withError(row.at("kl"), row.at("kl_se"), 4), groupDigits(row.at("cache_bytes_per_token").get<double>())});
    printLine(table.text());
}

Json errorJson(const Error& error) {
    Json context = Json::object();
    for (const auto& [key, value] : error.context())
        context[key] = value;
    return {{"error", {{"code", errorCodeName(error.code())}, {"message", error.message()}, {"hint", error.hint()}, {"context", context}}}};
}

std::string groupDigits(double value) {
    std::string text = std::abs(value) < 100 ? fmt::format("{:.1f}", value) : fmt::format("{:.0f}", value);
    const std::size_t first = text.front() == '-' ? 1 : 0;
    std::size_t end = std::min(text.find('.'), text.size());
    while (end > first + 3) {
        end -= 3;
        text.insert(end, ",");
    }
    return text;
}

int displayColumns(const std::string& text) {
    return static_cast<int>(std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

std::string clipToColumns(const std::string& text, int columns) {
    if (displayColumns(text) <= columns || columns < 1)
        return text;
    std::string out;
    int taken = 0;
    for (const char c : text) {
        const bool starts = (static_cast<unsigned char>(c) & 0xC0) != 0x80;
        if (starts && ++taken == columns)
            break;
        out += c;
    }
    return out + "…";
}

std::string padded(const std::string& text, int columns, bool right) {
    const int missing = std::max(0, columns - displayColumns(text));
    const std::string spaces(static_cast<std::size_t>(missing), ' ');
    return right ? spaces + text : text + spaces;
}

std::string number(const Json& value, int digits) {
    if (!value.is_number())
        return "–";
    const double v = value.get<double>();
    if (v == 0)
        return "0";
    if (v == std::floor(v) && std::abs(v) < 1e15)
        return fmt::format("{:.0f}", v); // counts and bytes
    // Fixed notation as long as it stays short; 1.2e-06 below.
    const int magnitude = static_cast<int>(std::floor(std::log10(std::abs(v))));
    if (magnitude < -5 || magnitude > 9)
        return fmt::format("{:.{}e}", v, std::max(0, digits - 1));
    return fmt::format("{:.{}f}", v, std::max(0, digits - 1 - magnitude));
}

std::string withError(const Json& value, const Json& error, int digits) {
    if (!value.is_number())
        return "–";
    if (!error.is_number() || error.get<double>() <= 0)
        return number(value, digits);
    // As many decimals as the error's second digit has.
    const int decimals = std::clamp(1 - static_cast<int>(std::floor(std::log10(error.get<double>()))), 0, 9);
    return fmt::format("{:.{}f} ± {:.{}f}", value.get<double>(), decimals, error.get<double>(), decimals);
}

std::string Table::text() const {
    std::vector<int> widths;
    for (std::size_t c = 0; c < columns_.size(); ++c) {
        int width = displayColumns(columns_[c].title);
        for (const auto& row : rows_)
            width = std::max(width, displayColumns(row[c]));
        widths.push_back(width);
    }
    int total = 2 * (static_cast<int>(widths.size()) - 1);
    for (const int width : widths)
        total += width;
    while (total > kReportColumns) { // the widest gives way
        const auto widest = std::max_element(widths.begin(), widths.end());
        if (*widest <= 8)
            break;
        --*widest;
        --total;
    }
    const auto line = [&](const auto& cellAt) {
        std::string out;
        for (std::size_t c = 0; c < columns_.size(); ++c) {
            if (c > 0)
                out += "  ";
            out += padded(clipToColumns(cellAt(c), widths[c]), widths[c], columns_[c].right);
        }
        out.erase(out.find_last_not_of(' ') + 1);
        return out + "\n";
    };
    std::string out = line([&](std::size_t c) { return columns_[c].title; });
    std::string rule;
    for (int i = 0; i < total; ++i)
        rule += "─";
    out += rule + "\n";
    for (const auto& row : rows_)
        out += line([&](std::size_t c) { return row[c]; });
    return out;
}

std::size_t commonBytes(const std::string& a, const std::string& b) {
    std::size_t same = 0;
    while (same < a.size() && same < b.size() && a[same] == b[same])
        ++same;
    const auto inside = [&](const std::string& text) { return same < text.size() && (static_cast<unsigned char>(text[same]) & 0xC0) == 0x80; };
    while (same > 0 && (inside(a) || inside(b)))
        --same;
    return same;
}

} // namespace bw::cli
