// SPDX-License-Identifier: GPL-3.0-or-later
// Scales past f16's range are counted in every format that stores them so, and nothing else is.
#include "core/base/matrix.h"
#include "core/base/random.h"
#include "core/format/held_scales.h"

#include <cmath>
#include <gtest/gtest.h>

namespace bw {
namespace {

constexpr std::int64_t kRows = 4, kCols = 512;

/// Usual weights, in row 2 `size` times as large.
Matrix someWeights(float size) {
    Matrix weights(kRows, kCols);
    Random random(3);
    for (std::int64_t i = 0; i < weights.size(); ++i) weights.data()[i] = static_cast<float>(random.uniform() - 0.5) * (i / kCols == 2 ? size : 1.0f);
    return weights;
}

std::int64_t heldIn(const std::string& name, const Matrix& weights) {
    const FormatPtr format = parseFormat(name);
    std::vector<std::byte> bytes(format->bytes(kRows, kCols));
    format->encode(weights.view(), {}, bytes);
    Matrix decoded(kRows, kCols);
    format->decode(bytes, decoded.view());
    for (std::int64_t i = 0; i < decoded.size() && name != "f16"; ++i) EXPECT_TRUE(std::isfinite(decoded.data()[i])) << name << " " << i;
    return countHeldScales(*format, bytes, kRows, kCols);
}

TEST(HeldScales, everyFormatWithF16ScalesIsCounted) {
    const Matrix usual = someWeights(1), huge = someWeights(1e13f);
    struct Case {
        const char* name;
        std::int64_t least, most; ///< of the scales and minima in the row of huge weights
    };
    // Blocks of a row of 512; where a minimum is stored too it may or may not be held.
    for (const Case c : {Case{"q4_0", 16, 16}, Case{"q5_0", 16, 16}, Case{"q8_0", 16, 16}, Case{"iq4_nl", 16, 16}, Case{"q4_1", 16, 32}, Case{"q5_1", 16, 32}, Case{"q2_k", 2, 4},
                         Case{"q3_k", 2, 2}, Case{"q4_k", 2, 4}, Case{"q5_k", 2, 4}, Case{"q6_k", 2, 2}, Case{"iq4_xs", 2, 2}, Case{"tq1_0", 2, 2}, Case{"tq2_0", 2, 2}, Case{"q2_0", 8, 8},
                         Case{"q1_0", 4, 4}, Case{"int4:g64", 8, 8}, Case{"int8:channel:sym", 1, 1}, Case{"f16", 500, 512}}) {
        SCOPED_TRACE(c.name);
        EXPECT_EQ(heldIn(c.name, usual), 0);
        const std::int64_t held = heldIn(c.name, huge);
        EXPECT_GE(held, c.least);
        EXPECT_LE(held, c.most);
    }
    for (const char* name : {"f32", "bf16", "mxfp4"}) EXPECT_EQ(heldIn(name, huge), 0) << name;
}

} // namespace
} // namespace bw
