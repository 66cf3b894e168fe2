// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/sensitivity/prediction.h"

#include "core/base/error.h"
#include "core/base/random.h"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>

namespace bw {
namespace {

/// A cell whose value is not what its projections give was measured otherwise: its error is its own then. Projections
/// are kept in f32.
constexpr double kSameValue = 1e-3;
constexpr double kDoubt = 2; ///< standard errors that an interaction must stand out by to speak for itself
/// Made-up mixes that tell how much sites act together: their squares scatter by √(2/64) of themselves.
constexpr int kTrialMixes = 64;

void requireFinite(const PredictionSite& site, const PredictionOption& option) {
    const bool finite = std::isfinite(option.value) && std::isfinite(option.standardError) &&
                        std::ranges::all_of(option.projections, [](float c) { return std::isfinite(c); });
    if (!finite)
        throw Error(ErrorCode::nonFinite,
                    "the damage of '" + option.format + "' at '" + site.name + "' is not a finite number",
                    "sweep this site again");
}

/// Sums over windows of x, y and their products: what means, variances and a covariance need.
struct Moments {
    double n = 0, x = 0, y = 0, xx = 0, yy = 0, xy = 0;
    void add(double a, double b) {
        n += 1;
        x += a;
        y += b;
        xx += a * a;
        yy += b * b;
        xy += a * b;
    }
    /// Variance of the mean of x + f·y.
    double varianceOfMean(double f) const {
        if (n < 2) return 0;
        const double mean = (x + f * y) / n, squares = xx + 2 * f * xy + f * f * yy;
        return std::max(0.0, squares / n - mean * mean) / (n - 1);
    }
};

} // namespace

MixPredictor::MixPredictor(std::vector<PredictionSite> sites, int draws, Saturation saturation)
    : sites_(std::move(sites)), draws_(std::max(1, draws)), saturation_(saturation) {
    for (const PredictionSite& site : sites_)
        for (const PredictionOption& option : site.options) {
            requireFinite(site, option);
            if (probes_ == 0) probes_ = option.projections.size();
            if (!option.projections.empty() && option.projections.size() != probes_)
                throw Error(ErrorCode::usage,
                            fmt::format("'{}' at '{}' has {} projections where others have {}", option.format,
                                        site.name, option.projections.size(), probes_),
                            "projections of different runs don't add up: take them from one sketch");
        }
    if (probes_ % static_cast<std::size_t>(draws_) != 0)
        throw Error(ErrorCode::usage,
                    fmt::format("{} projections can't come from {} draws per window", probes_, draws_),
                    "take the draws from the same run");
    // Probes of a single window are the only units there are.
    cluster_ = probes_ > static_cast<std::size_t>(draws_) ? static_cast<std::size_t>(draws_) : 1;
    for (const PredictionSite& site : sites_) {
        std::vector<Part>& parts = parts_.emplace_back();
        for (const PredictionOption& option : site.options) {
            Part& made = parts.emplace_back();
            made.value = option.value;
            made.variance = option.standardError * option.standardError;
            double own = 0;
            for (const float c : option.projections)
                own += 0.5 * static_cast<double>(c) * static_cast<double>(c) / static_cast<double>(probes_);
            if (own <= 0) continue;
            made.scale = std::sqrt(std::max(0.0, option.value) / own);
            made.projections = option.projections;
            made.probed = std::abs(option.value - own) <= kSameValue * own;
            made.windows.assign(windows(), 0.0f);
            std::vector<double> means(windows(), 0.0);
            for (std::size_t k = 0; k < probes_; ++k) {
                const double c = made.scale * static_cast<double>(option.projections[k]);
                means[k / cluster_] += 0.5 * c * c / static_cast<double>(cluster_);
            }
            std::ranges::transform(means, made.windows.begin(), [](double mean) { return static_cast<float>(mean); });
        }
    }
    learnTogetherness();
}

void MixPredictor::learnTogetherness() {
    if (windows() < 2) return;
    Random random(1);
    double excess = 0;
    std::vector<double> total(probes_), own(probes_);
    for (int trial = 0; trial < kTrialMixes; ++trial) {
        // Formats in random shares, from nearly uniform mixes to even ones.
        std::vector<double> shares;
        for (const std::vector<Part>& options : parts_)
            while (shares.size() < options.size()) shares.push_back(std::pow(random.uniform(), 2) + 1e-9);
        std::ranges::fill(total, 0.0);
        std::ranges::fill(own, 0.0);
        for (const std::vector<Part>& options : parts_) {
            double all = 0;
            for (std::size_t o = 0; o < options.size(); ++o) all += shares[o];
            double left = random.uniform() * all;
            std::size_t taken = 0;
            while (taken + 1 < options.size() && (left -= shares[taken]) >= 0) ++taken;
            const double sign = random.below(2) == 0 ? 1 : -1;
            if (taken >= options.size()) continue;
            const Part& part = options[taken];
            for (std::size_t k = 0; k < part.projections.size(); ++k) {
                const double c = part.scale * static_cast<double>(part.projections[k]);
                total[k] += sign * c;
                own[k] += c * c;
            }
        }
        Moments moments; // x: plain sum, y: what acting together adds, of each window
        for (std::size_t w = 0; w < windows(); ++w) {
            double plain = 0, together = 0;
            for (std::size_t k = w * cluster_; k < (w + 1) * cluster_; ++k) {
                plain += 0.5 * own[k] / static_cast<double>(cluster_);
                together += 0.5 * (total[k] * total[k] - own[k]) / static_cast<double>(cluster_);
            }
            moments.add(plain, together);
        }
        if (moments.x <= 0) continue;
        const double mean = moments.y / moments.n, sum = moments.x / moments.n;
        const double noise = Moments{moments.n, moments.y, 0, moments.yy, 0, 0}.varianceOfMean(0);
        excess += (mean * mean - noise) / (sum * sum) / kTrialMixes;
    }
    together_ = std::max(0.0, excess);
}

const MixPredictor::Part* MixPredictor::part(std::size_t site, int option) const {
    return option < 0 ? nullptr : &parts_.at(site).at(static_cast<std::size_t>(option));
}

Prediction MixPredictor::predict(const std::vector<int>& choice) const {
    return State(*this, choice).prediction();
}

Prediction MixPredictor::estimate(const State& state, const Part* less, const Part* more) const {
    const auto change = [&](auto&& of) {
        return (more != nullptr ? of(*more) : 0.0) - (less != nullptr ? of(*less) : 0.0);
    };
    const auto valueOf = [](const std::vector<float>& values, std::size_t i) {
        return values.empty() ? 0.0 : static_cast<double>(values[i]);
    };
    Prediction out;
    out.sum = state.sum_ + change([](const Part& part) { return part.value; });
    double variance = state.variance_ + change([](const Part& part) { return part.probed ? 0.0 : part.variance; });
    variance = std::max(0.0, variance);
    Moments moments; // x: the plain sum of a window's draws; y: what acting together adds to it
    for (std::size_t w = 0; w * cluster_ < probes_; ++w) {
        double together = 0;
        for (std::size_t k = w * cluster_; k < (w + 1) * cluster_; ++k) {
            const double total = state.total_[k] + change([&](const Part& part) {
                return part.projections.empty() ? 0.0 : part.scale * static_cast<double>(part.projections[k]);
            });
            together += 0.5 * total * total / static_cast<double>(cluster_);
        }
        const double plain = state.parts_[w] + change([&](const Part& part) { return valueOf(part.windows, w); });
        moments.add(plain, together - plain);
    }
    const double raw = moments.n > 0 ? moments.y / moments.n : 0;
    const double rawNoise = Moments{moments.n, moments.y, 0, moments.yy, 0, 0}.varianceOfMean(0);
    // Believed as far as this map's sites act together, or as far as this sum itself stands out of its noise: prior
    // variance over prior variance and noise.
    const double prior = std::max(together_ * out.sum * out.sum, raw * raw - kDoubt * kDoubt * rawNoise);
    out.shrinkage = moments.n > 1 && prior > 0 ? prior / (prior + rawNoise) : 0;
    out.interaction = std::max(out.shrinkage * raw, -out.sum);
    out.sumSe = std::sqrt(variance + moments.varianceOfMean(0));
    const double small = out.sum + out.interaction;
    // What was not believed of the interaction may be true all the same.
    const double smallVariance =
        variance + moments.varianceOfMean(out.shrinkage) + out.shrinkage * (1 - out.shrinkage) * rawNoise;
    out.kl = saturation_.apply(small);
    out.klSe = saturation_.slope(small) * std::sqrt(smallVariance);
    return out;
}

MixPredictor::State::State(const MixPredictor& predictor, std::vector<int> choice)
    : predictor_(&predictor), choice_(predictor.sites_.size(), -1), total_(predictor.probes_, 0.0),
      parts_(predictor.windows(), 0.0) {
    if (choice.size() != choice_.size())
        throw Error(ErrorCode::usage,
                    fmt::format("a mix of {} sites was given for {} sites", choice.size(), choice_.size()),
                    "give one format per site");
    for (std::size_t site = 0; site < choice.size(); ++site) {
        if (choice[site] >= static_cast<int>(predictor.sites_[site].options.size()))
            throw Error(ErrorCode::usage,
                        fmt::format("'{}' has no option {}", predictor.sites_[site].name, choice[site]),
                        "give an index of its formats");
        set(site, choice[site]);
    }
}

void MixPredictor::State::set(std::size_t site, int option) {
    const auto add = [&](const Part* part, double sign) {
        if (part == nullptr) return;
        sum_ += sign * part->value;
        if (!part->probed) variance_ += sign * part->variance;
        for (std::size_t k = 0; k < part->projections.size(); ++k)
            total_[k] += sign * part->scale * static_cast<double>(part->projections[k]);
        for (std::size_t w = 0; w < part->windows.size(); ++w)
            parts_[w] += sign * static_cast<double>(part->windows[w]);
    };
    add(predictor_->part(site, choice_.at(site)), -1);
    choice_[site] = std::max(-1, option);
    add(predictor_->part(site, choice_[site]), 1);
}

double MixPredictor::State::klIf(std::size_t site, int option) const {
    return predictor_->estimate(*this, predictor_->part(site, choice_.at(site)), predictor_->part(site, option)).kl;
}

Prediction MixPredictor::State::prediction() const {
    return predictor_->estimate(*this, nullptr, nullptr);
}

} // namespace bw
