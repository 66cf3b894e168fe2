// SPDX-License-Identifier: GPL-3.0-or-later
// What the families add to a block, on the tiny models of tests/data/families: sites, routing, observers, and that the
// cache, batches of windows and thread counts change nothing. Their logits are held to the reference elsewhere
// (tests/golden/families).
#include "core/base/json.h"
#include "core/base/parallel.h"
#include "core/model/generate.h"
#include "tests/support/expect_error.h"
#include "tests/support/families.h"
#include "tests/unit/model/tiny_model.h"

#include <cmath>
#include <cstring>
#include <fstream>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <map>

namespace bw {
namespace {

using test::allLogits;
using test::expectError;
using test::familyNames;
using test::familyPath;
using test::openFamily;
using test::randomWindows;
using test::TempFolder;
using test::worstDifference;
using testing::ElementsAre;
using testing::HasSubstr;

namespace fs = std::filesystem;
constexpr std::int64_t kVocabulary = 128;

/// Logits of these models reach 6 and pass soft caps and experts; another order of the same sums moves them by 3e-5 at
/// most, a wrong position, window or expert by more than 1e-2.
constexpr float kFamilyRoundOff = 1e-4f;

class EachFamily : public testing::TestWithParam<std::string> {
protected:
    std::shared_ptr<const Model> model_ = openFamily(GetParam());
};
INSTANTIATE_TEST_SUITE_P(All, EachFamily, testing::ValuesIn(familyNames()),
                         [](const auto& name) { return name.param; });

TEST_P(EachFamily, CacheInPiecesEqualsTheWindow) {
    const Windows windows = randomWindows(1, 24, kVocabulary);
    const std::vector<float> full = allLogits(*model_, windows);
    KvCache cache(model_->config().blocks, model_->config().kvWidth(), 24);
    const auto embedding = model_->loadEmbedding();
    const auto head = model_->loadHead();
    std::vector<float> all;
    for (const std::int64_t piece : {7, 1, 12, 4}) {
        Matrix x(piece, model_->config().width), logits(piece, kVocabulary);
        const auto ids =
            std::span(windows.ids).subspan(static_cast<std::size_t>(cache.length()), static_cast<std::size_t>(piece));
        model_->embed(*embedding, ids, x.view(), cache.length());
        for (int b = 0; b < model_->config().blocks; ++b)
            model_->runBlock(*model_->loadBlock(BlockIndex{b}), x.view(), &cache, nullptr, 0);
        cache.setLength(cache.length() + piece);
        model_->logits(*head, std::as_const(x).view(), logits.view());
        all.insert(all.end(), logits.data(), logits.data() + logits.size());
    }
    EXPECT_LE(worstDifference(all, full), kFamilyRoundOff);
}

TEST_P(EachFamily, BatchedWindowsEqualSingleOnesAndThreadsChangeNothing) {
    const Windows windows = randomWindows(3, 12, kVocabulary);
    setThreadCount(1);
    const std::vector<float> together = allLogits(*model_, windows);
    std::vector<float> apart;
    for (std::int64_t w = 0; w < windows.count; ++w) {
        const auto ids = windows.window(w);
        const std::vector<float> one = allLogits(*model_, {1, windows.length, {ids.begin(), ids.end()}});
        apart.insert(apart.end(), one.begin(), one.end());
    }
    setThreadCount(3);
    const std::vector<float> threaded = allLogits(*model_, windows);
    setThreadCount(0);
    EXPECT_LE(worstDifference(together, apart), kFamilyRoundOff);
    EXPECT_EQ(together, threaded);
}

/// Rows that each group was shown, by window.
struct Rows final : WalkVisitor, ActivationObserver {
    std::map<int, std::map<std::int64_t, std::vector<std::vector<float>>>> seen;
    ActivationObserver* observer(BlockIndex) override { return this; }
    void onInput(int group, std::int64_t window, MatrixView<const float> x) override {
        EXPECT_GT(x.rows, 0);
        EXPECT_EQ(seen[group].count(window), 0u) << "group " << group << " saw window " << window << " twice";
        for (std::int64_t r = 0; r < x.rows; ++r)
            seen[group][window].emplace_back(x.rowSpan(r).begin(), x.rowSpan(r).end());
    }
};

TEST_P(EachFamily, EveryGroupSeesEveryWindowAtItsWidth) {
    const Windows windows = randomWindows(3, 12, kVocabulary);
    Rows rows;
    JobContext job;
    const ScratchMatrix states = walkBlocks(*model_, windows, nullptr, &rows, job);
    walkHead(
        *model_, windows, states.view(), nullptr, job, [](std::int64_t, MatrixView<const float>) {}, &rows);
    const auto& groups = model_->inputGroups();
    std::map<int, std::size_t> routed; // rows of all experts, by block
    for (std::size_t g = 0; g < groups.size(); ++g) {
        const bool expert = groups[g].name.find(".e") != std::string::npos;
        std::size_t count = 0;
        for (const auto& [window, x] : rows.seen[static_cast<int>(g)]) {
            for (const auto& row : x)
                EXPECT_EQ(static_cast<std::int64_t>(row.size()), groups[g].width) << groups[g].name;
            count += x.size();
            if (!expert) {
                EXPECT_EQ(x.size(), 12u) << groups[g].name;
            }
        }
        if (expert && groups[g].name.find("ffn_in") != std::string::npos) routed[groups[g].block.value()] += count;
        if (!expert) {
            EXPECT_EQ(count, 36u) << groups[g].name;
        }
        ASSERT_FALSE(groups[g].sites.empty()) << groups[g].name;
        for (const SiteId id : groups[g].sites) {
            EXPECT_EQ(model_->site(id).inputGroup, static_cast<int>(g));
            EXPECT_EQ(model_->site(id).cols, groups[g].width);
        }
    }
    for (const auto& [block, count] : routed)
        EXPECT_EQ(count, 36u * static_cast<std::size_t>(model_->config().expertsUsed)) << "block " << block;
}

TEST_P(EachFamily, SitesAreTheRowsOfTheirTensors) {
    for (const Site& site : model_->sites()) {
        const TensorInfo& tensor = model_->checkpoint().require(site.tensor);
        ASSERT_LE(site.firstRow + site.rows, tensor.rows()) << site.name;
        EXPECT_EQ(site.cols, tensor.cols()) << site.name;
        Matrix whole(tensor.rows(), tensor.cols());
        model_->checkpoint().readRows(tensor, 0, whole.view());
        const Matrix weight = model_->siteWeight(site);
        EXPECT_EQ(std::memcmp(weight.data(), whole.row(site.firstRow),
                              static_cast<std::size_t>(weight.size()) * sizeof(float)),
                  0)
            << site.name;
        EXPECT_EQ(model_->findSite(site.name), &site);
    }
}

std::vector<std::string> siteNames(const Model& model, int block) {
    std::vector<std::string> names;
    for (const Site& site : model.blockSites(BlockIndex{block})) names.push_back(site.name.substr(6));
    return names;
}

TEST(FamilySites, FusedAndPlainLinears) {
    const auto phi = openFamily("phi3"), gpt = openFamily("gpt2"), parallel = openFamily("stablelm_parallel");
    EXPECT_THAT(siteNames(*phi, 0), ElementsAre("attn_qkv", "attn_output", "ffn_up", "ffn_down"));
    EXPECT_EQ(phi->findSite("blk.1.ffn_up")->rows, 2 * phi->config().feedForward);
    EXPECT_EQ(phi->findSite("blk.1.attn_qkv")->rows, phi->config().queryWidth() + 2 * phi->config().kvWidth());
    EXPECT_THAT(siteNames(*gpt, 1), ElementsAre("attn_qkv", "attn_output", "ffn_up", "ffn_down"));
    EXPECT_EQ(gpt->findSite("blk.0.ffn_up")->rows, 40);
    EXPECT_EQ(gpt->findSite("blk.0.ffn_up")->cols, 32);
    // Attention and feed-forward read the same norm here, so they share statistics and transforms.
    EXPECT_EQ(parallel->findSite("blk.0.ffn_up")->inputGroup, parallel->findSite("blk.0.attn_q")->inputGroup);
    EXPECT_EQ(parallel->inputGroups().size(), 3u * 2 + 1);
}

TEST(FamilySites, ExpertsAndTheSharedOne) {
    const auto model = openFamily("qwen2_moe");
    const auto names = siteNames(*model, 1);
    ASSERT_EQ(names.size(), 4u + 3 * 5 + 3);
    EXPECT_EQ(names[4], "ffn_gate.e0");
    EXPECT_EQ(names[9], "ffn_down.e1");
    EXPECT_EQ(names.back(), "ffn_down_shexp");
    EXPECT_EQ(model->findSite("blk.1.ffn_up.e4")->expert, 4);
    EXPECT_EQ(model->findSite("blk.1.ffn_up.e4")->kind, SiteKind::ffnUpExperts);
    for (const Site& site : model->sites())
        EXPECT_EQ(site.name.find("gate_inp"), std::string::npos) << "the router is no site";
    // Blocks with and without experts side by side.
    const auto sparse = openFamily("qwen2_moe_sparse");
    EXPECT_EQ(siteNames(*sparse, 0).size(), 7u);
    EXPECT_EQ(siteNames(*sparse, 1).size(), 4u + 3 * 5 + 3);
}

/// Routing in f64, written anew: the experts with the largest logits get the token.
TEST(Experts, ObserversSeeTheRowsRoutedToEachExpert) {
    const auto model = openFamily("qwen2_moe");
    const Windows windows = randomWindows(3, 12, kVocabulary);
    Rows rows;
    JobContext job;
    walkBlocks(*model, windows, nullptr, &rows, job);
    const auto groupOf = [&](const std::string& name) {
        for (std::size_t g = 0; g < model->inputGroups().size(); ++g)
            if (model->inputGroups()[g].name == name) return static_cast<int>(g);
        return -1;
    };
    for (int b = 0; b < model->config().blocks; ++b) {
        const std::string prefix = "blk." + std::to_string(b) + ".";
        Matrix router(5, model->config().width);
        model->checkpoint().readRows(model->checkpoint().require(prefix + "ffn_gate_inp.weight"), 0, router.view());
        std::map<int, std::map<std::int64_t, std::vector<std::vector<float>>>> expected;
        for (const auto& [window, inputs] : rows.seen[groupOf(prefix + "ffn_in")]) {
            for (const auto& x : inputs) {
                std::vector<std::pair<double, int>> ranked;
                for (int e = 0; e < 5; ++e) {
                    double logit = 0;
                    for (std::size_t c = 0; c < x.size(); ++c)
                        logit += static_cast<double>(x[c]) * static_cast<double>(router.row(e)[c]);
                    ranked.emplace_back(-logit, e);
                }
                std::sort(ranked.begin(), ranked.end());
                for (int chosen = 0; chosen < 2; ++chosen)
                    expected[ranked[static_cast<std::size_t>(chosen)].second][window].push_back(x);
            }
        }
        for (int e = 0; e < 5; ++e)
            EXPECT_EQ(rows.seen[groupOf(prefix + "ffn_in.e" + std::to_string(e))], expected[e])
                << prefix << " expert " << e;
    }
}

TEST(Experts, OneExpertIsReplacedAlone) {
    struct Zeroing final : WeightSource {
        void apply(const Site& site, MatrixView<float> weight) const override {
            if (site.name == "blk.1.ffn_down.e2") std::fill_n(weight.data, weight.size(), 0.0f);
        }
    } zeroing;
    const auto model = openFamily("mixtral");
    const Windows windows = randomWindows(2, 12, kVocabulary);
    Rows plain, replaced;
    JobContext job;
    const ScratchMatrix a = walkBlocks(*model, windows, nullptr, &plain, job),
                        b = walkBlocks(*model, windows, &zeroing, &replaced, job);
    // Tokens that pass expert 2 of the last block change, the others keep every bit.
    std::size_t changed = 0, passed = 0;
    for (std::int64_t t = 0; t < windows.tokens(); ++t)
        changed +=
            std::memcmp(a.view().row(t), b.view().row(t), static_cast<std::size_t>(a.view().cols) * sizeof(float)) != 0
                ? 1u
                : 0u;
    for (std::size_t g = 0; g < model->inputGroups().size(); ++g)
        if (model->inputGroups()[g].name == "blk.1.ffn_in.e2")
            for (const auto& [window, x] : plain.seen[static_cast<int>(g)]) passed += x.size();
    EXPECT_GT(passed, 0u);
    EXPECT_LT(passed, 24u);
    EXPECT_EQ(changed, passed);
    EXPECT_EQ(plain.seen, replaced.seen)
        << "the last block's inputs do not depend on its own weights before the down projection";
}

/// A family's checkpoint with another config.json.
std::string writeWith(const TempFolder& folder, const std::string& family, const std::function<void(Json&)>& edit) {
    Json config = readJsonFile((familyPath(family) / "config.json").string());
    edit(config);
    fs::copy_file(familyPath(family) / "model.safetensors", folder.path() / "model.safetensors",
                  fs::copy_options::overwrite_existing);
    std::ofstream(folder.path() / "config.json") << config.dump();
    return folder.path().string();
}

TEST(FamilyFaults, X07_shapesThatDisagreeNameTensorAndBothShapes) {
    struct Case {
        const char* family;
        std::function<void(Json&)> edit;
        ErrorCode code;
        std::vector<const char*> mentions;
    };
    for (const Case& c : std::vector<Case>{
             {"mixtral", [](Json& j) { j["num_local_experts"] = 5; }, ErrorCode::shapeMismatch, {"[4, 32]", "[5, 32]"}},
             {"mixtral",
              [](Json& j) { j["intermediate_size"] = 24; },
              ErrorCode::shapeMismatch,
              {"[16, 32]", "[24, 32]"}},
             {"qwen2_moe",
              [](Json& j) { j["shared_expert_intermediate_size"] = 21; },
              ErrorCode::shapeMismatch,
              {"[20, 32]", "[21, 32]"}},
             {"qwen3",
              [](Json& j) { j["num_key_value_heads"] = 1; },
              ErrorCode::shapeMismatch,
              {"k_proj", "[32, 32]", "[16, 32]"}},
             {"gpt2",
              [](Json& j) { j["n_positions"] = 33; },
              ErrorCode::shapeMismatch,
              {"wpe", "[32, 32]", "[33, 32]"}},
             {"phi3",
              [](Json& j) { j["intermediate_size"] = 41; },
              ErrorCode::shapeMismatch,
              {"gate_up_proj", "[80, 32]", "[82, 32]"}},
             {"gemma2",
              [](Json& j) {
                  j["num_hidden_layers"] = 3;
                  j.erase("layer_types");
              },
              ErrorCode::tensorMissing,
              {"blk.2.attn_norm.weight"}},
             {"mixtral", [](Json& j) { j["num_local_experts"] = 3; }, ErrorCode::unsupportedModel, {"experts.3.w1"}},
             {"qwen2", [](Json& j) { j["model_type"] = "llama"; }, ErrorCode::unsupportedModel, {"bias"}},
             {"qwen3", [](Json& j) { j["model_type"] = "llama"; }, ErrorCode::unsupportedModel, {"_norm"}},
             {"llama", [](Json& j) { j["attention_bias"] = true; }, ErrorCode::tensorMissing, {"attn_q.bias"}},
             {"stablelm", [](Json& j) { j["qk_layernorm"] = true; }, ErrorCode::tensorMissing, {"attn_q_norm"}},
             {"gemma2", [](Json& j) { j["model_type"] = "gemma"; }, ErrorCode::unsupportedModel, {"norm"}}}) {
        const TempFolder folder;
        const std::string path = writeWith(folder, c.family, c.edit);
        const Error error = expectError(c.code, [&] { Model::open(Checkpoint::open(path), makeCpuDevice()); });
        for (const char* part : c.mentions) EXPECT_THAT(error.message(), HasSubstr(part)) << c.family;
    }
}

TEST(FamilyFaults, LearnedPositionsEnd) {
    const auto model = openFamily("gpt2"); // 32 positions
    GenerateOptions options;
    options.stopAtEos = false;
    JobContext job;
    const Windows windows = randomWindows(1, 30, kVocabulary);
    EXPECT_EQ(generate(*model, windows.ids, options, nullptr, job).ids.size(), 2u);
    expectError(ErrorCode::usage, [&] { allLogits(*model, randomWindows(1, 33, kVocabulary)); });
    Matrix x(4, 32);
    expectError(ErrorCode::usage,
                [&] { model->embed(*model->loadEmbedding(), std::span(windows.ids).first(4), x.view(), 29); });
}

/// A made-up architecture opens for its weights, from both containers; what needs a forward pass says why not.
TEST(Reduced, UnknownArchitectureOpensForItsWeights) {
    const TempFolder folder;
    const std::string path = writeWith(folder, "mistral", [](Json& j) { j["model_type"] = "zebra"; });
    const auto checkpoint = Checkpoint::open(path);
    expectError(ErrorCode::unsupportedModel, [&] { Model::open(checkpoint, makeCpuDevice()); });
    const auto model = Model::openWeights(checkpoint, makeCpuDevice());
    const Site* up = model->findSite("blk.1.ffn_up");
    ASSERT_NE(up, nullptr);
    EXPECT_EQ(up->kind, SiteKind::ffnUp);
    EXPECT_EQ(up->inputGroup, -1);
    EXPECT_TRUE(model->inputGroups().empty());
    const auto known = openFamily("mistral");
    const Matrix a = model->siteWeight(*up), b = known->siteWeight(*known->findSite("blk.1.ffn_up"));
    EXPECT_EQ(std::memcmp(a.data(), b.data(), static_cast<std::size_t>(a.size()) * sizeof(float)), 0);
    EXPECT_EQ(model->sites().size(), known->sites().size());
    for (const auto& use : std::vector<std::function<void()>>{
             [&] { allLogits(*model, randomWindows(1, 8, kVocabulary)); }, [&] { model->loadBlock(BlockIndex{0}); },
             [&] { model->loadHead(); }, [&] { model->loadEmbedding(); }, [&] { model->requireForward(); }}) {
        const Error error = expectError(ErrorCode::unsupportedModel, use);
        EXPECT_THAT(error.message(), HasSubstr("'zebra'"));
        EXPECT_THAT(error.hint(), HasSubstr("nearest"));
    }
    EXPECT_NO_THROW(
        Model::openWeights(Checkpoint::open(familyPath("llama").string()), makeCpuDevice())->requireForward());
}

} // namespace
} // namespace bw
