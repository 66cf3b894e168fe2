// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/assign/explain.h"

#include "core/assign/problem.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <fmt/format.h>
#include <optional>
#include <tuple>

namespace bw {
namespace {

constexpr double kMegabyte = 1e6;

/// "1.8 MB", "12 kB", "640 B": the decimal units in which the worth of a step is given.
std::string megabytes(std::uint64_t bytes) {
    const auto size = static_cast<double>(bytes);
    if (size >= 0.05 * kMegabyte)
        return fmt::format("{:.1f} MB", size / kMegabyte);
    return size >= 1000 ? fmt::format("{:.1f} kB", size / 1000) : fmt::format("{} B", bytes);
}

std::uint64_t magnitude(std::int64_t bytes) { return static_cast<std::uint64_t>(std::abs(bytes)); }

/// Bytes left in the total (saturated when there is none) and in each limit.
struct Room {
    std::uint64_t total = kNoTotal;
    std::vector<std::uint64_t> limit;
};

Room roomOf(const AssignProblem& problem, const AssignSolution& solution, std::uint64_t budgetBytes) {
    Room room;
    if (budgetBytes != kNoTotal)
        room.total = budgetBytes - std::min(budgetBytes, solution.bytes);
    const std::vector<std::uint64_t> use = detail::limitUse(problem, solution.choice);
    for (std::size_t k = 0; k < use.size(); ++k)
        room.limit.push_back(problem.limits[k].bytes - std::min(problem.limits[k].bytes, use[k]));
    return room;
}

/// The best step of an item in one direction; none when no option lies there, or none worth its bytes.
std::optional<AssignStep> bestStep(const AssignItem& item, std::size_t index, int from, AssignStep::Kind kind) {
    const AssignOption& now = item.options[static_cast<std::size_t>(from)];
    std::optional<AssignStep> best;
    for (std::size_t j = 0; j < item.options.size(); ++j) {
        const AssignOption& option = item.options[j];
        AssignStep step{
            kind, index, from, static_cast<int>(j), 0, option.cost - now.cost, 0, kind == AssignStep::Kind::downgrade};
        step.bytes = static_cast<std::int64_t>(option.bytes) - static_cast<std::int64_t>(now.bytes);
        const bool upgrade = kind == AssignStep::Kind::upgrade;
        if (upgrade ? step.bytes <= 0 || step.cost >= 0 : step.bytes >= 0)
            continue;
        step.perMegabyte = std::max(0.0, -step.cost / static_cast<double>(step.bytes) * kMegabyte);
        // Of equal worth the smaller step: it is the next one on the way to the other.
        if (!best || (upgrade ? step.perMegabyte > best->perMegabyte : step.perMegabyte < best->perMegabyte) ||
            (step.perMegabyte == best->perMegabyte && magnitude(step.bytes) < magnitude(best->bytes)))
            best = step;
    }
    return best;
}

std::string proofText(const AssignSolution& solution) {
    if (solution.optimal)
        return "No other mix within it costs less.";
    return fmt::format("A mix that costs up to {:.3g} % less is not ruled out.",
                       100 * solution.gap() / std::max(std::abs(solution.cost), 1e-300));
}

} // namespace

std::vector<AssignStep> explain(const AssignProblem& problem, const AssignSolution& solution,
                                std::uint64_t budgetBytes) {
    const Room room = roomOf(problem, solution, budgetBytes);
    const std::vector<int> limitOf = detail::limitOfItems(problem);
    std::vector<AssignStep> steps;
    for (std::size_t i = 0; i < problem.items.size(); ++i)
        for (const AssignStep::Kind kind : {AssignStep::Kind::upgrade, AssignStep::Kind::downgrade})
            if (std::optional<AssignStep> step = bestStep(problem.items[i], i, solution.choice[i], kind)) {
                if (kind == AssignStep::Kind::upgrade)
                    step->fits =
                        magnitude(step->bytes) <= room.total &&
                        (limitOf[i] < 0 || magnitude(step->bytes) <= room.limit[static_cast<std::size_t>(limitOf[i])]);
                steps.push_back(*step);
            }
    std::stable_sort(steps.begin(), steps.end(),
                     [](const AssignStep& a, const AssignStep& b) { return a.perMegabyte > b.perMegabyte; });
    return steps;
}

std::string stepText(const AssignProblem& problem, const AssignStep& step, const std::string& unit) {
    const AssignItem& item = problem.items[step.item];
    const std::string& from = item.options[static_cast<std::size_t>(step.from)].format;
    const std::string& to = item.options[static_cast<std::size_t>(step.to)].format;
    if (step.kind == AssignStep::Kind::upgrade)
        return fmt::format("+{} on {} ({} → {}) buys −{:.3g} {}", megabytes(magnitude(step.bytes)), item.name, from, to,
                           -step.cost, unit);
    return fmt::format("{} on {} ({} → {}) bought {}{:.3g} {}", megabytes(magnitude(step.bytes)), item.name, to, from,
                       step.cost < 0 ? "+" : "−", std::abs(step.cost), unit);
}

std::string budgetText(const AssignProblem& problem, const AssignSolution& solution, std::uint64_t budgetBytes,
                       const std::string& unit) {
    const std::vector<AssignStep> steps = explain(problem, solution, budgetBytes);
    const std::vector<int> limitOf = detail::limitOfItems(problem);
    const Room room = roomOf(problem, solution, budgetBytes);
    // The smallest upgrade among the items that `inside` lets: if that does not fit, no single step does.
    const auto smallest = [&](auto inside) {
        const AssignStep* found = nullptr;
        for (const AssignStep& step : steps)
            if (step.kind == AssignStep::Kind::upgrade && inside(step) && (!found || step.bytes < found->bytes))
                found = &step;
        return found;
    };
    const auto describe = [&](const std::string& what, std::uint64_t free, double price, const AssignStep* next) {
        if (!next)
            return fmt::format("{} has {} left: its items have what costs least, more bytes buy nothing. ", what,
                               megabytes(free));
        std::string text = fmt::format("{} has {} left; ", what, megabytes(free));
        if (magnitude(next->bytes) > free)
            text += fmt::format("the smallest upgrade, {} to {}, takes {}. ", problem.items[next->item].name,
                                problem.items[next->item].options[static_cast<std::size_t>(next->to)].format,
                                megabytes(magnitude(next->bytes)));
        else
            text += "what still fits there is held back by another limit. ";
        if (price > 0)
            text += fmt::format("One more megabyte would buy about −{:.3g} {}. ", price * kMegabyte, unit);
        return text;
    };
    std::string text;
    for (std::size_t k = 0; k < problem.limits.size(); ++k) {
        const double price = solution.limitPrices.empty() ? 0 : solution.limitPrices[k] + solution.price;
        text += describe("'" + problem.limits[k].name + "'", room.limit[k], price,
                         smallest([&](const AssignStep& s) { return limitOf[s.item] == static_cast<int>(k); }));
    }
    if (budgetBytes != kNoTotal)
        text += describe("The budget", room.total, solution.price, smallest([](const AssignStep&) { return true; }));
    return text + proofText(solution);
}

} // namespace bw
