// SPDX-License-Identifier: GPL-3.0-or-later
// The outlier split: which weights and channels stay, and that it brings back what planted outliers cost.
#include "core/quantize/outlier_split.h"
#include "core/quantize/cache_scheme.h"
#include "tests/support/expect_error.h"
#include "tests/unit/model/tiny_model.h"

#include <cmath>
#include <gtest/gtest.h>

namespace bw {
namespace {

using test::TinyModel;

TEST(OutlierSplit, IsReadFromATransform) {
    EXPECT_TRUE(outlierSplit(parseTransform("none")).empty());
    EXPECT_EQ(outlierSplit(parseTransform("outliers")).threshold, 6);
    const OutlierSplit both = outlierSplit(parseTransform("smooth:alpha=0.5+outliers:threshold=3.5:weights=0.005"));
    EXPECT_EQ(both.threshold, 3.5);
    EXPECT_EQ(both.weights, 0.005);
}

TEST(OutlierSplit, KeepsColumnsAndTheLargestWeights) {
    Matrix w(3, 4);
    const float values[]{1, -9, 70000, 0.5f, 3, 8, 0.1f, NAN, -3, 2, 0, 3};
    std::copy(std::begin(values), std::end(values), w.data());
    const KeptWeights kept = keptWeights(std::as_const(w).view(), {2}, 0.25, {});
    EXPECT_EQ(kept.columns, (std::vector<std::int32_t>{2}));
    EXPECT_EQ(halfToFloat(kept.columnValues[0]), 65504); // f16 holds no more
    EXPECT_EQ(kept.rowOf, (std::vector<std::int32_t>{0, 1, 1}));
    EXPECT_EQ(kept.columnOf, (std::vector<std::int32_t>{1, 0, 1})); // of the equal 3, −3 and 3 the first
    const std::vector<float> importance{100, 1, 1, 1};
    EXPECT_EQ(keptWeights(std::as_const(w).view(), {}, 1.0 / 12, importance).columnOf[0], 2); // 70000 weighs more than 10·3
    EXPECT_EQ(keptWeights(std::as_const(w).view(), {2}, 1.0 / 12, importance).columnOf[0], 0);
    EXPECT_EQ(keptWeights(std::as_const(w).view(), {0, 1, 2, 3}, 0.5, {}).values.size(), 0u); // nothing is left to choose from
    EXPECT_TRUE(keptWeights(std::as_const(w).view(), {}, 0, {}).empty());
}

TEST(OutlierSplit, KeptWeightsWidenNoScaleAndAreExact) {
    const TinyModel tiny;
    const Site& site = *tiny.model->findSite("blk.0.attn_q");
    Matrix weight = tiny.model->siteWeight(site);
    weight.row(2)[5] = 90;
    const FormatPtr format = parseFormat("int4:channel:sym");
    const QuantizedTensor plain = quantizeSite(site, weight.view(), format, {}, {});
    const QuantizedTensor split = quantizeAround(site, weight.view(), format, {}, {}, keptWeights(weight.view(), {}, 1.0 / static_cast<double>(weight.size()), {}));
    Matrix decoded(weight.rows(), weight.cols());
    split.decode(decoded.view());
    EXPECT_EQ(decoded.row(2)[5], 90);
    double error = 0, power = 0;
    for (std::int64_t i = 0; i < weight.size(); ++i) {
        error += std::pow(static_cast<double>(weight.data()[i] - decoded.data()[i]), 2);
        power += std::pow(static_cast<double>(weight.data()[i]), 2);
    }
    EXPECT_NEAR(split.relativeError, error / power, 1e-6 * error / power);
    EXPECT_LT(split.relativeError, 0.5 * plain.relativeError);
    EXPECT_EQ(split.kept.bytes(site.rows), 6u + 4u * static_cast<std::uint64_t>(site.rows + 1));
}

/// Channels 3 and 17 of both norms times 40, the weights that read them divided: the same function with outliers.
test::RandomLlama withOutliers() {
    test::RandomLlama shape;
    shape.width = 48, shape.headDim = 12, shape.feedForward = 96;
    shape.editTensor = [](test::RandomLlama::Tensor& t) {
        constexpr float kFactor = 40;
        for (const std::size_t channel : {3u, 17u}) {
            if (t.name.ends_with("layernorm.weight")) t.values[channel] *= kFactor;
            const bool reads = t.name.find("q_proj") != std::string::npos || t.name.find("k_proj") != std::string::npos || t.name.find("v_proj") != std::string::npos ||
                               t.name.find("gate_proj") != std::string::npos || t.name.find("up_proj") != std::string::npos;
            for (std::size_t i = channel; reads && i < t.values.size(); i += 48) t.values[i] /= kFactor;
        }
        return true;
    };
    return shape;
}

double meanSquare(std::span<const float> a, std::span<const float> b) {
    double sum = 0;
    for (std::size_t i = 0; i < a.size(); ++i) sum += std::pow(static_cast<double>(a[i] - b[i]), 2);
    return sum / static_cast<double>(a.size());
}

TEST(OutlierSplit, BringsBackWhatPlantedOutliersCost) {
    const TinyModel tiny(withOutliers());
    const Windows windows = test::randomWindows(4, 24);
    const std::vector<float> plain = test::allLogits(*tiny.model, windows);
    JobContext job;
    const CalibrationResult statistics = calibrate(*tiny.model, test::randomWindows(6, 24), {}, job);
    const auto columns = outlierColumns(*tiny.model, statistics, 20);
    EXPECT_EQ(columns[0], (std::vector<std::int32_t>{3, 17}));
    EXPECT_TRUE(columns.back().empty()); // the head
    std::vector<SiteFormat> formats = resolveFormats(*tiny.model, "int8:channel:sym", "keep", {});
    const auto damage = [&](const char* scheme, const std::vector<std::vector<std::int32_t>>& kept) {
        const KeptLookup lookup = [&](const Site& site, MatrixView<const float> weight) -> KeptWeights {
            return kept.empty() || site.inputGroup < 0 ? KeptWeights{} : keptWeights(weight, kept[static_cast<std::size_t>(site.inputGroup)], 0, {});
        };
        const auto model = buildAround(*tiny.model, formats, nullptr, {}, lookup, job);
        model->setRounding(makeRuntimeRounding(ActivationRounding::fit(*tiny.model, parseActivationScheme(scheme), &statistics, kept), nullptr));
        return meanSquare(plain, test::allLogits(*tiny.model, windows, model.get()));
    };
    const double naive = damage("a8:tensor", {}), split = damage("a8:tensor", columns), weights = damage("none", {});
    EXPECT_GT(naive, 20 * weights); // one step for all channels is as wide as the outliers want it
    EXPECT_LT(split, 0.1 * naive);
    EXPECT_LT(damage("a8:token", columns), 0.2 * damage("a8:token", {}));
}

} // namespace
} // namespace bw
