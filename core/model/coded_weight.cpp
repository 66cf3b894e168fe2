// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/model/coded_weight.h"

#include "core/base/parallel.h"

#include <algorithm>
#include <bit>

namespace bw {

std::vector<std::uint32_t> codedWords(const CodedRows& codes) {
    const unsigned bits = codedStorage(codes.bits) == WeightStorage::int4 ? 4 : 8;
    const std::int64_t perWord = 32 / bits, groups = codes.cols / codes.group;
    const std::int64_t rowWords = 1 + 2 * groups + (codes.cols + perWord - 1) / perWord;
    std::vector<std::uint32_t> words(static_cast<std::size_t>(codes.rows * rowWords));
    parallelFor(codes.rows, std::max<std::int64_t>(1, 65536 / codes.cols), [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t r = begin; r < end; ++r) {
            std::uint32_t* row = words.data() + r * rowWords;
            *row++ = static_cast<std::uint32_t>(codes.group);
            for (std::int64_t g = r * groups; g < (r + 1) * groups; ++g) {
                *row++ = std::bit_cast<std::uint32_t>(codes.scales[static_cast<std::size_t>(g)]);
                *row++ = std::bit_cast<std::uint32_t>(codes.zeros[static_cast<std::size_t>(g)]);
            }
            const std::uint8_t* code = codes.codes.data() + r * codes.cols;
            for (std::int64_t c = 0; c < codes.cols; ++c) row[c / perWord] |= static_cast<std::uint32_t>(code[c]) << (c % perWord * bits);
        }
    });
    return words;
}

Matrix decoded(const CodedRows& codes) {
    Matrix weight(codes.rows, codes.cols);
    const std::int64_t groups = codes.cols / codes.group;
    parallelFor(codes.rows, std::max<std::int64_t>(1, 65536 / codes.cols), [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t r = begin; r < end; ++r)
            for (std::int64_t c = 0; c < codes.cols; ++c) {
                const auto at = static_cast<std::size_t>(r * groups + c / codes.group);
                weight.row(r)[c] = codes.scales[at] * (static_cast<float>(codes.codes[static_cast<std::size_t>(r * codes.cols + c)]) - codes.zeros[at]);
            }
    });
    return weight;
}

} // namespace bw
