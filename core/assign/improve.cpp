// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/assign/improve.h"

#include "core/assign/problem.h"
#include "core/base/error.h"

#include <algorithm>
#include <cmath>
#include <tuple>

namespace bw {
namespace {

constexpr int kMaxRounds = 50;
/// Best moves up and down that are tried in pairs: 64 × 64 evaluations a round.
constexpr std::size_t kPaired = 64;
/// What counts as lower: less is rounding, and could go round in circles.
constexpr double kRelativeGain = 1e-12;

struct Move { std::size_t item = 0; int option = 0; std::int64_t bytes = 0; double gain = 0; };

class Climb {
public:
    Climb(const AssignProblem& problem, std::vector<int> choice, std::uint64_t budget, AssignObjective& objective,
          JobContext& job)
        : problem_(problem), choice_(std::move(choice)), budget_(budget), objective_(objective), job_(job),
          limitOf_(detail::limitOfItems(problem)) {
        for (std::size_t i = 0; i < choice_.size(); ++i)
            objective_.set(i, choice_[i]);
        bytes_ = detail::choiceBytes(problem_, choice_);
        use_ = detail::limitUse(problem_, choice_);
        cost_ = finite(objective_.cost());
    }

    Improvement run() {
        const double before = cost_;
        for (int round = 0; round < kMaxRounds; ++round) {
            const std::int64_t moves = moves_;
            singleMoves();
            swaps();
            if (moves_ == moves)
                break;
        }
        return {choice_, bytes_, before, cost_, moves_};
    }

private:
    static double finite(double cost) {
        if (!std::isfinite(cost))
            throw Error(ErrorCode::nonFinite, "the predicted damage of a mix is not a finite number",
                        "measure the sites again");
        return cost;
    }

    double needed() const { return std::max(1e-300, kRelativeGain * std::abs(cost_)); }

    std::int64_t delta(std::size_t item, int option) const {
        const auto& options = problem_.items[item].options;
        return static_cast<std::int64_t>(options[static_cast<std::size_t>(option)].bytes) -
               static_cast<std::int64_t>(options[static_cast<std::size_t>(choice_[item])].bytes);
    }

    static bool holds(std::uint64_t used, std::int64_t more, std::uint64_t limit) {
        return more <= 0 || (used <= limit && static_cast<std::uint64_t>(more) <= limit - used);
    }

    /// Whether the mix still fits when item a (and b, if it is another) change by so many bytes.
    bool fits(std::size_t a, std::int64_t da, std::size_t b, std::int64_t db) const {
        if (!holds(bytes_, da + db, budget_))
            return false;
        const int la = limitOf_[a], lb = limitOf_[b];
        const auto inLimit = [&](int limit, std::int64_t more) {
            return limit < 0 || holds(use_[static_cast<std::size_t>(limit)], more,
                                      problem_.limits[static_cast<std::size_t>(limit)].bytes);
        };
        return la == lb ? inLimit(la, da + db) : inLimit(la, da) && inLimit(lb, db);
    }

    void take(std::size_t item, int option) {
        const std::int64_t d = delta(item, option);
        bytes_ += static_cast<std::uint64_t>(d); // wraps back for negative ones
        if (limitOf_[item] >= 0)
            use_[static_cast<std::size_t>(limitOf_[item])] += static_cast<std::uint64_t>(d);
        choice_[item] = option;
        objective_.set(item, option);
    }

    /// Each item in turn takes its best option that fits, until a round changes nothing.
    void singleMoves() {
        for (bool changed = true; changed;) {
            changed = false;
            for (std::size_t i = 0; i < choice_.size(); ++i) {
                if (i % 64 == 0)
                    job_.checkpoint();
                int best = -1;
                double least = cost_ - needed();
                for (int j = 0; j < static_cast<int>(problem_.items[i].options.size()); ++j) {
                    if (j == choice_[i] || !fits(i, delta(i, j), i, 0))
                        continue;
                    if (const double cost = finite(objective_.costIf(i, j)); cost < least) {
                        least = cost;
                        best = j;
                    }
                }
                if (best < 0)
                    continue;
                take(i, best);
                cost_ = finite(objective_.cost());
                ++moves_;
                changed = true;
            }
        }
    }

    /// Every change by itself, up and down, those of most worth per byte first.
    void rankMoves(std::vector<Move>& up, std::vector<Move>& down) const {
        for (std::size_t i = 0; i < choice_.size(); ++i) {
            if (i % 64 == 0)
                job_.checkpoint();
            for (int j = 0; j < static_cast<int>(problem_.items[i].options.size()); ++j) {
                if (j == choice_[i])
                    continue;
                const Move move{i, j, delta(i, j), cost_ - finite(objective_.costIf(i, j))};
                if (move.bytes > 0 && move.gain > 0)
                    up.push_back(move);
                else if (move.bytes <= 0)
                    down.push_back(move);
            }
        }
        const auto keepBest = [](std::vector<Move>& moves) {
            const auto worth = [](const Move& m) {
                return m.gain / std::max(1.0, std::abs(static_cast<double>(m.bytes)));
            };
            std::stable_sort(moves.begin(), moves.end(),
                             [&](const Move& a, const Move& b) { return worth(a) > worth(b); });
            moves.resize(std::min(moves.size(), kPaired));
        };
        keepBest(up);
        keepBest(down);
    }

    /// Pairs that pay together what neither may do alone, the most promising first; an item moves once a round.
    void swaps() {
        std::vector<Move> up, down;
        rankMoves(up, down);
        struct Pair { std::size_t up, down; double gain; };
        std::vector<Pair> pairs;
        for (std::size_t u = 0; u < up.size(); ++u)
            for (std::size_t d = 0; d < down.size(); ++d)
                if (up[u].item != down[d].item && fits(up[u].item, up[u].bytes, down[d].item, down[d].bytes))
                    pairs.push_back({u, d, up[u].gain + down[d].gain});
        std::stable_sort(pairs.begin(), pairs.end(), [](const Pair& a, const Pair& b) { return a.gain > b.gain; });
        std::vector<bool> moved(choice_.size(), false);
        for (std::size_t p = 0; p < pairs.size(); ++p) {
            if (p % 64 == 0)
                job_.checkpoint();
            const Move &rise = up[pairs[p].up], &fall = down[pairs[p].down];
            if (moved[rise.item] || moved[fall.item] || !fits(rise.item, rise.bytes, fall.item, fall.bytes))
                continue;
            const int old = choice_[rise.item];
            objective_.set(rise.item, rise.option);
            const double cost = finite(objective_.costIf(fall.item, fall.option));
            if (cost >= cost_ - needed()) {
                objective_.set(rise.item, old);
                continue;
            }
            take(fall.item, fall.option);
            take(rise.item, rise.option);
            cost_ = finite(objective_.cost());
            moved[rise.item] = moved[fall.item] = true;
            ++moves_;
        }
    }

    const AssignProblem& problem_;
    std::vector<int> choice_;
    std::uint64_t budget_;
    AssignObjective& objective_;
    JobContext& job_;
    std::vector<int> limitOf_;
    std::uint64_t bytes_ = 0;
    std::vector<std::uint64_t> use_;
    double cost_ = 0;
    std::int64_t moves_ = 0;
};

void checkStart(const AssignProblem& problem, const std::vector<int>& choice, std::uint64_t budget) {
    if (choice.size() != problem.items.size())
        throw Error(ErrorCode::usage, "a mix of " + std::to_string(choice.size()) +
                                          " items cannot be improved for a problem of " +
                                          std::to_string(problem.items.size()));
    for (std::size_t i = 0; i < choice.size(); ++i)
        if (choice[i] < 0 || static_cast<std::size_t>(choice[i]) >= problem.items[i].options.size())
            throw Error(ErrorCode::usage, "'" + problem.items[i].name + "' has no option " + std::to_string(choice[i]));
    const std::vector<std::uint64_t> use = detail::limitUse(problem, choice);
    for (std::size_t k = 0; k < use.size(); ++k)
        if (use[k] > problem.limits[k].bytes)
            throw Error(ErrorCode::usage, "the mix to improve takes " + detail::sizeText(use[k]) + " of '" +
                                              problem.limits[k].name + "', more than its limit");
    if (const std::uint64_t bytes = detail::choiceBytes(problem, choice); bytes > budget)
        throw Error(ErrorCode::usage, "the mix to improve takes " + detail::sizeText(bytes) +
                                          ", more than the budget of " + detail::sizeText(budget));
}

} // namespace

Improvement improve(const AssignProblem& problem, std::vector<int> choice, std::uint64_t budgetBytes,
                    AssignObjective& objective, JobContext& job) {
    checkStart(problem, choice, budgetBytes);
    return Climb(problem, std::move(choice), budgetBytes, objective, job).run();
}

} // namespace bw
