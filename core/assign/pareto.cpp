// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/assign/hull.h"
#include "core/assign/problem.h"

#include <algorithm>

namespace bw {
namespace {

/// Choices kept over all points (16 MB): longer fronts are thinned evenly, floor and ceiling always stay.
constexpr std::size_t kMaxChoices = 4'000'000;

} // namespace

std::vector<ParetoPoint> paretoFront(const AssignProblem& problem) {
    const detail::IntProblem ints = detail::toIntegers(problem);
    std::vector<std::vector<detail::IntOption>> hulls;
    std::vector<int> choice;
    for (const auto& item : ints.items) {
        hulls.push_back(detail::convexOptions(detail::efficientOptions(item)));
        choice.push_back(hulls.back().front().index);
    }
    const auto increments = detail::sortedIncrements(hulls);
    const std::size_t room = std::max<std::size_t>(2, kMaxChoices / std::max<std::size_t>(1, choice.size()));
    const std::size_t every = (increments.size() + room - 1) / room;
    std::vector<ParetoPoint> front;
    const auto add = [&] { front.push_back({detail::choiceBytes(problem, choice), detail::choiceCost(problem, choice), choice}); };
    add();
    for (std::size_t k = 0; k < increments.size(); ++k) {
        const auto& step = increments[k];
        const auto item = static_cast<std::size_t>(step.item);
        choice[item] = hulls[item][static_cast<std::size_t>(step.step) + 1].index;
        if (every <= 1 || (k + 1) % every == 0 || k + 1 == increments.size())
            add();
    }
    return front;
}

} // namespace bw
