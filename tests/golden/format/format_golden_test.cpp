// SPDX-License-Identifier: GPL-3.0-or-later
// Formats against bytes and values made by gguf-py, ggml and torch (tests/data/format/README.md), on every instruction set.
#include "core/format/format.h"
#include "tests/support/format_support.h"

#include <gtest/gtest.h>

#include <cmath>

namespace bw {
namespace {

using test::forEachInstructionSet;
using test::readBytes;
using test::readFloats;

const std::string kData = std::string(BW_TEST_DATA) + "/format/";

struct Named {
    StorageType type;
    const char* file;
};
const std::vector<Named> kBlocks{{StorageType::q4_0, "Q4_0"}, {StorageType::q4_1, "Q4_1"}, {StorageType::q5_0, "Q5_0"},
                                 {StorageType::q5_1, "Q5_1"}, {StorageType::q8_0, "Q8_0"}};
const std::vector<Named> kEncodable = [] {
    auto all = kBlocks;
    all.push_back({StorageType::f16, "F16"});
    all.push_back({StorageType::bf16, "BF16"});
    return all;
}();

/// Types whose blocks are decoded by plain code.
const std::vector<Named> kDecodable{{StorageType::q2_k, "Q2_K"},   {StorageType::q3_k, "Q3_K"},     {StorageType::q4_k, "Q4_K"},     {StorageType::q5_k, "Q5_K"},
                                    {StorageType::q6_k, "Q6_K"},   {StorageType::iq4_nl, "IQ4_NL"}, {StorageType::iq4_xs, "IQ4_XS"}, {StorageType::tq1_0, "TQ1_0"},
                                    {StorageType::tq2_0, "TQ2_0"}, {StorageType::mxfp4, "MXFP4"},   {StorageType::nvfp4, "NVFP4"},   {StorageType::q1_0, "Q1_0"},
                                    {StorageType::iq1_s, "IQ1_S"}, {StorageType::iq1_m, "IQ1_M"},   {StorageType::iq2_xxs, "IQ2_XXS"}, {StorageType::iq2_xs, "IQ2_XS"},
                                    {StorageType::iq2_s, "IQ2_S"}, {StorageType::iq3_xxs, "IQ3_XXS"}, {StorageType::iq3_s, "IQ3_S"}};

void expectSameBits(const std::vector<float>& got, const std::vector<float>& want, const std::string& what) {
    ASSERT_EQ(got.size(), want.size()) << what;
    for (std::size_t i = 0; i < got.size(); ++i) {
        if (std::isnan(want[i])) {
            ASSERT_TRUE(std::isnan(got[i])) << what << " at " << i;
            continue;
        }
        ASSERT_EQ(__builtin_bit_cast(std::uint32_t, got[i]), __builtin_bit_cast(std::uint32_t, want[i]))
            << what << " at " << i << ": " << got[i] << " instead of " << want[i];
    }
}

TEST(FormatGolden, encodesTheReferenceBytes) {
    const std::vector<float> input = readFloats(kData + "quantize/input_f32.bin");
    ASSERT_EQ(input.size(), 10u * 512u);
    forEachInstructionSet([&](const std::string& set) {
        for (const Named& n : kEncodable) {
            const std::vector<std::byte> want = readBytes(kData + "quantize/" + n.file + ".bin");
            ASSERT_EQ(storageBytes(n.type, 10, 512), want.size());
            std::vector<std::byte> got(want.size());
            const std::size_t rowBytes = want.size() / 10;
            for (std::size_t r = 0; r < 10; ++r)
                encodeRow(n.type, {input.data() + r * 512, 512}, {}, got.data() + r * rowBytes);
            for (std::size_t i = 0; i < want.size(); ++i) ASSERT_EQ(got[i], want[i]) << n.file << " on " << set << ", byte " << i;
        }
    });
}

TEST(FormatGolden, decodesRandomBlocks) {
    forEachInstructionSet([&](const std::string& set) {
        for (const Named& n : kEncodable) {
            const std::vector<std::byte> bytes = readBytes(kData + "dequantize/" + n.file + ".bin");
            const std::vector<float> want = readFloats(kData + "dequantize/" + n.file + ".f32.bin");
            std::vector<float> got(want.size());
            decodeRow(n.type, bytes.data(), got);
            expectSameBits(got, want, std::string(n.file) + " on " + set);
        }
    });
}

TEST(FormatGolden, decodesBlocksOfEveryOtherType) {
    for (const Named& n : kDecodable) {
        const std::vector<std::byte> bytes = readBytes(kData + "dequantize/" + n.file + ".bin");
        const std::vector<float> want = readFloats(kData + "dequantize/" + n.file + ".f32.bin");
        std::vector<float> got(want.size());
        ASSERT_EQ(storageBytes(n.type, 1, got.size()), bytes.size()) << n.file;
        decodeRow(n.type, bytes.data(), got);
        expectSameBits(got, want, n.file);
    }
}

TEST(FormatGolden, convertsSixteenBitFloatsAsTorchDoes) {
    const std::vector<float> input = readFloats(kData + "plain/input_f32.bin");
    forEachInstructionSet([&](const std::string& set) {
        for (const Named& n : {Named{StorageType::f16, "f16"}, Named{StorageType::bf16, "bf16"}}) {
            const std::vector<std::byte> want = readBytes(kData + "plain/" + n.file + ".bin");
            std::vector<std::byte> got(want.size());
            encodeRow(n.type, input, {}, got.data());
            for (std::size_t i = 0; i < input.size(); ++i) {
                if (std::isnan(input[i])) continue; // payloads are free; the way back is checked below
                ASSERT_TRUE(got[2 * i] == want[2 * i] && got[2 * i + 1] == want[2 * i + 1]) << n.file << " of " << input[i] << " on " << set;
            }
            std::vector<float> back(input.size());
            decodeRow(n.type, got.data(), back);
            expectSameBits(back, readFloats(kData + "plain/" + n.file + ".back_f32.bin"), std::string(n.file) + " back on " + set);
        }
    });
}

TEST(FormatGolden, knowsEveryEightBitFloat) {
    std::vector<std::byte> codes(256);
    for (std::size_t i = 0; i < codes.size(); ++i) codes[i] = static_cast<std::byte>(i);
    std::vector<float> got(256);
    decodeRow(StorageType::f8e4m3, codes.data(), got);
    expectSameBits(got, readFloats(kData + "plain/fp8_e4m3fn_table_f32.bin"), "e4m3");
    decodeRow(StorageType::f8e5m2, codes.data(), got);
    expectSameBits(got, readFloats(kData + "plain/fp8_e5m2_table_f32.bin"), "e5m2");
}

/// Σ_j w_j·(x_j − y_j)² in f64.
double weightedError(const float* x, const float* y, const float* w, std::size_t n) {
    double sum = 0;
    for (std::size_t j = 0; j < n; ++j) sum += static_cast<double>(w[j]) * std::pow(static_cast<double>(x[j]) - static_cast<double>(y[j]), 2);
    return sum;
}

TEST(FormatGolden, weightedSearchBeatsReferenceRoundingAndKeepsUpWithGgml) {
    const std::vector<float> input = readFloats(kData + "quantize/input_f32.bin");
    const std::vector<float> importance = readFloats(kData + "quantize/importance_f32.bin");
    ASSERT_EQ(importance.size(), 512u);
    for (const Named& n : kBlocks) {
        const std::size_t rowBytes = storageBytes(n.type, 1, 512);
        std::vector<std::byte> bytes(rowBytes);
        std::vector<float> plain(512), weighted(512);
        double ours = 0, reference = 0;
        for (std::size_t r = 0; r < 10; ++r) {
            const std::span<const float> row(input.data() + r * 512, 512);
            encodeRow(n.type, row, {}, bytes.data());
            decodeRow(n.type, bytes.data(), plain);
            encodeRow(n.type, row, importance, bytes.data());
            decodeRow(n.type, bytes.data(), weighted);
            const double errorPlain = weightedError(row.data(), plain.data(), importance.data(), 512);
            const double errorWeighted = weightedError(row.data(), weighted.data(), importance.data(), 512);
            EXPECT_LE(errorWeighted, errorPlain * (1 + 1e-5)) << n.file << " row " << r; // sums of 32 terms in f32
            ours += errorWeighted;
            reference += errorPlain;
        }
        EXPECT_LT(ours, reference) << n.file;
        if (n.type == StorageType::q8_0) continue; // ggml has no search there
        const std::vector<std::byte> bytesOfGgml = readBytes(kData + "reference/" + n.file + ".imatrix.bin");
        std::vector<float> ggml(input.size());
        decodeRow(n.type, bytesOfGgml.data(), ggml);
        double theirs = 0;
        for (std::size_t r = 0; r < 10; ++r) theirs += weightedError(input.data() + r * 512, ggml.data() + r * 512, importance.data(), 512);
        EXPECT_LT(ours, 1.05 * theirs) << n.file;
    }
}

} // namespace
} // namespace bw
