// SPDX-License-Identifier: GPL-3.0-or-later
// Clip search under a Gram matrix: what it finds, that it never loses, that its scales are those that all rounders use.
#include "tests/unit/quantize/demo_model.h"

#include "core/base/parallel.h"
#include "core/format/affine.h"
#include "core/format/fixed_grid.h"
#include "core/quantize/clip.h"
#include "core/quantize/gptq.h"

namespace bw::test {
namespace {

/// Weights with an outlier now and then.
Matrix spikyWeights(std::int64_t rows, std::int64_t cols, std::uint64_t seed) {
    Matrix w(rows, cols);
    Random random(seed);
    for (std::int64_t i = 0; i < w.size(); ++i) w.data()[i] = static_cast<float>(random.normal()) * (random.below(50) == 0 ? 4.0f : 1.0f);
    return w;
}

/// Channels that go together in pairs, so that the Gram matrix is far from diagonal.
Gram pairedInputs(std::int64_t tokens, std::int64_t width, std::uint64_t seed) {
    Matrix x(tokens, width);
    Random random(seed);
    for (std::int64_t t = 0; t < tokens; ++t)
        for (std::int64_t c = 0; c < width; ++c) {
            const auto fresh = static_cast<float>(random.normal());
            x.row(t)[c] = c % 2 == 1 ? 0.9f * x.row(t)[c - 1] + 0.3f * fresh : fresh * (c % 8 == 0 ? 5.0f : 1.0f);
        }
    Gram gram(width);
    gram.add(std::as_const(x).view());
    return gram;
}

/// Of rounding `from`, which stands for `weight`.
double lossOf(const Matrix& weight, const Matrix& from, const Format& format, const Gram& gram, bool ownSearch = false) {
    JobContext job;
    Matrix error(weight.rows(), weight.cols());
    EncodeOptions options;
    options.clipSearch = ownSearch;
    format.roundTrip(from.view(), options, error.view());
    for (std::int64_t i = 0; i < error.size(); ++i) error.data()[i] -= weight.data()[i];
    return gram.quadratic(std::as_const(error).view(), job);
}

class ClipFormats : public testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(Formats, ClipFormats, testing::Values("int4:g32", "int3:g64:sym", "int4:channel", "fp8_e4m3:channel", "nf4:b64"));

TEST_P(ClipFormats, LosesNowhereAndThreadsChangeNothing) {
    const FormatPtr format = parseFormat(GetParam());
    const Matrix weight = spikyWeights(140, 128, 3);
    const Gram gram = pairedInputs(600, 128, 4);
    JobContext job;
    setThreadCount(1);
    const std::vector<float> one = searchClip(weight.view(), *format, gram, job);
    setThreadCount(2);
    const std::vector<float> two = searchClip(weight.view(), *format, gram, job);
    setThreadCount(0);
    EXPECT_EQ(one, two);
    ASSERT_EQ(static_cast<std::int64_t>(one.size()), 140 * 128 / clipUnit(*format, 128));
    const Matrix clipped = clippedWeight(weight.view(), *format, gram, job);
    const double before = lossOf(weight, weight, *format, gram), after = lossOf(weight, clipped, *format, gram);
    EXPECT_LT(after, before);
    // Grids whose clip matters most: better than the search on the weights' own error too.
    if (format->name().starts_with("int")) {
        EXPECT_LT(after, 0.97 * lossOf(weight, weight, *format, gram, true));
    }
}

/// One row with one group: all factors tried by hand.
TEST(Clip, OneGroupGetsTheBestOfTwentyFactors) {
    const FormatPtr format = parseFormat("int3:channel");
    const Matrix weight = spikyWeights(1, 32, 9);
    const Gram gram = pairedInputs(200, 32, 10);
    double least = HUGE_VAL;
    float best = 0;
    const auto [low, high] = std::minmax_element(weight.data(), weight.data() + 32);
    for (int k = 0; k < 20; ++k) {
        const float factor = 1.0f - 0.025f * static_cast<float>(k);
        Matrix cut(1, 32);
        for (int i = 0; i < 32; ++i) cut.data()[i] = std::clamp(weight.data()[i], factor * *low, factor * *high);
        if (const double loss = lossOf(weight, cut, *format, gram); loss < least) {
            least = loss;
            best = factor;
        }
    }
    JobContext job;
    const std::vector<float> found = searchClip(weight.view(), *format, gram, job);
    ASSERT_EQ(found.size(), 1u);
    EXPECT_NEAR(found.front(), best, 1e-6f);
    EXPECT_LT(best, 1.0f); // else nothing was shown
}

/// What lies outside a cut range goes to its outermost code, whether it is cut before it is rounded or not.
TEST(Clip, ScalesServeTheUncutWeight) {
    const Matrix weight = spikyWeights(24, 128, 5);
    const Gram gram = pairedInputs(300, 128, 6);
    for (const char* name : {"int4:g64", "int3:g32:sym", "fp8_e4m3:g64", "nf4:b64"}) {
        const FormatPtr format = parseFormat(name);
        JobContext job;
        const Matrix clipped = clippedWeight(weight.view(), *format, gram, job);
        EXPECT_FALSE(std::equal(clipped.data(), clipped.data() + clipped.size(), weight.data())) << name;
        std::vector<std::byte> encoded(format->bytes(24, 128)), packed(encoded.size());
        format->encode(clipped.view(), {}, encoded);
        const auto grid = fixGrid(*format, clipped.view(), {});
        std::vector<float> column(24), rounded(24);
        for (std::int64_t c = 0; c < 128; ++c) {
            for (std::int64_t r = 0; r < 24; ++r) column[static_cast<std::size_t>(r)] = weight.row(r)[c];
            grid->roundColumn(c, 0, column, rounded);
        }
        grid->pack(packed);
        EXPECT_EQ(packed, encoded) << name;
    }
}

TEST(Clip, GptqKeepsTheClippedScales) {
    const Matrix weight = spikyWeights(40, 128, 7);
    const Gram gram = pairedInputs(900, 128, 8);
    const FormatPtr format = parseFormat("int3:g64");
    Site site;
    site.rows = 40;
    site.cols = 128;
    JobContext job;
    GptqOptions options;
    options.sweeps = 0; // which change scales
    const GptqSite plain = gptqSite(site, weight.view(), format, gram, {}, options, job);
    options.clipOutputs = true;
    const GptqSite clipped = gptqSite(site, weight.view(), format, gram, {}, options, job);
    EXPECT_LT(clipped.nearestError, plain.nearestError);
    EXPECT_LT(clipped.error, clipped.nearestError);
    const auto& affine = dynamic_cast<const AffineFormat&>(*format);
    std::vector<std::byte> nearest(format->bytes(40, 128));
    format->encode(clippedWeight(weight.view(), *format, gram, job).view(), {}, nearest);
    EXPECT_EQ(affine.unpack(clipped.tensor.bytes, 40, 128).scales, affine.unpack(nearest, 40, 128).scales);
    EXPECT_NE(affine.unpack(clipped.tensor.bytes, 40, 128).codes, affine.unpack(nearest, 40, 128).codes);
}

TEST(Clip, NothingToChooseGivesNothing) {
    const Matrix weight = spikyWeights(4, 256, 5);
    JobContext job;
    EXPECT_TRUE(searchClip(weight.view(), *parseFormat("q4_k"), pairedInputs(20, 256, 1), job).empty());
    EXPECT_TRUE(searchClip(weight.view(), *parseFormat("int4:tensor"), pairedInputs(20, 256, 1), job).empty());
    EXPECT_TRUE(searchClip(weight.view(), *parseFormat("int4:g64"), Gram(256), job).empty());
}

TEST(Clip, AModelsSitesAreClippedAndTheEmbeddingIsNot) {
    const Model& model = demoModel();
    const Windows windows = someWindows(model.config().vocabulary);
    const auto formats = resolveFormats(model, "int4:g64", "", {});
    JobContext job;
    RounderOptions rounder;
    const auto plain = QuantizedModel::build(model, formats, {}, rounder, job);
    const auto clipped = clippedModel(model, formats, windows, {}, rounder, job);
    std::int64_t changed = 0;
    for (const Site& site : model.sites()) {
        const QuantizedTensor *a = plain->find(site.id), *b = clipped->find(site.id);
        ASSERT_EQ(a == nullptr, b == nullptr) << site.name;
        if (a == nullptr) continue;
        if (site.kind == SiteKind::tokenEmbedding) {
            EXPECT_EQ(a->bytes, b->bytes);
            continue;
        }
        changed += a->bytes != b->bytes ? 1 : 0;
    }
    EXPECT_GT(changed, 8);
    job.requestStop();
    EXPECT_EQ(codeOf([&] { clippedModel(model, formats, windows, {}, rounder, job); }), ErrorCode::cancelled);
}

} // namespace
} // namespace bw::test
