// SPDX-License-Identifier: GPL-3.0-or-later
// GPT-2's alphabet: each of the 256 bytes as one printable code point, so that vocabularies are readable text.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace bw {

/// UTF-8 of the symbol that stands for `byte`: itself for printable Latin-1, U+0100… in order for the other 68.
const std::string& byteSymbol(unsigned char byte);

/// Bytes that a vocabulary entry stands for; empty when a code point is no byte's symbol or the text is no UTF-8.
std::optional<std::string> bytesOfSymbols(std::string_view symbols);

/// The text of `bytes` in symbols.
std::string symbolsOfBytes(std::string_view bytes);

} // namespace bw
