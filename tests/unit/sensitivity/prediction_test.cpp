// SPDX-License-Identifier: GPL-3.0-or-later
// Predictions of mixes against brute force, steps against whole mixes, refits against made-up laws, and costs for the
// solver on simulated maps whose truth is known.
#include "core/sensitivity/prediction.h"

#include "core/base/random.h"
#include "tests/support/expect_error.h"

#include <gtest/gtest.h>

#include <chrono>
#include <cmath>
#include <fmt/format.h>

namespace bw {
namespace {

using test::expectError;

double halfMeanSquare(const Projections& c) {
    double sum = 0;
    for (const float v : c) sum += 0.5 * static_cast<double>(v) * static_cast<double>(v);
    return sum / static_cast<double>(c.size());
}

/// ½·mean over the draws of each window.
std::vector<double> windowMeans(const std::vector<double>& c, std::size_t draws) {
    std::vector<double> means(c.size() / draws, 0.0);
    for (std::size_t k = 0; k < c.size(); ++k) means[k / draws] += 0.5 * c[k] * c[k] / static_cast<double>(draws);
    return means;
}

double mean(const std::vector<double>& x) {
    double sum = 0;
    for (const double v : x) sum += v;
    return sum / static_cast<double>(x.size());
}

double errorOfMean(const std::vector<double>& x) {
    double squares = 0;
    for (const double v : x) squares += (v - mean(x)) * (v - mean(x));
    return std::sqrt(squares / static_cast<double>(x.size() - 1) / static_cast<double>(x.size()));
}

/// Sites of three options with random projections; `shared` of their variance is common to all sites.
std::vector<PredictionSite> randomSites(std::size_t sites, std::size_t probes, std::size_t draws, double shared,
                                        std::uint64_t seed) {
    Random random(seed);
    std::vector<std::vector<double>> common(3, std::vector<double>(probes));
    for (auto& c : common)
        for (double& v : c) v = random.normal();
    std::vector<PredictionSite> made;
    for (std::size_t s = 0; s < sites; ++s) {
        PredictionSite& site = made.emplace_back();
        site.name = fmt::format("blk.{}.ffn_up", s);
        for (std::size_t o = 0; o < 3; ++o) {
            PredictionOption option{fmt::format("int{}", o + 2), 0, 0, {}};
            const double size = 0.2 / static_cast<double>(1 + 2 * o);
            for (std::size_t k = 0; k < probes; ++k)
                option.projections.edit().push_back(static_cast<float>(
                    size * (std::sqrt(shared) * common[o][k] + std::sqrt(1 - shared) * random.normal())));
            option.value = halfMeanSquare(option.projections);
            std::vector<double> c(option.projections.begin(), option.projections.end());
            option.standardError = errorOfMean(windowMeans(c, draws));
            site.options.push_back(std::move(option));
        }
    }
    return made;
}

TEST(Prediction, IsTheBruteForceOfItsProjections) {
    constexpr std::size_t kSites = 12, kProbes = 64, kDraws = 4;
    const auto sites = randomSites(kSites, kProbes, kDraws, 0.3, 1);
    const MixPredictor predictor(sites, kDraws, {});
    std::vector<int> choice(kSites);
    Random random(2);
    for (int& option : choice) option = static_cast<int>(random.below(4)) - 1;
    std::vector<double> total(kProbes, 0.0), plain(kProbes / kDraws, 0.0);
    double sum = 0;
    for (std::size_t s = 0; s < kSites; ++s)
        if (choice[s] >= 0) {
            const PredictionOption& option = sites[s].options[static_cast<std::size_t>(choice[s])];
            sum += option.value;
            const std::vector<double> c(option.projections.begin(), option.projections.end());
            for (std::size_t k = 0; k < kProbes; ++k) total[k] += c[k];
            for (std::size_t w = 0; w < plain.size(); ++w) plain[w] += windowMeans(c, kDraws)[w];
        }
    std::vector<double> together = windowMeans(total, kDraws), added = together;
    for (std::size_t w = 0; w < added.size(); ++w) added[w] -= plain[w];
    const Prediction found = predictor.predict(choice);
    EXPECT_NEAR(found.sum, sum, 1e-9);
    EXPECT_NEAR(found.sumSe, errorOfMean(plain), 1e-6);
    // A third of every site's projections is common: each pair then adds 0.6 of a site's own, and the square root of
    // the 66 pairs' squares over 12 sites is 0.41 of the plain sum, in either direction.
    const double noise = errorOfMean(added),
                 prior = std::max(std::pow(0.41 * sum, 2), std::pow(mean(added), 2) - 4 * noise * noise);
    EXPECT_NEAR(found.shrinkage, prior / (prior + noise * noise), 0.1);
    EXPECT_NEAR(found.interaction, found.shrinkage * mean(added), 1e-6);
    EXPECT_NEAR(found.kl, found.sum + found.interaction, 1e-12);
    EXPECT_GT(found.klSe, 0);
    const Prediction nothing = predictor.predict(std::vector<int>(kSites, -1));
    EXPECT_EQ(nothing.kl, 0);
    EXPECT_EQ(nothing.klSe, 0);
}

TEST(Prediction, BelievesInteractionsAsFarAsTheyStandOutOfTheirNoise) {
    double believed = 0, noise = 0;
    constexpr int kTrials = 40;
    for (int trial = 0; trial < kTrials; ++trial) {
        const auto seed = static_cast<std::uint64_t>(100 + trial);
        const std::vector<int> all(40, 0);
        // Independent sites: the raw interaction is nothing but noise.
        const MixPredictor independent(randomSites(40, 256, 4, 0.0, seed), 4, {}),
            common(randomSites(40, 256, 4, 0.2, seed), 4, {});
        noise += std::abs(independent.predict(all).interaction / independent.predict(all).sum) / kTrials;
        believed += common.predict(all).interaction / common.predict(all).sum / kTrials;
    }
    // Raw, |interaction|/sum of 40 independent sites and 256 probes is ~√(2/256)·√(2/π) = 7 %; the map says that its
    // sites don't act together and most of it is not believed.
    EXPECT_LT(noise, 0.03);
    EXPECT_NEAR(believed, 0.2 * 39, 0.5); // Σ over pairs of common variance, over the sum
}

TEST(Prediction, StepsLeadToTheSameAsWholeMixes) {
    constexpr std::size_t kSites = 10;
    auto sites = randomSites(kSites, 32, 4, 0.4, 3);
    sites[4].options[1].projections = {}; // measured by KL
    sites[5].options[0].value *= 1.5;        // measured by KL beside its projections
    const MixPredictor predictor(sites, 4, {1.5, 0.9});
    std::vector<int> choice(kSites, 0);
    MixPredictor::State state(predictor, choice);
    Random random(4);
    for (int step = 0; step < 200; ++step) {
        const auto site = static_cast<std::size_t>(random.below(kSites));
        const int option = static_cast<int>(random.below(4)) - 1;
        choice[site] = option;
        const Prediction whole = predictor.predict(choice);
        ASSERT_NEAR(state.klIf(site, option), whole.kl, 1e-9);
        state.set(site, option);
        ASSERT_EQ(state.choice(), choice);
        ASSERT_NEAR(state.prediction().kl, whole.kl, 1e-9);
        ASSERT_NEAR(state.prediction().klSe, whole.klSe, 1e-9);
        ASSERT_NEAR(state.prediction().sumSe, whole.sumSe, 1e-9);
    }
}

TEST(Prediction, MeasuredCellsHaveTheErrorsTheyWereMeasuredWith) {
    std::vector<PredictionSite> sites{{"a", {{"q4_0", 0.3, 0.03, {}}}}, {"b", {{"q4_0", 0.1, 0.04, {}}}}};
    const Prediction found = MixPredictor(sites, 1, {}).predict({0, 0});
    EXPECT_NEAR(found.sum, 0.4, 1e-12);
    EXPECT_NEAR(found.sumSe, 0.05, 1e-12);
    EXPECT_EQ(found.interaction, 0);
    EXPECT_NEAR(found.klSe, 0.05, 1e-12);
    // Levelling off squeezes the error with the estimate.
    const Saturation saturation{1, 1};
    const Prediction level = MixPredictor(sites, 1, saturation).predict({0, 0});
    EXPECT_NEAR(level.kl, std::tanh(0.4), 1e-12);
    EXPECT_NEAR(level.klSe, 0.05 * (1 - std::pow(std::tanh(0.4), 2)), 1e-12);
}

TEST(Prediction, WhatDoesNotBelongTogetherIsRefused) {
    auto sites = randomSites(3, 16, 4, 0, 5);
    expectError(ErrorCode::usage, [&] { MixPredictor(sites, 3, {}); });
    const MixPredictor predictor(sites, 4, {});
    expectError(ErrorCode::usage, [&] { predictor.predict({0}); });
    expectError(ErrorCode::usage, [&] { predictor.predict({0, 0, 3}); });
    sites[1].options[2].projections.edit().pop_back();
    expectError(ErrorCode::usage, [&] { MixPredictor(sites, 4, {}); });
    sites[1].options[2].projections = {};
    sites[2].options[0].value = std::nan("");
    const Error e = expectError(ErrorCode::nonFinite, [&] { MixPredictor(sites, 4, {}); });
    EXPECT_NE(e.message().find("blk.2.ffn_up"), std::string::npos);
}

TEST(Saturation, IsSmallDamageItselfAndLevelsOffAtItsLimit) {
    const Saturation s{2, 1};
    EXPECT_NEAR(s.apply(1e-4), 1e-4, 1e-8);
    EXPECT_NEAR(s.apply(0.2), 0.2, 0.2 * 0.004); // a tenth of the limit is no large damage yet
    EXPECT_NEAR(s.slope(0.5), (s.apply(0.5 + 1e-6) - s.apply(0.5 - 1e-6)) / 2e-6, 1e-8);
    EXPECT_NEAR(s.apply(100), 2, 1e-12);
    EXPECT_EQ(s.apply(-1), 0);
    EXPECT_EQ((Saturation{0, 1.5}).apply(2), 3);
}

TEST(Saturation, RefitFindsTheLawThatMadeThePoints) {
    const Saturation truth{1.8, 1.2};
    std::vector<MeasuredPoint> points;
    for (const double s : {0.02, 0.1, 0.4, 0.9, 1.7, 3.0}) points.push_back({s, truth.apply(s), 0.01 * truth.apply(s)});
    const Saturation found = refit({2.6, 1}, points);
    EXPECT_NEAR(found.limit, truth.limit, 0.01);
    EXPECT_NEAR(found.scale, truth.scale, 0.01);
    // One small point says nothing about the limit.
    const Saturation one = refit({2.6, 1}, {points[1]});
    EXPECT_EQ(one.limit, 2.6);
    EXPECT_NEAR(one.apply(0.1), points[1].kl, 1e-6);
    // Precise points outweigh doubtful ones.
    const Saturation weighed = refit({0, 1}, {{0.1, 0.13, 0.0001}, {0.1, 0.08, 0.08}});
    EXPECT_NEAR(weighed.scale, 1.3, 0.01);
    // What no scale within [½, 2] explains is no correction.
    const Saturation refused = refit({2.6, 1.1}, {{0.1, 0.9, 0.01}});
    EXPECT_EQ(refused.scale, 1.1);
    EXPECT_EQ(refused.limit, 2.6);
    EXPECT_EQ(refit({2.6, 1.1}, {{0.1, -0.1, 0.01}, {std::nan(""), 1, 1}}).scale, 1.1);
}

/// A map of `blocks`×7 sites × 4 formats: truth and values measured with χ² noise of `freedom` degrees.
struct Simulated {
    std::vector<PredictionSite> sites;
    std::vector<std::vector<double>> truth;
};

Simulated simulate(int blocks, int freedom, double cellSpread, std::uint64_t seed) {
    Random random(seed);
    Simulated out;
    constexpr const char* kKinds[] = {"attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down"};
    constexpr double kKindSizes[] = {-1, -1.5, 1, 0, 0, 0.3, 0.8}, kFormatSizes[] = {0, -1.6, -3.1, -4.4};
    for (int b = 0; b < blocks; ++b)
        for (std::size_t kind = 0; kind < 7; ++kind) {
            const double own = -5 + kKindSizes[kind] + 0.5 * random.normal();
            PredictionSite& site = out.sites.emplace_back();
            std::vector<double>& truths = out.truth.emplace_back();
            site.name = fmt::format("blk.{}.{}", b, kKinds[kind]);
            for (std::size_t f = 0; f < 4; ++f) {
                const double truth = std::exp(own + kFormatSizes[f] + cellSpread * random.normal());
                double chi = 0;
                for (int i = 0; i < freedom; ++i) {
                    const double c = random.normal();
                    chi += c * c / freedom;
                }
                truths.push_back(truth);
                site.options.push_back(
                    {fmt::format("int{}", f + 2), truth * chi, truth * chi * std::sqrt(2.0 / freedom), {}});
            }
        }
    return out;
}

/// True damage of a solver's choice at equal bytes: k sites may stay at each option but the last, by what each pays.
double trueDamageOfChoice(const Simulated& map, const std::vector<std::vector<double>>& costs) {
    // The least Σ cost + price·bits at a price that leaves some at every format: a point of the convex front.
    double damage = 0, bits = 0;
    std::vector<double> best;
    for (double low = 1e-9, high = 1; high / low > 1 + 1e-9;) {
        const double price = std::sqrt(low * high);
        damage = bits = 0;
        for (std::size_t s = 0; s < costs.size(); ++s) {
            std::size_t least = 0;
            for (std::size_t f = 0; f < 4; ++f)
                if (costs[s][f] + price * static_cast<double>(f + 2) <
                    costs[s][least] + price * static_cast<double>(least + 2))
                    least = f;
            damage += map.truth[s][least];
            bits += static_cast<double>(least + 2);
        }
        (bits > 3.5 * static_cast<double>(costs.size()) ? low : high) = price;
    }
    return damage;
}

TEST(ShrunkCosts, BuyLessLuck) {
    for (const double cellSpread : {0.1, 0.3}) {
        double raw = 0, shrunk = 0, ideal = 0, rawError = 0, shrunkError = 0, costSum = 0, truthSum = 0;
        for (std::uint64_t seed = 0; seed < 20; ++seed) {
            const Simulated map = simulate(30, 16, cellSpread, seed);
            std::vector<std::vector<double>> values;
            for (const PredictionSite& site : map.sites) {
                values.emplace_back();
                for (const PredictionOption& option : site.options) values.back().push_back(option.value);
            }
            const auto costs = MixPredictor(map.sites, 1, {}).shrunkCosts();
            raw += trueDamageOfChoice(map, values);
            shrunk += trueDamageOfChoice(map, costs);
            ideal += trueDamageOfChoice(map, map.truth);
            for (std::size_t s = 0; s < costs.size(); ++s)
                for (std::size_t f = 0; f < 4; ++f) {
                    costSum += costs[s][f];
                    truthSum += map.truth[s][f];
                    rawError += std::pow(std::log(values[s][f] / map.truth[s][f]), 2);
                    shrunkError += std::pow(std::log(costs[s][f] / map.truth[s][f]), 2);
                }
        }
        SCOPED_TRACE(fmt::format("spread {}: raw {:.4f} shrunk {:.4f} ideal {:.4f}; log errors {:.3f} {:.3f}",
                                 cellSpread, raw, shrunk, ideal, rawError, shrunkError));
        EXPECT_LT(shrunkError, 0.6 * rawError);
        EXPECT_NEAR(costSum / truthSum, 1, 0.03); // no bias; logarithms of noisy values taken as they are give 6 % less
        EXPECT_LT(shrunk - ideal, 0.7 * (raw - ideal)); // of what noise costs, at least a third is won back
    }
}

TEST(ShrunkCosts, KeepWhatIsKnownAndBelieveWhatStandsOut) {
    Simulated map = simulate(12, 20000, 0.2, 9);
    auto costs = MixPredictor(map.sites, 1, {}).shrunkCosts();
    for (std::size_t s = 0; s < costs.size(); ++s)
        for (std::size_t f = 0; f < 4; ++f) // 1 % errors: hardly moved
            EXPECT_NEAR(costs[s][f], map.sites[s].options[f].value, 0.01 * map.sites[s].options[f].value);
    map = simulate(12, 32, 0.1, 9);
    PredictionOption& rough = map.sites[20].options[2];
    rough.value *= 20; // far more than its error: something is special there
    rough.standardError = 0.1 * rough.value;
    map.sites[3].options[0].standardError = 0;
    map.sites[5].options[3].value = 0;
    map.sites[5].options[3].standardError = 0;
    costs = MixPredictor(map.sites, 1, {}).shrunkCosts();
    EXPECT_GT(costs[20][2], 0.7 * rough.value);
    EXPECT_EQ(costs[3][0], map.sites[3].options[0].value);
    EXPECT_EQ(costs[5][3], 0);
    EXPECT_EQ(MixPredictor({}, 1, {}).shrunkCosts().size(), 0u);
}

} // namespace
} // namespace bw
