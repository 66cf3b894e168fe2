// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/assign/problem.h"

#include "core/base/checked.h"
#include "core/base/error.h"

#include <algorithm>
#include <cmath>

namespace bw::detail {
namespace {

constexpr std::uint64_t kMaxBytes = 1ull << 60;

void check(const AssignItem& item) {
    if (item.options.empty())
        throw Error(ErrorCode::usage, "'" + item.name + "' has no format to choose from", "forbid fewer formats or sweep more of them");
    for (const AssignOption& option : item.options)
        if (!std::isfinite(option.cost))
            throw Error(ErrorCode::nonFinite, "the cost of '" + option.format + "' at '" + item.name + "' is " +
                        (std::isnan(option.cost) ? "not a number" : "infinite"),
                        "forbid this format or measure the site again");
}

} // namespace

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

} // namespace bw::detail
