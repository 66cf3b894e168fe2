// SPDX-License-Identifier: GPL-3.0-or-later
// Transforms on the demo model: what they record, odd inputs, sources that are quantized already, and files written from
// them. That every family's function is preserved is tested in tests/golden/families.
#include "tests/unit/quantize/demo_model.h"

#include "core/base/parallel.h"
#include "core/checkpoint/derived.h"
#include "core/quantize/clip.h"
#include "core/quantize/transform.h"

#include <gmock/gmock.h>

#include <cmath>

namespace bw::test {
namespace {

Matrix logitsOf(const Model& model) {
    JobContext job;
    const Windows windows = someWindows(model.config().vocabulary);
    const ScratchMatrix states = walkBlocks(model, windows, nullptr, nullptr, job);
    Matrix all(windows.tokens(), model.config().vocabulary);
    walkHead(model, windows, states.view(), nullptr, job, [&](std::int64_t w, MatrixView<const float> logits) {
        for (std::int64_t t = 0; t < logits.rows; ++t) std::copy_n(logits.row(t), logits.cols, all.row(w * windows.length + t));
    });
    return all;
}

double largestDifference(const Matrix& a, const Matrix& b) {
    double most = 0;
    for (std::int64_t i = 0; i < a.size(); ++i) most = std::max(most, std::abs(static_cast<double>(a.data()[i]) - static_cast<double>(b.data()[i])));
    return most;
}

FittedTransform fit(const Model& model, const char* text, const char* format = "int4:g64") {
    JobContext job;
    const Windows windows = someWindows(model.config().vocabulary);
    const auto formats = resolveFormats(model, format, "", {});
    return fitTransform(model, parseTransform(text), {windows, formats, {}}, job);
}

std::shared_ptr<const Model> folded(const Model& model, const FittedTransform& fitted) {
    return Model::open(applyTransform(model, fitted), std::shared_ptr<Device>(makeCpuDevice()));
}

/// The demo model with other weights in one of its norms.
std::shared_ptr<const Model> withNorm(const std::string& name, const std::function<void(std::vector<float>&)>& change) {
    const Checkpoint& base = demoModel().checkpoint();
    std::vector<float> values(static_cast<std::size_t>(base.require(name).elements()));
    base.read(base.require(name), values);
    change(values);
    Derivation derivation;
    derivation.identity = "test";
    derivation.edits[name].values = std::move(values);
    return Model::open(deriveCheckpoint(demoModel().checkpointPtr(), std::move(derivation)), std::shared_ptr<Device>(makeCpuDevice()));
}

/// As in tests/golden/families: f32 sums of other numbers that mean the same; a scale left out moves logits by 0.1 and more.
constexpr double kTolerance = 5e-4;

TEST(Transform, whatWasChosenIsRecordedAndLessensTheError) {
    for (const char* text : {"awq", "smooth:search"}) {
        const FittedTransform fitted = fit(demoModel(), text);
        std::size_t foldable = 0;
        for (const FoldPoint& point : foldPoints(demoModel())) foldable += point.whyNot.empty() ? 1u : 0u;
        ASSERT_EQ(fitted.points.size(), foldable) << text;
        std::size_t chosen = 0;
        for (const FittedPoint& point : fitted.points) {
            EXPECT_GT(point.before, 0) << point.point;
            EXPECT_LT(point.before, 0.1) << point.point; // of 4 bits: about 0.01 of the power
            EXPECT_EQ(point.choice > 0, fitted.scales.contains(point.point));
            if (point.choice > 0) {
                EXPECT_LT(point.after, point.before) << point.point;
                ++chosen;
            } else {
                EXPECT_EQ(point.after, point.before) << point.point;
            }
        }
        EXPECT_GT(chosen, foldable / 3) << text;
        const FittedTransform again = fittedTransformFromJson(Json::parse(toJson(fitted).dump()));
        ASSERT_EQ(again.points.size(), fitted.points.size());
        EXPECT_EQ(again.points.back().point, fitted.points.back().point);
        EXPECT_EQ(again.points.back().choice, fitted.points.back().choice);
        EXPECT_EQ(again.points.back().after, fitted.points.back().after);
    }
    Json broken = toJson(fit(demoModel(), "smooth"));
    broken["points"][0]["alpha"] = "half";
    EXPECT_EQ(codeOf([&] { fittedTransformFromJson(broken); }), ErrorCode::invalidRecipe);
}

TEST(Transform, threadsChangeNothing) {
    for (const char* text : {"smooth:search", "awq", "rotate+awq"}) {
        setThreadCount(1);
        const std::string one = toJson(fit(demoModel(), text)).dump();
        setThreadCount(2);
        const std::string two = toJson(fit(demoModel(), text)).dump();
        setThreadCount(0);
        EXPECT_EQ(one, two) << text;
    }
}

TEST(Transform, rotationFollowsItsSeed) {
    const auto rowOf = [](const char* text) {
        const auto model = folded(demoModel(), fit(demoModel(), text));
        return model->siteWeight(*model->findSite("blk.0.attn_q"));
    };
    const Matrix a = rowOf("rotate:seed=3"), again = rowOf("rotate:seed=3"), other = rowOf("rotate:seed=4");
    EXPECT_EQ(largestDifference(a, again), 0);
    EXPECT_GT(largestDifference(a, other), 1e-3);
}

/// Channels that carry nothing, and one that carries hundreds of times the rest.
TEST(Transform, deadAndExtremeChannelsGiveFiniteScales) {
    const auto model = withNorm("blk.0.attn_norm.weight", [](std::vector<float>& w) {
        for (std::size_t j = 0; j < w.size(); j += 3) w[j] = 0;
        w[1] = 300;
    });
    for (const char* text : {"smooth:alpha=0.5", "smooth:alpha=0", "smooth:alpha=1", "smooth:search", "awq"}) {
        const FittedTransform fitted = fit(*model, text);
        const auto found = fitted.scales.find("blk.0.attn_in");
        if (found == fitted.scales.end()) continue; // a search may find no scales better
        for (std::size_t j = 0; j < found->second.size(); ++j) {
            ASSERT_TRUE(std::isfinite(found->second[j]) && found->second[j] > 0) << text << j;
            if (j % 3 == 0 && j != 1) {
                EXPECT_EQ(found->second[j], 1.0f) << text << j;
            }
        }
        EXPECT_LE(largestDifference(logitsOf(*folded(*model, fitted)), logitsOf(*model)), kTolerance) << text;
    }
    // All channels alike: nothing is moved, and nothing breaks.
    const auto silent = withNorm("blk.0.attn_norm.weight", [](std::vector<float>& w) { std::fill(w.begin(), w.end(), 0.0f); });
    for (const char* text : {"smooth", "awq"}) EXPECT_LE(largestDifference(logitsOf(*folded(*silent, fit(*silent, text))), logitsOf(*silent)), kTolerance) << text;
}

TEST(Transform, inputsThatAreNoNumbersAreNamed) {
    const auto model = withNorm("blk.1.ffn_norm.weight", [](std::vector<float>& w) { w[5] = std::nanf(""); });
    for (const char* text : {"smooth", "awq"}) {
        std::string line;
        EXPECT_EQ(codeOf([&] { fit(*model, text); }, &line), ErrorCode::nonFinite) << text;
        EXPECT_THAT(line, testing::HasSubstr("blk.1")) << text;
    }
}

TEST(Transform, aStopEndsTheFit) {
    JobContext job;
    const Windows windows = someWindows(demoModel().config().vocabulary);
    const auto formats = resolveFormats(demoModel(), "int4:g64", "", {});
    int looks = 0;
    job.setProbe([&] {
        if (++looks == 40) job.requestStop();
    });
    EXPECT_EQ(codeOf([&] { fitTransform(demoModel(), parseTransform("awq"), {windows, formats, {}}, job); }), ErrorCode::cancelled);
}

/// What is read is what the file decodes to, so that scales fold into a quantized file too.
TEST(Transform, quantizedSourcesAreDecodedFirst) {
    const TempFolder folder;
    for (const char* format : {"q4_0", "int4:g64:sym"}) {
        const bool gguf = std::string(format) == "q4_0";
        const std::string path = folder / (gguf ? "small.gguf" : "small");
        const auto formats = resolveFormats(demoModel(), format, "", {});
        const ExportPlan plan = planExport(demoModel(), formats, path, false);
        JobContext job;
        exportModel(demoModel(), *quantize(demoModel(), asPlanned(formats, plan)), plan, false, {}, job);
        const auto source = openModel(path);
        for (const char* text : {"smooth", "rotate+awq"})
            EXPECT_LE(largestDifference(logitsOf(*folded(*source, fit(*source, text))), logitsOf(*source)), kTolerance) << format << " " << text;
    }
}

struct Written {
    const char *transform, *layout, *format, *path;
    friend std::ostream& operator<<(std::ostream& out, const Written& w) { return out << w.transform << " " << w.layout; }
};
class TransformExport : public testing::TestWithParam<Written> {};
INSTANTIATE_TEST_SUITE_P(Layouts, TransformExport,
                         testing::Values(Written{"awq", "awq", "int4:g64:asym", "out"}, Written{"rotate", "gptq", "int4:g64:sym", "out"},
                                         Written{"smooth", "compressed-tensors", "int8:channel:sym", "out"}, Written{"rotate+awq", "gguf", "q4_0", "out.gguf"}));

/// The audit re-opens the file and holds its tensors and its loss on some tokens against the simulation.
TEST_P(TransformExport, opensAgainWithTheSimulatedValues) {
    const Written& written = GetParam();
    const TempFolder folder;
    const auto model = folded(demoModel(), fit(demoModel(), written.transform, written.format));
    const auto formats = resolveFormats(*model, written.format, "", {});
    ExportOptions options;
    options.layout = written.layout;
    const ExportPlan plan = planExport(*model, formats, folder / written.path, false, options);
    JobContext job;
    const AuditReport audit = exportModel(*model, *quantize(*model, asPlanned(formats, plan)), plan, false, someWindows(model->config().vocabulary), job);
    EXPECT_TRUE(audit.ok);
    EXPECT_EQ(audit.evaluatedTokens, 46);
    EXPECT_NEAR(audit.simulatedNll, audit.reopenedNll, 1e-6);
    const auto again = openModel(plan.path);
    EXPECT_EQ(again->config().tiedHead, model->config().tiedHead);
}

} // namespace
} // namespace bw::test
