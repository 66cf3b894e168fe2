// SPDX-License-Identifier: GPL-3.0-or-later
// Classes of code points as pre-tokenizers need them, and decoding of valid UTF-8. Not for: normalization, case
// (normal_forms.h).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace bw {

/// Bits of `unicodeClass`; a code point without any is "other".
enum UnicodeClass : std::uint8_t {
    kLetter = 1,      ///< \p{L}
    kNumber = 2,      ///< \p{N}
    kWhiteSpace = 4,  ///< property White_Space, what \s means to the reference
    kPunctuation = 8, ///< \p{P}
    kMark = 16,       ///< \p{M}
    kSymbol = 32,     ///< \p{S}
    kWord = 64,       ///< \w: letters, marks, decimal and letter numbers, connectors, joiners
};

std::uint8_t unicodeClass(char32_t codePoint);

struct CodePoint {
    char32_t value;
    std::uint32_t length; ///< bytes in UTF-8, 1…4
};

/// The code point at `at`. @param text valid UTF-8; at < size.
inline CodePoint codePointAt(std::string_view text, std::size_t at) {
    const auto byte = [&](std::size_t i) { return static_cast<char32_t>(static_cast<unsigned char>(text[at + i])); };
    const char32_t lead = byte(0);
    if (lead < 0x80) return {lead, 1};
    if (lead < 0xE0) return {((lead & 0x1F) << 6) | (byte(1) & 0x3F), 2};
    if (lead < 0xF0) return {((lead & 0x0F) << 12) | ((byte(1) & 0x3F) << 6) | (byte(2) & 0x3F), 3};
    return {((lead & 0x07) << 18) | ((byte(1) & 0x3F) << 12) | ((byte(2) & 0x3F) << 6) | (byte(3) & 0x3F), 4};
}

/// Appends `codePoint` as UTF-8.
void appendUtf8(std::string& out, char32_t codePoint);

/// Text with every maximal ill-formed piece replaced by one U+FFFD (Unicode ch. 3 "substitution of maximal subparts",
/// the same as Python's errors="replace"); lone surrogates and overlong forms are ill-formed. Valid text is returned
/// unchanged, and `storage` stays empty then.
std::string_view replaceInvalidUtf8(std::string_view text, std::string& storage);

} // namespace bw
