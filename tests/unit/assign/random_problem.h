// SPDX-License-Identifier: GPL-3.0-or-later
// Random problems of every unpleasant shape, and the best mix by trying all. Shared by the tests of core/assign.
#pragma once

#include "core/assign/solver.h"
#include "core/base/random.h"

#include <cmath>

namespace bw::test {

/// How the costs of a random problem relate to its bytes.
enum class Shape { free, falling, ties, negative, hard, alike };

inline AssignProblem randomProblem(Random& random, Shape shape, int items, int options) {
    AssignProblem problem;
    problem.fixedBytes = random.below(1000);
    for (int i = 0; i < items; ++i) {
        AssignItem item{"item" + std::to_string(i), {"item" + std::to_string(i)}, {}};
        const double weight = std::exp(random.normal());
        for (int j = 0; j < options; ++j) {
            AssignOption option{"f" + std::to_string(j), 0, 0};
            switch (shape) {
            case Shape::alike: // most items are like an earlier one
            case Shape::free: option = {option.format, 1 + random.below(60), random.uniform()}; break;
            case Shape::falling:
                option.bytes = 18 * (static_cast<std::uint64_t>(j) + 2) * (1 + random.below(3));
                option.cost =
                    weight * std::pow(0.25, static_cast<double>(option.bytes) / 18.0) * (0.5 + random.uniform());
                break;
            case Shape::ties: option.bytes = random.below(6); option.cost = static_cast<double>(random.below(4)); break;
            case Shape::negative: option = {option.format, random.below(40), random.normal()}; break;
            case Shape::hard:
                option.bytes = 1 + random.below(500);
                option.cost = 500.0 - static_cast<double>(option.bytes);
                break;
            }
            item.options.push_back(option);
        }
        if (shape == Shape::alike && i > 0 && random.below(4) > 0)
            item.options = problem.items[random.below(static_cast<std::uint64_t>(i))].options;
        problem.items.push_back(std::move(item));
    }
    return problem;
}

/// Puts the items into up to `most` limits, each somewhere between what its items need and a little more than they can
/// use.
inline void addRandomLimits(Random& random, AssignProblem& problem, int most) {
    const auto count = 1 + random.below(static_cast<std::uint64_t>(most));
    problem.limits.resize(count);
    std::vector<std::uint64_t> least(count, 0), largest(count, 0);
    for (std::size_t k = 0; k < count; ++k)
        problem.limits[k].name = "memory" + std::to_string(k);
    for (std::size_t i = 0; i < problem.items.size(); ++i) {
        const auto k = random.below(count + 1); // the last: in no limit
        if (k == count)
            continue;
        problem.limits[k].items.push_back(i);
        std::uint64_t low = problem.items[i].options[0].bytes, high = low;
        for (const AssignOption& option : problem.items[i].options) {
            low = std::min(low, option.bytes);
            high = std::max(high, option.bytes);
        }
        least[k] += low;
        largest[k] += high;
    }
    for (std::size_t k = 0; k < count; ++k)
        problem.limits[k].bytes = least[k] + random.below(largest[k] - least[k] + 2);
}

/// Sizes and damages as a real model has them: a few shapes, error falling fourfold per bit, sites of very unlike
/// weight.
inline AssignProblem modelLike(int items, int options, std::uint64_t seed = 3) {
    Random random(seed);
    AssignProblem problem;
    for (int i = 0; i < items; ++i) {
        const std::uint64_t weights = 576ull * (i % 7 == 0 ? 192 : i % 3 == 0 ? 1536 : 576);
        const double sensitivity = std::exp(2.0 * random.normal());
        AssignItem item{"s" + std::to_string(i), {}, {}};
        for (int j = 0; j < options; ++j) {
            const double bits = 2.0 + 0.5 * j + 0.0625 * (j % 2);
            item.options.push_back({"f" + std::to_string(j),
                                    static_cast<std::uint64_t>(bits * static_cast<double>(weights) / 8),
                                    sensitivity * std::pow(4.0, -bits) * (0.8 + 0.4 * random.uniform())});
        }
        problem.items.push_back(std::move(item));
    }
    return problem;
}

struct Best { bool any = false; std::uint64_t bytes = 0; double cost = 0; };

/// Tries every mix that keeps the problem's limits and takes the one that `better(bytes, cost, best)` prefers among
/// those that `allowed(bytes, cost)` lets.
template <class Allowed, class Better>
Best tryAll(const AssignProblem& problem, Allowed allowed, Better better) {
    Best best;
    std::vector<std::size_t> choice(problem.items.size(), 0);
    for (;;) {
        std::uint64_t bytes = problem.fixedBytes;
        double cost = 0;
        for (std::size_t i = 0; i < choice.size(); ++i) {
            bytes += problem.items[i].options[choice[i]].bytes;
            cost += problem.items[i].options[choice[i]].cost;
        }
        bool fits = true;
        for (const AssignLimit& limit : problem.limits) {
            std::uint64_t use = 0;
            for (const std::size_t i : limit.items)
                use += problem.items[i].options[choice[i]].bytes;
            fits = fits && use <= limit.bytes;
        }
        if (fits && allowed(bytes, cost) && (!best.any || better(bytes, cost, best)))
            best = {true, bytes, cost};
        std::size_t i = 0;
        while (i < choice.size() && ++choice[i] == problem.items[i].options.size())
            choice[i++] = 0;
        if (i == choice.size())
            return best;
    }
}

} // namespace bw::test
