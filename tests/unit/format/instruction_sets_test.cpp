// SPDX-License-Identifier: GPL-3.0-or-later
// Every row kernel gives the same bits on every instruction set, at lengths that leave tails.
#include "core/format/kernels.h"
#include "tests/support/format_support.h"

#include <gtest/gtest.h>

#include <cmath>

namespace bw {
namespace {

TEST(InstructionSets, moreThanOneIsTested) {
    std::vector<std::string> seen;
    test::forEachInstructionSet([&](const std::string& set) { seen.push_back(set); });
    EXPECT_GE(seen.size(), 2u); // the baseline and at least one wider set on any x86 or ARM machine
}

TEST(InstructionSets, affineKernelsAgree) {
    for (const std::size_t n : {1u, 7u, 8u, 31u, 32u, 33u, 96u, 129u, 576u}) {
        const Matrix x = test::randomWeight(1, static_cast<std::int64_t>(n), n, 0.05, 10);
        const Matrix w = test::randomWeight(1, static_cast<std::int64_t>(n), n + 1);
        std::vector<float> weights(n);
        for (std::size_t j = 0; j < n; ++j) weights[j] = std::abs(w.data()[j]);
        const kernels::AffineStep step{0.0078125f, 7, 0, 15};
        std::vector<std::uint8_t> codes(n), firstCodes;
        std::vector<float> values(n), firstValues;
        float error = 0, plainError = 0;
        bool first = true;
        test::forEachInstructionSet([&](const std::string& set) {
            kernels::affineCodes(x.data(), n, step, codes.data());
            kernels::affineDecode(codes.data(), n, step, values.data());
            const float e = kernels::affineError(x.data(), weights.data(), n, step), p = kernels::affineError(x.data(), nullptr, n, step);
            if (first) {
                firstCodes = codes;
                firstValues = values;
                error = e;
                plainError = p;
                first = false;
                double exact = 0;
                for (std::size_t j = 0; j < n; ++j) exact += std::pow(static_cast<double>(x.data()[j]) - static_cast<double>(values[j]), 2);
                EXPECT_NEAR(p, exact, 1e-5 * exact); // f32 sums of at most 576 terms in eight chains
            }
            EXPECT_EQ(codes, firstCodes) << set << " " << n;
            EXPECT_EQ(values, firstValues) << set << " " << n;
            EXPECT_EQ(e, error) << set << " " << n;
            EXPECT_EQ(p, plainError) << set << " " << n;
        });
    }
}

TEST(InstructionSets, packedBitsComeBackAtEveryWidthAndLength) {
    test::forEachInstructionSet([&](const std::string& set) {
        Random random(1);
        for (int bits = 2; bits <= 8; ++bits)
            for (std::size_t n = 1; n <= 100; ++n) {
                std::vector<std::uint8_t> codes(n), back(n);
                for (auto& c : codes) c = static_cast<std::uint8_t>(random.below(1ull << bits));
                std::vector<std::byte> packed((n * static_cast<std::size_t>(bits) + 7) / 8 + 1, std::byte{0xa5});
                kernels::packBits(codes.data(), n, bits, packed.data());
                EXPECT_EQ(packed.back(), std::byte{0xa5}) << "wrote past the end";
                for (std::size_t k = 0; k < n; ++k) { // code k at bit k·bits, least significant bit first
                    unsigned code = 0;
                    for (int b = 0; b < bits; ++b) {
                        const std::size_t at = k * static_cast<std::size_t>(bits) + static_cast<std::size_t>(b);
                        code |= ((std::to_integer<unsigned>(packed[at / 8]) >> (at % 8)) & 1u) << b;
                    }
                    ASSERT_EQ(code, codes[k]) << set << " " << bits << " " << n;
                }
                kernels::unpackBits(packed.data(), n, bits, back.data());
                ASSERT_EQ(back, codes) << set << " " << bits << " " << n;
            }
    });
}

TEST(InstructionSets, minMaxAndFiniteCheckAgreeWithPlainLoops) {
    test::forEachInstructionSet([&](const std::string& set) {
        for (std::size_t n = 1; n <= 70; ++n) {
            Matrix x = test::randomWeight(1, static_cast<std::int64_t>(n), n);
            float lo = 0, hi = 0;
            kernels::minMax(x.data(), n, lo, hi);
            EXPECT_EQ(lo, *std::min_element(x.data(), x.data() + n)) << set;
            EXPECT_EQ(hi, *std::max_element(x.data(), x.data() + n)) << set;
            EXPECT_EQ(kernels::firstNonFinite(x.data(), n), n);
            for (const float bad : {NAN, -NAN, INFINITY, -INFINITY}) {
                Matrix y = test::randomWeight(1, static_cast<std::int64_t>(n), n);
                y.data()[n / 2] = bad;
                y.data()[n - 1] = bad;
                EXPECT_EQ(kernels::firstNonFinite(y.data(), n), n / 2) << set;
            }
        }
    });
}

} // namespace
} // namespace bw
