// SPDX-License-Identifier: GPL-3.0-or-later
// The reference rounding against bytes made by ggml's C code, and decoders against its values (make_reference.py).
#include "core/base/error.h"
#include "core/format/storage_type.h"
#include "tests/support/format_support.h"

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <iostream>

namespace bw {
namespace {

using test::readBytes;
using test::readFloats;

const std::string kData = std::string(BW_TEST_DATA) + "/format/";

struct Case {
    StorageType type;
    bool weighted;
    std::string label() const { return std::string(storageTypeInfo(type).fileName) + (weighted ? ".imatrix" : ".none"); }
};

/// In the order of encode_hashes.bin.
std::vector<Case> allCases() {
    using enum StorageType;
    std::vector<Case> cases;
    for (const StorageType type : {q4_0, q4_1, q5_0, q5_1, q8_0, q2_k, q3_k, q4_k, q5_k, q6_k, iq4_nl, iq4_xs, tq1_0, tq2_0, mxfp4, q1_0, q2_0}) {
        cases.push_back({type, false});
        const bool searched = type != q8_0 && (type < tq1_0 || type > q2_0);
        if (searched) cases.push_back({type, true});
    }
    return cases;
}

std::vector<std::byte> encodeRows(StorageType type, const std::vector<float>& x, std::size_t cols, std::span<const float> importance) {
    std::vector<std::byte> out(storageBytes(type, x.size() / cols, cols));
    const std::size_t rowBytes = storageBytes(type, 1, cols);
    for (std::size_t r = 0; r * cols < x.size(); ++r)
        encodeRow(type, {x.data() + r * cols, cols}, importance, out.data() + r * rowBytes, BlockSearch::reference);
    return out;
}

/// Σ w·(x − decoded)² in f64; w repeats per row, 1 when empty.
double errorOf(StorageType type, const std::vector<float>& x, std::span<const float> w, const std::vector<std::byte>& bytes) {
    std::vector<float> y(x.size());
    decodeRow(type, bytes.data(), y);
    double sum = 0;
    for (std::size_t i = 0; i < x.size(); ++i)
        sum += (w.empty() ? 1.0 : static_cast<double>(w[i % w.size()])) * std::pow(static_cast<double>(x[i]) - static_cast<double>(y[i]), 2);
    return sum;
}

TEST(ReferenceGolden, encodesAsGgmlOnEveryInstructionSet) {
    const std::vector<float> x = readFloats(kData + "quantize/input_f32.bin"), w = readFloats(kData + "quantize/importance_f32.bin");
    test::forEachInstructionSet([&](const std::string& set) {
        for (const Case& c : allCases()) {
            const std::span<const float> importance = c.weighted ? std::span<const float>(w) : std::span<const float>();
            const auto want = readBytes(kData + "reference/" + c.label() + ".bin");
            const auto got = encodeRows(c.type, x, 512, importance);
            ASSERT_EQ(got.size(), want.size()) << c.label();
            const auto size = static_cast<std::size_t>(storageTypeInfo(c.type).blockBytes);
            std::size_t same = 0;
            for (std::size_t at = 0; at < got.size(); at += size) same += std::equal(got.begin() + static_cast<std::ptrdiff_t>(at), got.begin() + static_cast<std::ptrdiff_t>(at + size), want.begin() + static_cast<std::ptrdiff_t>(at));
            const double share = static_cast<double>(same * size) / static_cast<double>(got.size());
            // Nothing is fused or reordered, so no block may differ; the error says how bad a difference is.
            EXPECT_EQ(share, 1.0) << c.label() << " on " << set;
            EXPECT_NEAR(errorOf(c.type, x, importance, got) / errorOf(c.type, x, importance, want), 1.0, 5e-4) << c.label() << " on " << set;
        }
    });
}

/// The generator and hash of make_reference.py.
struct Noise {
    std::uint64_t state;
    std::uint32_t draw() {
        state = state * 6364136223846793005u + 1442695040888963407u;
        return static_cast<std::uint32_t>(state >> 40);
    }
    float uniform() { return static_cast<float>(draw()) * 0x1p-24f; }
};

std::uint32_t fnv(const void* data, std::size_t size) {
    std::uint32_t hash = 2166136261u;
    const auto* bytes = static_cast<const unsigned char*>(data);
    for (std::size_t i = 0; i < size; ++i) hash = (hash ^ bytes[i]) * 16777619u;
    return hash;
}

TEST(ReferenceGolden, encodesAsGgmlOverManyBlocks) {
    constexpr std::size_t rows = 128, cols = 1024, run = 256, runs = rows * cols / run;
    Noise noise{1};
    std::vector<float> x(rows * cols), w(cols);
    for (float& v : x) {
        float sum = 0;
        for (int k = 0; k < 4; ++k) sum += noise.uniform() - 0.5f;
        v = sum * (noise.draw() % 64 == 0 ? 0.4f : 0.05f);
    }
    for (float& v : w) {
        const float u = noise.uniform();
        v = u * u + 0.001f;
    }
    const auto bytes = readBytes(kData + "reference/encode_hashes.bin");
    std::vector<std::uint32_t> want(bytes.size() / 4);
    std::memcpy(want.data(), bytes.data(), bytes.size());
    const auto cases = allCases();
    ASSERT_EQ(want.size(), cases.size() * runs);
    for (std::size_t c = 0; c < cases.size(); ++c) {
        const auto got = encodeRows(cases[c].type, x, cols, cases[c].weighted ? std::span<const float>(w) : std::span<const float>());
        const std::size_t size = got.size() / runs;
        std::size_t same = 0;
        for (std::size_t r = 0; r < runs; ++r) same += fnv(got.data() + r * size, size) == want[c * runs + r];
        std::cout << cases[c].label() << ": " << same << " of " << runs << " runs of 256 weights byte-identical\n";
        EXPECT_EQ(same, runs) << cases[c].label();
    }
}

TEST(ReferenceGolden, decodesAsGgmlOverManyBlocks) {
    Noise noise{2};
    std::vector<std::byte> raw(400000);
    for (std::byte& b : raw) b = static_cast<std::byte>(noise.draw() & 255u);
    std::ifstream file(kData + "reference/decode_hashes.txt");
    std::string name;
    std::uint32_t want = 0;
    int types = 0;
    while (file >> name >> want) {
        std::transform(name.begin(), name.end(), name.begin(), [](char c) { return static_cast<char>(std::tolower(c)); });
        const auto type = storageTypeFromName(name);
        ASSERT_TRUE(type) << name;
        const auto elements = static_cast<std::size_t>(storageTypeInfo(*type).blockElements);
        const std::size_t blocks = raw.size() / static_cast<std::size_t>(storageTypeInfo(*type).blockBytes);
        std::vector<float> values(blocks * elements);
        decodeRow(*type, raw.data(), values);
        std::vector<std::uint32_t> hashes(blocks);
        for (std::size_t b = 0; b < blocks; ++b) {
            for (std::size_t i = 0; i < elements; ++i)
                if (std::isnan(values[b * elements + i])) values[b * elements + i] = 0; // payloads of NaN are free
            hashes[b] = fnv(values.data() + b * elements, elements * sizeof(float));
        }
        EXPECT_EQ(fnv(hashes.data(), hashes.size() * sizeof(std::uint32_t)), want) << name;
        ++types;
    }
    EXPECT_EQ(types, 26);
}

} // namespace
} // namespace bw
