// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/assign/core_items.h"

#include <algorithm>
#include <numeric>
#include <tuple>
#include <utility>

namespace bw::detail {
namespace {

/// Counts kept for the choices of one class of items alike (10 MB); more are not worth what they cost to list.
constexpr std::size_t kMaxClassCounts = 2'500'000;

double reducedCost(const IntOption& move, double price) {
    return static_cast<double>(move.cost) + price * static_cast<double>(move.weight);
}

void addRate(CoreItem& core, const IntOption& move) {
    if (move.weight == 0)
        return;
    const double rate = -static_cast<double>(move.cost) / static_cast<double>(move.weight);
    if (move.weight > 0)
        core.up = std::max(core.up, rate);
    else
        core.down = std::min(core.down, rate);
}

/// Lists how many of a class leave the break positions for others: few, as that has a price.
class Leavers {
public:
    /// @param home break positions, `away` the others with their reduced costs.
    Leavers(std::vector<std::pair<int, double>> away, std::size_t positions, int most, double slack)
        : away_(std::move(away)), most_(most), slack_(slack), count_(positions, 0), room_(kMaxClassCounts / positions) {
    }

    /// All counts of positions away from home within the slack; more than room for all when there are too many.
    std::vector<std::vector<int>> list() {
        descend(0, 0, 0);
        return std::move(found_);
    }

private:
    void descend(std::size_t k, int taken, double price) {
        if (found_.size() > room_)
            return;
        if (k == away_.size()) {
            found_.push_back(count_);
            return;
        }
        const auto [position, cost] = away_[k];
        int& count = count_[static_cast<std::size_t>(position)];
        for (count = 0; taken + count <= most_ && price + count * cost <= slack_ && found_.size() <= room_; ++count)
            descend(k + 1, taken + count, price + count * cost);
        count = 0;
    }

    std::vector<std::pair<int, double>> away_;
    int most_;
    double slack_;
    std::vector<int> count_;
    std::size_t room_;
    std::vector<std::vector<int>> found_;
};

/// What items alike may do together: any split between their (at most two) break positions, and few away from these.
/// @return false when that has too many cases.
bool classMoves(CoreItem& core, const std::vector<int>& items, const std::vector<IntOption>& efficient,
                const std::vector<int>& position, double price, double slack) {
    const auto all = static_cast<int>(items.size());
    std::vector<int> atBreak(efficient.size(), 0);
    for (const int item : items)
        ++atBreak[static_cast<std::size_t>(position[static_cast<std::size_t>(item)])];
    std::vector<std::size_t> home;
    IntOption origin;
    for (std::size_t p = 0; p < atBreak.size(); ++p)
        if (atBreak[p] > 0) {
            home.push_back(p);
            origin.weight += atBreak[p] * efficient[p].weight;
            origin.cost += atBreak[p] * efficient[p].cost;
        }
    if (home.size() > 2)
        return false;
    std::vector<std::pair<int, double>> away;
    for (std::size_t p = 0; p < efficient.size(); ++p)
        for (const std::size_t h : home) {
            const IntOption move{efficient[p].weight - efficient[h].weight, efficient[p].cost - efficient[h].cost, 0};
            if (p == h || reducedCost(move, price) > slack)
                continue;
            addRate(core, move);
            // The split between the homes is listed apart; for the others the homes have one reduced cost.
            if (h == home.front() && p != home.back())
                away.emplace_back(static_cast<int>(p), std::max(0.0, reducedCost(move, price)));
        }
    const std::vector<std::vector<int>> leavers = Leavers(std::move(away), efficient.size(), all, slack).list();
    const std::size_t splits = home.size() == 2 ? items.size() + 1 : 1;
    if (leavers.size() * splits > kMaxClassCounts / efficient.size())
        return false;
    std::vector<IntOption> found;
    for (const std::vector<int>& left : leavers) {
        std::vector<int> count = left;
        int staying = all;
        for (const int n : left)
            staying -= n;
        for (int raised = 0; raised <= (home.size() == 2 ? staying : 0); ++raised) {
            count[home.front()] = staying - raised;
            if (home.size() == 2)
                count[home.back()] = raised;
            IntOption move{-origin.weight, -origin.cost, static_cast<int>(core.counts.size())};
            for (std::size_t p = 0; p < count.size(); ++p) {
                move.weight += count[p] * efficient[p].weight;
                move.cost += count[p] * efficient[p].cost;
            }
            core.counts.push_back(count);
            found.push_back(move);
        }
    }
    core.items = items;
    core.moves = efficientOptions(std::move(found));
    return true;
}

} // namespace

int positionOf(const std::vector<IntOption>& efficient, int index) {
    const auto it =
        std::find_if(efficient.begin(), efficient.end(), [index](const IntOption& o) { return o.index == index; });
    return static_cast<int>(it - efficient.begin());
}

std::vector<std::vector<int>> classesOf(const std::vector<std::vector<IntOption>>& efficient,
                                        const std::vector<std::size_t>& key) {
    std::vector<int> order(efficient.size());
    std::iota(order.begin(), order.end(), 0);
    const auto compare = [&](int a, int b) {
        const auto i = static_cast<std::size_t>(a), j = static_cast<std::size_t>(b);
        if (key[i] != key[j])
            return key[i] < key[j] ? -1 : 1;
        const auto &x = efficient[i], &y = efficient[j];
        for (std::size_t p = 0; p < std::min(x.size(), y.size()); ++p)
            if (x[p].weight != y[p].weight || x[p].cost != y[p].cost)
                return std::tie(x[p].weight, x[p].cost) < std::tie(y[p].weight, y[p].cost) ? -1 : 1;
        return x.size() == y.size() ? 0 : x.size() < y.size() ? -1 : 1;
    };
    std::stable_sort(order.begin(), order.end(), [&](int a, int b) { return compare(a, b) < 0; });
    std::vector<std::vector<int>> classes;
    for (std::size_t k = 0; k < order.size(); ++k) {
        if (k == 0 || compare(order[k - 1], order[k]) != 0)
            classes.emplace_back();
        classes.back().push_back(order[k]);
    }
    std::sort(classes.begin(), classes.end());
    return classes;
}

void CoreItem::place(std::int32_t move, std::vector<int>& position) const {
    if (counts.empty()) {
        position[static_cast<std::size_t>(items.front())] = move;
        return;
    }
    const std::vector<int>& count = counts[static_cast<std::size_t>(move)];
    std::size_t next = 0;
    for (std::size_t p = count.size(); p-- > 0;)
        for (int k = 0; k < count[p]; ++k)
            position[static_cast<std::size_t>(items[next++])] = static_cast<int>(p);
}

void addCore(std::vector<CoreItem>& core, const std::vector<int>& items, const std::vector<IntOption>& efficient,
             const std::vector<int>& position, double price, double slack) {
    const auto breakOf = [&](int item) { return position[static_cast<std::size_t>(item)]; };
    if (items.size() > 1)
        if (CoreItem alike; classMoves(alike, items, efficient, position, price, slack)) {
            core.push_back(std::move(alike));
            return;
        }
    for (const int item : items) {
        CoreItem single;
        single.items = {item};
        const IntOption& origin = efficient[static_cast<std::size_t>(breakOf(item))];
        for (std::size_t p = 0; p < efficient.size(); ++p) {
            const IntOption move{efficient[p].weight - origin.weight, efficient[p].cost - origin.cost,
                                 static_cast<int>(p)};
            if (move.weight != 0 && reducedCost(move, price) > slack)
                continue;
            single.moves.push_back(move);
            addRate(single, move);
        }
        core.push_back(std::move(single));
    }
}

std::vector<CoreItem> orderedCore(std::vector<CoreItem> core) {
    std::vector<std::size_t> growing, shrinking;
    for (std::size_t c = 0; c < core.size(); ++c) {
        if (core[c].up > 0)
            growing.push_back(c);
        if (core[c].down < kInfinity)
            shrinking.push_back(c);
    }
    std::stable_sort(growing.begin(), growing.end(),
                     [&](std::size_t a, std::size_t b) { return core[a].up > core[b].up; });
    std::stable_sort(shrinking.begin(), shrinking.end(),
                     [&](std::size_t a, std::size_t b) { return core[a].down < core[b].down; });
    std::vector<CoreItem> ordered;
    std::vector<bool> taken(core.size(), false);
    const auto take = [&](const std::vector<std::size_t>& list, std::size_t k) {
        if (k >= list.size() || taken[list[k]])
            return;
        taken[list[k]] = true;
        ordered.push_back(std::move(core[list[k]]));
    };
    for (std::size_t k = 0; k < std::max(growing.size(), shrinking.size()); ++k) {
        take(growing, k);
        take(shrinking, k);
    }
    return ordered;
}

} // namespace bw::detail
