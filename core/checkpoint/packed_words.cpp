// SPDX-License-Identifier: GPL-3.0-or-later
// Writing side of quantized_gptq.cpp. Layouts:
//   GPTQ  qweight i32 [I·B/32, O], column o a bit stream along I; qzeros i32 [groups, O·B/32], row g a bit stream along O;
//         scales f16 [groups, O]; g_idx i32 [I], the group of each input: here always i / G (activation order was static).
//   AWQ   qweight i32 [I, O/8], nibble p of word c is output 8c + kOrder[p]; qzeros [groups, O/8] alike; scales as above.
#include "core/checkpoint/packed_words.h"

#include "core/base/parallel.h"
#include "core/checkpoint/packed_bits.h"

#include <algorithm>
#include <array>
#include <cstring>

namespace bw {
namespace {

constexpr std::int64_t kWordBits = 32;
constexpr std::array<int, 8> kOrder{0, 2, 4, 6, 1, 3, 5, 7}; ///< output within a group of eight that nibble p holds
constexpr std::int64_t kPiece = 1 << 16;                     ///< codes per task

std::int64_t groupsOf(const AffineGrid& grid, std::int64_t cols) { return grid.scope == AffineScope::group ? cols / grid.group : 1; }

/// O×groups to groups×O.
std::vector<std::byte> turnedScales(const AffineCodes& codes, std::int64_t groups) {
    std::vector<std::byte> out(codes.scales.size() * sizeof(std::uint16_t));
    for (std::int64_t g = 0; g < groups; ++g)
        for (std::int64_t o = 0; o < codes.rows; ++o)
            std::memcpy(out.data() + 2 * (g * codes.rows + o), &codes.scales[static_cast<std::size_t>(o * groups + g)], 2);
    return out;
}

unsigned zeroOf(const AffineCodes& codes, const AffineGrid& grid, std::int64_t o, std::int64_t g, std::int64_t groups) {
    return grid.symmetric ? 1u << (grid.bits - 1) : codes.zeros[static_cast<std::size_t>(o * groups + g)];
}

} // namespace

std::vector<OutputTensor> gptqTensors(const std::string& module, const AffineGrid& grid, std::int64_t rows, std::int64_t cols) {
    const std::int64_t groups = groupsOf(grid, cols);
    return {{module + ".qweight", StorageType::i32, {cols * grid.bits / kWordBits, rows}},
            {module + ".qzeros", StorageType::i32, {groups, rows * grid.bits / kWordBits}},
            {module + ".scales", StorageType::f16, {groups, rows}},
            {module + ".g_idx", StorageType::i32, {cols}}};
}

std::vector<std::vector<std::byte>> gptqBytes(const AffineFormat& format, std::span<const std::byte> encoded, std::int64_t rows, std::int64_t cols, bool minusOne) {
    const AffineCodes codes = format.unpack(encoded, rows, cols);
    const AffineGrid& grid = format.grid();
    const std::int64_t bits = grid.bits, groups = groupsOf(grid, cols);
    std::vector<std::byte> weight(static_cast<std::size_t>(cols * bits / kWordBits * rows * 4));
    // 32 inputs of an output fill `bits` whole words, whatever the width.
    parallelFor(cols / kWordBits, std::max<std::int64_t>(1, kPiece / (kWordBits * rows)), [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t block = begin; block < end; ++block)
            for (std::int64_t o = 0; o < rows; ++o) {
                std::array<std::byte, 32> words{};
                const std::uint8_t* row = codes.codes.data() + o * cols + block * kWordBits;
                for (std::int64_t k = 0; k < kWordBits; ++k) setBitsAt(words.data(), k, grid.bits, row[k]);
                for (std::int64_t w = 0; w < bits; ++w) std::memcpy(weight.data() + ((block * bits + w) * rows + o) * 4, words.data() + 4 * w, 4);
            }
    });
    std::vector<std::byte> zeros(static_cast<std::size_t>(groups * rows * bits / 8));
    const unsigned mask = (1u << grid.bits) - 1u;
    for (std::int64_t g = 0; g < groups; ++g)
        for (std::int64_t o = 0; o < rows; ++o)
            setBitsAt(zeros.data() + g * rows * bits / 8, o, grid.bits, (zeroOf(codes, grid, o, g, groups) - (minusOne ? 1u : 0u)) & mask);
    std::vector<std::int32_t> order(static_cast<std::size_t>(cols));
    for (std::int64_t i = 0; i < cols; ++i) order[static_cast<std::size_t>(i)] = static_cast<std::int32_t>(i / (cols / groups));
    const auto orderBytes = std::as_bytes(std::span(order));
    return {std::move(weight), std::move(zeros), turnedScales(codes, groups), {orderBytes.begin(), orderBytes.end()}};
}

std::vector<OutputTensor> awqTensors(const std::string& module, const AffineGrid& grid, std::int64_t rows, std::int64_t cols) {
    const std::int64_t groups = groupsOf(grid, cols);
    return {{module + ".qweight", StorageType::i32, {cols, rows / 8}}, {module + ".qzeros", StorageType::i32, {groups, rows / 8}}, {module + ".scales", StorageType::f16, {groups, rows}}};
}

std::vector<std::vector<std::byte>> awqBytes(const AffineFormat& format, std::span<const std::byte> encoded, std::int64_t rows, std::int64_t cols) {
    const AffineCodes codes = format.unpack(encoded, rows, cols);
    const AffineGrid& grid = format.grid();
    const std::int64_t groups = groupsOf(grid, cols);
    const auto pack = [&](std::int64_t lines, const auto& codeOf) {
        std::vector<std::byte> out(static_cast<std::size_t>(lines * rows / 2));
        parallelFor(lines, std::max<std::int64_t>(1, kPiece / rows), [&](std::int64_t begin, std::int64_t end) {
            for (std::int64_t line = begin; line < end; ++line)
                for (std::int64_t c = 0; c < rows / 8; ++c) {
                    std::uint32_t word = 0;
                    for (std::size_t p = 0; p < 8; ++p) word |= static_cast<std::uint32_t>(codeOf(line, 8 * c + kOrder[p])) << (4 * p);
                    std::memcpy(out.data() + (line * (rows / 8) + c) * 4, &word, 4);
                }
        });
        return out;
    };
    auto weight = pack(cols, [&](std::int64_t i, std::int64_t o) { return static_cast<unsigned>(codes.codes[static_cast<std::size_t>(o * cols + i)]); });
    auto zeros = pack(groups, [&](std::int64_t g, std::int64_t o) { return zeroOf(codes, grid, o, g, groups); });
    return {std::move(weight), std::move(zeros), turnedScales(codes, groups)};
}

} // namespace bw
