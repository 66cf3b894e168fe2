// SPDX-License-Identifier: GPL-3.0-or-later
// GPTQ against the textbook's own steps in f64, against the best rounding that there is on tiny weights, and on whole
// models of every family; what it does where a Hessian says little or nothing.
#include "core/quantize/gptq.h"
#include "core/quantize/gptq_target.h"

#include "core/base/parallel.h"
#include "core/base/random.h"
#include "core/quantize/outlier_split.h"
#include "tests/support/expect_error.h"
#include "tests/support/families.h"
#include "tests/support/random_matrix.h"

#include <cmath>
#include <gtest/gtest.h>
#include <limits>
#include <numeric>

namespace bw {
namespace {

using test::randomMatrix;

/// Inputs whose channels are mixed with their neighbours and of different size, as those of a model are.
Matrix mixedInputs(std::int64_t tokens, std::int64_t cols, std::uint64_t seed) {
    Matrix x = randomMatrix(tokens, cols, seed);
    for (std::int64_t t = 0; t < tokens; ++t)
        for (std::int64_t c = 1; c < cols; ++c) x.row(t)[c] = (0.8f * x.row(t)[c - 1] + 0.6f * x.row(t)[c]) * (c % 7 == 3 ? 2.0f : 1.0f);
    return x;
}

Site siteOf(const Matrix& weight) {
    Site site;
    site.id = SiteId{1};
    site.name = "blk.0.attn_q";
    site.rows = weight.rows();
    site.cols = weight.cols();
    return site;
}

GptqSite run(const Matrix& weight, const Gram& gram, const char* format, GptqOptions options = {}, int expert = -1) {
    JobContext job;
    Site site = siteOf(weight);
    site.expert = expert;
    return gptqSite(site, weight.view(), parseFormat(format), gram, {}, options, job);
}

/// Two columns, and of the rest the largest fiftieth.
KeptWeights keptOf(const Matrix& weight) { return keptWeights(weight.view(), {3, 40}, 0.02, {}); }

/// Frantar et al., algorithm 1, in f64: the Cholesky factor of the inverse, and every later column changed at once.
std::vector<std::byte> textbook(const Matrix& weight, const Matrix& gram, const FormatPtr& format, double damping) {
    const std::int64_t n = weight.cols();
    const auto at = [n](std::int64_t i, std::int64_t j) { return static_cast<std::size_t>(i * n + j); };
    std::vector<double> h(at(n, 0)), inverse(at(n, 0), 0.0), u(at(n, 0), 0.0);
    double mean = 0;
    for (std::int64_t i = 0; i < n; ++i) mean += static_cast<double>(gram.row(i)[i]) / static_cast<double>(n);
    for (std::int64_t i = 0; i < n; ++i)
        for (std::int64_t j = 0; j < n; ++j) {
            h[at(i, j)] = static_cast<double>(gram.row(i)[j]) + (i == j ? damping * mean : 0.0);
            inverse[at(i, j)] = i == j ? 1 : 0;
        }
    for (std::int64_t p = 0; p < n; ++p) { // Gauss-Jordan; H is positive definite, so pivots are where they should be
        const double pivot = h[at(p, p)];
        for (std::int64_t j = 0; j < n; ++j) {
            h[at(p, j)] /= pivot;
            inverse[at(p, j)] /= pivot;
        }
        for (std::int64_t i = 0; i < n; ++i) {
            const double factor = h[at(i, p)];
            for (std::int64_t j = 0; i != p && j < n; ++j) {
                h[at(i, j)] -= factor * h[at(p, j)];
                inverse[at(i, j)] -= factor * inverse[at(p, j)];
            }
        }
    }
    for (std::int64_t i = 0; i < n; ++i) // H⁻¹ = Uᵀ·U, U upper
        for (std::int64_t j = i; j < n; ++j) {
            double sum = inverse[at(i, j)];
            for (std::int64_t k = 0; k < i; ++k) sum -= u[at(k, i)] * u[at(k, j)];
            u[at(i, j)] = i == j ? std::sqrt(sum) : sum / u[at(i, i)];
        }
    EncodeOptions encode;
    encode.clipSearch = RounderOptions{}.clipSearch;
    const auto grid = fixGrid(*format, weight.view(), encode);
    std::vector<std::vector<double>> w(static_cast<std::size_t>(weight.rows()));
    for (std::int64_t r = 0; r < weight.rows(); ++r) w[static_cast<std::size_t>(r)].assign(weight.row(r), weight.row(r) + n);
    for (std::int64_t i = 0; i < n; ++i)
        for (std::int64_t r = 0; r < weight.rows(); ++r) {
            auto& row = w[static_cast<std::size_t>(r)];
            const auto value = static_cast<float>(row[static_cast<std::size_t>(i)]);
            float rounded = 0;
            grid->roundColumn(i, r, {&value, 1}, {&rounded, 1});
            const double error = (row[static_cast<std::size_t>(i)] - static_cast<double>(rounded)) / u[at(i, i)];
            for (std::int64_t j = i; j < n; ++j) row[static_cast<std::size_t>(j)] -= error * u[at(i, j)];
        }
    std::vector<std::byte> bytes(format->bytes(weight.rows(), n));
    grid->pack(bytes);
    return bytes;
}

class GptqFormats : public testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(Formats, GptqFormats,
                         testing::Values("int4:g64", "int3:g32:sym", "int8:channel", "q4_k", "q2_k", "q3_k", "q5_k", "q6_k", "q4_0", "q5_1", "iq4_xs", "iq4_nl"));

TEST_P(GptqFormats, RoundsAsTheTextbookDoes) {
    const Matrix weight = randomMatrix(6, 256, 1), x = mixedInputs(600, 256, 2);
    Gram gram(256);
    gram.add(x.view());
    GptqOptions options;
    options.activationOrder = false;
    options.sweeps = 0;
    const GptqSite site = run(weight, gram, GetParam(), options);
    ASSERT_EQ(site.fallback, "");
    EXPECT_EQ(site.damping, options.damping);
    const FormatPtr format = parseFormat(GetParam());
    Matrix mine(6, 256), other(6, 256);
    site.tensor.decode(mine.view());
    format->decode(textbook(weight, gram.full(), format, options.damping), other.view());
    // A tie that f32 breaks the other way changes what follows in its row; such ties are rare.
    std::int64_t rowsThatDiffer = 0;
    for (std::int64_t r = 0; r < 6; ++r) rowsThatDiffer += std::equal(mine.row(r), mine.row(r) + 256, other.row(r)) ? 0 : 1;
    EXPECT_LE(rowsThatDiffer, 1);
}

TEST_P(GptqFormats, HalvesTheOutputErrorAndThreadsChangeNothing) {
    const Matrix weight = randomMatrix(140, 512, 3), x = mixedInputs(900, 512, 4);
    Gram gram(512);
    gram.add(x.view());
    setThreadCount(1);
    GptqOptions plain;
    plain.sweeps = 0;
    const GptqSite published = run(weight, gram, GetParam(), plain), one = run(weight, gram, GetParam());
    setThreadCount(2);
    const GptqSite two = run(weight, gram, GetParam());
    setThreadCount(0);
    EXPECT_TRUE(one.tensor.bytes == two.tensor.bytes);
    EXPECT_EQ(one.fallback, "");
    EXPECT_LT(published.error, 0.6 * one.nearestError);
    // Sweeps see the damped Hessian; at 8 bits that is all there is to gain.
    EXPECT_LT(one.error, (parseFormat(GetParam())->codeBits() < 8 ? 0.97 : 1.02) * published.error) << "sweeps gain something";
    EXPECT_GT(one.tensor.relativeError, 0);
}

class GptqFloats : public testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(Formats, GptqFloats,
                         testing::Values("nf4", "nf4:b64:dq", "fp8_e4m3:channel", "fp8_e5m2:tensor", "fp8_e4m3:block128", "fp6_e3m2:g128", "fp6_e2m3:channel",
                                         "fp4_e2m1:g64", "mxfp4", "mxfp6_e2m3", "mxfp6_e3m2", "mxfp8_e4m3", "mxfp8_e5m2", "nvfp4", "int4:tensor", "q8_0", "bf16"));

TEST_P(GptqFloats, BeatsNearestOnMixedInputs) {
    const Matrix weight = randomMatrix(130, 256, 5), x = mixedInputs(700, 256, 6);
    Gram gram(256);
    gram.add(x.view());
    const GptqSite site = run(weight, gram, GetParam());
    EXPECT_EQ(site.fallback, "");
    EXPECT_LT(site.error, 0.6 * site.nearestError);
}

TEST(GptqSiteTest, SweepsGainOnGridsOfEveryGroupLength) {
    const Matrix weight = randomMatrix(70, 600, 8), x = mixedInputs(1200, 600, 9);
    Gram gram(600);
    gram.add(x.view());
    GptqOptions plain;
    plain.sweeps = 0;
    for (const char* format : {"int3:g10", "int3:g50:sym", "int3:g300", "int3:channel", "int4:tensor"}) {
        const GptqSite published = run(weight, gram, format, plain), swept = run(weight, gram, format);
        EXPECT_LT(swept.error, 0.97 * published.error) << format;
        Matrix decoded(70, 600);
        swept.tensor.decode(decoded.view());
        for (std::int64_t r = 0; r < 70; ++r)
            for (std::int64_t c = 0; c < 600; ++c) decoded.row(r)[c] -= weight.row(r)[c];
        JobContext job;
        EXPECT_NEAR(swept.error, gram.quadratic(std::as_const(decoded).view(), job) / gram.quadratic(weight.view(), job), 1e-9) << "what is packed is what was measured";
    }
}

TEST(GptqSiteTest, ConstantAndUnusedColumnsAreDefined) {
    Matrix weight = randomMatrix(6, 64, 1), x = randomMatrix(300, 64, 2);
    for (std::int64_t r = 0; r < 6; ++r)
        for (std::int64_t c = 0; c < 32; ++c) weight.row(r)[c] = r == 0 ? 0.0f : 0.25f;
    for (std::int64_t t = 0; t < 300; ++t) {
        x.row(t)[7] = 0;      // never used
        x.row(t)[40] = 1;     // a constant
        x.row(t)[41] = x.row(t)[42]; // one twice
    }
    Gram gram(64);
    gram.add(x.view());
    for (const char* format : {"int4:g32", "int2:channel:sym", "q4_0", "q5_1", "nf4", "mxfp4"}) {
        const GptqSite site = run(weight, gram, format);
        EXPECT_EQ(site.deadColumns, 1) << format;
        EXPECT_TRUE(std::isfinite(site.error) && site.error <= site.nearestError) << format;
    }
}

TEST(GptqSiteTest, InputsThatAreNoNumbersKeepNearest) {
    const Matrix weight = randomMatrix(4, 64, 1);
    Matrix x = randomMatrix(100, 64, 2);
    x.row(3)[5] = std::numeric_limits<float>::quiet_NaN();
    Gram gram(64);
    gram.add(x.view());
    const GptqSite site = run(weight, gram, "int4:g64");
    EXPECT_NE(site.fallback.find("NaN"), std::string::npos) << site.fallback;
    EXPECT_TRUE(std::isfinite(site.tensor.relativeError));
}

TEST(GptqSiteTest, IsNearTheBestThatThereIsOnThreeColumns) {
    double mine = 0, best = 0, nearest = 0;
    for (std::uint64_t seed = 0; seed < 20; ++seed) {
        const Matrix weight = randomMatrix(1, 3, seed), x = mixedInputs(30, 3, seed + 100);
        Gram gram(3);
        gram.add(x.view());
        GptqOptions options;
        options.sweeps = 0; // the scales stay
        const GptqSite site = run(weight, gram, "int2:channel", options);
        const auto grid = fixGrid(*parseFormat("int2:channel"), weight.view(), {{}, true, BlockSearch::best});
        std::vector<float> points; // the four values of the row's grid
        for (float v = -4; v <= 4; v += 0.01f) {
            float rounded = 0;
            grid->roundColumn(0, 0, {&v, 1}, {&rounded, 1});
            if (points.empty() || points.back() != rounded) points.push_back(rounded);
        }
        JobContext job;
        const double whole = gram.quadratic(weight.view(), job);
        double least = 1e30;
        for (const float a : points)
            for (const float b : points)
                for (const float c : points) {
                    Matrix difference(1, 3);
                    const float q[3] = {a, b, c};
                    for (std::int64_t i = 0; i < 3; ++i) difference.row(0)[i] = weight.row(0)[i] - q[i];
                    least = std::min(least, gram.quadratic(std::as_const(difference).view(), job));
                }
        EXPECT_GE(site.error, least / whole * (1 - 1e-5)) << seed;
        EXPECT_LE(site.error, site.nearestError) << seed;
        mine += site.error;
        best += least / whole;
        nearest += site.nearestError;
    }
    EXPECT_LT(mine - best, 0.5 * (nearest - best)) << "at least half of what nearest rounding loses is won back";
}

TEST(GptqSiteTest, WithoutTokensNearestIsKept) {
    const Matrix weight = randomMatrix(4, 64, 1);
    const GptqSite none = run(weight, Gram(64), "int4:g64");
    EXPECT_NE(none.fallback.find("no token"), std::string::npos);
    EXPECT_EQ(none.tensor.rounder, "nearest: " + none.fallback);
    EXPECT_EQ(none.error, 0);
    const Matrix x = randomMatrix(15, 64, 2);
    Gram few(64);
    few.add(x.view());
    EXPECT_NE(run(weight, few, "int4:g64", {}, 5).fallback.find("15 tokens"), std::string::npos) << "an expert wants 16";
    EXPECT_EQ(run(weight, few, "int4:g64", {}, -1).fallback, "");
}

TEST(GptqSiteTest, SingularHessiansAreDamped) {
    const Matrix weight = randomMatrix(5, 64, 1);
    Matrix x = randomMatrix(1, 64, 2); // rank one
    for (std::int64_t c = 10; c < 20; ++c) x.row(0)[c] = 0; // channels that are never used
    Gram gram(64);
    gram.add(x.view());
    GptqOptions options;
    options.damping = 1e-9;
    const GptqSite site = run(weight, gram, "int4:g32", options);
    EXPECT_EQ(site.deadColumns, 10);
    // Rank one in f32 leaves pivots of about -1e-7 of the diagonal: the first step of the ladder, 1e-8, can't hold them.
    EXPECT_GE(site.damping, 1e-7);
    EXPECT_LE(site.damping, 1e-4);
    EXPECT_LE(site.error, site.nearestError);
    EXPECT_TRUE(std::isfinite(site.error));
    Matrix zeros(8, 64);
    zeros.fill(0.0f);
    Gram nothing(64);
    nothing.add(zeros.view());
    EXPECT_NE(run(weight, nothing, "int4:g32").fallback, "");
}

TEST(GptqSiteTest, RefittedScalesStillBeatNearest) {
    const Matrix weight = randomMatrix(40, 300, 3), x = mixedInputs(700, 300, 4);
    Gram gram(300);
    gram.add(x.view());
    GptqOptions options;
    options.refitScales = true;
    const GptqSite site = run(weight, gram, "int3:g50", options); // groups that cross the lazy blocks
    EXPECT_EQ(site.fallback, "");
    EXPECT_LT(site.error, 0.7 * site.nearestError);
}

/// Inputs before and after what was rounded ahead of a site, and hidden states likewise.
struct Drifted {
    Matrix x, seen, hidden, hiddenSeen;
    InputDrift drift;
    Gram gram;
};

Drifted drifted(std::int64_t tokens, std::int64_t cols, std::int64_t rows) {
    Drifted d{mixedInputs(tokens, cols, 21), Matrix(tokens, cols), randomMatrix(tokens, rows, 22), Matrix(tokens, rows), {Matrix(cols, cols), Matrix(rows, cols)}, Gram(cols)};
    const Matrix noise = randomMatrix(tokens, cols, 23), turned = mixedInputs(tokens, cols, 24);
    for (std::int64_t t = 0; t < tokens; ++t) {
        for (std::int64_t c = 0; c < cols; ++c) d.seen.row(t)[c] = 0.9f * d.x.row(t)[c] + 0.1f * noise.row(t)[c] - 0.2f * d.x.row(t)[(c + 5) % cols];
        for (std::int64_t r = 0; r < rows; ++r) d.hiddenSeen.row(t)[r] = d.hidden.row(t)[r] - 0.3f * d.seen.row(t)[r % cols];
    }
    const auto fill = [&](Matrix& out, const Matrix& was, const Matrix& is) {
        for (std::int64_t i = 0; i < out.rows(); ++i)
            for (std::int64_t j = 0; j < out.cols(); ++j) {
                double sum = 0;
                for (std::int64_t t = 0; t < tokens; ++t) sum += (static_cast<double>(was.row(t)[i]) - static_cast<double>(is.row(t)[i])) * static_cast<double>(d.seen.row(t)[j]);
                out.row(i)[j] = static_cast<float>(sum);
            }
    };
    fill(d.drift.inputs, d.x, d.seen);
    fill(d.drift.residual, d.hidden, d.hiddenSeen);
    d.gram.add(d.seen.view());
    return d;
}

/// Σ over tokens of ‖W·x + h − Ŵ·x̂ − ĥ‖².
double missed(const Drifted& d, const Matrix& weight, const Matrix& made) {
    double sum = 0;
    for (std::int64_t t = 0; t < d.x.rows(); ++t)
        for (std::int64_t r = 0; r < weight.rows(); ++r) {
            double y = static_cast<double>(d.hidden.row(t)[r]) - static_cast<double>(d.hiddenSeen.row(t)[r]);
            for (std::int64_t c = 0; c < weight.cols(); ++c)
                y += static_cast<double>(weight.row(r)[c]) * static_cast<double>(d.x.row(t)[c]) - static_cast<double>(made.row(r)[c]) * static_cast<double>(d.seen.row(t)[c]);
            sum += y * y;
        }
    return sum;
}

TEST(GptqTargetTest, NoWeightNearItComesNearerToTheOriginalsOutputs) {
    const Matrix weight = randomMatrix(9, 150, 20); // more columns than one block of the solves
    const Drifted d = drifted(400, 150, 9);
    std::vector<std::int64_t> order(150);
    std::iota(order.rbegin(), order.rend(), std::int64_t{0});
    JobContext job;
    const Matrix full = d.gram.full();
    const auto feedback = detail::factorHessian(full, order, 1e-6, job);
    const Matrix target = detail::correctedTarget(weight.view(), d.drift, 1, feedback, order, job);
    const double least = missed(d, weight, target);
    EXPECT_LT(least, 0.5 * missed(d, weight, weight));
    // At the least squares every direction leads up, by the square of the step: the slope there is zero but for f32 (1e-3 of
    // what a step of this size adds) and the damping.
    for (std::uint64_t seed = 0; seed < 5; ++seed) {
        const Matrix direction = randomMatrix(9, 150, 30 + seed);
        double moved[2];
        for (int side = 0; side < 2; ++side) {
            Matrix other(9, 150);
            for (std::int64_t i = 0; i < other.size(); ++i) other.data()[i] = target.data()[i] + (side ? -0.1f : 0.1f) * direction.data()[i];
            moved[side] = missed(d, weight, other) - least;
            EXPECT_GT(moved[side], 0) << seed;
        }
        EXPECT_NEAR(moved[0] / moved[1], 1, 0.02) << seed;
    }
    const Matrix half = detail::correctedTarget(weight.view(), d.drift, 0.5, feedback, order, job);
    for (std::int64_t i = 0; i < half.size(); ++i) EXPECT_NEAR(half.data()[i], 0.5f * (weight.data()[i] + target.data()[i]), 1e-5f);
}

TEST(GptqTargetTest, ACorrectedSiteGivesWhatTheOriginalGave) {
    const Matrix weight = randomMatrix(9, 128, 20);
    const Drifted d = drifted(1000, 128, 9);
    JobContext job;
    double left[2];
    for (const bool corrects : {false, true}) {
        GptqOptions options;
        options.correction = corrects ? 1 : 0;
        const GptqSite site = gptqSite(siteOf(weight), weight.view(), parseFormat("int4:g32"), d.gram, {}, options, job, &d.drift);
        EXPECT_EQ(site.fallback, "");
        Matrix made(9, 128);
        site.tensor.decode(made.view());
        left[corrects] = missed(d, weight, made);
    }
    EXPECT_LT(left[1], 0.5 * left[0]);
    // As many tokens as inputs vouch for nothing.
    Drifted few = drifted(128, 128, 9);
    GptqOptions options;
    const auto bytes = [&](double share) {
        options.correction = share;
        return gptqSite(siteOf(weight), weight.view(), parseFormat("int4:g32"), few.gram, {}, options, job, &few.drift).tensor.bytes;
    };
    EXPECT_EQ(bytes(1), bytes(0));
}

/// All three at once: what is kept stays beside the grid, and together they come nearer to the original's outputs than any two.
TEST(GptqTargetTest, KeptWeightsAndCorrectionGoTogether) {
    Matrix weight = randomMatrix(9, 128, 20);
    for (std::int64_t r = 0; r < 9; ++r) weight.row(r)[(17 * r) % 128] *= 15.0f;
    const Drifted d = drifted(1000, 128, 9);
    const KeptWeights kept = keptOf(weight);
    JobContext job;
    const auto left = [&](double share, const KeptWeights& beside) {
        GptqOptions options;
        options.correction = share;
        const GptqSite site = gptqSite(siteOf(weight), weight.view(), parseFormat("int4:g32"), d.gram, {}, options, job, &d.drift, beside);
        EXPECT_EQ(site.fallback, "");
        EXPECT_EQ(site.tensor.kept.columns, beside.columns);
        EXPECT_EQ(site.tensor.kept.rowOf, beside.rowOf);
        EXPECT_EQ(site.tensor.kept.columnOf, beside.columnOf);
        EXPECT_LT(site.error, site.nearestError);
        Matrix made(9, 128);
        site.tensor.decode(made.view());
        return missed(d, weight, made);
    };
    const double all = left(1, kept);
    EXPECT_LT(all, 0.9 * left(1, {})); // most of what is left no weight could make up for
    EXPECT_LT(all, 0.6 * left(0, kept));
}

TEST(GptqSiteTest, AStopEndsIt) {
    const Matrix weight = randomMatrix(40, 256, 3), x = mixedInputs(300, 256, 4);
    Gram gram(256);
    gram.add(x.view());
    JobContext job;
    job.requestStop();
    test::expectError(ErrorCode::cancelled, [&] { (void)gptqSite(siteOf(weight), weight.view(), parseFormat("q4_k"), gram, {}, {}, job); });
}

TEST(GptqModelTest, EverySiteOfEveryFamilyIsRounded) {
    for (const std::string& family : test::familyNames()) {
        SCOPED_TRACE(family);
        const auto model = test::openFamily(family);
        Windows windows{6, 16, {}};
        Random random(7);
        for (std::int64_t i = 0; i < windows.tokens(); ++i) windows.ids.push_back(static_cast<TokenId>(random.below(128)));
        const auto formats = resolveFormats(*model, "int4:g8", "", {});
        std::vector<GptqSite> report;
        JobContext job;
        const auto rounded = gptqModel(*model, formats, windows, {}, {}, {}, &report, job);
        double nearest = 0, gptq = 0;
        for (const GptqSite& site : report) {
            EXPECT_LE(site.error, site.nearestError);
            nearest += site.nearestError;
            gptq += site.error;
        }
        EXPECT_LT(gptq, 0.9 * nearest);
        for (const SiteFormat& format : formats) EXPECT_EQ(rounded->find(format.site) != nullptr, format.used != nullptr);
        EXPECT_EQ(job.snapshot().done, job.snapshot().total);
        // Before the first site nothing is rounded but the embedding; behind it there is something to make up for.
        std::vector<SiteFormat> blocks = formats;
        std::erase_if(blocks, [&](const SiteFormat& f) { return model->site(f.site).block.value() < 0; });
        GptqOptions corrects;
        corrects.correction = 1;
        std::vector<GptqSite> with, without;
        JobContext again;
        (void)gptqModel(*model, blocks, windows, {}, {}, corrects, &with, again);
        (void)gptqModel(*model, blocks, windows, {}, {}, {}, &without, again);
        ASSERT_EQ(with.size(), without.size());
        std::int64_t moved = 0;
        for (std::size_t i = 0; i < with.size(); ++i) {
            EXPECT_LE(with[i].error, with[i].nearestError);
            moved += with[i].tensor.bytes != without[i].tensor.bytes;
            EXPECT_TRUE(moved == 0 || i > 0) << "the first site's inputs are the original's";
        }
        EXPECT_GT(moved, 0);
    }
}

/// Kept weights hand on no error, widen no scale, and take up what the columns before did wrong.
TEST(Gptq, goesAroundWeightsThatAreKept) {
    Matrix weight = randomMatrix(48, 128, 71);
    Random random(72);
    for (int i = 0; i < 100; ++i) weight.row(static_cast<std::int64_t>(random.below(48)))[random.below(128)] *= 12.0f;
    const Matrix x = mixedInputs(700, 128, 73);
    Gram gram(128);
    gram.add(x.view());
    const KeptWeights kept = keptOf(weight);
    ASSERT_EQ(kept.columns.size(), 2u);
    ASSERT_GT(kept.values.size(), 100u);
    for (const char* format : {"int3:g32:asym", "q4_k", "nf4", "int4:channel:sym"}) {
        JobContext job;
        Matrix wide = format == std::string("q4_k") ? randomMatrix(48, 256, 74) : Matrix();
        const bool blocks = wide.size() > 0;
        Gram wideGram(256);
        if (blocks) wideGram.add(mixedInputs(900, 256, 75).view());
        const Matrix& w = blocks ? wide : weight;
        const Gram& g = blocks ? wideGram : gram;
        const KeptWeights k = blocks ? keptOf(wide) : kept;
        const GptqSite made = gptqSite(siteOf(w), w.view(), parseFormat(format), g, {}, {}, job, nullptr, k);
        EXPECT_EQ(made.fallback, "") << format;
        const GptqSite plain = gptqSite(siteOf(w), w.view(), parseFormat(format), g, {}, {}, job);
        EXPECT_LT(made.error, made.nearestError) << format;
        EXPECT_LT(made.error, plain.error) << format;
        EXPECT_EQ(made.tensor.kept.columns, k.columns) << format;
        EXPECT_EQ(made.tensor.kept.rowOf, k.rowOf) << format;
        EXPECT_NE(made.tensor.kept.values, k.values) << format << ": what is kept follows the columns before it";
        // No step back from there: what the sweeps left is no worse than GPTQ without them.
        GptqOptions published;
        published.sweeps = 0;
        EXPECT_LE(made.error, gptqSite(siteOf(w), w.view(), parseFormat(format), g, {}, published, job, nullptr, k).error) << format;
        Matrix decoded(w.rows(), w.cols());
        made.tensor.decode(decoded.view());
        for (std::size_t i = 0; i < k.values.size(); ++i)
            EXPECT_EQ(decoded.row(k.rowOf[i])[k.columnOf[i]], halfToFloat(made.tensor.kept.values[i])) << format;
    }
    GptqOptions refit;
    refit.refitScales = true;
    JobContext job;
    const GptqSite made = gptqSite(siteOf(weight), weight.view(), parseFormat("int3:g32:asym"), gram, {}, refit, job, nullptr, kept);
    EXPECT_LT(made.error, made.nearestError);
    GptqOptions clip;
    clip.clipOutputs = true;
    EXPECT_LT(gptqSite(siteOf(weight), weight.view(), parseFormat("int3:g32:asym"), gram, {}, clip, job, nullptr, kept).error, made.nearestError);
}

} // namespace
} // namespace bw
