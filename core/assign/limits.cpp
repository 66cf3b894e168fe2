// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/assign/limits.h"

#include "core/assign/core_items.h"
#include "core/assign/limits_relax.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <map>
#include <tuple>

namespace bw::detail {
namespace {

struct Choice {
    std::vector<int> position; ///< in the efficient lists
    std::int64_t weight = 0, cost = 0;
    bool better(std::int64_t w, std::int64_t c) const { return c < cost || (c == cost && w < weight); }
};

/// A partial choice: deviations from the relaxation's whole steps. `own`: of the group being decided.
struct State { std::int64_t weight = 0, own = 0, cost = 0; };
struct Back { std::uint32_t parent = 0; std::int32_t move = 0; };

/// Best rates of what a group may still decide, and its room.
struct Rates {
    double up = 0, down = kInfinity, room = kInfinity;
    /// Most that the group saves when weight costs `p` each.
    double saving(double p) const {
        if (room < 0)
            return down == kInfinity ? -kInfinity : std::max(0.0, down - p) * room;
        return p < up && room < kInfinity ? (up - p) * room : 0.0;
    }
};

class LimitedSearch {
public:
    LimitedSearch(const LimitedProblem& problem, std::int64_t maxNodes, JobContext& job)
        : problem_(problem), maxNodes_(maxNodes), job_(job), groups_(problem.groupCapacity.size()),
          caps_(problem.groupCapacity) {
        for (std::size_t i = 0; i < problem.items.size(); ++i) {
            efficient_.push_back(efficientOptions(problem.items[i]));
            hulls_.push_back(convexOptions(efficient_.back()));
            groupOf_.push_back(problem.groupOf[i] < 0 ? groups_ : static_cast<std::size_t>(problem.groupOf[i]));
        }
        increments_ = sortedIncrements(hulls_);
        caps_.push_back(kUnlimited);
        relaxation_ = relaxLimits(hulls_, increments_, groupOf_, caps_, problem.capacity);
        for (std::size_t i = 0; i < hulls_.size(); ++i)
            break_.push_back(
                positionOf(efficient_[i], hulls_[i][static_cast<std::size_t>(relaxation_.corner[i])].index));
        best_ = {break_, relaxation_.total, relaxation_.cost};
        bound_ = relaxation_.bound;
        double magnitude = 0;
        for (const auto& item : efficient_)
            magnitude += std::max(std::abs(static_cast<double>(item.front().cost)),
                                  std::abs(static_cast<double>(item.back().cost)));
        // Bounds are computed in doubles of up to this magnitude with a few roundings of 2^-53 per group.
        margin_ = 1.0 + magnitude * 0x1.0p-47;
    }

    LimitedResult run() {
        if (!groupsAlone() && !allTogether()) {
            fillGreedily();
            fullGroupsFirst();
            buildCore();
            if (expand())
                bound_ = best_.cost;
        }
        LimitedResult result;
        result.weight = best_.weight;
        result.cost = best_.cost;
        result.bound = std::min(best_.cost, bound_);
        result.nodes = nodes_;
        result.price = relaxation_.price;
        for (std::size_t g = 0; g < groups_; ++g)
            result.groupPrices.push_back(relaxation_.groupPrice[g] - relaxation_.price);
        for (std::size_t i = 0; i < efficient_.size(); ++i)
            result.choice.push_back(efficient_[i][static_cast<std::size_t>(best_.position[i])].index);
        return result;
    }

private:
    std::int64_t room(std::size_t group, const Weights& weight, std::int64_t total) const {
        return std::min(problem_.capacity - total, caps_[group] - weight[group]);
    }

    struct Part { std::vector<std::size_t> members; KnapsackResult found; };

    /// The items of these groups as one knapsack of the given capacity.
    Part solvePart(const std::vector<bool>& inside, std::int64_t capacity) {
        Part part;
        std::vector<std::vector<IntOption>> items;
        for (std::size_t i = 0; i < efficient_.size(); ++i)
            if (inside[groupOf_[i]]) {
                part.members.push_back(i);
                items.push_back(problem_.items[i]);
            }
        part.found = minimise(items, capacity, maxNodes_, job_);
        nodes_ += part.found.nodes;
        return part;
    }

    std::vector<bool> only(std::size_t group) const {
        std::vector<bool> inside(groups_ + 1, false);
        inside[group] = true;
        return inside;
    }

    void put(Choice& choice, const Part& part) const {
        for (std::size_t k = 0; k < part.members.size(); ++k) {
            const std::size_t i = part.members[k];
            choice.position[i] = positionOf(efficient_[i], part.found.choice[k]);
        }
        choice.weight += part.found.weight;
        choice.cost += part.found.cost;
    }

    Weights weights(const Choice& choice) const {
        Weights w(groups_ + 1, 0);
        for (std::size_t i = 0; i < efficient_.size(); ++i)
            w[groupOf_[i]] += efficient_[i][static_cast<std::size_t>(choice.position[i])].weight;
        return w;
    }

    bool fits(const Choice& choice) const {
        const Weights w = weights(choice);
        for (std::size_t g = 0; g <= groups_; ++g)
            if (w[g] > caps_[g])
                return false;
        return choice.weight <= problem_.capacity;
    }

    Choice nothing() const { return {std::vector<int>(efficient_.size(), 0), 0, 0}; }

    /// Each group for itself: the answer when the total has room for all of them.
    bool groupsAlone() {
        Choice choice = nothing();
        std::int64_t bound = 0;
        for (std::size_t g = 0; g <= groups_; ++g) {
            const Part part = solvePart(only(g), caps_[g]);
            put(choice, part);
            bound += part.found.bound;
        }
        bound_ = std::max(bound_, bound);
        return takeIfFits(choice, bound);
    }

    /// Without groups: the answer when it keeps to them anyway.
    bool allTogether() {
        Choice choice = nothing();
        const Part part = solvePart(std::vector<bool>(groups_ + 1, true), problem_.capacity);
        put(choice, part);
        bound_ = std::max(bound_, part.found.bound);
        return takeIfFits(choice, part.found.bound);
    }

    bool takeIfFits(const Choice& choice, std::int64_t bound) {
        if (!fits(choice))
            return false;
        best_ = choice;
        bound_ = bound;
        return true;
    }

    void offer(const Choice& choice) {
        if (best_.better(choice.weight, choice.cost) && fits(choice))
            best_ = choice;
    }

    /// From the relaxation's whole steps on, every later step that still fits and continues its item's hull.
    void fillGreedily() {
        std::vector<int> corner = relaxation_.corner;
        Weights weight = relaxation_.weight;
        Choice choice{break_, relaxation_.total, relaxation_.cost};
        for (const Increment& step : increments_) {
            const auto item = static_cast<std::size_t>(step.item);
            if (corner[item] != step.step || step.weight > room(groupOf_[item], weight, choice.weight))
                continue;
            weight[groupOf_[item]] += step.weight;
            choice.weight += step.weight;
            choice.cost -= step.saving;
            ++corner[item];
        }
        for (std::size_t i = 0; i < corner.size(); ++i)
            choice.position[i] = positionOf(efficient_[i], hulls_[i][static_cast<std::size_t>(corner[i])].index);
        offer(choice);
    }

    /// Groups that their own capacity stops, each alone; the others share what is left. A group that then takes too
    /// much counts as stopped, too.
    void fullGroupsFirst() {
        std::vector<bool> alone = relaxation_.full;
        for (std::size_t round = 0; round <= groups_; ++round) {
            Choice choice = nothing();
            for (std::size_t g = 0; g < groups_; ++g)
                if (alone[g])
                    put(choice, solvePart(only(g), caps_[g]));
            std::vector<bool> rest = alone;
            rest.flip();
            std::int64_t least = 0;
            for (std::size_t i = 0; i < hulls_.size(); ++i)
                least += rest[groupOf_[i]] ? hulls_[i].front().weight : 0;
            if (least > problem_.capacity - choice.weight)
                return;
            put(choice, solvePart(rest, problem_.capacity - choice.weight));
            offer(choice);
            const Weights w = weights(choice);
            bool more = false;
            for (std::size_t g = 0; g < groups_; ++g)
                if (!alone[g] && w[g] > caps_[g])
                    alone[g] = more = true;
            if (!more)
                return;
        }
    }

    /// Core items group after group, those of groups that can no longer overflow last.
    void buildCore() {
        const double slack = static_cast<double>(best_.cost) - static_cast<double>(relaxation_.bound) + margin_;
        std::vector<std::vector<CoreItem>> cores(groups_ + 1);
        Weights most(groups_ + 1, 0);
        for (const std::vector<int>& alike : classesOf(efficient_, groupOf_)) {
            const auto first = static_cast<std::size_t>(alike.front());
            addCore(cores[groupOf_[first]], alike, efficient_[first], break_, relaxation_.groupPrice[groupOf_[first]],
                    slack);
        }
        for (std::size_t g = 0; g <= groups_; ++g)
            for (const CoreItem& item : cores[g])
                most[g] += item.moves.back().weight;
        for (std::size_t g = 0; g <= groups_; ++g) {
            if (g < groups_ && most[g] <= caps_[g] - relaxation_.weight[g]) {
                std::move(cores[g].begin(), cores[g].end(), std::back_inserter(cores[groups_]));
                continue;
            }
            for (CoreItem& item : orderedCore(std::move(cores[g]))) {
                core_.push_back(std::move(item));
                coreGroup_.push_back(g);
            }
        }
        // What the group of each item may still do behind it, and what each group may do as a whole.
        whole_.assign(groups_ + 1, {});
        behind_.assign(core_.size(), {});
        for (std::size_t g = 0; g < groups_; ++g)
            whole_[g].room = static_cast<double>(caps_[g] - relaxation_.weight[g]);
        for (std::size_t k = core_.size(); k-- > 0;) {
            Rates& rates = whole_[coreGroup_[k]];
            behind_[k] = rates;
            rates.up = std::max(rates.up, core_[k].up);
            rates.down = std::min(rates.down, core_[k].down);
        }
    }

    /// The state after item k: prices of weight that bound what is still to come.
    struct Outlook {
        std::size_t group = 0;
        Rates own;                                     ///< of the group in hand; its room is the state's matter
        std::vector<std::pair<double, double>> prices; ///< price, most that the groups behind save at it
    };

    Outlook outlook(std::size_t k) const {
        Outlook out{coreGroup_[k], behind_[k], {}};
        const std::size_t next = out.group + 1; // groups stand in order
        double least = out.group == groups_ ? out.own.up : whole_[groups_].up, most = out.own.down;
        std::vector<double> prices{relaxation_.price, out.own.up, out.own.down};
        for (std::size_t g = next; g <= groups_; ++g) {
            most = std::min(most, whole_[g].down);
            prices.push_back(whole_[g].up);
            prices.push_back(whole_[g].down);
        }
        // Below `least` growing without end would pay, above `most` shrinking; rates differ by roundings of 2^-53.
        least *= 1 - 0x1.0p-50;
        most *= 1 + 0x1.0p-50;
        prices.push_back(0);
        std::sort(prices.begin(), prices.end());
        prices.erase(std::unique(prices.begin(), prices.end()), prices.end());
        for (const double p : prices) {
            if (p < least || p > most || p == kInfinity)
                continue;
            double saving = 0;
            for (std::size_t g = next; g < groups_; ++g)
                saving += whole_[g].saving(p);
            out.prices.emplace_back(p, saving);
        }
        return out;
    }

    /// A lower bound of the final cost: weak duality at the best of the outlook's prices.
    double stateBound(const State& s, const Outlook& out) const {
        const auto free = static_cast<double>(problem_.capacity - relaxation_.total - s.weight);
        Rates own = out.own;
        if (out.group < groups_)
            own.room = static_cast<double>(caps_[out.group] - relaxation_.weight[out.group] - s.own);
        double saving = kInfinity;
        bool shrinks = own.down < kInfinity;
        for (std::size_t g = out.group + 1; g <= groups_; ++g)
            shrinks = shrinks || whole_[g].down < kInfinity;
        if (free < 0 && !shrinks)
            return kInfinity;
        for (const auto& [price, behind] : out.prices)
            saving = std::min(saving, price * free + own.saving(price) + behind);
        return static_cast<double>(s.cost) - saving;
    }

    /// @return whether nothing better than the best choice is left.
    bool expand() {
        std::vector<State> states{{0, 0, relaxation_.cost}};
        std::vector<std::vector<Back>> layers;
        std::int64_t nodes = 0;
        int bestLayer = -1;
        std::uint32_t bestState = 0;
        std::size_t k = 0;
        bool closed = false;
        for (; k < core_.size() && !states.empty(); ++k) {
            job_.checkpoint();
            if (nodes + static_cast<std::int64_t>(states.size() * core_[k].moves.size()) > maxNodes_)
                break;
            layers.push_back(expandLayer(states, k));
            nodes += static_cast<std::int64_t>(states.size());
            for (std::size_t s = 0; s < states.size(); ++s)
                if (fitsNow(states[s], coreGroup_[k]) &&
                    best_.better(relaxation_.total + states[s].weight, states[s].cost)) {
                    best_.weight = relaxation_.total + states[s].weight;
                    best_.cost = states[s].cost;
                    bestLayer = static_cast<int>(k);
                    bestState = static_cast<std::uint32_t>(s);
                }
        }
        nodes_ += nodes;
        closed = k == core_.size() || states.empty();
        if (!closed && k > 0) {
            const Outlook out = outlook(k - 1);
            double least = static_cast<double>(best_.cost);
            for (const State& s : states)
                least = std::min(least, stateBound(s, out));
            bound_ = std::max(bound_, static_cast<std::int64_t>(std::floor(least - margin_)));
        }
        if (bestLayer < 0)
            return closed;
        best_.position = break_;
        for (int layer = bestLayer; layer >= 0; --layer) {
            const Back& back = layers[static_cast<std::size_t>(layer)][bestState];
            core_[static_cast<std::size_t>(layer)].place(back.move, best_.position);
            bestState = back.parent;
        }
        return closed;
    }

    /// Whether the state is a choice within all capacities when everything behind it stays.
    bool fitsNow(const State& s, std::size_t group) const {
        return s.weight <= problem_.capacity - relaxation_.total && s.own <= caps_[group] - relaxation_.weight[group];
    }

    /// Replaces `states` by those after item k of the core and returns where each came from.
    std::vector<Back> expandLayer(std::vector<State>& states, std::size_t k) {
        struct Candidate { State state; Back back; };
        std::vector<Candidate> candidates;
        const double limit = static_cast<double>(best_.cost) + margin_;
        const Outlook out = outlook(k);
        const bool last = k + 1 == core_.size() || coreGroup_[k + 1] != out.group;
        for (std::size_t s = 0; s < states.size(); ++s)
            for (const IntOption& move : core_[k].moves) {
                State next{states[s].weight + move.weight, states[s].own, states[s].cost + move.cost};
                if (out.group < groups_)
                    next.own += move.weight;
                if (stateBound(next, out) > limit)
                    continue;
                if (last) // that it fits is proven: nothing behind could shrink the group
                    next.own = 0;
                candidates.push_back({next, {static_cast<std::uint32_t>(s), move.index}});
            }
        std::stable_sort(candidates.begin(), candidates.end(), [](const Candidate& a, const Candidate& b) {
            return std::tie(a.state.weight, a.state.own, a.state.cost) <
                   std::tie(b.state.weight, b.state.own, b.state.cost);
        });
        states.clear();
        std::vector<Back> backs;
        std::map<std::int64_t, std::int64_t> stairs; // own → cost, falling: what is reached with no more weight so far
        for (const Candidate& c : candidates) {
            auto above = stairs.upper_bound(c.state.own);
            if (above != stairs.begin() && std::prev(above)->second <= c.state.cost)
                continue;
            while (above != stairs.end() && above->second >= c.state.cost)
                above = stairs.erase(above);
            stairs[c.state.own] = c.state.cost;
            states.push_back(c.state);
            backs.push_back(c.back);
        }
        return backs;
    }

    const LimitedProblem& problem_;
    std::int64_t maxNodes_;
    JobContext& job_;
    std::size_t groups_; ///< also the index of the items without a group
    Weights caps_;
    std::vector<std::vector<IntOption>> efficient_, hulls_;
    std::vector<std::size_t> groupOf_;
    std::vector<Increment> increments_;
    LimitRelaxation relaxation_;
    std::vector<int> break_;
    Choice best_;
    std::vector<CoreItem> core_;
    std::vector<std::size_t> coreGroup_;
    std::vector<Rates> whole_, behind_;
    double margin_ = 1;
    std::int64_t nodes_ = 0, bound_ = 0;
};

} // namespace

LimitedResult minimiseWithin(const LimitedProblem& problem, std::int64_t maxNodes, JobContext& job) {
    return LimitedSearch(problem, maxNodes, job).run();
}

} // namespace bw::detail
