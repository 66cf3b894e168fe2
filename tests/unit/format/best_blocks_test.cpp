// SPDX-License-Identifier: GPL-3.0-or-later
// The better encoders: in no block worse than ggml's own rounding, on the whole clearly better, the same bytes everywhere,
// and sane at the edges. The measure is Σ importance·(x−x̂)² of decoded values, in double; all ones without importance.
#include "core/base/json.h"
#include "core/format/levels.h"
#include "core/format/storage_type.h"
#include "tests/support/format_support.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <iostream>

namespace bw {
namespace {

using Values = std::vector<float>;
constexpr std::size_t kCols = 512;

Values generated(std::size_t n, std::uint64_t seed, const std::function<double(Random&, std::size_t)>& value) {
    Random random(seed);
    Values x(n);
    for (std::size_t i = 0; i < n; ++i) x[i] = static_cast<float>(value(random, i));
    return x;
}
Values gaussian(std::size_t n, std::uint64_t seed, double scale = 0.03) {
    return generated(n, seed, [&](Random& r, std::size_t) { return scale * r.normal(); });
}

/// Rows of kCols weights of every kind that might come.
std::vector<std::pair<std::string, Values>> rows() {
    const auto make = [](const char* name, const std::function<double(Random&, std::size_t)>& value) {
        return std::pair<std::string, Values>{name, generated(kCols, 17, value)};
    };
    return {
        make("gaussian", [](Random& r, std::size_t) { return 0.03 * r.normal(); }),
        make("heavy tails", [](Random& r, std::size_t) { return 0.01 * r.normal() / (1e-3 + std::abs(r.normal())); }),
        make("outliers", [](Random& r, std::size_t i) { return 0.02 * r.normal() * (i % 41 == 0 ? 50 : 1); }),
        make("uniform", [](Random& r, std::size_t) { return r.uniform() - 0.5; }),
        make("positive", [](Random& r, std::size_t) { return 1 + 0.1 * r.normal(); }),
        make("negative", [](Random& r, std::size_t) { return -1 - 0.1 * r.uniform(); }),
        make("zeros", [](Random&, std::size_t) { return 0.0; }),
        make("constant", [](Random&, std::size_t) { return 0.7; }),
        make("constant below", [](Random&, std::size_t) { return -0.7; }),
        make("one alone", [](Random&, std::size_t i) { return i % 256 == 100 ? 3.0 : 0.0; }),
        make("two levels", [](Random& r, std::size_t) { return r.uniform() < 0.5 ? -0.1 : 0.2; }),
        make("half zeros", [](Random& r, std::size_t) { return r.uniform() < 0.5 ? 0.0 : 0.1 * r.normal(); }),
        make("scales apart", [](Random& r, std::size_t i) { return r.normal() * std::pow(10.0, -static_cast<double>(i / 16 % 8)); }),
        make("tiny", [](Random& r, std::size_t) { return 1e-7 * r.normal(); }),
        make("subnormal", [](Random& r, std::size_t) { return 1e-40 * r.normal(); }),
        make("large", [](Random& r, std::size_t) { return 3e4 * r.normal(); }),
        make("past f16", [](Random& r, std::size_t) { return 1e12 * r.normal(); }),
        make("huge", [](Random& r, std::size_t) { return 1e37 * r.normal(); }),
    };
}

std::vector<std::pair<std::string, Values>> importances() {
    Values oneHot(kCols, 0.0f);
    oneHot[5] = oneHot[300] = 1.0f;
    return {
        {"none", {}},
        {"wide", generated(kCols, 5, [](Random& r, std::size_t) { return std::exp(2 * r.normal()); })},
        {"half zero", generated(kCols, 6, [](Random& r, std::size_t) { return r.uniform() < 0.5 ? 0.0 : r.uniform(); })},
        {"one hot", oneHot},
        {"zero", Values(kCols, 0.0f)},
        {"tiny", generated(kCols, 7, [](Random& r, std::size_t) { return 1e-30 * r.uniform(); })},
        {"huge", generated(kCols, 8, [](Random& r, std::size_t) { return 1e30 * r.uniform(); })},
    };
}

/// Per block.
std::vector<double> errors(StorageType type, std::span<const float> x, std::span<const float> w, BlockSearch search) {
    std::vector<std::byte> bytes(storageBytes(type, 1, x.size()));
    encodeRow(type, x, w, bytes.data(), search);
    Values y(x.size());
    decodeRow(type, bytes.data(), y);
    const auto block = static_cast<std::size_t>(storageTypeInfo(type).blockElements);
    std::vector<double> sums(x.size() / block);
    for (std::size_t i = 0; i < x.size(); ++i)
        sums[i / block] += (w.empty() ? 1.0 : static_cast<double>(w[i])) * std::pow(static_cast<double>(x[i]) - static_cast<double>(y[i]), 2);
    return sums;
}

struct Totals {
    double reference = 0, best = 0;
    double gain() const { return 1 - best / reference; }
};

void compare(StorageType type, std::span<const float> x, std::span<const float> w, const std::string& what, Totals* totals = nullptr) {
    const std::vector<double> reference = errors(type, x, w, BlockSearch::reference), best = errors(type, x, w, BlockSearch::best);
    for (std::size_t b = 0; b < best.size(); ++b) {
        ASSERT_LE(best[b], reference[b]) << storageTypeInfo(type).name << ", " << what << ", block " << b;
        if (totals) {
            totals->reference += reference[b];
            totals->best += best[b];
        }
    }
}

/// A matrix of the embedded demo checkpoint, row-major.
Values demoTensor(const std::string& name) {
    const std::vector<std::byte> file = test::readBytes(std::string(BW_RESOURCES) + "/demo/model.safetensors");
    std::uint64_t header = 0;
    std::memcpy(&header, file.data(), 8);
    const Json json = parseJson({reinterpret_cast<const char*>(file.data()) + 8, header}, "demo");
    const std::uint64_t begin = json.at(name).at("data_offsets")[0], end = json.at(name).at("data_offsets")[1];
    Values x((end - begin) / 2);
    decodeRow(StorageType::bf16, file.data() + 8 + header + begin, x);
    return x;
}

class Best : public testing::TestWithParam<StorageType> {};

TEST_P(Best, neverWorseInAnyBlock) {
    for (const auto& [kind, x] : rows())
        for (const auto& [how, w] : importances()) compare(GetParam(), x, w, kind + ", importance " + how);
}

TEST_P(Best, neverWorseOnManySmallRows) {
    for (std::uint64_t seed = 0; seed < 100; ++seed) {
        const Values x = generated(256, seed, [&](Random& r, std::size_t) { return std::pow(r.normal(), 1 + 2 * static_cast<double>(seed % 3)); });
        const Values w = generated(256, seed + 1000, [](Random& r, std::size_t) { return std::pow(r.normal(), 4); });
        compare(GetParam(), x, seed % 2 == 0 ? std::span<const float>() : w, "seed " + std::to_string(seed));
    }
}

/// Least gain without and with importance, in percent, on weights of a trained model.
std::pair<double, double> leastGain(StorageType type) {
    switch (type) {
    case StorageType::q2_k: return {20, 8};
    case StorageType::q3_k: return {7, 3};
    case StorageType::q4_k: return {3, 3};
    case StorageType::q5_k: return {6, 6};
    case StorageType::q6_k: return {6, 6};
    case StorageType::iq4_nl: return {3, 3};
    case StorageType::iq4_xs: return {3, 3};
    case StorageType::q8_0: return {0, 0};
    default: return {0, 1}; // q4_0 … q5_1 have one rounding without importance
    }
}

TEST_P(Best, clearlyBetterOnTrainedWeights) {
    const Values x = demoTensor("model.layers.2.mlp.down_proj.weight"); // 256 × 768
    const Values w = generated(768, 3, [](Random& r, std::size_t) { return std::exp(r.normal()); });
    Totals plain, weighted;
    for (std::size_t row = 0; row < 256; row += 2) {
        compare(GetParam(), std::span(x).subspan(row * 768, 768), {}, "demo", &plain);
        compare(GetParam(), std::span(x).subspan(row * 768, 768), w, "demo", &weighted);
    }
    const auto [least, leastWeighted] = leastGain(GetParam());
    std::cout << storageTypeInfo(GetParam()).name << ": error below the reference by " << 100 * plain.gain() << " %, with importance by "
              << 100 * weighted.gain() << " %\n";
    EXPECT_GE(100 * plain.gain(), least);
    EXPECT_GE(100 * weighted.gain(), leastWeighted);
}

TEST_P(Best, theSameBytesOnEveryInstructionSet) {
    const Values x = generated(kCols, 23, [](Random& r, std::size_t i) { return 0.02 * r.normal() * (i % 50 == 0 ? 20 : 1); });
    const Values w = generated(kCols, 24, [](Random& r, std::size_t) { return std::exp(r.normal()); });
    for (const std::span<const float> importance : {std::span<const float>(), std::span<const float>(w)}) {
        std::vector<std::byte> first;
        test::forEachInstructionSet([&](const std::string& set) {
            std::vector<std::byte> bytes(storageBytes(GetParam(), 1, kCols));
            encodeRow(GetParam(), x, importance, bytes.data());
            if (first.empty()) first = bytes;
            EXPECT_EQ(bytes, first) << set;
        });
    }
}

TEST_P(Best, edgeValuesStayFinite) {
    for (const float v : {0.0f, 1e-40f, 1e-9f, 65504.0f, -3.0f}) {
        const Values constant(256, v), zero(256, 0.0f);
        std::vector<std::byte> bytes(storageBytes(GetParam(), 1, 256)), unweighted(bytes);
        encodeRow(GetParam(), constant, {}, unweighted.data());
        Values y(256);
        decodeRow(GetParam(), unweighted.data(), y);
        // A constant block is a scale times one code; f16 scales end at 6e-8.
        for (const float found : y) EXPECT_NEAR(found, v, 0.07 * std::abs(v) + 1e-6);
        encodeRow(GetParam(), constant, zero, bytes.data());
        EXPECT_EQ(bytes, unweighted) << "no importance at all counts as equal";
    }
}

TEST_P(Best, valuesPastTheScaleAreClampedNotLost) {
    for (const float v : {1e10f, -1e25f, 3e38f}) {
        std::vector<std::byte> bytes(storageBytes(GetParam(), 1, 256));
        encodeRow(GetParam(), Values(256, v), {}, bytes.data());
        Values y(256);
        decodeRow(GetParam(), bytes.data(), y);
        for (const float found : y) {
            ASSERT_TRUE(std::isfinite(found));
            EXPECT_GT(std::abs(found), 6e4f) << "lost " << v; // the largest f16 scale times a code
            EXPECT_EQ(std::signbit(found), std::signbit(v));
        }
    }
}

INSTANTIATE_TEST_SUITE_P(Types, Best,
                         testing::Values(StorageType::q2_k, StorageType::q3_k, StorageType::q4_k, StorageType::q5_k, StorageType::q6_k,
                                         StorageType::iq4_nl, StorageType::iq4_xs, StorageType::q4_0, StorageType::q4_1, StorageType::q5_0,
                                         StorageType::q5_1, StorageType::q8_0),
                         [](const auto& which) { return std::string(storageTypeInfo(which.param).name); });

TEST(BestBlocks, unevenLevelsComeCloseToADenseScan) {
    double found = 0, dense = 0;
    for (std::uint64_t seed = 0; seed < 20; ++seed) {
        const Values x = gaussian(32, seed, 1.0);
        found += errors(StorageType::iq4_nl, x, {}, BlockSearch::best)[0];
        double best = 1e30;
        for (int k = -4000; k <= 4000; ++k) {
            const double d = k * 1e-5; // a gaussian's largest of 32 is below 4: |d| < 0.04
            double sum = 0;
            for (const float v : x) {
                double least = 1e30;
                for (const float l : levels::kValues) least = std::min(least, std::pow(static_cast<double>(v) - d * static_cast<double>(l), 2));
                sum += least;
            }
            best = std::min(best, sum);
        }
        dense += best;
    }
    EXPECT_LT(found, 1.02 * dense); // 30 trials against 8,001
    EXPECT_GE(found, 0.999 * dense);
}

} // namespace
} // namespace bw
