// SPDX-License-Identifier: GPL-3.0-or-later
// Solving a prepared assignment: the exact additive optimum, then sites acting together, then the exact file size.
#include "core/experiment/assign_problem.h"
#include "core/experiment/plan_rows.h"

#include "core/assign/improve.h"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>

namespace bw {
namespace {

/// A mix of the problem's items as the predictor sees it: every member site of an item at the item's format.
class PredictedMix final : public AssignObjective {
public:
    PredictedMix(const MixPredictor& predictor, const AssignProblem& problem, const std::vector<int>& choice)
        : links_(link(predictor, problem)), state_(predictor, expand(predictor, choice)) {}

    double cost() const override { return state_.prediction().kl; }

    double costIf(std::size_t item, int option) const override {
        const Links& links = links_[item];
        if (links.sites.size() == 1)
            return state_.klIf(links.sites.front(), links.options.front()[static_cast<std::size_t>(option)]);
        MixPredictor::State tried = state_;
        apply(tried, links, option);
        return tried.prediction().kl;
    }

    void set(std::size_t item, int option) override { apply(state_, links_[item], option); }
    Prediction prediction() const { return state_.prediction(); }
    /// The predictor's option of each of its sites.
    const std::vector<int>& siteChoice() const { return state_.choice(); }

private:
    struct Links {
        std::vector<std::size_t> sites;        ///< of the predictor
        std::vector<std::vector<int>> options; ///< predictor's option by site, then by the item's option
    };

    static std::vector<Links> link(const MixPredictor& predictor, const AssignProblem& problem) {
        std::map<std::string, std::size_t> siteOf;
        for (std::size_t s = 0; s < predictor.sites().size(); ++s)
            siteOf[predictor.sites()[s].name] = s;
        std::vector<Links> out;
        for (const AssignItem& item : problem.items) {
            Links& links = out.emplace_back();
            for (const std::string& member : item.members) {
                const std::size_t site = siteOf.at(member);
                const std::vector<PredictionOption>& known = predictor.sites()[site].options;
                std::vector<int> map;
                for (const AssignOption& option : item.options) {
                    const auto found = std::find_if(known.begin(), known.end(), [&](const PredictionOption& o) {
                        return o.format == option.format;
                    });
                    map.push_back(found == known.end() ? -1 : static_cast<int>(found - known.begin()));
                }
                links.sites.push_back(site);
                links.options.push_back(std::move(map));
            }
        }
        return out;
    }

    std::vector<int> expand(const MixPredictor& predictor, const std::vector<int>& choice) const {
        std::vector<int> out(predictor.sites().size(), -1);
        for (std::size_t i = 0; i < links_.size(); ++i)
            for (std::size_t m = 0; m < links_[i].sites.size(); ++m)
                out[links_[i].sites[m]] = links_[i].options[m][static_cast<std::size_t>(choice[i])];
        return out;
    }

    static void apply(MixPredictor::State& state, const Links& links, int option) {
        for (std::size_t m = 0; m < links.sites.size(); ++m)
            state.set(links.sites[m], links.options[m][static_cast<std::size_t>(option)]);
    }

    std::vector<Links> links_;
    MixPredictor::State state_;
};

/// Fewer windows than this say too little of sites acting together to search on.
constexpr std::size_t kLeastWindows = 16;

bool hasInteractions(const AssignMap& map) {
    for (const auto& [site, cells] : map.cells)
        for (const auto& [format, cell] : cells)
            if (cell.projections.size() >= kLeastWindows * static_cast<std::size_t>(map.draws))
                return true;
    return false;
}

/// The predictor on every second window. A search finds whatever noise there is in what it searches on, so one half
/// proposes and the other judges.
MixPredictor halfOf(const MixPredictor& whole, const AssignMap& map, std::size_t parity) {
    std::vector<PredictionSite> sites = whole.sites();
    for (PredictionSite& site : sites)
        for (PredictionOption& option : site.options) {
            std::vector<float> kept;
            for (std::size_t k = 0; k < option.projections.size(); ++k)
                if (k / static_cast<std::size_t>(map.draws) % 2 == parity)
                    kept.push_back(option.projections[k]);
            option.projections = std::move(kept);
        }
    return {std::move(sites), map.draws, map.saturation};
}

/// After a local search the sums are those of the mix found; the proof stays that of the additive optimum.
void takeChoice(const AssignProblem& problem, AssignSolution& solution, const Improvement& better) {
    solution.choice = better.choice;
    solution.bytes = better.bytes;
    solution.cost = 0;
    for (std::size_t i = 0; i < problem.items.size(); ++i)
        solution.cost += problem.items[i].options[static_cast<std::size_t>(better.choice[i])].cost;
}

struct Found {
    AssignSolution solution;
    std::optional<Prediction> prediction;
    double additive = 0;
    std::int64_t moves = 0;
};

/// The estimate of a solution with its errors.
Prediction predictionOf(const PreparedAssign& p, const MixPredictors& predictors, const std::vector<int>& choice) {
    return predictors.predict(PredictedMix(predictors.solving, p.problem, choice).siteChoice());
}

/// Every option but the start's costs one standard error of the step more: the solution leaves the start only where the
/// map is surer than that.
AssignProblem nearStart(const AssignProblem& problem, const std::vector<int>& start) {
    AssignProblem near = problem;
    for (std::size_t i = 0; i < near.items.size(); ++i) {
        if (start[i] < 0)
            continue;
        std::vector<AssignOption>& options = near.items[i].options;
        const double startError = options[static_cast<std::size_t>(start[i])].error;
        for (std::size_t j = 0; j < options.size(); ++j)
            if (static_cast<int>(j) != start[i])
                options[j].cost += std::hypot(options[j].error, startError);
    }
    return near;
}

Found solveBytes(const PreparedAssign& p, const MixPredictors* predictors, bool interactions, std::uint64_t target,
                 JobContext& job) {
    Found out;
    if (!p.start.empty()) {
        const AssignSolution bound = solve(p.problem, target, job),
                             near = solve(nearStart(p.problem, p.start), target, job);
        out.solution = bound; // the proof is that of the map's own problem
        takeChoice(p.problem, out.solution, {near.choice, near.bytes, 0, 0, 0});
        out.solution.optimal = false;
        if (predictors)
            out.prediction = predictionOf(p, *predictors, near.choice);
        out.additive = out.prediction ? out.prediction->kl : 0;
        return out;
    }
    out.solution = solve(p.problem, target, job);
    if (!predictors)
        return out;
    out.prediction = predictionOf(p, *predictors, out.solution.choice);
    out.additive = out.prediction->kl;
    if (!interactions)
        return out;
    const MixPredictor search = halfOf(predictors->solving, p.map, 0), judge = halfOf(predictors->solving, p.map, 1);
    PredictedMix mix(search, p.problem, out.solution.choice);
    const Improvement better = improve(p.problem, out.solution.choice, target, mix, job);
    const Prediction before = PredictedMix(judge, p.problem, out.solution.choice).prediction(),
                     after = PredictedMix(judge, p.problem, better.choice).prediction();
    if (better.after < better.before && after.kl < before.kl) {
        takeChoice(p.problem, out.solution, better);
        out.moves = better.moves;
        out.prediction = after;
    }
    return out;
}

/// The smallest mix whose best estimate stays within the limit: the sum that the solver counts is moved until it does.
Found solveDamage(const PreparedAssign& p, const MixPredictors* predictors, JobContext& job) {
    const double limit = p.budget->value;
    if (!predictors)
        return {solveForCost(p.problem, limit, job), std::nullopt, 0, 0};
    constexpr int kRounds = 12; // halves the range each time: 1/4000 of it in the end
    double least = 0;
    for (const AssignItem& item : p.problem.items)
        least += std::min_element(item.options.begin(), item.options.end(), [](const auto& a, const auto& b) {
                     return a.cost < b.cost;
                 })->cost;
    least *= 1 + 1e-12; // the solver adds exactly, here it is rounded thousands of times at most
    const auto at = [&](double sum) {
        Found found{solveForCost(p.problem, std::max(sum, least), job), std::nullopt, 0, 0};
        found.prediction = predictionOf(p, *predictors, found.solution.choice);
        found.additive = found.prediction->kl;
        return found;
    };
    double low = least, high = std::max(limit, least);
    Found best = at(low);
    if (best.prediction->kl > limit)
        throw Error(
            ErrorCode::infeasibleBudget,
            fmt::format(
                "the least damage that can be had is predicted as {:.4g} nats per token, the budget asks for {:.4g}",
                best.prediction->kl, limit),
            "allow larger formats or more damage");
    while (at(high).prediction->kl < limit && high < 1e6) // damage levels off: the sum may go far beyond it
        high *= 2;
    for (int round = 0; round < kRounds; ++round) {
        const double middle = (low + high) / 2;
        Found found = at(middle);
        if (found.prediction->kl <= limit) {
            low = middle;
            if (found.solution.bytes <= best.solution.bytes)
                best = std::move(found);
        } else {
            high = middle;
        }
    }
    return best;
}

/// Floor and ceiling in the units that people give budgets in.
void addReach(Error& e, const Model& model, const PreparedAssign& p) {
    const auto inUnits = [&](std::uint64_t bytes) {
        const double bits = 8.0 * static_cast<double>(bytes - std::min(bytes, p.sizes.fixed)) /
                            static_cast<double>(std::max<std::int64_t>(1, siteWeights(model)));
        return fmt::format("{}B = {:.4f}bpw", bytes, bits);
    };
    e.add("floor", inUnits(p.range.floor));
    e.add("ceiling", inUnits(p.range.ceiling));
    if (!p.map.forbid.empty()) // what --starved keep holds; other text would free it
        e.add("starved experts", fmt::format("{} held at their largest formats", p.map.starved.size()));
}

SolvedAssign solveExactly(const PreparedAssign& p, const Model& model, const Recipe& recipe, JobContext& job) {
    std::optional<MixPredictors> predictors;
    if (p.map.inNats())
        predictors.emplace(mixPredictors(p.map, model));
    const MixPredictors* known = predictors ? &*predictors : nullptr;
    const bool interactions = recipe.assignment.interactions && hasInteractions(p.map);
    const bool byDamage = p.budget && p.budget->kind == Budget::Kind::cost;
    constexpr int kRounds = 3; // a header changes by some bytes with the mix; one round is the rule
    std::uint64_t target = p.limit;
    for (int round = 0;; ++round) {
        Found found = byDamage ? solveDamage(p, known, job) : solveBytes(p, known, interactions, target, job);
        SolvedAssign out{std::move(found.solution), {}, {}, found.prediction, found.additive, found.moves};
        out.recipe = mixRecipe(recipe, p.problem, out.solution.choice);
        Recipe planned = out.recipe;
        planned.exporting.replace = true; // only planned
        out.plan = planFor(model, recipeFormats(model, planned), planned);
        if (byDamage || out.plan.fileBytes <= p.limit || round == kRounds)
            return out;
        target -= out.plan.fileBytes - p.limit;
    }
}

} // namespace

SolvedAssign solveAssign(const PreparedAssign& prepared, const Model& model, const Recipe& recipe, JobContext& job) {
    try {
        return solveExactly(prepared, model, recipe, job);
    } catch (Error& e) {
        if (e.code() == ErrorCode::infeasibleBudget)
            addReach(e, model, prepared);
        throw;
    }
}

} // namespace bw
