// SPDX-License-Identifier: GPL-3.0-or-later
// The method guide proposes only what can be run and written here, within the size that was asked for.
#include "core/experiment/guide.h"
#include "core/experiment/plan_rows.h"
#include "tests/unit/experiment/log_support.h"

#include <gtest/gtest.h>
#include <set>

namespace bw::test {
namespace {

std::shared_ptr<const Model> demo() {
    static const auto model = Model::openWeights(Checkpoint::open(demoPath()), makeCpuDevice());
    return model;
}

Recipe texts() {
    Recipe r;
    r.checkpoint = demoPath();
    r.seed = 77;
    r.calibration = {{textPath("calib_prose.txt")}, 8, 64};
    r.evaluation = {{textPath("eval_prose.txt")}, "windows:64", 512};
    return r;
}

void expectSound(const std::vector<MethodTrial>& proposals, const std::string& what, std::size_t least = 2) {
    SCOPED_TRACE(what);
    EXPECT_GE(proposals.size(), least);
    EXPECT_LE(proposals.size(), 3u);
    std::set<std::string> names;
    for (const MethodTrial& p : proposals) {
        SCOPED_TRACE(p.name);
        EXPECT_TRUE(names.insert(p.name).second);
        EXPECT_GT(p.why.size(), 20u);
        EXPECT_EQ(p.recipe.kind, "quantize");
        EXPECT_EQ(p.recipe.name, p.name);
        EXPECT_EQ(p.recipe.seed, 77u);
        EXPECT_EQ(p.recipe.calibration.files, texts().calibration.files);
        EXPECT_EQ(Recipe::fromJson(p.recipe.toJson()), p.recipe);
        EXPECT_FALSE(recipeFormats(*demo(), p.recipe).empty());
        if (p.recipe.exporting.layout.empty()) continue;
        ExportOptions options;
        options.layout = p.recipe.exporting.layout;
        options.profile = p.recipe.exporting.profile;
        EXPECT_TRUE(exportProblems(*demo(), recipeFormats(*demo(), p.recipe), "folder", options).empty());
    }
}

TEST(Guide, ProposesWhatCanBeRunAndWritten) {
    for (const char* target : {"cpu", "nvidia", "apple"})
        expectSound(proposeMethods(*demo(), {target, "weight-only", ""}, texts()), target);
    for (const char* target : {"cpu", "nvidia"}) {
        const auto proposals = proposeMethods(*demo(), {target, "w8a8", ""}, texts());
        expectSound(proposals, std::string(target) + " w8a8", 1);
        for (const MethodTrial& p : proposals) EXPECT_NE(p.recipe.activations, "none") << p.name;
    }
}

TEST(Guide, CorrectsDriftWhereTextIsEnough) {
    for (const char* target : {"cpu", "nvidia"})
        for (const std::int64_t windows : {16, 17}) {
            Recipe from = texts();
            from.calibration.samples = windows;
            from.calibration.length = 511; // 8,176 tokens are not enough, 8,687 are
            int rounded = 0;
            for (const MethodTrial& p : proposeMethods(*demo(), {target, "weight-only", ""}, from)) {
                const bool gptq = p.recipe.rounder == "gptq";
                rounded += gptq;
                EXPECT_EQ(p.recipe.gptq.correction, gptq && windows == 17 ? 0.5 : 0.0) << p.name;
            }
            EXPECT_GE(rounded, 1) << target;
        }
}

TEST(Guide, StaysWithinTheSizeAndSaysTheLeast) {
    for (const char* target : {"cpu", "nvidia"}) {
        double last = 0;
        for (const char* size : {"3.8bpw", "5.5bpw", "10bpw"}) {
            const auto proposals = proposeMethods(*demo(), {target, "weight-only", size}, texts());
            expectSound(proposals, std::string(target) + " " + size);
            const double bits = proposedBits(*demo(), proposals.front().recipe);
            EXPECT_LE(bits, std::stod(size));
            EXPECT_GT(bits, last); // more room is used
            last = bits;
        }
        try {
            proposeMethods(*demo(), {target, "weight-only", "0.5bpw"}, texts());
            FAIL() << "half a bit was promised";
        } catch (const Error& e) {
            EXPECT_EQ(e.code(), ErrorCode::infeasibleBudget);
            EXPECT_NE(e.hint().find("bpw"), std::string::npos) << e.hint();
        }
    }
}

TEST(Guide, RefusesWhatItDoesNotKnow) {
    const auto code = [](const GuideRequest& request) {
        try {
            proposeMethods(*demo(), request, texts());
        } catch (const Error& e) {
            return e.code();
        }
        return ErrorCode::internal;
    };
    EXPECT_EQ(code({"toaster", "weight-only", ""}), ErrorCode::usage);
    EXPECT_EQ(code({"cpu", "w1a1", ""}), ErrorCode::usage);
    EXPECT_EQ(code({"cpu", "weight-only", "kl=0.1"}), ErrorCode::usage);
    EXPECT_EQ(code({"cpu", "weight-only", "some"}), ErrorCode::usage);
}

TEST(Guide, NamesMethodsAsTheFieldDoes) {
    Recipe r;
    EXPECT_EQ(methodName(r), "nearest");
    r.rounder = "weighted";
    EXPECT_EQ(methodName(r), "importance-weighted");
    r.rounder = "gptq";
    EXPECT_EQ(methodName(r), "GPTQ");
    r.transform = "awq";
    EXPECT_EQ(methodName(r), "AWQ + GPTQ");
    r.gptq.correction = 0.5;
    EXPECT_EQ(methodName(r), "AWQ + GPTQ with correction");
    r.gptq.correction = 0;
    r.transform = "rotate+awq";
    EXPECT_EQ(methodName(r), "rotation + AWQ + GPTQ");
    r.rounder = "nearest";
    r.transform = "smooth:alpha=0.5";
    r.activations = "a8:token";
    EXPECT_EQ(methodName(r), "SmoothQuant, activations a8:token");
    r.transform = "outliers:threshold=6";
    EXPECT_EQ(methodName(r), "LLM.int8(), activations a8:token");
}

} // namespace
} // namespace bw::test
