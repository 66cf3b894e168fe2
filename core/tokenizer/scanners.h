// SPDX-License-Identifier: GPL-3.0-or-later
// Linear, hand-written equivalents of the split patterns nearly all byte-level BPE models use. Each function returns
// the end of the piece that begins at `at`; pieces tile the text. Proven against PCRE2 on random text in the unit
// tests.
#pragma once

#include <cstddef>
#include <string_view>

namespace bw {

/// GPT-2: 's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
/// @param text valid UTF-8; at < size. Cost: linear in the piece plus one run of white space.
std::size_t scanGpt2(std::string_view text, std::size_t at);
inline constexpr std::string_view kGpt2Pattern =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

/// cl100k family (Llama 3, Qwen 2): (?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,maxDigits}|
///  ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+
/// Case is folded for ASCII letters and for U+017F, which folds to s.
std::size_t scanCl100k(std::string_view text, std::size_t at, int maxDigits);
inline constexpr std::string_view kLlama3Pattern =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
inline constexpr std::string_view kQwen2Pattern =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

} // namespace bw
