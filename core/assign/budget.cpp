// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/assign/budget.h"

#include "core/base/checked.h"
#include "core/base/error.h"
#include "core/base/text.h"

#include <algorithm>
#include <charconv>
#include <cmath>

namespace bw {
namespace {

constexpr const char* kBudgetHint = "write 4.5bpw, 1.2GiB, 123456B or kl=0.05";

[[noreturn]] void refuse(std::string_view text, const std::string& why) {
    throw Error(ErrorCode::usage, "budget '" + escapeForDisplay(text) + "' " + why, kBudgetHint);
}

double positiveNumber(std::string_view number, std::string_view whole) {
    double value = 0;
    const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), value);
    if (error != std::errc{} || end != number.data() + number.size())
        refuse(whole, "is not understood");
    if (!std::isfinite(value) || value <= 0)
        refuse(whole, "must be a positive number");
    return value;
}

/// What a tie calls the group that a site belongs to; the site itself when it is alone.
std::string tiedName(const std::string& site, const std::string& tie) {
    if (tie == "none")
        return site;
    const auto dot = site.rfind('.');
    const std::string prefix = dot == std::string::npos ? "" : site.substr(0, dot + 1);
    const std::string kind = site.substr(prefix.size());
    if (kind == "attn_q" || kind == "attn_k" || kind == "attn_v")
        return prefix + "attn_qkv";
    if (kind == "ffn_gate" || kind == "ffn_up")
        return prefix + "ffn_gate_up";
    return site;
}

bool hasWildcard(const std::string& pattern) { return pattern.find_first_of("*?") != std::string::npos; }

struct Pin { std::string pattern, format; };

/// The pin of a site: a full name wins over patterns; two patterns that disagree are refused.
const Pin* pinOf(const std::string& site, const std::vector<Pin>& pins) {
    for (const Pin& pin : pins)
        if (!hasWildcard(pin.pattern) && pin.pattern == site)
            return &pin;
    const Pin* found = nullptr;
    for (const Pin& pin : pins) {
        if (!globMatches(pin.pattern, site))
            continue;
        if (found && found->format != pin.format)
            throw Error(ErrorCode::usage, "pins '" + found->pattern + "' and '" + pin.pattern + "' ask for " + found->format +
                        " and " + pin.format + " at '" + site + "'", "pin that site by its full name");
        found = &pin;
    }
    return found;
}

using SiteCells = std::vector<const CostCell*>;

AssignOption optionOf(const CostCell& cell) {
    if (!std::isfinite(cell.value))
        throw Error(ErrorCode::nonFinite, "the measured damage of '" + cell.format + "' at '" + cell.site + "' is not a finite number",
                    "forbid this format or measure the site again");
    // Neither measure can be negative; a small negative value is rounding or noise, and taking it as a gain would let
    // the solver pay bytes for luck.
    return {cell.format, cell.bytes, std::max(0.0, cell.value)};
}

/// Options of one site after forbidding and pinning, in the order of the cells.
std::vector<AssignOption> siteOptions(const std::string& site, const SiteCells& cells, const std::vector<std::string>& forbid,
                                      const Pin* pin) {
    std::vector<AssignOption> options;
    for (const CostCell* cell : cells) {
        const bool forbidden = std::find(forbid.begin(), forbid.end(), cell->format) != forbid.end();
        if (pin && pin->format == cell->format && forbidden)
            throw Error(ErrorCode::usage, "'" + site + "' is pinned to '" + pin->format + "', which is forbidden",
                        "drop the pin '" + pin->pattern + "' or allow the format");
        if (forbidden || (pin && pin->format != cell->format))
            continue;
        for (const AssignOption& option : options)
            if (option.format == cell->format)
                throw Error(ErrorCode::usage, "'" + site + "' has two costs for '" + cell->format + "'", "take the cells of one sweep");
        options.push_back(optionOf(*cell));
    }
    if (options.empty() && pin)
        throw Error(ErrorCode::usage, "pin '" + pin->pattern + "' asks for '" + pin->format + "' at '" + site +
                    "', for which there is no measured cost", "sweep that format, or pin another");
    if (options.empty())
        throw Error(ErrorCode::usage, "every format of '" + site + "' is forbidden", "forbid fewer formats");
    return options;
}

/// Adds a member to an item: formats that both offer, sizes and costs added.
void join(AssignItem& item, const std::string& site, const std::vector<AssignOption>& options) {
    if (item.members.empty()) {
        item.options = options;
    } else {
        std::vector<AssignOption> both;
        for (const AssignOption& mine : item.options)
            for (const AssignOption& theirs : options)
                if (mine.format == theirs.format)
                    both.push_back({mine.format, checkedAdd(mine.bytes, theirs.bytes, "tied sites"), mine.cost + theirs.cost});
        item.options = std::move(both);
    }
    item.members.push_back(site);
    if (item.options.empty())
        throw Error(ErrorCode::usage, "the sites tied as '" + item.name + "' have no format in common ('" + site + "' offers none of the others')",
                    "pin tied sites to one format, or do not tie them");
}

void checkNames(const std::vector<CostCell>& cells, const ProblemOptions& options, const std::vector<Pin>& pins) {
    if (options.tie != "none" && options.tie != "fused")
        throw Error(ErrorCode::usage, "tie '" + options.tie + "' is not known", "use none or fused");
    for (const Pin& pin : pins)
        if (std::none_of(cells.begin(), cells.end(), [&](const CostCell& c) { return globMatches(pin.pattern, c.site); }))
            throw Error(ErrorCode::usage, "pin '" + pin.pattern + "' matches no site of the map", "use the names of the sweep, such as blk.0.attn_q");
    for (const std::string& format : options.forbid)
        if (std::none_of(cells.begin(), cells.end(), [&](const CostCell& c) { return c.format == format; }))
            throw Error(ErrorCode::usage, "forbidden format '" + format + "' is not in the map", "use the names of the sweep's formats");
}

} // namespace

std::uint64_t Budget::bytes(std::int64_t parameters) const {
    if (kind == Kind::cost)
        throw Error(ErrorCode::usage, "a budget of damage has no size", kBudgetHint);
    const double size = kind == Kind::bytes ? value : std::floor(value * static_cast<double>(parameters) / 8.0);
    if (size >= 0x1.0p62)
        throw Error(ErrorCode::usage, "a budget of more than 2^62 bytes", kBudgetHint);
    return static_cast<std::uint64_t>(size);
}

Budget parseBudget(std::string_view text) {
    if (text.empty())
        refuse(text, "is empty");
    if (const auto equals = text.find('='); equals != std::string_view::npos) {
        const std::string_view name = text.substr(0, equals);
        if (name != "kl" && name != "cost")
            refuse(text, "names an unknown measure");
        return {Budget::Kind::cost, positiveNumber(text.substr(equals + 1), text)};
    }
    if (text.size() > 3 && text.substr(text.size() - 3) == "bpw") {
        const double bits = positiveNumber(text.substr(0, text.size() - 3), text);
        if (bits > 64)
            refuse(text, "is more than 64 bits per weight");
        return {Budget::Kind::bitsPerWeight, bits};
    }
    if (text.back() >= '0' && text.back() <= '9')
        refuse(text, "has no unit");
    std::uint64_t bytes = 0;
    try {
        bytes = parseByteSize(text);
    } catch (const Error&) {
        refuse(text, "is not understood");
    }
    if (bytes == 0)
        refuse(text, "must be a positive number");
    return {Budget::Kind::bytes, static_cast<double>(bytes)};
}

AssignProblem makeProblem(const std::vector<CostCell>& cells, std::uint64_t fixedBytes, const ProblemOptions& options) {
    if (cells.empty())
        throw Error(ErrorCode::usage, "the map has no cells", "finish a sweep first");
    std::vector<Pin> pins;
    for (const auto& [pattern, format] : options.pins)
        pins.push_back({pattern, format});
    checkNames(cells, options, pins);

    std::vector<std::string> sites;
    std::map<std::string, SiteCells> cellsOf;
    for (const CostCell& cell : cells) {
        auto& list = cellsOf[cell.site];
        if (list.empty())
            sites.push_back(cell.site);
        list.push_back(&cell);
    }
    AssignProblem problem;
    problem.fixedBytes = fixedBytes;
    std::map<std::string, std::size_t> itemOf;
    for (const std::string& site : sites) {
        const std::string name = tiedName(site, options.tie);
        const auto [it, isNew] = itemOf.try_emplace(name, problem.items.size());
        if (isNew)
            problem.items.push_back({name, {}, {}});
        join(problem.items[it->second], site, siteOptions(site, cellsOf[site], options.forbid, pinOf(site, pins)));
    }
    return problem;
}

} // namespace bw
