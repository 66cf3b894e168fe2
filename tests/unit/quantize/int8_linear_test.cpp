// SPDX-License-Identifier: GPL-3.0-or-later
// The integer product against the simulation that evaluations run: rounded inputs times decoded weights.
#include "core/quantize/int8_linear.h"
#include "core/quantize/activation_scheme.h"
#include "core/quantize/outlier_split.h"
#include "tests/support/expect_error.h"
#include "tests/unit/model/tiny_model.h"

#include <cmath>
#include <gtest/gtest.h>

namespace bw {
namespace {

TEST(Int8Linear, EqualsTheSimulationUpToRoundOff) {
    const test::TinyModel tiny;
    const Site& site = *tiny.model->findSite("blk.0.ffn_up");
    const Matrix weight = tiny.model->siteWeight(site);
    const std::int64_t tokens = 37;
    Random random(8);
    Matrix x(tokens, site.cols);
    for (std::int64_t i = 0; i < x.size(); ++i) x.data()[i] = static_cast<float>(random.normal());
    for (std::int64_t t = 0; t < tokens; ++t) x.row(t)[3] *= 50;
    for (const std::vector<std::int32_t>& columns : std::vector<std::vector<std::int32_t>>{{}, {3, 7}}) {
        const QuantizedTensor tensor = quantizeAround(site, weight.view(), parseFormat("int8:channel:sym"), {}, {}, keptWeights(weight.view(), columns, 0, {}));
        std::vector<std::vector<std::int32_t>> kept(tiny.model->inputGroups().size(), columns);
        const auto rounding = ActivationRounding::fit(*tiny.model, parseActivationScheme("a8:token"), nullptr, kept);
        Matrix rounded(tokens, site.cols), decoded(site.rows, site.cols), y(tokens, site.rows);
        std::copy_n(x.data(), x.size(), rounded.data());
        rounding->roundInput(site.inputGroup, rounded.view());
        tensor.decode(decoded.view());
        Int8Linear(tensor, site.rows, site.cols).multiply(std::as_const(x).view(), y.view());
        for (std::int64_t t = 0; t < tokens; ++t)
            for (std::int64_t o = 0; o < site.rows; ++o) {
                double wanted = 0, size = 0;
                for (std::int64_t i = 0; i < site.cols; ++i) {
                    const double term = static_cast<double>(rounded.row(t)[i]) * static_cast<double>(decoded.row(o)[i]);
                    wanted += term;
                    size += std::abs(term);
                }
                // Each rounded input and decoded weight is a code times a scale, rounded to f32 once: 2⁻²³ of each term at most,
                // and the kept columns' sum, the conversion of the integer and two products 2⁻²⁴ each.
                ASSERT_NEAR(static_cast<double>(y.row(t)[o]), wanted, 4 * 0x1.0p-23 * size) << t << ", " << o;
            }
    }
}

TEST(Int8Linear, RefusesWhatItCannotMultiply) {
    const test::TinyModel tiny;
    const Site& site = *tiny.model->findSite("blk.0.ffn_up");
    const Matrix weight = tiny.model->siteWeight(site);
    for (const char* format : {"int4:channel:sym", "int8:channel:asym", "int8:tensor:sym", "q8_0", "fp8_e4m3:channel"}) {
        const FormatPtr parsed = parseFormat(format);
        if (!parsed->fits(site.rows, site.cols, nullptr)) continue;
        const QuantizedTensor tensor = quantizeSite(site, weight.view(), parsed, {}, {});
        test::expectError(ErrorCode::usage, [&] { Int8Linear(tensor, site.rows, site.cols); });
    }
    const QuantizedTensor sparse = quantizeAround(site, weight.view(), parseFormat("int8:channel:sym"), {}, {}, keptWeights(weight.view(), {}, 0.01, {}));
    test::expectError(ErrorCode::usage, [&] { Int8Linear(sparse, site.rows, site.cols); });
}

} // namespace
} // namespace bw
