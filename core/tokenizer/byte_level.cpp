// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/tokenizer/byte_level.h"

#include "core/base/text.h"
#include "core/tokenizer/unicode.h"

#include <array>
#include <cstdint>

namespace bw {
namespace {

/// First code point given to bytes that have no printable form of their own; 68 of them follow.
constexpr char32_t kFirstSubstitute = 0x100;
constexpr char32_t kSubstitutes = 68;

bool printsItself(unsigned byte) {
    return (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
}

struct Alphabet {
    std::array<std::string, 256> symbols;
    std::array<std::int16_t, kFirstSubstitute + kSubstitutes> bytes;

    Alphabet() {
        bytes.fill(-1);
        char32_t substitute = kFirstSubstitute;
        for (unsigned byte = 0; byte < 256; ++byte) {
            const char32_t codePoint = printsItself(byte) ? byte : substitute++;
            appendUtf8(symbols[byte], codePoint);
            bytes[codePoint] = static_cast<std::int16_t>(byte);
        }
    }
};

const Alphabet& alphabet() {
    static const Alphabet instance;
    return instance;
}

} // namespace

const std::string& byteSymbol(unsigned char byte) {
    return alphabet().symbols[byte];
}

std::optional<std::string> bytesOfSymbols(std::string_view symbols) {
    if (!isValidUtf8(symbols)) return std::nullopt;
    std::string bytes;
    for (std::size_t at = 0; at < symbols.size();) {
        const CodePoint c = codePointAt(symbols, at);
        if (c.value >= alphabet().bytes.size() || alphabet().bytes[c.value] < 0) return std::nullopt;
        bytes.push_back(static_cast<char>(alphabet().bytes[c.value]));
        at += c.length;
    }
    return bytes;
}

std::string symbolsOfBytes(std::string_view bytes) {
    std::string symbols;
    for (const char c : bytes) symbols += byteSymbol(static_cast<unsigned char>(c));
    return symbols;
}

} // namespace bw
