// SPDX-License-Identifier: GPL-3.0-or-later
// ggml's own rounding: the blocks of 32 with importance and IQ4_NL here, the others by dispatch to their files.
#include "core/format/block_encoders.h"
#include "core/format/half.h"
#include "core/format/kernels.h"
#include "core/format/plain.h"
#include "core/format/reference_search.h"
#include "core/format/reference_super_blocks.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <vector>

namespace bw {

namespace {

using Byte = std::uint8_t;
constexpr std::size_t kBlock = kernels::kBlock, kSide = 8; ///< blocks that are searched side by side
constexpr std::size_t kPiece = kBlock * kSide;

void putHalf(float v, Byte* out) {
    const std::uint16_t bits = half::scaleBits(v);
    std::memcpy(out, &bits, 2);
}

/// One block from its 32 codes (0 … 15 or 0 … 31), its scale and, for the "_1" types, its least value.
void putBlock(StorageType type, const Byte* codes, float scale, float low, Byte* out) {
    putHalf(scale, out);
    out += 2;
    if (type == StorageType::q4_1 || type == StorageType::q5_1) {
        putHalf(low, out);
        out += 2;
    }
    if (type == StorageType::q5_0 || type == StorageType::q5_1) {
        std::uint32_t fifth = 0;
        for (std::size_t j = 0; j < kBlock; ++j) fifth |= static_cast<std::uint32_t>(codes[j] >> 4) << j;
        std::memcpy(out, &fifth, 4);
        out += 4;
    }
    for (std::size_t j = 0; j < kBlock / 2; ++j) out[j] = static_cast<Byte>((codes[j] & 15) | (codes[j + kBlock / 2] & 15) << 4);
}

/// Mean square that smooths the importance: of the row for q4_0 … q5_1, twice that of the block for IQ4_NL.
float meanSquare(const float* x, std::size_t n, float factor) {
    float sum = 0;
    for (std::size_t i = 0; i < n; ++i) sum += x[i] * x[i];
    return sum * factor;
}

/// Up to eight blocks: weights side by side, zeros where there are fewer.
struct Piece {
    std::array<float, kPiece> x{}, w{};
    std::size_t blocks = 0;

    Piece(const float* values, const float* weights, std::size_t count) : blocks(count) {
        for (std::size_t b = 0; b < count; ++b)
            for (std::size_t i = 0; i < kBlock; ++i) {
                x[i * kSide + b] = values[b * kBlock + i];
                w[i * kSide + b] = weights[b * kBlock + i];
            }
    }
    reference::Groups groups() const { return {x.data(), w.data(), kBlock, kSide}; }
};

void encodePiece(StorageType type, const Piece& piece, Byte* out) {
    std::array<float, kSide> scale{}, minimum{};
    std::array<Byte, kPiece> searched{};
    const bool five = type == StorageType::q5_0 || type == StorageType::q5_1;
    if (type == StorageType::q4_0 || type == StorageType::q5_0)
        reference::searchScales(piece.groups(), five ? 16 : 8, scale.data(), searched.data());
    else
        reference::searchLines(piece.groups(), {five ? 31 : 15, -0.9f, 0.05f, 36}, scale.data(), minimum.data(), searched.data());
    for (std::size_t b = 0; b < piece.blocks; ++b) {
        std::array<Byte, kBlock> codes{};
        for (std::size_t i = 0; i < kBlock; ++i) codes[i] = searched[i * kSide + b];
        putBlock(type, codes.data(), scale[b], -minimum[b], out + b * static_cast<std::size_t>(storageTypeInfo(type).blockBytes));
    }
}

void encodeLevelPiece(const Piece& piece, const float* x, Byte* out) {
    std::array<float, kSide> scale{};
    reference::searchLevels(piece.groups(), scale.data());
    for (std::size_t b = 0; b < piece.blocks; ++b) {
        std::array<Byte, kBlock> codes{};
        const float stored = scale[b];
        reference::nearestLevels(x + b * kBlock, kBlock, stored != 0 ? 1.0f / stored : 0.0f, codes.data());
        putBlock(StorageType::iq4_nl, codes.data(), stored, 0, out + 18 * b);
    }
}

/// Importance that says nothing of a block (all of it zero) would store a scale of zero in ggml, which loses the block.
bool isSilent(const float* importance, std::size_t n) {
    return std::all_of(importance, importance + n, [](float w) { return w == 0; });
}

void encodePieces(StorageType type, const float* x, const float* importance, std::byte* out, std::size_t n) {
    const bool uneven = type == StorageType::iq4_nl;
    const float rowSquare = uneven ? 0.0f : meanSquare(x, n, 1.0f) / static_cast<float>(n);
    std::array<float, kPiece> w{};
    const auto blockBytes = static_cast<std::size_t>(storageTypeInfo(type).blockBytes);
    for (std::size_t at = 0; at < n; at += kPiece, out += kSide * blockBytes) {
        const std::size_t blocks = std::min(kPiece, n - at) / kBlock;
        std::array<bool, kSide> silent{};
        for (std::size_t b = 0; b < blocks; ++b) {
            const float* block = x + at + b * kBlock;
            const float* said = importance ? importance + at + b * kBlock : nullptr;
            silent[b] = said != nullptr && isSilent(said, kBlock);
            if (said && !silent[b])
                reference::importanceWeights(block, said, uneven ? meanSquare(block, kBlock, 2.0f / kBlock) : rowSquare, kBlock, w.data() + b * kBlock);
            else
                for (std::size_t i = 0; i < kBlock; ++i) w[b * kBlock + i] = block[i] * block[i];
        }
        const Piece piece(x + at, w.data(), blocks);
        auto* bytes = reinterpret_cast<Byte*>(out);
        uneven ? encodeLevelPiece(piece, x + at, bytes) : encodePiece(type, piece, bytes);
        for (std::size_t b = 0; !uneven && b < blocks; ++b)
            if (silent[b]) kernels::encodeBlocks(type, x + at + b * kBlock, out + b * blockBytes, kBlock);
    }
}

bool isPieceType(StorageType type, bool weighted) {
    return type == StorageType::iq4_nl || (weighted && type >= StorageType::q4_0 && type <= StorageType::q5_1);
}
bool isSuperType(StorageType type) {
    return (type >= StorageType::q2_k && type <= StorageType::q6_k) || type == StorageType::iq4_xs;
}

void encodeBounded(StorageType type, const float* x, const float* importance, std::byte* out, std::size_t n) {
    if (isPieceType(type, importance != nullptr)) return encodePieces(type, x, importance, out, n);
    const StorageTypeInfo& info = storageTypeInfo(type);
    const auto block = static_cast<std::size_t>(info.blockElements);
    for (std::size_t at = 0; at < n; at += block, out += info.blockBytes) {
        const bool said = importance != nullptr && !isSilent(importance + at, block);
        reference::encodeSuperBlock(type, x + at, said ? importance + at : nullptr, out);
    }
}

/// Past this no block holds a weight (65504 · 127 · 32 < 1e9), and sums of ggml's searches would overflow.
constexpr float kLargestWeight = 1e9f;
/// Importance is used as it is in 2^±40, else scaled by a power of two, which changes no rounding.
constexpr int kImportanceExponent = 40;

} // namespace

void encodeReferenceBlocks(StorageType type, const float* x, const float* importance, std::byte* out, std::size_t n) {
    if (encodeSimpleBlocks(type, x, out, n)) return;
    if (!isSuperType(type) && !isPieceType(type, importance != nullptr)) return kernels::encodeBlocks(type, x, out, n);
    if (n == 0) return;
    float low = 0, high = 0;
    kernels::minMax(x, n, low, high);
    std::vector<float> bounded, scaled;
    if (std::max(-low, high) > kLargestWeight) {
        bounded.resize(n);
        std::transform(x, x + n, bounded.begin(), [](float v) { return std::clamp(v, -kLargestWeight, kLargestWeight); });
        x = bounded.data();
    }
    if (importance) {
        kernels::minMax(importance, n, low, high);
        if (const int exponent = high > 0 ? std::ilogb(high) : 0; std::abs(exponent) > kImportanceExponent) {
            scaled.resize(n);
            std::transform(importance, importance + n, scaled.begin(), [&](float v) { return std::ldexp(v, -exponent); });
            importance = scaled.data();
        }
    }
    encodeBounded(type, x, importance, out, n);
}

} // namespace bw
