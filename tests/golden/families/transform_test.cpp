// SPDX-License-Identifier: GPL-3.0-or-later
// Transforms preserve the function of every family that opens: logits before rounding are those of the original.
#include "tests/golden/families/family_model.h"

#include "core/base/error.h"
#include "core/compute/cpu_device.h"
#include "core/quantize/transform.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <set>

namespace bw::test {
namespace {

/// f32 sums of other numbers that mean the same: products of scales and of their inverses, and 2·log₂C more additions where
/// channels are mixed. Logits lie within ±10 and the reference itself is met to 2e-4; a scale left out moves them by 0.1 and more.
constexpr double kTolerance = 5e-4;

class FamilyTransforms : public testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(All, FamilyTransforms, testing::ValuesIn(familyNames()), [](const auto& name) { return name.param; });

struct Opened {
    FamilyFolder folder;
    Reference reference;
    std::shared_ptr<const Model> model;
    Windows windows;
    explicit Opened(const std::string& name)
        : folder(name), reference(readReference(name)), model(openModel(folder.model())),
          windows{1, static_cast<std::int64_t>(reference.ids.size()), reference.ids} {}
};

FittedTransform fit(const Opened& opened, const std::string& text) {
    JobContext job;
    const auto formats = resolveFormats(*opened.model, "int4:channel", "", {});
    return fitTransform(*opened.model, parseTransform(text), {opened.windows, formats, {}}, job);
}

double change(const Opened& opened, const FittedTransform& fitted) {
    const auto changed = Model::open(applyTransform(*opened.model, fitted), makeCpuDevice());
    return largestDifference(windowLogits(*changed, opened.reference.ids), windowLogits(*opened.model, opened.reference.ids));
}

TEST_P(FamilyTransforms, scalesPreserveTheFunction) {
    const Opened opened(GetParam());
    for (const char* text : {"smooth:alpha=0.5", "smooth:search", "awq"}) {
        const FittedTransform fitted = fit(opened, text);
        EXPECT_FALSE(fitted.scales.empty()) << text;
        EXPECT_LE(change(opened, fitted), kTolerance) << text;
        const FittedTransform again = fittedTransformFromJson(Json::parse(toJson(fitted).dump()));
        EXPECT_EQ(again.scales, fitted.scales) << text;
    }
    // Every point that can be folded, with scales far from 1 and all different.
    FittedTransform wild = fit(opened, "smooth:alpha=0.5");
    std::set<std::string> folded;
    for (const FoldPoint& point : foldPoints(*opened.model)) {
        EXPECT_EQ(wild.scales.contains(point.name), point.whyNot.empty()) << point.name;
        if (!point.whyNot.empty()) continue;
        std::vector<float>& scales = wild.scales[point.name];
        for (std::int64_t j = 0; j < point.width; ++j) {
            const std::int64_t row = j / point.run / point.repeats * point.run + j % point.run;
            scales[static_cast<std::size_t>(j)] = std::exp2(static_cast<float>(row * 5 % 33 - 16) / 8.0f);
        }
    }
    EXPECT_LE(change(opened, wild), kTolerance);
}

TEST_P(FamilyTransforms, rotationPreservesTheFunctionOrSaysWhyNot) {
    const Opened opened(GetParam());
    try {
        const FittedTransform fitted = fit(opened, "rotate+awq");
        EXPECT_LE(change(opened, fitted), kTolerance);
        EXPECT_FALSE(opened.model->config().postNorms);
    } catch (const Error& e) {
        EXPECT_EQ(e.code(), ErrorCode::unsupportedModel);
        EXPECT_THAT(e.message(), testing::HasSubstr("can't be rotated: a norm with weights of its own"));
        EXPECT_TRUE(opened.model->config().postNorms);
    }
}

TEST(Transforms, aRotatedGemmaIsWrittenAsAFolderButNotAsGguf) {
    const Opened gemma("gemma");
    const auto rotated = Model::open(applyTransform(*gemma.model, fit(gemma, "rotate")), makeCpuDevice());
    exportUnquantized(*rotated, gemma.folder.file("rotated"));
    const auto again = openModel(gemma.folder.file("rotated"));
    EXPECT_LE(largestDifference(windowLogits(*again, gemma.reference.ids), windowLogits(*gemma.model, gemma.reference.ids)), kTolerance);
    try {
        exportUnquantized(*rotated, gemma.folder.file("rotated.gguf"));
        FAIL();
    } catch (const Error& e) {
        EXPECT_EQ(e.code(), ErrorCode::unsupportedModel);
        EXPECT_THAT(e.message(), testing::HasSubstr("its head is a matrix of its own"));
    }
}

TEST(Transforms, anotherModelsFitIsRefused) {
    const Opened llama("llama"), mistral("mistral");
    const FittedTransform fitted = fit(llama, "smooth");
    EXPECT_THROW(applyTransform(*mistral.model, fitted), Error);
}

TEST(Transforms, textsAreCheckedAndCanonical) {
    EXPECT_EQ(parseTransform("none").text(), "none");
    EXPECT_EQ(parseTransform("smooth").text(), "smooth:alpha=0.5");
    EXPECT_EQ(parseTransform("rotate+awq").text(), "rotate+awq:grid=20");
    EXPECT_EQ(parseTransform("awq+clip").text(), "awq:grid=20+clip");
    EXPECT_FALSE(parseTransform("clip").folds());
    EXPECT_TRUE(parseTransform("clip").readsText());
    EXPECT_FALSE(parseTransform("rotate").readsText());
    for (const char* bad : {"smooth:alpha=1.5", "smooth:alpha=-0.1", "smooth:alpha=nan", "smoth", "awq+rotate", "awq+awq", "outliers:threshold=0",
                            "outliers:weights=0.6", "awq:grid=2.5", "smooth:", "+", "smooth:search:alpha=0.5", "clip+awq", "clip:grid=3"})
        EXPECT_THROW(parseTransform(bad), Error) << bad;
}

} // namespace
} // namespace bw::test
