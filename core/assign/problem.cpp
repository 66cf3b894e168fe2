// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/assign/problem.h"

#include "core/base/checked.h"
#include "core/base/error.h"
#include "core/base/text.h"

#include <algorithm>
#include <cmath>

namespace bw::detail {
namespace {

constexpr std::uint64_t kMaxBytes = 1ull << 60;

void check(const AssignItem& item) {
    if (item.options.empty())
        throw Error(ErrorCode::usage, "'" + item.name + "' has no format to choose from",
                    "forbid fewer formats or sweep more of them");
    for (const AssignOption& option : item.options)
        if (!std::isfinite(option.cost))
            throw Error(ErrorCode::nonFinite, "the cost of '" + option.format + "' at '" + item.name + "' is " +
                        (std::isnan(option.cost) ? "not a number" : "infinite"),
                        "forbid this format or measure the site again");
}

void checkLimits(const AssignProblem& problem, const IntProblem& ints) {
    for (const AssignLimit& limit : problem.limits) {
        std::uint64_t floor = 0, ceiling = 0;
        for (const std::size_t i : limit.items) {
            const auto efficient = efficientOptions(ints.items[i]);
            floor += static_cast<std::uint64_t>(efficient.front().weight);
            ceiling += static_cast<std::uint64_t>(efficient.back().weight);
        }
        if (limit.bytes < floor)
            throw Error(ErrorCode::infeasibleBudget,
                        "the limit of " + sizeText(limit.bytes) + " for '" + limit.name +
                            "' lies below its smallest mix, " + sizeText(floor) + "; the largest useful limit is " +
                            sizeText(ceiling),
                        "allow at least " + std::to_string(floor) + "B there, or offer formats with fewer bits");
    }
}

} // namespace

std::string sizeText(std::uint64_t bytes) { return formatBytes(bytes) + " (" + std::to_string(bytes) + " bytes)"; }

std::vector<int> limitOfItems(const AssignProblem& problem) {
    std::vector<int> limitOf(problem.items.size(), -1);
    for (std::size_t k = 0; k < problem.limits.size(); ++k)
        for (const std::size_t i : problem.limits[k].items) {
            if (i >= limitOf.size())
                throw Error(ErrorCode::usage, "the limit '" + problem.limits[k].name + "' names item " +
                                                  std::to_string(i) + " of " + std::to_string(limitOf.size()));
            if (limitOf[i] >= 0 && limitOf[i] != static_cast<int>(k))
                throw Error(ErrorCode::usage,
                            "'" + problem.items[i].name + "' lies in two limits, '" +
                                problem.limits[static_cast<std::size_t>(limitOf[i])].name + "' and '" +
                                problem.limits[k].name + "'",
                            "limits must not share an item; the whole is limited by the budget");
            if (limitOf[i] == static_cast<int>(k))
                throw Error(ErrorCode::usage,
                            "the limit '" + problem.limits[k].name + "' names '" + problem.items[i].name + "' twice");
            limitOf[i] = static_cast<int>(k);
        }
    return limitOf;
}

IntProblem toIntegers(const AssignProblem& problem) {
    double largest = 0;
    std::uint64_t bytes = problem.fixedBytes;
    for (const AssignItem& item : problem.items) {
        check(item);
        double cost = 0;
        std::uint64_t size = 0;
        for (const AssignOption& option : item.options) {
            cost = std::max(cost, std::abs(option.cost));
            size = std::max(size, option.bytes);
        }
        largest += cost;
        bytes = checkedAdd(bytes, size, "sizes of the formats");
    }
    if (bytes > kMaxBytes)
        throw Error(ErrorCode::validationOverflow, "the formats' sizes add up to more than 2^60 bytes");
    if (!std::isfinite(largest))
        throw Error(ErrorCode::nonFinite, "the costs are too large to add up", "measure the sites again");
    IntProblem result;
    if (largest > 0)
        result.exponent = 59 - std::ilogb(largest);
    for (const AssignItem& item : problem.items) {
        auto& options = result.items.emplace_back();
        for (std::size_t j = 0; j < item.options.size(); ++j)
            options.push_back({static_cast<std::int64_t>(item.options[j].bytes),
                               std::llround(std::ldexp(item.options[j].cost, result.exponent)), static_cast<int>(j)});
    }
    if (!problem.limits.empty()) {
        result.limitOf = limitOfItems(problem);
        checkLimits(problem, result);
    }
    return result;
}

std::uint64_t choiceBytes(const AssignProblem& problem, const std::vector<int>& choice) {
    std::uint64_t bytes = problem.fixedBytes;
    for (std::size_t i = 0; i < choice.size(); ++i)
        bytes += problem.items[i].options[static_cast<std::size_t>(choice[i])].bytes;
    return bytes;
}

double choiceCost(const AssignProblem& problem, const std::vector<int>& choice) {
    double cost = 0;
    for (std::size_t i = 0; i < choice.size(); ++i)
        cost += problem.items[i].options[static_cast<std::size_t>(choice[i])].cost;
    return cost;
}

std::vector<std::uint64_t> limitUse(const AssignProblem& problem, const std::vector<int>& choice) {
    std::vector<std::uint64_t> use;
    for (const AssignLimit& limit : problem.limits) {
        std::uint64_t& bytes = use.emplace_back(0);
        for (const std::size_t i : limit.items)
            bytes += problem.items[i].options[static_cast<std::size_t>(choice[i])].bytes;
    }
    return use;
}

} // namespace bw::detail
