// SPDX-License-Identifier: GPL-3.0-or-later
// Rounding of sites: bytes, errors, importance, and the model as a source of weights.
#include "core/model/coded_weight.h"
#include "core/quantize/outlier_split.h"
#include "core/quantize/runtime_profile.h"
#include "tests/unit/quantize/demo_model.h"

#include <gmock/gmock.h>

#include <cmath>

namespace bw {
namespace {

using test::codeOf;
using test::demoModel;
using testing::HasSubstr;

TEST(QuantizeSite, measuresItsErrorAndExpectsUniformNoise) {
    const Site& site = *demoModel().findSite("blk.2.ffn_down");
    const Matrix weight = demoModel().siteWeight(site);
    for (const char* name : {"q8_0", "int8:g64", "int6:g32:sym", "q5_1", "q4_0", "int4:channel"}) {
        const QuantizedTensor t = quantizeSite(site, weight.view(), parseFormat(name), {}, {false, false});
        Matrix back(site.rows, site.cols);
        t.format->decode(t.bytes, back.view());
        double error = 0, sum = 0;
        for (std::int64_t i = 0; i < weight.size(); ++i) {
            error += std::pow(static_cast<double>(weight.data()[i]) - static_cast<double>(back.data()[i]), 2);
            sum += std::pow(static_cast<double>(weight.data()[i]), 2);
        }
        EXPECT_NEAR(t.relativeError, error / sum, 1e-12 * error / sum + 1e-15) << name;
        // Δ²/12 holds for values spread evenly within their steps: near the truth from 4 bits on.
        EXPECT_NEAR(t.uniformNoise / t.relativeError, 1.0, 0.25) << name;
    }
    const QuantizedTensor plain = quantizeSite(site, weight.view(), parseFormat("bf16"), {}, {});
    EXPECT_EQ(plain.relativeError, 0); // the demo model is stored in bf16
    EXPECT_EQ(plain.uniformNoise, 0);
    EXPECT_EQ(quantizeSite(site, weight.view(), parseFormat("iq4_nl"), {}, {}).uniformNoise, 0) << "its levels are uneven";
}

/// What a device is given in place of decoded values.
TEST(QuantizedModel, codesDecodeToTheSameWeights) {
    const Site& site = *demoModel().findSite("blk.2.ffn_down");
    const Matrix weight = demoModel().siteWeight(site);
    for (const char* name : {"int2:g32", "int3:g64:sym", "int4:g64", "int5:channel", "int8:channel:sym", "int6:tensor", "int8:g32:sym"}) {
        QuantizedModel model;
        EXPECT_FALSE(model.replaces(site));
        model.set(quantizeSite(site, weight.view(), parseFormat(name), {}, {false, false}));
        EXPECT_TRUE(model.replaces(site));
        Matrix applied(site.rows, site.cols);
        model.apply(site, applied.view());
        const std::optional<CodedRows> codes = model.codedRows(site);
        ASSERT_TRUE(codes) << name;
        const Matrix made = decoded(*codes);
        ASSERT_EQ(made.size(), applied.size());
        EXPECT_TRUE(std::equal(made.data(), made.data() + made.size(), applied.data())) << name;
        const RunWith run(&model, nullptr);
        EXPECT_TRUE(run.replaces(site) && run.codedRows(site)) << name;
    }
    QuantizedModel others;
    QuantizedTensor kept = quantizeSite(site, weight.view(), parseFormat("int4:g64"), {}, {false, false});
    kept.kept = keptWeights(weight.view(), {5}, 0, {});
    others.set(std::move(kept));
    EXPECT_FALSE(others.codedRows(site)) << "a kept column is no code";
    others.set(quantizeSite(site, weight.view(), parseFormat("q4_0"), {}, {false, false}));
    EXPECT_FALSE(others.codedRows(site)) << "blocks are no codes with a zero point";
    EXPECT_FALSE(RunWith(nullptr, nullptr).replaces(site) || RoundedAtRunTime(nullptr).replaces(site));
}

TEST(QuantizeSite, importanceCountsOnlyWhenAskedFor) {
    const Site& site = *demoModel().findSite("blk.1.attn_q");
    const Matrix weight = demoModel().siteWeight(site);
    std::vector<float> importance(static_cast<std::size_t>(site.cols), 0.01f);
    for (std::size_t j = 0; j < importance.size(); j += 16) importance[j] = 100.0f;
    for (const char* name : {"q4_0", "int3:g64"}) {
        const FormatPtr format = parseFormat(name);
        const auto weightedError = [&](const QuantizedTensor& t) {
            Matrix back(site.rows, site.cols);
            format->decode(t.bytes, back.view());
            double sum = 0;
            for (std::int64_t r = 0; r < site.rows; ++r)
                for (std::int64_t c = 0; c < site.cols; ++c)
                    sum += static_cast<double>(importance[static_cast<std::size_t>(c)]) * std::pow(static_cast<double>(weight.row(r)[c]) - static_cast<double>(back.row(r)[c]), 2);
            return sum;
        };
        const QuantizedTensor ignored = quantizeSite(site, weight.view(), format, importance, {false, true});
        const QuantizedTensor none = quantizeSite(site, weight.view(), format, {}, {false, true});
        const QuantizedTensor used = quantizeSite(site, weight.view(), format, importance, {true, true});
        EXPECT_EQ(ignored.bytes, none.bytes);
        EXPECT_LT(weightedError(used), 0.9 * weightedError(none)) << name;
    }
}

TEST(QuantizeSite, namesTheSiteAndElementThatIsNotFinite) {
    const Site& site = *demoModel().findSite("blk.1.attn_k");
    Matrix weight = demoModel().siteWeight(site);
    weight.row(3)[7] = NAN;
    std::string line;
    EXPECT_EQ(codeOf([&] { quantizeSite(site, weight.view(), parseFormat("q4_0"), {}, {}); }, &line), ErrorCode::nonFinite);
    EXPECT_THAT(line, HasSubstr("blk.1.attn_k"));
    EXPECT_THAT(line, HasSubstr("row 3, column 7"));
}

TEST(QuantizedModel, replacesExactlyTheQuantizedSites) {
    const auto formats = resolveFormats(demoModel(), "keep", "", {{"blk.0.attn_v", "q4_1"}, {"token_embd", "int8:channel"}});
    JobContext job;
    std::vector<std::string> asked;
    const auto quantized = QuantizedModel::build(demoModel(), formats, [&](const Site& s) {
        asked.push_back(s.name);
        return std::span<const float>();
    }, {true, true}, job);
    EXPECT_EQ(asked, (std::vector<std::string>{"token_embd", "blk.0.attn_v"}));
    EXPECT_EQ(job.snapshot().done, 2048 * 256 + 128 * 256);
    for (const Site& site : demoModel().sites()) {
        const Matrix own = demoModel().siteWeight(site), seen = demoModel().siteWeight(site, quantized.get());
        const QuantizedTensor* tensor = quantized->find(site.id);
        Matrix want(site.rows, site.cols);
        if (tensor) tensor->format->decode(tensor->bytes, want.view());
        EXPECT_EQ(tensor != nullptr, site.name == "token_embd" || site.name == "blk.0.attn_v");
        EXPECT_EQ(std::memcmp(seen.data(), tensor ? want.data() : own.data(), static_cast<std::size_t>(own.size()) * 4), 0) << site.name;
    }
}

TEST(QuantizedModel, aSiteMayBeRoundedByARounderOfItsOwn) {
    std::vector<float> importance(768, 0.01f);
    for (std::size_t j = 0; j < importance.size(); j += 16) importance[j] = 100.0f;
    const ImportanceLookup lookup = [&](const Site& site) { return std::span<const float>(importance).first(static_cast<std::size_t>(site.cols)); };
    const auto built = [&](const char* format, bool weighted) {
        JobContext job;
        return QuantizedModel::build(demoModel(), resolveFormats(demoModel(), "keep", "", {{"blk.1.*", format}}), lookup, {weighted, true}, job);
    };
    const auto plain = built("q4_0", false), weighted = built("q4_0", true), own = built("q4_0@weighted", false), back = built("q4_0@nearest", true);
    const SiteId site = demoModel().findSite("blk.1.attn_q")->id;
    EXPECT_NE(plain->find(site)->bytes, weighted->find(site)->bytes);
    EXPECT_EQ(own->find(site)->bytes, weighted->find(site)->bytes);
    EXPECT_EQ(back->find(site)->bytes, plain->find(site)->bytes);
    EXPECT_EQ(codeOf([&] { built("q4_0@gptq", false); }), ErrorCode::usage);
}

TEST(QuantizedModel, stopsWhenAsked) {
    JobContext job;
    job.requestStop();
    const auto formats = resolveFormats(demoModel(), "q4_0", "", {});
    EXPECT_EQ(codeOf([&] { QuantizedModel::build(demoModel(), formats, {}, {}, job); }), ErrorCode::cancelled);
}

} // namespace
} // namespace bw
