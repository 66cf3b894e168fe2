// SPDX-License-Identifier: GPL-3.0-or-later
// What a whole mix costs, from a map of its sites: the plain sum, the interactions that signed projections give (shrunk
// towards the sum by their noise, empirical Bayes), and the levelling-off of large damage. Microseconds per change of
// one site, so that a window can follow a painting hand. Not for: measuring.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace bw {

/// Projections of one cell, shared by all copies: a map of 20,000 sites × 12 formats × 256 probes takes 250 MB once.
class Projections {
public:
    Projections() = default;
    Projections(std::vector<float> values) : values_(std::make_shared<std::vector<float>>(std::move(values))) {}
    std::size_t size() const { return values_ ? values_->size() : 0; }
    bool empty() const { return size() == 0; }
    float operator[](std::size_t k) const { return (*values_)[k]; }
    const float* begin() const { return values_ ? values_->data() : nullptr; }
    const float* end() const { return begin() + size(); }
    /// Of this copy alone from now on.
    std::vector<float>& edit() {
        if (!values_ || values_.use_count() > 1) values_ = std::make_shared<std::vector<float>>(begin(), end());
        return *values_;
    }

private:
    std::shared_ptr<std::vector<float>> values_;
};

/// One format of one site. Projections as in FisherRow, empty when the map has none (measured KL).
struct PredictionOption {
    std::string format;
    double value = 0, standardError = 0;
    Projections projections;
};
struct PredictionSite {
    std::string name;
    std::vector<PredictionOption> options;
};

/// In nats per token. `se` are standard errors of the sums that the probes (or measurements) leave.
struct Prediction {
    double sum = 0, sumSe = 0;             ///< Σ over sites
    double interaction = 0;                ///< what is added to `sum` by sites acting together, shrunk; may be negative
    double shrinkage = 0; ///< 0 … 1: how much of the raw interaction is believed, by its noise and the map
    double kl = 0, klSe = 0;               ///< the best estimate: interactions and saturation applied
};

/// Damage that levels off: D = limit·tanh(scale·s/limit) of the small-damage estimate s. Of measured mixes, those of up
/// to half a nat still grow as fast as s or faster; 1 − e^(−s/limit) took 5 % away there already.
struct Saturation {
    double limit = 0;                      ///< nats; 0 = none
    double scale = 1;                      ///< 1 unless refitted to measured mixes
    double apply(double s) const;
    double slope(double s) const;          ///< dD/ds
};

/// A measured mix to refit on: small-damage estimate, measured KL and its error.
struct MeasuredPoint { double estimate = 0, kl = 0, se = 0; };
/// The scale (and, with three points or more beyond a tenth of the limit, the limit) that fit measured mixes best in
/// log-KL, weighted by their errors; a scale outside [½, 2] is refused and the given one returned.
Saturation refit(const Saturation& from, const std::vector<MeasuredPoint>& points);

class MixPredictor {
public:
    /// @param draws probes of one window hang together: errors are taken over windows. 1 without projections.
    /// @throws Error(usage) for projections of different probes, Error(nonFinite) naming site and format.
    MixPredictor(std::vector<PredictionSite> sites, int draws, Saturation saturation);
    const std::vector<PredictionSite>& sites() const { return sites_; }
    /// @param choice option index per site; −1 = full precision, no damage.
    Prediction predict(const std::vector<int>& choice) const;

    /// A mix that is changed step by step: O(probes) per change and per estimate.
    class State {
    public:
        /// @throws Error(usage) for a choice of another length or an option that is none.
        State(const MixPredictor& predictor, std::vector<int> choice);
        void set(std::size_t site, int option);
        /// The best estimate if `site` took `option`, without taking it.
        double klIf(std::size_t site, int option) const;
        Prediction prediction() const;
        const std::vector<int>& choice() const { return choice_; }

    private:
        friend class MixPredictor;
        const MixPredictor* predictor_;
        std::vector<int> choice_;
        std::vector<double> total_;        ///< Σ_s c[k]
        std::vector<double> parts_;        ///< Σ_s ½·mean c² by window
        double sum_ = 0, variance_ = 0;    ///< of what has no projections
    };

    /// Costs for a solver: each cell shrunk towards what its neighbours suggest by its own error, so that no cell is
    /// bought for its luck. log value = kind of site + format + site + cell, the last two random with heavy tails for
    /// the cell, fitted by expectation and maximization; a value whose error is 0 is kept. Same shape as `sites`.
    std::vector<std::vector<double>> shrunkCosts() const;

private:
    friend class State;
    /// What an option adds to a mix.
    struct Part {
        double value = 0, variance = 0;
        bool probed = false;               ///< errors are then taken from `windows`
        Projections projections;           ///< ½·mean (scale·c)² = value
        double scale = 1;
        std::vector<float> windows;        ///< ½·mean c² of each window's draws
    };
    /// How much sites of this map act together: the variance of (what acting together adds)/(plain sum) over made-up
    /// mixes, less what noise adds to it. Each site's sign is drawn too: its pairs then count one by one, where one sum
    /// over all of them would be a single throw of the dice.
    void learnTogetherness();
    const Part* part(std::size_t site, int option) const;
    /// `less` and `more` (may be null): parts taken away and added without changing the sums.
    Prediction estimate(const State& state, const Part* less, const Part* more) const;
    std::size_t windows() const { return probes_ / cluster_; }
    std::vector<PredictionSite> sites_;
    std::vector<std::vector<Part>> parts_;
    std::size_t probes_ = 0, cluster_ = 1; ///< K, and how many of them hang together
    int draws_ = 1;
    double together_ = 0;                  ///< see learnTogetherness()
    Saturation saturation_;
};

} // namespace bw
