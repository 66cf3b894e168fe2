// SPDX-License-Identifier: GPL-3.0-or-later
// Rounding at run time reaches what it should and nothing else, on every family: "rounding" here multiplies by a factor,
// which a weight multiplied by it must equal, and which shows a row that is rounded twice or never.
#include "core/model/reverse.h"
#include "tests/support/expect_error.h"
#include "tests/support/families.h"
#include "tests/unit/model/tiny_model.h"

#include <gtest/gtest.h>
#include <map>

namespace bw {
namespace {

using test::allLogits;
using test::randomWindows;
using test::worstDifference;

constexpr std::int64_t kVocabulary = 128;
constexpr float kFactor = 0.75f; // exact in f32: a weight times it and an input times it give the same products
/// As in families_test.cpp: another order of the same sums moves logits by 3e-5 at most.
constexpr float kFamilyRoundOff = 1e-4f;

void scale(MatrixView<float> x, float factor) {
    for (std::int64_t r = 0; r < x.rows; ++r)
        for (float& value : x.rowSpan(r)) value *= factor;
}

class NoCacheRounding : public RuntimeRounding {
public:
    bool roundsInput(int) const override { return false; }
    void roundInput(int, MatrixView<float>) const override { ADD_FAILURE() << "asked to round what is not rounded"; }
    bool roundsCache(BlockIndex) const override { return false; }
    std::int64_t cacheRun(BlockIndex, std::int64_t, std::int64_t most) const override { return most; }
    void roundCache(BlockIndex, MatrixView<float>, MatrixView<float>, std::int64_t) const override {
        ADD_FAILURE() << "asked to round what is not rounded";
    }
};

/// Multiplies the input of one group.
class ScaledInput final : public NoCacheRounding {
public:
    explicit ScaledInput(int group) : group_(group) {}
    bool roundsInput(int group) const override { return group == group_; }
    void roundInput(int group, MatrixView<float> x) const override {
        EXPECT_EQ(group, group_);
        scale(x, kFactor);
    }

private:
    int group_;
};

/// Multiplies the input of one site alone.
class ScaledSiteInput final : public NoCacheRounding {
public:
    explicit ScaledSiteInput(SiteId site) : site_(site) {}
    bool roundsSite(SiteId site) const override { return site == site_; }
    void roundSite(SiteId site, MatrixView<float> x) const override {
        EXPECT_EQ(site, site_);
        scale(x, kFactor);
    }

private:
    SiteId site_;
};

/// Multiplies the values when they enter the cache, and keys and values again when they leave a window of `recent`
/// tokens in groups of `group`.
class ScaledCache final : public NoCacheRounding {
public:
    ScaledCache(std::int64_t recent, std::int64_t group) : recent_(recent), group_(group) {}
    bool roundsCache(BlockIndex) const override { return true; }
    std::int64_t rounded(std::int64_t seen) const { return std::max<std::int64_t>(0, seen - recent_) / group_ * group_; }
    std::int64_t cacheRun(BlockIndex, std::int64_t seen, std::int64_t most) const override {
        std::int64_t count = 1;
        while (count < most && rounded(seen + count + 1) == rounded(seen + 1)) ++count;
        return count;
    }
    void roundCache(BlockIndex, MatrixView<float> keys, MatrixView<float> values, std::int64_t seen) const override {
        scale(values.middleRows(seen, values.rows - seen), kFactor);
        const std::int64_t before = rounded(seen), now = rounded(keys.rows);
        scale(keys.middleRows(before, now - before), 0.5f);
        scale(values.middleRows(before, now - before), 0.5f);
    }

private:
    std::int64_t recent_, group_;
};

/// A source that changes no weight, but what is rounded; or the weights of a group instead.
struct Source final : WeightSource {
    std::shared_ptr<const RuntimeRounding> rounds;
    int scaledGroup = -2; ///< none: the embedding stands at −1
    SiteId scaledSite{-1};
    void apply(const Site& site, MatrixView<float> weight) const override {
        if (site.inputGroup == scaledGroup || site.id == scaledSite) scale(weight, kFactor);
    }
    std::shared_ptr<const RuntimeRounding> rounding() const override { return rounds; }
};

/// First value that each group sees of each window.
struct Firsts final : WalkVisitor, ActivationObserver {
    std::map<std::pair<int, std::int64_t>, float> seen;
    ActivationObserver* observer(BlockIndex) override { return this; }
    void onInput(int group, std::int64_t window, MatrixView<const float> x) override { seen[{group, window}] = x(0, 0); }
};

Firsts watch(const Model& model, const Windows& windows, const WeightSource& source) {
    Firsts firsts;
    JobContext job;
    const ScratchMatrix states = walkBlocks(model, windows, &source, &firsts, job);
    walkHead(
        model, windows, states.view(), &source, job, [](std::int64_t, MatrixView<const float>) {}, &firsts);
    return firsts;
}

/// Logits of one window, fed to a cache in pieces.
std::vector<float> inPieces(const Model& model, std::span<const TokenId> ids, std::span<const std::int64_t> pieces,
                            const WeightSource& source) {
    KvCache cache(model.config().blocks, model.config().kvWidth(), static_cast<std::int64_t>(ids.size()));
    const auto embedding = model.loadEmbedding();
    const auto head = model.loadHead(&source);
    std::vector<float> all;
    for (const std::int64_t piece : pieces) {
        Matrix x(piece, model.config().width), logits(piece, model.config().vocabulary);
        model.embed(*embedding, ids.subspan(static_cast<std::size_t>(cache.length()), static_cast<std::size_t>(piece)), x.view(),
                    cache.length());
        for (int b = 0; b < model.config().blocks; ++b)
            model.runBlock(*model.loadBlock(BlockIndex{b}, &source), x.view(), &cache, nullptr, 0);
        cache.setLength(cache.length() + piece);
        model.logits(*head, std::as_const(x).view(), logits.view());
        all.insert(all.end(), logits.data(), logits.data() + logits.size());
    }
    return all;
}

class RoundedFamily : public testing::TestWithParam<std::string> {
protected:
    std::shared_ptr<const Model> model_ = test::openFamily(GetParam());
    bool hasPostNorms() const { return !model_->loadBlock(BlockIndex{0})->postFfnNorm.weight.empty(); }
};
INSTANTIATE_TEST_SUITE_P(All, RoundedFamily, testing::ValuesIn(test::familyNames()), [](const auto& name) { return name.param; });

TEST_P(RoundedFamily, AGroupsRoundingReachesItsLinearsAndNothingElse) {
    const Windows windows = randomWindows(2, 12, kVocabulary);
    const std::vector<float> plain = allLogits(*model_, windows);
    for (int group = 0; group < static_cast<int>(model_->inputGroups().size()); ++group) {
        const InputGroup& what = model_->inputGroups()[static_cast<std::size_t>(group)];
        // A tied head's weight is the look-up too, which is not rounded.
        if (what.block.value() < 0 && model_->config().tiedHead) continue;
        Source rounded, scaled;
        rounded.rounds = std::make_shared<const ScaledInput>(group);
        scaled.scaledGroup = group;
        const std::vector<float> logits = allLogits(*model_, windows, &rounded);
        EXPECT_LE(worstDifference(logits, allLogits(*model_, windows, &scaled)), kFamilyRoundOff) << what.name;
        const Firsts seen = watch(*model_, windows, rounded), wanted = watch(*model_, windows, scaled);
        ASSERT_EQ(seen.seen.size(), wanted.seen.size()) << what.name;
        for (const auto& [key, value] : wanted.seen) // the observer sees inputs before their rounding
            EXPECT_NEAR(seen.seen.at(key), value, kFamilyRoundOff) << what.name << " at group " << key.first;
        const bool routed = what.name.find(".e") != std::string::npos;
        if (!routed && !hasPostNorms()) { // an expert may have seen no token; a norm behind takes a factor out again
            EXPECT_GT(worstDifference(logits, plain), 1e-3f) << what.name;
        }
    }
}

TEST_P(RoundedFamily, ASitesOwnRoundingReachesItAlone) {
    const Windows windows = randomWindows(1, 12, kVocabulary);
    for (const Site& site : model_->blockSites(BlockIndex{0})) {
        Source rounded, scaled;
        rounded.rounds = std::make_shared<const ScaledSiteInput>(site.id);
        scaled.scaledSite = site.id;
        EXPECT_LE(worstDifference(allLogits(*model_, windows, &rounded), allLogits(*model_, windows, &scaled)), kFamilyRoundOff) << site.name;
    }
}

TEST_P(RoundedFamily, TheCacheIsTheSameByTokenByPieceAndByWindow) {
    const Windows windows = randomWindows(2, 24, kVocabulary);
    const std::vector<float> plain = allLogits(*model_, windows);
    const auto length = static_cast<std::size_t>(windows.length * kVocabulary);
    for (const auto& [recent, group] : std::vector<std::pair<std::int64_t, std::int64_t>>{{0, 1}, {5, 1}, {0, 4}, {3, 4}, {40, 1}}) {
        Source source;
        source.rounds = std::make_shared<const ScaledCache>(recent, group);
        const std::vector<float> whole = allLogits(*model_, windows, &source);
        if (!hasPostNorms()) {
            EXPECT_GT(worstDifference(whole, plain), 1e-3f);
        }
        const std::vector<std::int64_t> byToken(24, 1), pieces{7, 1, 12, 4};
        for (const auto& steps : {byToken, pieces}) {
            const std::vector<float> fed = inPieces(*model_, windows.window(1), steps, source);
            EXPECT_LE(worstDifference(fed, std::span(whole).subspan(length)), kFamilyRoundOff) << recent << ", " << group;
        }
    }
}

TEST(Rounding, GradientsThroughItAreRefused) {
    const test::TinyModel tiny;
    struct NoLoss final : LogitLoss {
        int draws() const override { return 1; }
        void gradient(std::int64_t, int, MatrixView<const float>, MatrixView<float>) override {}
    } loss;
    struct Nobody final : GradientObserver {
    } nobody;
    Source source;
    source.rounds = std::make_shared<const ScaledInput>(0);
    JobContext job;
    test::expectError(ErrorCode::usage, [&] { walkBackwards(*tiny.model, randomWindows(1, 8), &source, loss, nobody, job); });
}

} // namespace
} // namespace bw
