// SPDX-License-Identifier: GPL-3.0-or-later
// The better encoder of GGML blocks: ggml's own rounding first, then a search per block, and of the two the one whose
// decoded values are nearer. Without importance that means the plain Σ(x−x̂)², where ggml weighs with |x| or x² itself.
#include "core/format/best_blocks.h"
#include "core/format/block_encoders.h"
#include "core/format/plain.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

namespace bw {

namespace {

constexpr std::size_t kMostWeights = 256, kMostBytes = 210, kSide = 8; ///< IQ4_NL blocks are searched eight at a time

double errorOf(StorageType type, const std::byte* bytes, const float* x, const float* importance, std::size_t n) {
    std::array<float, kMostWeights> decoded{};
    decodeRow(type, bytes, std::span(decoded).first(n));
    double sum = 0;
    for (std::size_t i = 0; i < n; ++i) {
        const double e = static_cast<double>(x[i]) - static_cast<double>(decoded[i]);
        sum += (importance != nullptr ? static_cast<double>(importance[i]) : 1.0) * (e * e);
    }
    return sum;
}

/// Puts `tried` in place of `kept` where it is better by more than the rounding of sums in any order could make up.
void keepBetter(StorageType type, const float* x, const float* importance, const std::byte* tried, std::byte* kept) {
    const StorageTypeInfo& info = storageTypeInfo(type);
    const auto n = static_cast<std::size_t>(info.blockElements);
    const double theirs = errorOf(type, kept, x, importance, n), ours = errorOf(type, tried, x, importance, n);
    if (std::isfinite(ours) && !(ours >= theirs * (1 - 1e-6))) std::memcpy(kept, tried, static_cast<std::size_t>(info.blockBytes));
}

/// Values and weights of one block moved near 1 by powers of two and the largest weight; false when there is nothing to
/// search for: values too small for any f16 scale, or no weight.
bool prepare(const float* x, const float* importance, std::size_t n, float* values, float* weights, int& exponent) {
    float peak = 0, most = 0;
    for (std::size_t i = 0; i < n; ++i) peak = std::max(peak, std::fabs(x[i]));
    for (std::size_t i = 0; i < n; ++i) most = std::max(most, importance != nullptr ? importance[i] : 1.0f);
    if (!(peak > 1e-30f) || !(most > 0.0f)) return false;
    exponent = std::ilogb(peak);
    const float factor = std::ldexp(1.0f, -exponent);
    for (std::size_t i = 0; i < n; ++i) values[i] = x[i] * factor;
    for (std::size_t i = 0; i < n; ++i) weights[i] = importance != nullptr ? importance[i] / most : 1.0f;
    return true;
}

void improveSuperBlock(StorageType type, const float* x, const float* importance, std::byte* out) {
    std::array<float, kMostWeights> values{}, weights{};
    SearchBlock block{values.data(), weights.data(), 0, out};
    if (!prepare(x, importance, kMostWeights, values.data(), weights.data(), block.exponent)) return;
    std::array<std::byte, kMostBytes> tried{};
    if (type == StorageType::q3_k || type == StorageType::q6_k || type == StorageType::iq4_xs)
        searchScaleBlock(type, block, tried.data());
    else
        searchMinimumBlock(type, block, tried.data());
    keepBetter(type, x, importance, tried.data(), out);
}

/// Up to eight IQ4_NL blocks.
void improveLevelBlocks(const float* x, const float* importance, std::byte* out, std::size_t blocks) {
    std::array<float, kMostWeights> values{}, weights{};
    std::array<int, kSide> exponents{};
    std::array<bool, kSide> searched{};
    for (std::size_t b = 0; b < blocks; ++b)
        searched[b] = prepare(x + 32 * b, importance != nullptr ? importance + 32 * b : nullptr, 32, values.data() + 32 * b, weights.data() + 32 * b, exponents[b]);
    std::array<std::byte, kSide * 18> tried{};
    searchLevelBlocks(values.data(), weights.data(), exponents.data(), tried.data(), blocks);
    for (std::size_t b = 0; b < blocks; ++b)
        if (searched[b]) keepBetter(StorageType::iq4_nl, x + 32 * b, importance != nullptr ? importance + 32 * b : nullptr, tried.data() + 18 * b, out + 18 * b);
}

/// Nothing is known of a block whose weights are all zero: it is encoded as if they were all alike.
void encodeWithoutImportance(StorageType type, const float* x, const float* importance, std::byte* out, std::size_t n) {
    const StorageTypeInfo& info = storageTypeInfo(type);
    const auto block = static_cast<std::size_t>(info.blockElements), bytes = static_cast<std::size_t>(info.blockBytes);
    for (std::size_t i = 0; i < n; i += block)
        if (std::all_of(importance + i, importance + i + block, [](float w) { return w == 0.0f; }))
            encodeBestBlocks(type, x + i, nullptr, out + i / block * bytes, block);
}

} // namespace

void encodeBestBlocks(StorageType type, const float* x, const float* importance, std::byte* out, std::size_t n) {
    encodeReferenceBlocks(type, x, importance, out, n);
    const StorageTypeInfo& info = storageTypeInfo(type);
    const auto block = static_cast<std::size_t>(info.blockElements), bytes = static_cast<std::size_t>(info.blockBytes);
    const auto at = [&](std::size_t i) { return importance != nullptr ? importance + i : nullptr; };
    switch (type) {
    case StorageType::q2_k:
    case StorageType::q3_k:
    case StorageType::q4_k:
    case StorageType::q5_k:
    case StorageType::q6_k:
    case StorageType::iq4_xs:
        for (std::size_t i = 0; i < n; i += block) improveSuperBlock(type, x + i, at(i), out + i / block * bytes);
        break;
    case StorageType::iq4_nl:
        for (std::size_t i = 0; i < n; i += kSide * block)
            improveLevelBlocks(x + i, at(i), out + i / block * bytes, std::min(kSide, (n - i) / block));
        break;
    case StorageType::q4_0:
    case StorageType::q4_1:
    case StorageType::q5_0:
    case StorageType::q5_1:
    case StorageType::q8_0:
        if (importance == nullptr) break; // one rounding, the same bytes as every other program's
        for (std::size_t i = 0; i < n; i += block) {
            std::array<std::byte, 34> tried{};
            encodeWeightedBlocks(type, x + i, importance + i, tried.data(), block);
            keepBetter(type, x + i, importance + i, tried.data(), out + i / block * bytes);
        }
        break;
    default: return;
    }
    if (importance != nullptr) encodeWithoutImportance(type, x, importance, out, n);
}

} // namespace bw
