// SPDX-License-Identifier: GPL-3.0-or-later
// From the cells of a sensitivity map to a problem: what each site may choose after pins and forbidden formats, which
// sites decide together, which lie in a memory of their own.
#include "core/assign/budget.h"

#include "core/base/checked.h"
#include "core/base/error.h"
#include "core/base/text.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <utility>

namespace bw {
namespace {

bool hasWildcard(const std::string& pattern) { return pattern.find_first_of("*?") != std::string::npos; }

struct Pin { std::string pattern, format; };

/// Full names apart from patterns: a map may pin or forbid at each of thousands of sites.
struct Pins {
    std::map<std::string, Pin> byName;
    std::vector<Pin> byPattern;
};
struct Forbidden {
    std::set<std::pair<std::string, std::string>> byName; ///< site, format
    std::vector<Pin> byPattern;
    /// The pattern that forbids it, null when nothing does.
    const std::string* cause(const std::string& site, const std::string& format) const {
        if (const auto it = byName.find({site, format}); it != byName.end())
            return &it->first;
        for (const Pin& ban : byPattern)
            if (ban.format == format && globMatches(ban.pattern, site))
                return &ban.pattern;
        return nullptr;
    }
};

/// The pin of a site: a full name wins over patterns; two patterns that disagree are refused.
const Pin* pinOf(const std::string& site, const Pins& pins) {
    if (const auto it = pins.byName.find(site); it != pins.byName.end())
        return &it->second;
    const Pin* found = nullptr;
    for (const Pin& pin : pins.byPattern) {
        if (!globMatches(pin.pattern, site))
            continue;
        if (found && found->format != pin.format)
            throw Error(ErrorCode::usage,
                        "pins '" + found->pattern + "' and '" + pin.pattern + "' ask for " + found->format + " and " +
                            pin.format + " at '" + site + "'",
                        "pin that site by its full name");
        found = &pin;
    }
    return found;
}

using SiteCells = std::vector<const CostCell*>;

AssignOption optionOf(const CostCell& cell) {
    if (!std::isfinite(cell.value) || !std::isfinite(cell.standardError))
        throw Error(ErrorCode::nonFinite,
                    "the measured damage of '" + cell.format + "' at '" + cell.site + "' is not a finite number",
                    "forbid this format or measure the site again");
    // No measure can be negative; a small negative value is rounding or noise, and taking it as a gain would let the
    // solver pay bytes for luck.
    return {cell.format, cell.bytes, std::max(0.0, cell.value), std::abs(cell.standardError)};
}

/// Options of one site after forbidding and pinning, in the order of the cells.
std::vector<AssignOption> siteOptions(const std::string& site, const SiteCells& cells, const Forbidden& forbidden,
                                      const Pin* pin) {
    std::vector<AssignOption> options;
    std::set<std::string> seen;
    std::string names;
    for (const CostCell* cell : cells) {
        const std::string* ban = forbidden.cause(site, cell->format);
        if (ban && pin && pin->format == cell->format)
            throw Error(ErrorCode::usage,
                        "'" + site + "' is pinned to '" + pin->format + "', which is forbidden" +
                            (*ban == "*" ? "" : " at '" + *ban + "'"),
                        "drop the pin '" + pin->pattern + "' or allow the format");
        names += (names.empty() ? "" : ", ") + cell->format;
        if (ban || (pin && pin->format != cell->format))
            continue;
        if (!seen.insert(cell->format).second)
            throw Error(ErrorCode::usage, "'" + site + "' has two costs for '" + cell->format + "'",
                        "take the cells of one sweep");
        options.push_back(optionOf(*cell));
    }
    if (options.empty() && pin)
        throw Error(ErrorCode::usage, "pin '" + pin->pattern + "' asks for '" + pin->format + "' at '" + site +
                    "', for which there is no measured cost", "sweep that format, or pin another");
    if (options.empty())
        throw Error(ErrorCode::usage, "every format of '" + site + "' is forbidden (" + names + ")",
                    "forbid fewer formats, or sweep more");
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
                    both.push_back({mine.format, checkedAdd(mine.bytes, theirs.bytes, "tied sites"),
                                    mine.cost + theirs.cost, std::hypot(mine.error, theirs.error)});
        item.options = std::move(both);
    }
    item.members.push_back(site);
    if (item.options.empty())
        throw Error(ErrorCode::usage,
                    "the sites tied as '" + item.name + "' have no format in common ('" + site +
                        "' offers none of the others')",
                    "pin tied sites to one format, forbid the same formats at all of them, or do not tie them");
}

/// What the map offers, for checking names.
struct Names {
    std::vector<std::string> sites; ///< in the order of the cells
    std::set<std::string> formats;
    std::map<std::string, std::int64_t> weights;
    bool anySite(const std::string& pattern) const {
        if (!hasWildcard(pattern))
            return weights.contains(pattern);
        return std::any_of(sites.begin(), sites.end(), [&](const std::string& s) { return globMatches(pattern, s); });
    }
};

Pins readPins(const ProblemOptions& options, const Names& names) {
    Pins pins;
    for (const auto& [pattern, format] : options.pins) {
        if (!names.anySite(pattern))
            throw Error(ErrorCode::usage, "pin '" + pattern + "' matches no site of the map",
                        "use the names of the sweep, such as blk.0.attn_q");
        if (hasWildcard(pattern))
            pins.byPattern.push_back({pattern, format});
        else
            pins.byName[pattern] = {pattern, format};
    }
    return pins;
}

Forbidden readForbidden(const ProblemOptions& options, const Names& names) {
    Forbidden forbidden;
    for (const std::string& text : options.forbid) {
        // No site's name has '=', so the first one ends the pattern.
        const auto equals = names.formats.contains(text) ? std::string::npos : text.find('=');
        const Pin made =
            equals == std::string::npos ? Pin{"*", text} : Pin{text.substr(0, equals), text.substr(equals + 1)};
        if (!names.formats.contains(made.format))
            throw Error(ErrorCode::usage, "forbidden format '" + made.format + "' is not in the map",
                        "use the names of the sweep's formats");
        if (!names.anySite(made.pattern))
            throw Error(ErrorCode::usage,
                        "'" + text + "' forbids a format at '" + made.pattern + "', which matches no site of the map",
                        "use the names of the sweep, such as blk.0.attn_q");
        if (hasWildcard(made.pattern))
            forbidden.byPattern.push_back(made);
        else
            forbidden.byName.insert({made.pattern, made.format});
    }
    return forbidden;
}

/// Index of the limit that each site lies in.
std::map<std::string, std::size_t> sitesOfLimits(const ProblemOptions& options, const Names& names) {
    std::map<std::string, std::size_t> limitOf;
    for (std::size_t k = 0; k < options.limits.size(); ++k) {
        const std::string& list = options.limits[k].sites;
        for (std::size_t begin = 0; begin <= list.size();) {
            const std::size_t end = std::min(list.find(',', begin), list.size());
            const std::string pattern = list.substr(begin, end - begin);
            begin = end + 1;
            if (!names.anySite(pattern))
                throw Error(ErrorCode::usage,
                            "the limit for '" + list + "' names '" + pattern + "', which matches no site of the map",
                            "use the names of the sweep, such as blk.0.*");
            for (const std::string& site : names.sites)
                if (globMatches(pattern, site))
                    if (const auto [it, isNew] = limitOf.try_emplace(site, k); !isNew && it->second != k)
                        throw Error(ErrorCode::usage,
                                    "'" + site + "' lies in two limits, '" + options.limits[it->second].sites +
                                        "' and '" + list + "'",
                                    "make the patterns exclude each other; the whole is limited by the budget");
        }
    }
    return limitOf;
}

std::uint64_t limitBytes(const SiteLimit& limit, std::int64_t weights) {
    const Budget budget = parseBudget(limit.budget);
    if (budget.kind == Budget::Kind::cost)
        throw Error(ErrorCode::usage, "the limit for '" + limit.sites + "' is one of damage ('" + limit.budget + "')",
                    "limit these sites in bytes or bits per weight");
    if (budget.kind == Budget::Kind::bitsPerWeight && weights <= 0)
        throw Error(ErrorCode::usage,
                    "the limit for '" + limit.sites +
                        "' is in bits per weight, but the map does not know how many weights they have",
                    "give that limit in bytes");
    return budget.bytes(weights);
}

void addLimits(AssignProblem& problem, const ProblemOptions& options, const Names& names) {
    const std::map<std::string, std::size_t> limitOf = sitesOfLimits(options, names);
    std::vector<std::int64_t> weights(options.limits.size(), 0);
    for (const auto& [site, limit] : limitOf)
        weights[limit] += names.weights.at(site);
    for (std::size_t k = 0; k < options.limits.size(); ++k)
        problem.limits.push_back({options.limits[k].sites, {}, limitBytes(options.limits[k], weights[k])});
    for (std::size_t i = 0; i < problem.items.size(); ++i) {
        const AssignItem& item = problem.items[i];
        const auto first = limitOf.find(item.members.front());
        for (const std::string& member : item.members)
            if (const auto it = limitOf.find(member); (it == limitOf.end()) != (first == limitOf.end()) ||
                                                      (it != limitOf.end() && it->second != first->second))
                throw Error(ErrorCode::usage,
                            "the sites tied as '" + item.name + "' lie in different memories ('" +
                                item.members.front() + "' and '" + member + "')",
                            "limit tied sites together, or do not tie them");
        if (first != limitOf.end())
            problem.limits[first->second].items.push_back(i);
    }
}

} // namespace

AssignProblem makeProblem(const std::vector<CostCell>& cells, std::uint64_t fixedBytes, const ProblemOptions& options) {
    if (cells.empty())
        throw Error(ErrorCode::usage, "the map has no cells", "finish a sweep first");
    if (!isTie(options.tie))
        throw Error(ErrorCode::usage, "tie '" + options.tie + "' is not known",
                    "use none, fused, stacks, experts, or some of them with + between");
    Names names;
    std::map<std::string, SiteCells> cellsOf;
    for (const CostCell& cell : cells) {
        auto& list = cellsOf[cell.site];
        if (list.empty())
            names.sites.push_back(cell.site);
        list.push_back(&cell);
        names.formats.insert(cell.format);
        names.weights[cell.site] = cell.weights;
    }
    const Pins pins = readPins(options, names);
    const Forbidden forbidden = readForbidden(options, names);
    AssignProblem problem;
    problem.fixedBytes = fixedBytes;
    std::map<std::string, std::size_t> itemOf;
    for (const std::string& site : names.sites) {
        const std::string name = tiedItemName(site, options.tie);
        const auto [it, isNew] = itemOf.try_emplace(name, problem.items.size());
        if (isNew)
            problem.items.push_back({name, {}, {}});
        join(problem.items[it->second], site, siteOptions(site, cellsOf[site], forbidden, pinOf(site, pins)));
    }
    if (!options.limits.empty())
        addLimits(problem, options, names);
    return problem;
}

} // namespace bw
