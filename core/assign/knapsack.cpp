// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/assign/knapsack.h"

#include "core/assign/core_items.h"

#include <algorithm>
#include <cmath>
#include <tuple>

namespace bw::detail {
namespace {

/// The linear relaxation's break: every step before the first that no longer fits.
struct Relaxation {
    std::vector<int> corner;           ///< hull corner of each item in the break solution
    std::int64_t weight = 0, cost = 0; ///< of the break solution
    double multiplier = 0;             ///< saving per weight of the split step; 0 when everything fits
    std::int64_t bound = 0;
    std::size_t split = 0;             ///< index into the increments
};

Relaxation relax(const std::vector<std::vector<IntOption>>& hulls, const std::vector<Increment>& increments,
                 std::int64_t capacity) {
    Relaxation r;
    r.corner.assign(hulls.size(), 0);
    for (const auto& hull : hulls) {
        r.weight += hull.front().weight;
        r.cost += hull.front().cost;
    }
    for (; r.split < increments.size(); ++r.split) {
        const Increment& step = increments[r.split];
        if (step.weight > capacity - r.weight)
            break;
        r.weight += step.weight;
        r.cost -= step.saving;
        ++r.corner[static_cast<std::size_t>(step.item)];
    }
    r.bound = r.cost;
    if (r.split < increments.size()) {
        const Increment& step = increments[r.split];
        r.multiplier = static_cast<double>(step.saving) / static_cast<double>(step.weight);
        r.bound -= static_cast<std::int64_t>(Int128(step.saving) * (capacity - r.weight) / step.weight);
    }
    return r;
}

/// A choice found so far, as efficient-option positions.
struct Incumbent {
    std::vector<int> position;
    std::int64_t weight = 0, cost = 0;
    bool better(std::int64_t w, std::int64_t c) const { return c < cost || (c == cost && w < weight); }
};

struct State { std::int64_t weight = 0, cost = 0; };
struct Back { std::uint32_t parent = 0; std::int32_t move = 0; };

class Search {
public:
    Search(const std::vector<std::vector<IntOption>>& items, std::int64_t capacity, std::int64_t maxNodes,
           JobContext& job)
        : capacity_(capacity), maxNodes_(maxNodes), job_(job) {
        for (const auto& item : items) {
            efficient_.push_back(efficientOptions(item));
            hulls_.push_back(convexOptions(efficient_.back()));
        }
        increments_ = sortedIncrements(hulls_);
        relaxation_ = relax(hulls_, increments_, capacity_);
        double magnitude = 0;
        for (const auto& item : efficient_)
            magnitude += std::max(std::abs(static_cast<double>(item.front().cost)),
                                  std::abs(static_cast<double>(item.back().cost)));
        // Bounds are computed in doubles of up to this magnitude with a few roundings of 2^-53 each.
        margin_ = 1.0 + magnitude * 0x1.0p-48;
    }

    KnapsackResult run() {
        breakPositions();
        fillGreedily();
        buildCore();
        expand();
        KnapsackResult result;
        result.weight = best_.weight;
        result.cost = best_.cost;
        result.bound = closed_ ? best_.cost : std::min(best_.cost, std::max(relaxation_.bound, openBound_));
        result.nodes = nodes_;
        result.price = relaxation_.multiplier;
        for (std::size_t i = 0; i < efficient_.size(); ++i)
            result.choice.push_back(efficient_[i][static_cast<std::size_t>(best_.position[i])].index);
        return result;
    }

private:
    int cornerPosition(std::size_t item, int corner) const {
        return positionOf(efficient_[item], hulls_[item][static_cast<std::size_t>(corner)].index);
    }

    void breakPositions() {
        for (std::size_t i = 0; i < hulls_.size(); ++i)
            break_.push_back(cornerPosition(i, relaxation_.corner[i]));
        best_ = {break_, relaxation_.weight, relaxation_.cost};
    }

    /// A second candidate: past the split, every later step that still fits and continues its item's hull.
    void fillGreedily() {
        std::vector<int> corner = relaxation_.corner;
        std::int64_t weight = relaxation_.weight, cost = relaxation_.cost;
        for (std::size_t k = relaxation_.split; k < increments_.size(); ++k) {
            const Increment& step = increments_[k];
            const auto item = static_cast<std::size_t>(step.item);
            if (corner[item] != step.step || step.weight > capacity_ - weight)
                continue;
            weight += step.weight;
            cost -= step.saving;
            ++corner[item];
        }
        if (!best_.better(weight, cost))
            return;
        for (std::size_t i = 0; i < corner.size(); ++i)
            best_.position[i] = cornerPosition(i, corner[i]);
        best_.weight = weight;
        best_.cost = cost;
    }

    /// Keeps of each item the options that the relaxation bound plus their reduced cost does not rule out.
    void buildCore() {
        const double slack = static_cast<double>(best_.cost) - static_cast<double>(relaxation_.bound) + margin_;
        std::vector<CoreItem> core;
        for (const std::vector<int>& alike : classesOf(efficient_, std::vector<std::size_t>(efficient_.size(), 0)))
            addCore(core, alike, efficient_[static_cast<std::size_t>(alike.front())], break_, relaxation_.multiplier,
                    slack);
        core_ = orderedCore(std::move(core));
    }

    /// What the items from `k` on can do at best from a partial choice: a lower bound of its final cost.
    double stateBound(const State& s, std::size_t k) const {
        const auto free = static_cast<double>(capacity_ - s.weight);
        const auto cost = static_cast<double>(s.cost);
        if (free >= 0)
            return cost - free * upFrom_[k];
        return downFrom_[k] == kInfinity ? kInfinity : cost - free * downFrom_[k];
    }

    /// The best choice costs no more than the relaxation, and a lighter one would have to cost more.
    bool proven() const {
        if (best_.cost > relaxation_.bound)
            return false;
        std::int64_t lightest = 0;
        for (const auto& hull : hulls_)
            lightest += hull.front().weight;
        return best_.weight == lightest || relax(hulls_, increments_, best_.weight - 1).bound > best_.cost;
    }

    void expand() {
        const std::size_t n = core_.size();
        upFrom_.assign(n + 1, 0.0);
        downFrom_.assign(n + 1, kInfinity);
        for (std::size_t k = n; k-- > 0;) {
            upFrom_[k] = std::max(upFrom_[k + 1], core_[k].up);
            downFrom_[k] = std::min(downFrom_[k + 1], core_[k].down);
        }
        std::vector<State> states{{relaxation_.weight, relaxation_.cost}};
        std::vector<std::vector<Back>> layers;
        int bestLayer = -1;
        std::uint32_t bestState = 0;
        std::size_t k = 0;
        closed_ = proven();
        for (; k < n && !states.empty() && !closed_; ++k) {
            job_.checkpoint();
            if (nodes_ + static_cast<std::int64_t>(states.size() * core_[k].moves.size()) > maxNodes_)
                break;
            layers.push_back(expandLayer(states, k));
            nodes_ += static_cast<std::int64_t>(states.size());
            bool improved = false;
            for (std::size_t s = 0; s < states.size(); ++s)
                if (states[s].weight <= capacity_ && best_.better(states[s].weight, states[s].cost)) {
                    best_.weight = states[s].weight;
                    best_.cost = states[s].cost;
                    bestLayer = static_cast<int>(k);
                    bestState = static_cast<std::uint32_t>(s);
                    improved = true;
                }
            closed_ = improved && proven();
        }
        closed_ = closed_ || k == n || states.empty();
        if (!closed_) {
            double least = kInfinity;
            for (const State& s : states)
                least = std::min(least, stateBound(s, k));
            openBound_ =
                static_cast<std::int64_t>(std::floor(std::min(least, static_cast<double>(best_.cost)) - margin_));
        }
        if (bestLayer < 0)
            return;
        best_.position = break_;
        for (int layer = bestLayer; layer >= 0; --layer) {
            const Back& back = layers[static_cast<std::size_t>(layer)][bestState];
            core_[static_cast<std::size_t>(layer)].place(back.move, best_.position);
            bestState = back.parent;
        }
    }

    /// Replaces `states` by those after item k of the core and returns where each came from.
    std::vector<Back> expandLayer(std::vector<State>& states, std::size_t k) {
        struct Candidate { State state; Back back; };
        std::vector<Candidate> candidates;
        const double limit = static_cast<double>(best_.cost) + margin_;
        for (std::size_t s = 0; s < states.size(); ++s)
            for (const IntOption& move : core_[k].moves) {
                const State next{states[s].weight + move.weight, states[s].cost + move.cost};
                if (stateBound(next, k + 1) <= limit)
                    candidates.push_back({next, {static_cast<std::uint32_t>(s), move.index}});
            }
        std::stable_sort(candidates.begin(), candidates.end(), [](const Candidate& a, const Candidate& b) {
            return std::tie(a.state.weight, a.state.cost) < std::tie(b.state.weight, b.state.cost);
        });
        states.clear();
        std::vector<Back> backs;
        for (const Candidate& c : candidates)
            if (states.empty() || c.state.cost < states.back().cost) {
                states.push_back(c.state);
                backs.push_back(c.back);
            }
        return backs;
    }

    std::int64_t capacity_, maxNodes_;
    JobContext& job_;
    std::vector<std::vector<IntOption>> efficient_, hulls_;
    std::vector<Increment> increments_;
    Relaxation relaxation_;
    std::vector<int> break_;
    Incumbent best_;
    std::vector<CoreItem> core_;
    std::vector<double> upFrom_, downFrom_;
    double margin_ = 1;
    std::int64_t nodes_ = 0, openBound_ = 0;
    bool closed_ = false;
};

} // namespace

KnapsackResult minimise(const std::vector<std::vector<IntOption>>& items, std::int64_t capacity, std::int64_t maxNodes,
                        JobContext& job) {
    return Search(items, capacity, maxNodes, job).run();
}

} // namespace bw::detail
