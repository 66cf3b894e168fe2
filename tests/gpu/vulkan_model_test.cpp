// SPDX-License-Identifier: GPL-3.0-or-later
// Whole walks on the device, on a tiny model of every family: forward, generation, calibration; with the device lost at any
// submit, and with hardly any memory.
#include "core/calibrate/input_walk.h"
#include "core/calibrate/observers.h"
#include "core/evaluate/evaluate.h"
#include "core/evaluate/top_tokens.h"
#include "core/model/generate.h"
#include "core/quantize/gptq.h"
#include "core/sensitivity/sensitivity.h"
#include "tests/gpu/support.h"
#include "tests/support/families.h"
#include "tests/unit/model/tiny_model.h"

#include <gmock/gmock.h>

namespace bw {
namespace {

constexpr std::int64_t kVocabulary = 128;
/// Logits of these models reach 6; what a device's own exp, sin and order of sums move them by stays below a twentieth of
/// the 2e-3 that a comparison of runs could see.
constexpr float kRoundOff = 1e-4f;

class VulkanFamily : public test::VulkanTest, public testing::WithParamInterface<std::string> {};
INSTANTIATE_TEST_SUITE_P(All, VulkanFamily, testing::ValuesIn(test::familyNames()), [](const auto& name) { return name.param; });

TEST_P(VulkanFamily, WalkGenerationAndCacheEqualTheCpu) {
    const Windows windows = test::randomWindows(3, 20, kVocabulary);
    const auto cpu = test::openFamily(GetParam(), makeCpuDevice());
    const std::vector<float> expected = test::allLogits(*cpu, windows);
    const std::shared_ptr<Device> device = test::openDevice();
    const auto model = test::openFamily(GetParam(), device);
    EXPECT_LE(test::worstDifference(test::allLogits(*model, windows), expected), kRoundOff);
    for (const auto& [operation, counts] : device->operationCounts())
        EXPECT_GT(counts.onDevice, 0u) << operation << " never ran on the device";
    // Token by token through the cache.
    KvCache cache(model->config().blocks, model->config().kvWidth(), 20, device);
    const auto embedding = model->loadEmbedding();
    const auto head = model->loadHead();
    std::vector<float> pieces;
    for (const std::int64_t piece : {7, 1, 1, 11}) {
        bw::Matrix x(piece, model->config().width), logits(piece, kVocabulary);
        model->embed(*embedding, std::span(windows.ids).subspan(static_cast<std::size_t>(cache.length()), static_cast<std::size_t>(piece)), x.view(),
                     cache.length());
        for (int b = 0; b < model->config().blocks; ++b) model->runBlock(*model->loadBlock(BlockIndex{b}), x.view(), &cache, nullptr, 0);
        cache.setLength(cache.length() + piece);
        model->logits(*head, std::as_const(x).view(), logits.view());
        pieces.insert(pieces.end(), logits.data(), logits.data() + logits.size());
    }
    EXPECT_LE(test::worstDifference(pieces, std::span(expected).subspan(0, pieces.size())), kRoundOff);
}

/// What each observer is shown, in order.
class Recorder final : public WalkVisitor, public ActivationObserver {
public:
    ActivationObserver* observer(BlockIndex) override { return this; }
    void onInput(int group, std::int64_t window, MatrixView<const float> x) override {
        calls.emplace_back(group, window, x.rows);
        for (std::int64_t r = 0; r < x.rows; ++r) values.insert(values.end(), x.row(r), x.row(r) + x.cols);
    }
    std::vector<std::tuple<int, std::int64_t, std::int64_t>> calls;
    std::vector<float> values;
};

struct Walked {
    Recorder recorder;
    std::vector<float> states;
};

Walked walk(const Model& model, const Windows& windows) {
    JobContext job;
    Walked walked;
    const ScratchMatrix states = walkBlocks(model, windows, nullptr, &walked.recorder, job);
    walked.states.assign(states.view().data, states.view().data + states.view().size());
    return walked;
}

void expectSame(const Walked& made, const Walked& expected, const std::string& what) {
    EXPECT_EQ(made.recorder.calls, expected.recorder.calls) << what;
    EXPECT_LE(test::worstDifference(made.recorder.values, expected.recorder.values), kRoundOff) << what;
    EXPECT_LE(test::worstDifference(made.states, expected.states), kRoundOff) << what;
}

class VulkanWalk : public VulkanFamily {};
INSTANTIATE_TEST_SUITE_P(Some, VulkanWalk, testing::Values("llama", "mixtral"), [](const auto& name) { return name.param; });

/// From the first submit to the last: nothing is lost, nothing is shown twice, and the rest runs on the CPU.
TEST_P(VulkanWalk, ADeviceLostAtAnySubmitChangesNothing) {
    const Windows windows = test::randomWindows(2, 9, kVocabulary);
    const Walked expected = walk(*test::openFamily(GetParam(), makeCpuDevice()), windows);
    bool survived = false;
    int tried = 0;
    for (int at = 0; !survived; at += 1 + at / 6, ++tried) {
        ASSERT_LT(at, 5000);
        VulkanOptions options;
        options.loseAfterSubmits = at;
        std::shared_ptr<Device> device;
        try {
            device = makeVulkanDevice(0, options);
        } catch (const Error&) {
            continue; // while opening
        }
        expectSame(walk(*test::openFamily(GetParam(), device), windows), expected, "lost at submit " + std::to_string(at));
        survived = device->description().find("failed") == std::string::npos;
    }
    EXPECT_GT(tried, 10);
}

/// Weights and activations that do not fit stay with the CPU, piece by piece.
TEST_P(VulkanWalk, LittleMemoryChangesNothing) {
    const Windows windows = test::randomWindows(2, 9, kVocabulary);
    const Walked expected = walk(*test::openFamily(GetParam(), makeCpuDevice()), windows);
    for (const std::uint64_t bytes : {30'000ull, 60'000ull, 200'000ull, 100'000'000ull}) {
        VulkanOptions options;
        options.memoryBytes = bytes;
        std::shared_ptr<Device> device;
        try {
            device = makeVulkanDevice(0, options);
        } catch (const Error&) { // not even room for the test at start
            EXPECT_LT(bytes, 100'000'000u);
            continue;
        }
        expectSame(walk(*test::openFamily(GetParam(), device), windows), expected, std::to_string(bytes) + " bytes");
        EXPECT_EQ(device->description().find("failed"), std::string::npos);
    }
}

struct Calibrated {
    CalibrationResult result;
    std::map<int, GroupInput> inputs;
};

/// Everything a calibration collects, with sums for GPTQ beside it.
Calibrated calibrated(const Model& model, const Windows& windows) {
    JobContext job;
    Calibrated made;
    InputRecorder recorder(model, nullptr, windows, allInputGroups(model), {true, true});
    CalibrateOptions options;
    options.perChannel = true;
    options.recorders = {&recorder};
    options.onPass = [&](const GroupPass&, const InputStatistics&) {
        for (const auto& [group, input] : recorder.inputs()) {
            std::string copy;
            input.encode(copy);
            made.inputs.insert_or_assign(group, *GroupInput::decode(copy));
        }
    };
    made.result = calibrate(model, windows, options, job);
    return made;
}

/// Counts are exact, sums within 1e-4 of what is summed; what is read from histograms may move by a bin with values on an edge.
void expectSame(const Calibrated& made, const Calibrated& expected, const std::string& what) {
    ASSERT_EQ(made.inputs.size(), expected.inputs.size()) << what;
    for (const auto& [group, input] : expected.inputs) {
        const GroupInput& other = made.inputs.at(group);
        EXPECT_EQ(other.tokens, input.tokens) << what << group;
        EXPECT_LE(test::worstDifference(other.samples, input.samples), kRoundOff) << what << group;
        const bw::Matrix mine = other.gram.full(), gram = input.gram.full();
        for (std::int64_t i = 0; i < gram.rows(); ++i) {
            EXPECT_NEAR(other.sum[static_cast<std::size_t>(i)], input.sum[static_cast<std::size_t>(i)], 1e-4 * input.sum[static_cast<std::size_t>(i)]) << what;
            for (std::int64_t j = 0; j < gram.cols(); ++j)
                EXPECT_NEAR(gram.row(i)[j], mine.row(i)[j], 1e-4f * std::sqrt(gram.row(i)[i] * gram.row(j)[j]) + 1e-9f) << what << group;
        }
    }
    ASSERT_EQ(made.result.inputs.size(), expected.result.inputs.size()) << what;
    for (std::size_t g = 0; g < expected.result.inputs.size(); ++g) {
        const InputStatistics &a = made.result.inputs[g], &b = expected.result.inputs[g];
        ASSERT_EQ(a.tokens, b.tokens) << what << a.group;
        EXPECT_EQ(a.fit.count(), b.fit.count()) << what << a.group;
        EXPECT_EQ(a.heldOut.count(), b.heldOut.count()) << what << a.group;
        EXPECT_EQ(a.tokenRms.count(0), b.tokenRms.count(0)) << what << a.group;
        EXPECT_NEAR(a.kurtosis, b.kurtosis, 1e-3 * std::abs(b.kurtosis) + 1e-3) << what << a.group;
        EXPECT_NEAR(a.heldOutTokenError, b.heldOutTokenError, 1e-3 * b.heldOutTokenError) << what << a.group;
        for (std::size_t c = 0; c < b.sumSquares.size(); ++c) {
            EXPECT_NEAR(a.sums[c], b.sums[c], 1e-4 * b.sumAbsolute[c] + 1e-9) << what << a.group;
            EXPECT_NEAR(a.sumAbsolute[c], b.sumAbsolute[c], 1e-4 * b.sumAbsolute[c] + 1e-9) << what << a.group;
            EXPECT_NEAR(a.sumSquares[c], b.sumSquares[c], 1e-4 * b.sumSquares[c] + 1e-9) << what << a.group;
            EXPECT_NEAR(a.channelMax[c], b.channelMax[c], 1e-4f * b.channelMax[c] + 1e-6f) << what << a.group;
        }
        for (const auto& [name, ranges] : b.channelRanges)
            for (std::size_t c = 0; c < ranges.high.size(); ++c) // ranges follow from bins an eighth of an octave wide
                EXPECT_NEAR(a.channelRanges.at(name).high[c], ranges.high[c], 0.14f * b.channelMax[c] + 1e-6f) << what << a.group << name;
    }
}

TEST_P(VulkanWalk, CalibrationEqualsTheCpus) {
    const Windows windows = test::randomWindows(4, 16, kVocabulary);
    const Calibrated expected = calibrated(*test::openFamily(GetParam(), makeCpuDevice()), windows);
    const std::shared_ptr<Device> device = test::openDevice();
    const std::shared_ptr<const Model> model = test::openFamily(GetParam(), device);
    const Calibrated made = calibrated(*model, windows);
    expectSame(made, expected, "");
    EXPECT_EQ(device->operationCounts().at("gram").onCpu, 0u);
    // What enters the head alone lies on the host: every other input was summed where it was.
    EXPECT_LE(device->operationCounts().at("observe").onCpu, 2 * static_cast<std::uint64_t>(windows.count));
    EXPECT_GT(device->operationCounts().at("observe").onDevice, 4 * static_cast<std::uint64_t>(windows.count * model->config().blocks));
    // The order of sums follows from shapes alone.
    const Calibrated again = calibrated(*model, windows);
    for (std::size_t g = 0; g < made.result.inputs.size(); ++g) {
        EXPECT_EQ(made.result.inputs[g].sums, again.result.inputs[g].sums);
        EXPECT_EQ(made.result.inputs[g].sumSquares, again.result.inputs[g].sumSquares);
    }
}

/// Every input is added once, to each of what collects it, whichever sum the device fails at.
TEST_P(VulkanWalk, ADeviceLostWhileCalibratingCountsNothingTwice) {
    const Windows windows = test::randomWindows(2, 9, kVocabulary);
    const Calibrated expected = calibrated(*test::openFamily(GetParam(), makeCpuDevice()), windows);
    bool survived = false;
    for (int at = 12; !survived; at += 1 + at / 4) {
        ASSERT_LT(at, 20000);
        VulkanOptions options;
        options.loseAfterSubmits = at;
        std::shared_ptr<Device> device;
        try {
            device = makeVulkanDevice(0, options);
        } catch (const Error&) {
            continue; // while opening
        }
        expectSame(calibrated(*test::openFamily(GetParam(), device), windows), expected, "lost at submit " + std::to_string(at) + ": ");
        survived = device->failure().empty();
    }
}

/// Weights with a little noise: a model to compare.
class Noisy final : public WeightSource {
public:
    void apply(const Site& site, MatrixView<float> weight) const override {
        std::uint32_t state = static_cast<std::uint32_t>(site.id.value()) * 2654435761u + 1;
        for (std::int64_t i = 0; i < weight.size(); ++i) {
            state = state * 1664525u + 1013904223u;
            weight.data[i] *= 1 + 0.05f * (static_cast<float>(state >> 8) / 8388608.0f - 1);
        }
    }
};

void expectSame(const Evaluation& made, const Evaluation& expected, const std::string& what) {
    EXPECT_NEAR(made.nll, expected.nll, 1e-5) << what;
    EXPECT_NEAR(made.klMean, expected.klMean, 1e-3 * expected.klMean) << what;
    EXPECT_NEAR(made.klMax, expected.klMax, 1e-3 * expected.klMax) << what;
    EXPECT_EQ(made.sameTop1, expected.sameTop1) << what;
    EXPECT_NEAR(made.topOverlap, expected.topOverlap, 2e-3) << what;
    EXPECT_NEAR(made.ece, expected.ece, 1e-4) << what;
    const auto positions = static_cast<std::size_t>(expected.tokens);
    const TopTokenTable mine(made.topTokens, positions), right(expected.topTokens, positions);
    ASSERT_EQ(mine.size(), positions) << what;
    for (std::size_t p = 0; p < positions; ++p) {
        const std::vector<TopToken> a = mine.at(p), b = right.at(p);
        ASSERT_EQ(a.size(), b.size()) << what << ", position " << p;
        for (std::size_t i = 0; i < b.size(); ++i) { // halves
            EXPECT_EQ(a[i].id, b[i].id) << what << ", position " << p;
            EXPECT_NEAR(a[i].probability, b[i].probability, 2e-3f * b[i].probability) << what;
            EXPECT_NEAR(a[i].baseProbability, b[i].baseProbability, 2e-3f * b[i].baseProbability) << what;
        }
    }
}

/// Logits are judged where they lie, with the device lost at some submits, too.
TEST_P(VulkanWalk, EvaluationEqualsTheCpus) {
    const Windows windows = test::randomWindows(3, 17, kVocabulary);
    const Noisy noisy;
    JobContext job;
    const auto evaluation = [&](std::shared_ptr<Device> device) {
        const auto model = test::openFamily(GetParam(), std::move(device));
        EvaluateOptions options;
        options.keepTokens = true;
        return evaluateAgainstBase(*model, &noisy, *model, nullptr, windows, options, job);
    };
    const Evaluation expected = evaluation(makeCpuDevice());
    EXPECT_GT(expected.klMean, 1e-5);
    const std::shared_ptr<Device> device = test::openDevice();
    expectSame(evaluation(device), expected, "on the device");
    EXPECT_EQ(device->operationCounts().at("score").onCpu, 0u);
    EXPECT_EQ(device->operationCounts().at("score").onDevice, 5 * static_cast<std::uint64_t>(windows.count));
    // Of two walks the states come back behind every block, of logits nothing.
    const auto model = test::openFamily(GetParam(), device);
    const std::uint64_t before = device->bytesToHost();
    for (const WeightSource* source : {static_cast<const WeightSource*>(nullptr), static_cast<const WeightSource*>(&noisy)}) walkBlocks(*model, windows, source, nullptr, job);
    const std::uint64_t walks = device->bytesToHost() - before;
    EXPECT_EQ(before, walks);
    int lost = 0;
    bool survived = false;
    for (int at = 0; !survived; at += 1 + at / 6) {
        ASSERT_LT(at, 5000);
        VulkanOptions options;
        options.loseAfterSubmits = at;
        std::shared_ptr<Device> failing;
        try {
            failing = makeVulkanDevice(0, options);
        } catch (const Error&) {
            continue; // while opening
        }
        expectSame(evaluation(failing), expected, "lost at submit " + std::to_string(at));
        survived = failing->failure().empty();
        lost += survived ? 0 : 1;
    }
    EXPECT_GT(lost, 3);
}

std::vector<SensitivityCell> swept(const Model& model, const Windows& windows) {
    JobContext job;
    SweepOptions options;
    options.formats = {"q4_0", "int4:g32"};
    return sweep(model, windows, options, {}, {}, [](const SensitivityCell&) {}, job);
}

void expectSame(const std::vector<SensitivityCell>& made, const std::vector<SensitivityCell>& expected, const std::string& what) {
    ASSERT_EQ(made.size(), expected.size()) << what;
    for (std::size_t i = 0; i < expected.size(); ++i) {
        EXPECT_NEAR(made[i].value, expected[i].value, 1e-4 * expected[i].value) << what << expected[i].site_name;
        EXPECT_NEAR(made[i].standardError, expected[i].standardError, 2e-3 * expected[i].standardError + 1e-6 * expected[i].value) << what << expected[i].site_name;
        EXPECT_EQ(made[i].tokens, expected[i].tokens) << what << expected[i].site_name;
    }
}

/// Output errors come from sums that are made where the inputs lie, for several windows at a time.
TEST_P(VulkanWalk, SweepsOfOutputErrorsEqualTheCpus) {
    const Windows windows = test::randomWindows(10, 12, kVocabulary);
    const std::vector<SensitivityCell> expected = swept(*test::openFamily(GetParam(), makeCpuDevice()), windows);
    const std::shared_ptr<Device> device = test::openDevice();
    const auto model = test::openFamily(GetParam(), device);
    expectSame(swept(*model, windows), expected, "on the device: ");
    EXPECT_EQ(device->operationCounts().at("gram").onCpu, 0u);
    if (GetParam() != "llama") return; // tokens are sent to experts by the host
    const std::uint64_t all = device->bytesToHost();
    JobContext job;
    walkBlocks(*model, windows, nullptr, nullptr, job);
    const std::uint64_t walk = device->bytesToHost() - all;
    std::uint64_t sums = 0; // a Gram matrix for each of eight folds, and none of the inputs
    for (const InputGroup& group : model->inputGroups()) sums += static_cast<std::uint64_t>(group.width * group.width) * sizeof(float) * (group.block.value() >= 0 ? 8 : 10);
    EXPECT_EQ(all, walk + sums);
}

/// GPTQ rounds under inputs that are summed on the device, and its blocks run there as far as they are rounded. The demonstration
/// model's halves lie there as they are.
TEST_P(VulkanWalk, GptqEqualsTheCpus) {
    const Windows windows = test::randomWindows(10, 12, kVocabulary);
    const auto open = [](std::shared_ptr<Device> device) {
        return GetParam() == "llama" ? Model::open(Checkpoint::open(std::string(BW_RESOURCES) + "/demo"), std::move(device)) : test::openFamily(GetParam(), std::move(device));
    };
    std::vector<std::vector<GptqSite>> reports;
    for (const bool sequential : {true, false})
        for (const std::shared_ptr<Device>& device : {std::shared_ptr<Device>(makeCpuDevice()), std::shared_ptr<Device>(test::openDevice())}) {
            const auto model = open(device);
            std::vector<SiteFormat> formats;
            for (const Site& site : model->sites())
                if (site.block.value() == 1) formats.push_back({site.id, "int4:channel", parseFormat("int4:channel"), {}});
            JobContext job;
            GptqOptions options;
            options.sequential = sequential;
            reports.emplace_back();
            gptqModel(*model, formats, windows, {}, {}, options, &reports.back(), job);
            if (device->keepsResults()) {
                EXPECT_EQ(device->operationCounts().at("gram").onCpu, 0u);
            }
        }
    for (std::size_t pair = 0; pair < reports.size(); pair += 2) {
        ASSERT_EQ(reports[pair].size(), reports[pair + 1].size());
        ASSERT_GT(reports[pair].size(), 4u);
        for (std::size_t i = 0; i < reports[pair].size(); ++i) {
            const GptqSite &right = reports[pair][i], &made = reports[pair + 1][i];
            EXPECT_EQ(made.tensor.site.value(), right.tensor.site.value());
            EXPECT_NEAR(made.nearestError, right.nearestError, 1e-3 * right.nearestError + 1e-12);
            EXPECT_NEAR(made.error, right.error, 0.1 * right.nearestError + 1e-12); // a code on an edge moves those behind it
        }
    }
}

/// Whichever sum the device fails at, every window counts once.
TEST_P(VulkanWalk, ADeviceLostWhileSweepingCountsNothingTwice) {
    const Windows windows = test::randomWindows(4, 9, kVocabulary);
    const std::vector<SensitivityCell> expected = swept(*test::openFamily(GetParam(), makeCpuDevice()), windows);
    bool survived = false;
    int lost = 0;
    for (int at = 12; !survived; at += 1 + at / 4) {
        ASSERT_LT(at, 20000);
        VulkanOptions options;
        options.loseAfterSubmits = at;
        std::shared_ptr<Device> device;
        try {
            device = makeVulkanDevice(0, options);
        } catch (const Error&) {
            continue; // while opening
        }
        expectSame(swept(*test::openFamily(GetParam(), device), windows), expected, "lost at submit " + std::to_string(at) + ": ");
        survived = device->failure().empty();
        lost += survived ? 0 : 1;
    }
    EXPECT_GT(lost, 2);
}

TEST(VulkanGenerate, GreedyTextIsTheCpus) {
    if (const std::string why = test::whyNoVulkan(); !why.empty()) GTEST_SKIP() << why;
    const Windows windows = test::randomWindows(1, 12, kVocabulary);
    std::vector<std::vector<TokenId>> texts;
    for (const std::shared_ptr<Device>& device : {std::shared_ptr<Device>(makeCpuDevice()), std::shared_ptr<Device>(test::openDevice())}) {
        const auto model = test::openFamily("llama", device);
        JobContext job;
        GenerateOptions options;
        options.maxTokens = 20;
        texts.push_back(generate(*model, windows.ids, options, nullptr, job).ids);
    }
    EXPECT_EQ(texts[0], texts[1]);
}

} // namespace
} // namespace bw
