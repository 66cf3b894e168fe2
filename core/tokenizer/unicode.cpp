// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/tokenizer/unicode.h"

#include <algorithm>
#include <array>
#include <iterator>
#include <vector>

namespace bw {
namespace {

struct Range {
    char32_t first, last;
    std::uint8_t bits;
};

constexpr Range kRanges[] = {
#include "core/tokenizer/unicode_table.inc"
};

constexpr char32_t kBasicPlane = 0x10000;

/// One byte for each code point of the basic plane (64 KiB): prose never leaves it.
const std::vector<std::uint8_t>& basicPlane() {
    static const std::vector<std::uint8_t> table = [] {
        std::vector<std::uint8_t> bits(kBasicPlane, 0);
        for (const Range& range : kRanges)
            for (char32_t c = range.first; c <= range.last && c < kBasicPlane; ++c) bits[c] = range.bits;
        return bits;
    }();
    return table;
}

/// Length of the well-formed sequence at `at`, or 0; then `skip` is the length of the maximal ill-formed piece.
std::size_t wellFormed(std::string_view text, std::size_t at, std::size_t& skip) {
    const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[at + i]); };
    const unsigned lead = byte(0);
    skip = 1;
    if (lead < 0x80) return 1;
    const std::size_t length = lead >= 0xC2 && lead < 0xE0   ? 2
                               : lead >= 0xE0 && lead < 0xF0 ? 3
                               : lead >= 0xF0 && lead < 0xF5 ? 4
                                                             : 0;
    for (std::size_t i = 1; i < length; ++i) {
        if (at + i >= text.size()) return 0;
        unsigned low = 0x80, high = 0xBF;
        if (i == 1) { // the second byte keeps out overlong forms, surrogates and values past U+10FFFF
            if (lead == 0xE0) low = 0xA0;
            if (lead == 0xED) high = 0x9F;
            if (lead == 0xF0) low = 0x90;
            if (lead == 0xF4) high = 0x8F;
        }
        if (byte(i) < low || byte(i) > high) return 0;
        skip = i + 1;
    }
    return length;
}

} // namespace

std::uint8_t unicodeClass(char32_t codePoint) {
    if (codePoint < kBasicPlane) return basicPlane()[codePoint];
    const auto after = std::upper_bound(std::begin(kRanges), std::end(kRanges), codePoint,
                                        [](char32_t c, const Range& range) { return c < range.first; });
    if (after == std::begin(kRanges)) return 0;
    const Range& range = *std::prev(after);
    return codePoint <= range.last ? range.bits : std::uint8_t{0};
}

void appendUtf8(std::string& out, char32_t c) {
    const auto put = [&](char32_t byte) { out.push_back(static_cast<char>(static_cast<unsigned char>(byte))); };
    if (c < 0x80) {
        put(c);
    } else if (c < 0x800) {
        put(0xC0 | (c >> 6));
        put(0x80 | (c & 0x3F));
    } else if (c < 0x10000) {
        put(0xE0 | (c >> 12));
        put(0x80 | ((c >> 6) & 0x3F));
        put(0x80 | (c & 0x3F));
    } else {
        put(0xF0 | (c >> 18));
        put(0x80 | ((c >> 12) & 0x3F));
        put(0x80 | ((c >> 6) & 0x3F));
        put(0x80 | (c & 0x3F));
    }
}

std::string_view replaceInvalidUtf8(std::string_view text, std::string& storage) {
    storage.clear();
    std::size_t copied = 0, at = 0;
    while (at < text.size()) {
        std::size_t skip = 1;
        const std::size_t length = wellFormed(text, at, skip);
        if (length > 0) {
            at += length;
            continue;
        }
        storage.append(text, copied, at - copied);
        storage.append("\xEF\xBF\xBD");
        at += skip;
        copied = at;
    }
    if (copied == 0) return text;
    storage.append(text, copied, text.size() - copied);
    return storage;
}

} // namespace bw
