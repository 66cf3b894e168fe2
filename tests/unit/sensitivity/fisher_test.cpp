// SPDX-License-Identifier: GPL-3.0-or-later
// The Fisher sketch on small random models: labels, projections against differences of a naive f64 model, damage
// against exact KL, mixes, both ways to work projections out, threads, resuming, faults. All families: golden/families.
#include "core/sensitivity/fisher.h"

#include "core/base/parallel.h"
#include "core/compute/cpu_device.h"
#include "core/sensitivity/fisher_observer.h"
#include "core/sensitivity/label_loss.h"
#include "tests/support/expect_error.h"
#include "tests/unit/model/naive_llama.h"
#include "tests/unit/model/tiny_model.h"

#include <gtest/gtest.h>

#include <numeric>

namespace bw {
namespace {

using test::expectError;
using test::RandomLlama;
using test::randomWindows;
using test::TinyModel;

FisherOptions fisherOptions(std::vector<std::string> formats, int probes) {
    FisherOptions options;
    options.formats = std::move(formats);
    options.probes = probes;
    options.halfGradients = false; // these tests hold numbers against exact ones
    return options;
}

std::vector<FisherRow> sketch(const Model& model, const Windows& windows, const FisherOptions& options,
                              const std::vector<SensitivityCell>& known = {}, FisherFacts* facts = nullptr) {
    JobContext job;
    std::vector<FisherRow> rows;
    const FisherFacts found = fisherSketch(
        model, windows, options, {}, known, [&](const FisherRow& row) { rows.push_back(row); }, job);
    if (facts != nullptr) *facts = found;
    return rows;
}

const FisherRow& rowOf(const std::vector<FisherRow>& rows, const std::string& name, const std::string& format) {
    for (const FisherRow& row : rows)
        if (row.cell.site_name == name && row.cell.format == format) return row;
    ADD_FAILURE() << "no cell " << name << " " << format;
    return rows.front();
}

/// Every site in a format of its own (empty: as it is).
class Mixed final : public WeightSource {
public:
    explicit Mixed(std::map<std::string, std::string> formats, double step = 1)
        : formats_(std::move(formats)), step_(step) {}
    void apply(const Site& site, MatrixView<float> weight) const override {
        const auto found = formats_.find(site.name);
        if (found == formats_.end()) return;
        const FormatPtr format = fallbackFormat(parseFormat(found->second), site.rows, site.cols);
        const QuantizedTensor tensor = quantizeSite(site, weight, format, {}, {});
        Matrix rounded(site.rows, site.cols);
        format->decode(tensor.bytes, rounded.view());
        for (std::int64_t r = 0; r < site.rows; ++r)
            for (std::int64_t c = 0; c < site.cols; ++c)
                weight(r, c) = static_cast<float>(
                    static_cast<double>(weight(r, c)) +
                    step_ * (static_cast<double>(rounded.row(r)[c]) - static_cast<double>(weight(r, c))));
    }

private:
    std::map<std::string, std::string> formats_;
    double step_;
};

/// Mean over all positions, the last of a window too.
double exactKl(const Model& model, const Windows& windows, const WeightSource& source) {
    const std::vector<float> base = test::allLogits(model, windows), other = test::allLogits(model, windows, &source);
    const auto vocabulary = static_cast<std::size_t>(model.config().vocabulary);
    double sum = 0;
    for (std::size_t t = 0; t < base.size(); t += vocabulary)
        sum += klDivergence(std::span(base).subspan(t, vocabulary), std::span(other).subspan(t, vocabulary));
    return sum / static_cast<double>(base.size() / vocabulary);
}

TEST(FisherLabels, AreDrawnAsOftenAsThePredictionSays) {
    constexpr std::int64_t kRows = 20000;
    Matrix logits(kRows, 4), gradient(kRows, 4);
    const std::array<double, 4> chances{0.5, 0.3, 0.19, 0.01};
    for (std::int64_t t = 0; t < kRows; ++t)
        for (std::size_t v = 0; v < 4; ++v) logits.row(t)[v] = static_cast<float>(std::log(chances[v]) + 3.0);
    detail::LabelLoss loss(4, 2, 7);
    std::array<std::array<double, 4>, 2> drawn{};
    for (int draw = 0; draw < 2; ++draw) {
        loss.gradient(0, draw, logits.view(), gradient.view());
        for (std::int64_t t = 0; t < kRows; ++t) {
            double sum = 0;
            for (std::size_t v = 0; v < 4; ++v) {
                const double label = chances[v] - static_cast<double>(gradient.row(t)[v]);
                ASSERT_NEAR(label, std::round(label), 1e-6);
                drawn[static_cast<std::size_t>(draw)][v] += label / kRows;
                sum += static_cast<double>(gradient.row(t)[v]);
            }
            ASSERT_NEAR(sum, 0, 1e-6);
        }
    }
    for (const auto& counts : drawn)
        for (std::size_t v = 0; v < 4; ++v) // four standard errors of a share
            EXPECT_NEAR(counts[v], chances[v], 4 * std::sqrt(chances[v] * (1 - chances[v]) / kRows));
    EXPECT_NE(drawn[0], drawn[1]);
    EXPECT_NEAR(loss.saturation(), 0, 1e-6); // all predictions are alike
}

TEST(FisherFactsOf, SaturationIsTheMeanKlFromTheAveragePrediction) {
    const TinyModel tiny;
    const Windows windows = randomWindows(3, 20);
    FisherFacts facts;
    const std::vector<FisherRow> rows = sketch(*tiny.model, windows, fisherOptions({"int4:channel"}, 3), {}, &facts);
    const std::vector<float> logits = test::allLogits(*tiny.model, windows);
    const std::size_t v = 50, n = logits.size() / v;
    std::vector<double> average(v, 0.0), p(logits.size());
    for (std::size_t t = 0; t < n; ++t) {
        double total = 0;
        for (std::size_t i = 0; i < v; ++i) total += p[t * v + i] = std::exp(static_cast<double>(logits[t * v + i]));
        for (std::size_t i = 0; i < v; ++i) average[i] += (p[t * v + i] /= total) / static_cast<double>(n);
    }
    double kl = 0;
    for (std::size_t i = 0; i < p.size(); ++i) kl += p[i] * std::log(p[i] / average[i % v]) / static_cast<double>(n);
    EXPECT_NEAR(facts.saturation, kl, 1e-5 * kl);
    EXPECT_EQ(facts.windows, 3);
    EXPECT_EQ(facts.draws, 1);
    // Known altogether: the facts all the same, and no row.
    std::vector<SensitivityCell> known;
    for (const FisherRow& row : rows) known.push_back(row.cell);
    FisherFacts again;
    EXPECT_TRUE(sketch(*tiny.model, windows, fisherOptions({"int4:channel"}, 3), known, &again).empty());
    EXPECT_NEAR(again.saturation, facts.saturation, 1e-6);
}

/// Σ −log p of the sketch's own labels of window 0, in f64.
double sampledLoss(const Model& model, const Windows& windows, int draw, std::uint64_t seed, const test::Rows& base,
                   const WeightSource& source) {
    const test::Rows moved = test::naiveLogitRows(model, windows.window(0), {&source, {}});
    double loss = 0;
    for (std::size_t t = 0; t < moved.size(); ++t) {
        double total = 0, movedTotal = 0, sum = 0;
        for (std::size_t v = 0; v < base[t].size(); ++v) {
            total += std::exp(base[t][v]);
            movedTotal += std::exp(moved[t][v]);
        }
        const double chance = detail::labelChance(seed, 0, draw, static_cast<std::int64_t>(t));
        std::size_t label = 0;
        while (label + 1 < base[t].size() && (sum += std::exp(base[t][label]) / total) <= chance) ++label;
        loss += std::log(movedTotal) - moved[t][label];
    }
    return loss;
}

TEST(Fisher, ProjectionsAreDifferencesOfTheSampledLoss) {
    for (const bool tied : {true, false}) {
        RandomLlama shape;
        shape.tied = tied;
        const TinyModel tiny(shape);
        const Windows windows = randomWindows(1, 16);
        const std::vector<FisherRow> rows = sketch(*tiny.model, windows, fisherOptions({"int3:channel"}, 2));
        const test::Rows base = test::naiveLogitRows(*tiny.model, windows.window(0));
        ASSERT_EQ(rows.size(), tiny.model->sites().size());
        for (const FisherRow& row : rows)
            for (int draw = 0; draw < 2; ++draw) {
                // W − Ŵ forwards is a step of −1 towards Ŵ. Weights are f32: a step of 1e-2 is many of their ulps, and
                // its square times a second derivative some 1e-4 of the slope.
                constexpr double kStep = 1e-2;
                const std::map<std::string, std::string> one{{row.cell.site_name, "int3:channel"}};
                const double slope = (sampledLoss(*tiny.model, windows, draw, 1234, base, Mixed(one, -kStep)) -
                                      sampledLoss(*tiny.model, windows, draw, 1234, base, Mixed(one, kStep))) /
                                     (2 * kStep);
                const double found = static_cast<double>(row.projections[static_cast<std::size_t>(draw)]) * 4; // √16
                EXPECT_NEAR(found, slope, 1e-3 * std::abs(slope) + 2e-3) << row.cell.site_name;
            }
    }
}

TEST(Fisher, DamageIsTheExactKlOfSmallChangesAloneAndTogether) {
    RandomLlama shape;
    shape.seed = 5;
    const TinyModel tiny(shape);
    const Windows windows = randomWindows(8, 32);
    const std::vector<FisherRow> rows =
        sketch(*tiny.model, windows, fisherOptions({"int6:channel", "int5:channel"}, 8 * 250));
    double chi = 0;
    for (const FisherRow& row : rows) {
        const double exact = exactKl(*tiny.model, windows,
                                     Mixed(std::map<std::string, std::string>{{row.cell.site_name, row.cell.format}}));
        // The same texts: only the draws differ, so the error over windows is an upper bound. Third order: some
        // percent.
        EXPECT_NEAR(row.cell.value, exact, 4 * row.cell.standardError + 0.05 * exact)
            << row.cell.site_name << " " << row.cell.format;
        EXPECT_NEAR(row.cell.value, exact, 0.2 * exact)
            << row.cell.site_name << " " << row.cell.format; // 2,000 probes: 3 %
        chi += row.cell.value / exact / static_cast<double>(rows.size());
    }
    EXPECT_NEAR(chi, 1, 0.05);
    for (const std::string format : {"int6:channel", "int5:channel"}) {
        std::map<std::string, std::string> all;
        std::vector<double> total(2000, 0.0);
        for (const FisherRow& row : rows) {
            if (row.cell.format != format) continue;
            all[row.cell.site_name] = format;
            for (std::size_t k = 0; k < total.size(); ++k) total[k] += static_cast<double>(row.projections[k]);
        }
        double predicted = 0;
        for (const double c : total) predicted += 0.5 * c * c / 2000;
        const double exact = exactKl(*tiny.model, windows, Mixed(all));
        EXPECT_NEAR(predicted, exact, 0.15 * exact) << format;
    }
}

TEST(Fisher, FormatsDoNotChangeEachOther) {
    const TinyModel tiny;
    const Windows windows = randomWindows(2, 64);
    const std::vector<std::string> formats{"int2:channel", "int3:channel", "int4:channel", "int5:channel",
                                           "int6:channel", "int7:channel", "int8:channel", "q8_0"};
    const std::vector<FisherRow> together = sketch(*tiny.model, windows, fisherOptions(formats, 2));
    for (const std::string& format : formats)
        for (const FisherRow& row : sketch(*tiny.model, windows, fisherOptions({format}, 2))) {
            const FisherRow& other = rowOf(together, row.cell.site_name, format);
            EXPECT_EQ(row.cell.tokens, 128);
            EXPECT_EQ(row.cell.bytes, other.cell.bytes);
            const double size = std::sqrt(2 * row.cell.value) + 1e-6;
            for (std::size_t k = 0; k < row.projections.size(); ++k)
                EXPECT_NEAR(row.projections[k], other.projections[k], 1e-4 * size)
                    << row.cell.site_name << " " << format;
        }
}

TEST(Fisher, ChangesThatDoNotFitInMemoryAreDecodedAgain) {
    for (const bool tied : {true, false}) {
        RandomLlama shape;
        shape.tied = tied;
        const TinyModel tiny(shape);
        const Windows windows = randomWindows(3, 10);
        const FisherOptions options = fisherOptions({"int2:channel", "q4_0", "int4:channel"}, 6);
        const auto run = [&](std::uint64_t limit) {
            JobContext job;
            const ImportanceLookup none;
            detail::FisherCells cells(*tiny.model, options, {});
            const detail::SiteRounder rounder(none, options.rounder, {});
            detail::WeightChanges changes(*tiny.model, rounder, limit);
            detail::LabelLoss loss(50, 2, 1);
            std::vector<FisherRow> rows;
            const std::function<void(const FisherRow&)> keep = [&](const FisherRow& row) { rows.push_back(row); };
            const detail::FisherLayout layout{windows.count, 2, 1};
            detail::FisherObserver observer(*tiny.model, windows, layout, cells, changes, keep, true, job);
            walkBackwards(*tiny.model, windows, nullptr, loss, observer, job);
            observer.finish();
            return rows;
        };
        const std::vector<FisherRow> kept = run(1 << 30), decoded = run(0), some = run(5000);
        ASSERT_EQ(kept.size(), decoded.size());
        for (std::size_t i = 0; i < kept.size(); ++i) {
            EXPECT_EQ(kept[i].projections, decoded[i].projections) << kept[i].cell.site_name;
            EXPECT_EQ(kept[i].projections, some[i].projections) << kept[i].cell.site_name;
        }
    }
}

/// Rows of a place whose sums are what is given; segments of positions act together as `together` says.
FisherRow segmented(SiteKind kind, double together, std::uint64_t seed) {
    const detail::FisherLayout layout{64, 4, 8};
    Site site;
    site.kind = kind;
    site.rows = site.cols = 32;
    detail::FisherPlace place{"blk.0.any", &site, {}, 0};
    place.formats.push_back({parseChoice("q4_0"), {"q4_0"}, {}});
    Random random(seed);
    for (int k = 0; k < 64 * 4; ++k) {
        const double common = random.normal();
        for (int s = 0; s < 8; ++s)
            place.formats[0].sums.push_back(std::sqrt(1 - std::abs(together)) * random.normal() +
                                            std::sqrt(std::abs(together)) * (together > 0 ? common
                                                                             : s % 2 == 0 ? common
                                                                                          : -common));
    }
    return detail::fisherRows(place, layout, 1).front();
}

TEST(Fisher, SegmentsOfAWindowAreAsManyProbes) {
    double squares = 0, whole = 0, together = 0, cancelling = 0;
    constexpr int kTrials = 200;
    for (int trial = 0; trial < kTrials; ++trial) {
        const auto seed = static_cast<std::uint64_t>(trial);
        // Eight independent segments of variance 1: ½·8 = 4 nats, whose error is √(2/(256·8)) = 3 % where that of the
        // sums would be √(2/256) = 9 %.
        squares += std::pow(segmented(SiteKind::ffnUp, 0, seed).cell.value / 4 - 1, 2) / kTrials;
        whole += std::pow(segmented(SiteKind::attnK, 0, seed).cell.value / 4 - 1, 2) / kTrials;
        together += segmented(SiteKind::ffnUp, 0.5, seed).cell.value / kTrials;
        cancelling += segmented(SiteKind::attnK, -0.8, seed).cell.value / kTrials;
    }
    EXPECT_LT(std::sqrt(squares), 0.05); // some rows take chance for acting together
    EXPECT_NEAR(std::sqrt(whole), 0.088, 0.015);
    EXPECT_NEAR(together, 0.5 * (4 + 32), 1); // half of the variance is one number in all eight
    EXPECT_NEAR(cancelling, 0.5 * 8 * 0.2, 0.05); // what alternates sums up to nothing
}

TEST(Fisher, LayoutsOfProbesAreBounded) {
    EXPECT_EQ(detail::fisherLayout(64, 256, 1024, 100).perWindow(), 2 * 8);
    EXPECT_EQ(detail::fisherLayout(64, 16, 256, 100).perWindow(), 4);
    EXPECT_EQ(detail::fisherLayout(61, 256, 2440, 100).draws, 5);
    EXPECT_EQ(detail::fisherLayout(61, 256, 2441, 100).draws, 6);
    EXPECT_EQ(detail::fisherLayout(256, 128, 256, 100).segments, 4);
    EXPECT_EQ(detail::fisherLayout(4, 8192, 64, 100).segments, 16);
    EXPECT_EQ(detail::fisherLayout(64, 256, 256, 240000).segments, 1);
    EXPECT_EQ(detail::fisherLayout(64, 256, 256, 240000).draws, 4);
    EXPECT_EQ(windowsForProbes(1024, 256), 128);
    EXPECT_EQ(windowsForProbes(1, 256), 1);
    EXPECT_EQ(windowsForProbes(17, 16), 17);
}

TEST(Fisher, ARounderIsPartOfTheFormatAskedFor) {
    const TinyModel tiny;
    const Windows windows = randomWindows(3, 12);
    std::vector<float> weights(256);
    for (std::size_t i = 0; i < weights.size(); ++i) weights[i] = i % 4 == 0 ? 20.0f : 0.05f;
    const ImportanceLookup importance = [&](const Site& site) {
        return std::span<const float>(weights).first(static_cast<std::size_t>(site.cols));
    };
    JobContext job;
    std::vector<FisherRow> rows;
    const auto keep = [&](const FisherRow& row) { rows.push_back(row); };
    const FisherOptions options = fisherOptions({"int2:channel", "int2:channel@weighted", "int2:channel@nearest"}, 6);
    fisherSketch(*tiny.model, windows, options, importance, {}, keep, job);
    std::size_t differing = 0;
    for (const Site& site : tiny.model->sites()) {
        const FisherRow &plain = rowOf(rows, site.name, "int2:channel"),
                        &nearest = rowOf(rows, site.name, "int2:channel@nearest"),
                        &weighted = rowOf(rows, site.name, "int2:channel@weighted");
        EXPECT_EQ(plain.projections, nearest.projections) << site.name; // the options' own rounder is nearest
        EXPECT_EQ(weighted.cell.bytes, plain.cell.bytes);
        EXPECT_EQ(weighted.cell.used, plain.cell.used + "@weighted");
        differing += weighted.projections != plain.projections;
    }
    EXPECT_EQ(differing, tiny.model->sites().size());
}

TEST(Fisher, GradientsInHalfPrecisionAreTheSameWithinTheirNoise) {
    for (const bool tied : {true, false}) {
        RandomLlama shape;
        shape.tied = tied;
        const TinyModel tiny(shape);
        const Windows windows = randomWindows(16, 32);
        FisherOptions options = fisherOptions({"int3:channel"}, 64);
        const std::vector<FisherRow> full = sketch(*tiny.model, windows, options);
        options.halfGradients = true;
        const std::vector<FisherRow> half = sketch(*tiny.model, windows, options);
        ASSERT_EQ(full.size(), half.size());
        for (std::size_t i = 0; i < full.size(); ++i)
            EXPECT_NEAR(half[i].cell.value, full[i].cell.value, 0.1 * full[i].cell.standardError)
                << full[i].cell.site_name;
    }
}

TEST(Fisher, ThreadsChangeNoBit) {
    const TinyModel tiny;
    const Windows windows = randomWindows(5, 40);
    FisherOptions options = fisherOptions({"int2:channel", "q4_0", "int4:channel"}, 10);
    options.activations = {"int8:token"};
    options.keys = options.values = {"int4:token"};
    options.halfGradients = true;
    const int before = threadCount();
    setThreadCount(1);
    const std::vector<FisherRow> one = sketch(*tiny.model, windows, options);
    setThreadCount(2);
    const std::vector<FisherRow> two = sketch(*tiny.model, windows, options);
    setThreadCount(before);
    ASSERT_EQ(one.size(), two.size());
    for (std::size_t i = 0; i < one.size(); ++i) {
        EXPECT_EQ(one[i].projections, two[i].projections) << one[i].cell.site_name;
        EXPECT_EQ(one[i].cell.standardError, two[i].cell.standardError);
    }
}

TEST(Fisher, RowsComeFromTheHeadToTheEmbeddingAndKnownOnesDoNot) {
    RandomLlama shape;
    shape.tied = false;
    const TinyModel tiny(shape);
    const Windows windows = randomWindows(2, 10);
    FisherOptions options = fisherOptions({"int4:channel", "q4_0", "q4_k"}, 4); // q4_k falls back to what fits
    options.keys = {"int4:token"};
    const std::vector<FisherRow> all = sketch(*tiny.model, windows, options);
    EXPECT_EQ(all.front().cell.site_name, "output");
    EXPECT_EQ(all.back().cell.site_name, "token_embd");
    EXPECT_TRUE(all[3].cell.site_name.starts_with("blk.1."));
    EXPECT_EQ(rowOf(all, "blk.0.k_cache", "int4:token").cell.site, SiteId(-1));
    std::vector<SensitivityCell> known;
    std::vector<FisherRow> rest;
    for (std::size_t i = 0; i < all.size(); ++i)
        if (i % 3 == 1)
            rest.push_back(all[i]);
        else
            known.push_back(all[i].cell);
    const std::vector<FisherRow> resumed = sketch(*tiny.model, windows, options, known);
    ASSERT_EQ(resumed.size(), rest.size());
    for (const FisherRow& row : rest)
        EXPECT_NEAR(rowOf(resumed, row.cell.site_name, row.cell.format).cell.value, row.cell.value,
                    1e-4 * row.cell.value + 1e-12);
    FisherOptions some = options;
    some.sites = {"blk.*.ffn_up"};
    some.keys = {};
    EXPECT_EQ(sketch(*tiny.model, windows, some).size(), 2 * options.formats.size());
    some.sites = {"nothing.*"};
    expectError(ErrorCode::usage, [&] { sketch(*tiny.model, windows, some); });
}

TEST(Fisher, ErrorsComeFromWindowsWhoseDrawsHangTogether) {
    SensitivityCell cell;
    const std::vector<float> alike{1, 1, 3, 3}; // two windows of two draws: halves of squares ½ and 4½
    detail::setDamage(cell, alike, 2);
    EXPECT_DOUBLE_EQ(cell.value, 2.5);
    EXPECT_DOUBLE_EQ(cell.standardError, 2.0);
    detail::setDamage(cell, alike, 4); // one window: its draws are all there is
    EXPECT_NEAR(cell.standardError, std::sqrt(4 * 4.0 / 3 / 4), 1e-12);
    detail::setDamage(cell, std::vector<float>{2}, 1);
    EXPECT_DOUBLE_EQ(cell.standardError, 2 * std::sqrt(2.0));
}

TEST(Fisher, WhatCannotBeDoneIsNamed) {
    const TinyModel tiny;
    const Windows windows = randomWindows(2, 10);
    expectError(ErrorCode::usage, [&] { sketch(*tiny.model, windows, fisherOptions({}, 4)); });
    expectError(ErrorCode::usage, [&] { sketch(*tiny.model, windows, fisherOptions({"q4_0"}, 0)); });
    expectError(ErrorCode::invalidFormat, [&] { sketch(*tiny.model, windows, fisherOptions({"q44"}, 4)); });
    expectError(ErrorCode::textTooShort, [&] { sketch(*tiny.model, Windows{0, 10, {}}, fisherOptions({"q4_0"}, 4)); });
    RandomLlama overflowing;
    overflowing.editTensor = [](RandomLlama::Tensor& tensor) {
        if (tensor.name == "model.layers.1.mlp.up_proj.weight")
            for (float& value : tensor.values)
                value *= 1e-30f; // what comes back through it is nothing; what goes through it is made up for
        if (tensor.name == "model.layers.1.mlp.down_proj.weight")
            for (float& value : tensor.values) value = value > 0 ? 3e38f : -3e38f;
        return true;
    };
    const TinyModel bad(overflowing);
    const Error e = expectError(ErrorCode::nonFinite, [&] { sketch(*bad.model, windows, fisherOptions({"q8_0"}, 4)); });
    EXPECT_NE(e.message().find("blk.1"), std::string::npos) << e.message();
    JobContext stopped;
    stopped.requestStop();
    expectError(ErrorCode::cancelled,
                [&] { fisherSketch(*tiny.model, windows, fisherOptions({"q8_0"}, 4), {}, {}, {}, stopped); });
}

} // namespace
} // namespace bw
