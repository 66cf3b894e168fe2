// SPDX-License-Identifier: GPL-3.0-or-later
// Where two models part: faults planted into one block show there, and only from there on.
#include "core/diagnose/divergence.h"

#include "tests/support/expect_error.h"
#include "tests/unit/diagnose/diagnose_support.h"

#include <gtest/gtest.h>

namespace bw {
namespace {

using test::demoModel;
using test::demoWindows;

/// Rounds one site, leaves the others as they are.
class OneSite final : public WeightSource {
public:
    explicit OneSite(std::string name) : name_(std::move(name)) {}
    void apply(const Site& site, MatrixView<float> weight) const override {
        if (site.name != name_) return;
        for (std::int64_t r = 0; r < weight.rows; ++r)
            for (float& v : weight.rowSpan(r)) v *= 1.25f;
    }

private:
    std::string name_;
};

TEST(Divergence, BeginsAtTheBlockThatChanged) {
    const auto model = demoModel();
    const OneSite fault("blk.2.attn_v");
    JobContext job;
    const auto trace = divergenceTrace({*model, *model, &fault}, demoWindows(*model, 2, 32), job);
    ASSERT_EQ(trace.size(), static_cast<std::size_t>(model->config().blocks));
    for (std::size_t b = 0; b < trace.size(); ++b) {
        EXPECT_EQ(trace[b].block.value(), static_cast<int>(b));
        if (b == 2) EXPECT_GT(trace[b].own, 1e-3);
        else EXPECT_LT(trace[b].own, 1e-6) << b; // run on the base's inputs an unchanged block gives the base's outputs
        if (b < 2) EXPECT_LT(trace[b].relative, 1e-6) << b;
        else EXPECT_GT(trace[b].relative, 1e-3) << b;
        EXPECT_LE(trace[b].cosine, 1 + 1e-9);
    }
    EXPECT_NEAR(trace[2].own, trace[2].relative, 1e-6) << "before the fault both ran on the same inputs";
    EXPECT_LT(trace[2].cosine, 1 - 1e-7);
}

// Scaled states point the same way: the distance grows, the angle does not.
TEST(Divergence, EqualModelsDoNotPart) {
    const auto model = demoModel();
    JobContext job;
    for (const BlockDivergence& block : divergenceTrace({*model, *model, nullptr}, demoWindows(*model, 1, 16), job)) {
        EXPECT_EQ(block.relative, 0);
        EXPECT_NEAR(block.cosine, 1, 1e-9);
    }
}

} // namespace
} // namespace bw
