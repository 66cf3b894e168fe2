// SPDX-License-Identifier: GPL-3.0-or-later
// Split patterns of the simplest shape, "one class of characters, once or repeated, maybe with one white space before"
// (`\p{N}{1,3}`, `\s?\p{L}+`, `[一-龥]+`, `[\r\n]`), found without a regex engine. Everything else is SplitRegex's.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

namespace bw {

/// A set of code points: `[A-Za-zµ\p{N}]`, `\p{L}`, a single character.
class CharacterClass {
public:
    bool contains(char32_t c) const { return c < ascii_.size() ? ascii_[c] : (containsWide(c)) != negated_; }

private:
    friend class ClassParser;
    bool containsWide(char32_t c) const;
    bool negated_ = false;
    std::uint8_t unicodeBits_ = 0;                      ///< of UnicodeClass
    std::vector<std::pair<char32_t, char32_t>> ranges_; ///< sorted by first
    std::array<bool, 128> ascii_{};                     ///< the answer, negation included
};

class ClassPattern {
public:
    /// Empty when the pattern has another shape.
    static std::optional<ClassPattern> parse(std::string_view pattern);

    /// Leftmost match that begins at or after `from`. @param text valid UTF-8. Linear.
    bool find(std::string_view text, std::size_t from, std::size_t& begin, std::size_t& end) const;

private:
    enum class Lead { none, space, whiteSpace };
    std::size_t matchAt(std::string_view text, std::size_t at) const;
    CharacterClass class_;
    Lead lead_ = Lead::none;
    std::size_t most_ = 1; ///< characters in a match
};

} // namespace bw
