// SPDX-License-Identifier: GPL-3.0-or-later
// GPTQ's codes, scales and error of a small weight against numpy (gptq.json, written by make_gptq.py), which solves for the
// free columns anew after each rounding instead of factorising.
#include "core/base/json.h"
#include "core/format/affine.h"
#include "core/format/half.h"
#include "core/quantize/gptq.h"

#include <gtest/gtest.h>

namespace bw {
namespace {

Matrix matrixOf(const Json& rows) {
    Matrix m(static_cast<std::int64_t>(rows.size()), static_cast<std::int64_t>(rows.at(0).size()));
    for (std::int64_t r = 0; r < m.rows(); ++r)
        for (std::int64_t c = 0; c < m.cols(); ++c) m.row(r)[c] = rows.at(static_cast<std::size_t>(r)).at(static_cast<std::size_t>(c)).get<float>();
    return m;
}

TEST(GptqGolden, codesScalesAndErrorAreNumpys) {
    const Json golden = readJsonFile(std::string(BW_TEST_DATA) + "/golden/quantize/gptq.json");
    const Matrix weight = matrixOf(golden.at("weight")), inputs = matrixOf(golden.at("inputs"));
    const FormatPtr format = parseFormat(golden.at("format").get<std::string>());
    Gram gram(weight.cols());
    gram.add(inputs.view());
    Site site;
    site.id = SiteId{1};
    site.name = "blk.0.attn_q";
    site.rows = weight.rows();
    site.cols = weight.cols();
    ASSERT_EQ(golden.at("cases").size(), 4u);
    for (const Json& want : golden.at("cases")) {
        SCOPED_TRACE(want.at("name").get<std::string>());
        RounderOptions rounder;
        rounder.clipSearch = false;
        GptqOptions options;
        options.damping = want.at("damping").get<double>();
        options.activationOrder = want.at("activation_order").get<bool>();
        options.refitScales = want.at("refit_scales").get<bool>();
        options.sweeps = 0;
        JobContext job;
        const GptqSite made = gptqSite(site, weight.view(), format, gram, rounder, options, job);
        ASSERT_EQ(made.fallback, "");
        const AffineCodes parts = dynamic_cast<const AffineFormat&>(*format).unpack(made.tensor.bytes, weight.rows(), weight.cols());
        std::size_t code = 0, group = 0;
        for (const Json& row : want.at("codes"))
            for (const Json& value : row) EXPECT_EQ(parts.codes[code++], value.get<int>()) << "code " << code;
        for (const Json& row : want.at("scales"))
            for (const Json& value : row) EXPECT_EQ(halfToFloat(parts.scales[group++]), value.get<float>()) << "scale " << group;
        group = 0;
        for (const Json& row : want.at("zeros"))
            for (const Json& value : row) EXPECT_EQ(parts.zeros[group++], value.get<int>()) << "zero " << group;
        // f32 sums of 80 products against f64.
        EXPECT_NEAR(made.error, want.at("error").get<double>(), 1e-5 * want.at("error").get<double>());
    }
}

} // namespace
} // namespace bw
