// SPDX-License-Identifier: GPL-3.0-or-later
// Costs for a solver by empirical Bayes. A solver picks the cells that came out too cheap by chance, so each is drawn
// towards what the rest of the map says about it, the more the larger its error.
// Model of a cell: log value = kind + format + site + cell; site ~ N(0, s²), cell ~ Student t₄ · t (a cell far off by
// more than its error is believed), measured with the known relative error r. Fitted by expectation and maximization.
#include "core/sensitivity/prediction.h"

#include <algorithm>
#include <cmath>
#include <map>

namespace bw {
namespace {

constexpr int kRounds = 40;
constexpr double kFreedom = 4;      ///< of the t distribution: heavy tails with a variance
constexpr double kLeast = 1e-6;     ///< variance that stays, so that nothing is divided by 0
constexpr double kLargestError = 1; ///< relative; past it a cell says nothing more exactly than "about this size"

/// "blk.3.ffn_up.e5" → "ffn_up": sites of one kind are neighbours across blocks and experts.
std::string kindOf(const std::string& name) {
    std::string kind = name;
    if (kind.starts_with("blk."))
        if (const std::size_t dot = kind.find('.', 4); dot != std::string::npos) kind = kind.substr(dot + 1);
    if (const std::size_t dot = kind.rfind(".e");
        dot != std::string::npos && kind.find_first_not_of("0123456789", dot + 2) == std::string::npos)
        kind.resize(dot);
    return kind;
}

struct Cell {
    std::size_t option = 0;
    int format = 0;
    double y = 0;      ///< log value, freed of the bias that noise gives a logarithm
    double noise = 0;  ///< variance of y
    double weight = 1; ///< of the t distribution: t²/weight is this cell's variance
    double deviation = 0;
};

struct SiteCells {
    int kind = 0;
    std::vector<Cell> cells;
    double effect = 0, effectVariance = 0;
};

class Fit {
public:
    explicit Fit(const std::vector<PredictionSite>& sites) {
        std::map<std::string, int> kinds, formats;
        for (const PredictionSite& site : sites) {
            SiteCells& made = sites_.emplace_back();
            made.kind = kinds.emplace(kindOf(site.name), static_cast<int>(kinds.size())).first->second;
            for (std::size_t o = 0; o < site.options.size(); ++o) {
                const PredictionOption& option = site.options[o];
                if (!(option.value > 0) || !(option.standardError > 0)) continue;
                const double relative = std::min(kLargestError, option.standardError / option.value);
                const int format = formats.emplace(option.format, static_cast<int>(formats.size())).first->second;
                // E log of an unbiased estimate lies about r²/2 too low.
                made.cells.push_back(
                    {o, format, std::log(option.value) + 0.5 * relative * relative, relative * relative, 1, 0});
            }
        }
        kinds_.assign(kinds.size(), 0.0);
        formats_.assign(formats.size(), 0.0);
        for (int round = 0; round < kRounds; ++round) {
            fitMeans();
            expect();
            maximize();
        }
        fitMeans();
        expect();
    }

    /// Expected value of each cell that was fitted, in the order of sites and of their cells.
    const std::vector<SiteCells>& sites() const { return sites_; }
    double expected(const SiteCells& site, const Cell& cell) const {
        const double believed = cellVariance_ / cell.weight / (cellVariance_ / cell.weight + cell.noise);
        const double log = base(site, cell) + site.effect + cell.deviation;
        const double variance = (1 - believed) * (1 - believed) * site.effectVariance + believed * cell.noise;
        return std::exp(log + 0.5 * variance); // the mean of what may be there, not its median
    }

private:
    double base(const SiteCells& site, const Cell& cell) const {
        return kinds_[static_cast<std::size_t>(site.kind)] + formats_[static_cast<std::size_t>(cell.format)];
    }
    double total(const Cell& cell) const { return cellVariance_ / cell.weight + cell.noise; }

    /// Kinds and formats: weighted means of what is left, in turns.
    void fitMeans() {
        for (int turn = 0; turn < 3; ++turn) {
            means(kinds_, [](const SiteCells& site, const Cell&) { return site.kind; });
            means(formats_, [](const SiteCells&, const Cell& cell) { return cell.format; });
        }
    }
    template <class Index>
    void means(std::vector<double>& effects, const Index& index) {
        std::vector<double> sums(effects.size(), 0.0), weights(effects.size(), 0.0);
        for (const SiteCells& site : sites_)
            for (const Cell& cell : site.cells) {
                const auto i = static_cast<std::size_t>(index(site, cell));
                const double weight = 1 / total(cell);
                sums[i] += weight * (cell.y - site.effect - base(site, cell));
                weights[i] += weight;
            }
        for (std::size_t i = 0; i < effects.size(); ++i)
            if (weights[i] > 0) effects[i] += sums[i] / weights[i];
    }

    void expect() {
        for (SiteCells& site : sites_) {
            double precision = 1 / siteVariance_, sum = 0;
            for (const Cell& cell : site.cells) {
                precision += 1 / total(cell);
                sum += (cell.y - base(site, cell)) / total(cell);
            }
            site.effect = sum / precision;
            site.effectVariance = 1 / precision;
            for (Cell& cell : site.cells) {
                const double left = cell.y - base(site, cell) - site.effect;
                cell.weight = (kFreedom + 1) / (kFreedom + left * left / (cellVariance_ + cell.noise));
                cell.deviation = left * (cellVariance_ / cell.weight) / total(cell);
            }
        }
    }

    void maximize() {
        double siteSum = 0, cellSum = 0, siteCount = 0, cellCount = 0;
        for (const SiteCells& site : sites_) {
            if (site.cells.empty()) continue;
            siteSum += site.effect * site.effect + site.effectVariance;
            siteCount += 1;
            for (const Cell& cell : site.cells) {
                const double believed = cellVariance_ / cell.weight / total(cell);
                cellSum += cell.weight * (cell.deviation * cell.deviation + believed * cell.noise +
                                          believed * believed * site.effectVariance);
                cellCount += 1;
            }
        }
        if (siteCount > 0) siteVariance_ = std::max(kLeast, siteSum / siteCount);
        if (cellCount > 0) cellVariance_ = std::max(kLeast, cellSum / cellCount);
    }

    std::vector<SiteCells> sites_;
    std::vector<double> kinds_, formats_;
    double siteVariance_ = 1, cellVariance_ = 0.1;
};

} // namespace

std::vector<std::vector<double>> MixPredictor::shrunkCosts() const {
    std::vector<std::vector<double>> costs;
    for (const PredictionSite& site : sites_) {
        std::vector<double>& own = costs.emplace_back();
        for (const PredictionOption& option : site.options) own.push_back(option.value);
    }
    const Fit fit(sites_);
    for (std::size_t s = 0; s < sites_.size(); ++s)
        for (const Cell& cell : fit.sites()[s].cells) costs[s][cell.option] = fit.expected(fit.sites()[s], cell);
    return costs;
}

} // namespace bw
