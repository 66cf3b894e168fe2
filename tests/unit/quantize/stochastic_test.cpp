// SPDX-License-Identifier: GPL-3.0-or-later
// Stochastic rounding: one of the two neighbours on the grid, right in the mean, repeatable, the same for any number of
// threads.
#include "core/base/parallel.h"
#include "core/base/random.h"
#include "core/format/fixed_grid.h"
#include "core/quantize/quantized_model.h"
#include "tests/support/random_matrix.h"

#include <cmath>
#include <gtest/gtest.h>

namespace bw {
namespace {

using test::randomMatrix;

QuantizedTensor rounded(const Matrix& weight, const char* format, std::uint64_t seed) {
    Site site;
    site.id = SiteId{3};
    site.name = "blk.0.attn_q";
    site.rows = weight.rows();
    site.cols = weight.cols();
    RounderOptions options;
    options.clipSearch = false; // nothing lies outside the grid then
    options.stochastic = true;
    options.seed = seed;
    return quantizeSite(site, weight.view(), parseFormat(format), {}, options);
}

class StochasticFormats : public testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(Formats, StochasticFormats, testing::Values("int4:g64", "int8:channel", "q8_0"));

TEST_P(StochasticFormats, TheMeanIsTheWeight) {
    const Matrix weight = randomMatrix(70, 256, 5);
    const auto grid = fixGrid(*parseFormat(GetParam()), weight.view(), {});
    const int draws = 200;
    std::vector<double> sums(static_cast<std::size_t>(weight.size()), 0.0);
    Matrix back(70, 256);
    for (int draw = 0; draw < draws; ++draw) {
        rounded(weight, GetParam(), static_cast<std::uint64_t>(draw)).decode(back.view());
        for (std::int64_t i = 0; i < weight.size(); ++i) sums[static_cast<std::size_t>(i)] += static_cast<double>(back.data()[i]);
    }
    double error = 0, variance = 0, worst = 0;
    std::int64_t inside = 0;
    for (std::int64_t r = 0; r < 70; ++r)
        for (std::int64_t c = 0; c < 256; ++c) {
            const float value = weight.row(r)[c];
            float below = 0, above = 0;
            grid->bracket(c, r, {&value, 1}, {&below, 1}, {&above, 1});
            const double step = static_cast<double>(above) - static_cast<double>(below);
            if (step <= 0) continue; // beyond the grid, whose zero is rounded to a code: always its end
            ++inside;
            const double off = sums[static_cast<std::size_t>(r * 256 + c)] / draws - static_cast<double>(value);
            error += off;
            variance += step * step / 4 / draws; // of a coin, at most
            worst = std::max(worst, std::abs(off) / step);
        }
    EXPECT_GT(inside, weight.size() * 9 / 10);
    EXPECT_LT(std::abs(error), 4 * std::sqrt(variance));
    EXPECT_LT(worst, 5 * 0.5 / std::sqrt(draws)) << "five deviations of a fair coin over so many draws, of 18,000 weights";
}

TEST_P(StochasticFormats, ThreadsChangeNothingAndSeedsDo) {
    const Matrix weight = randomMatrix(200, 256, 5);
    setThreadCount(1);
    const QuantizedTensor one = rounded(weight, GetParam(), 1);
    setThreadCount(2);
    const QuantizedTensor two = rounded(weight, GetParam(), 1), other = rounded(weight, GetParam(), 2);
    setThreadCount(0);
    EXPECT_TRUE(one.bytes == two.bytes);
    EXPECT_FALSE(one.bytes == other.bytes);
    // Twice nearest rounding's error for values spread evenly within their steps.
    EXPECT_NEAR(one.relativeError / one.uniformNoise, 2.0, 0.2);
}

} // namespace
} // namespace bw
