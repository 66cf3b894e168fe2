// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/tokenizer/scanners.h"

#include "core/tokenizer/unicode.h"

#include <array>
#include <cstdint>

namespace bw {
namespace {

/// White space, letter, number or none of them; the three never overlap.
constexpr std::uint8_t kSplitBits = kLetter | kNumber | kWhiteSpace;

struct Seen {
    std::uint8_t kind; ///< of kSplitBits
    std::uint32_t length;
};

std::uint8_t asciiKind(unsigned char c) {
    static const std::array<std::uint8_t, 128> table = [] {
        std::array<std::uint8_t, 128> kinds{};
        for (char32_t i = 0; i < 128; ++i) kinds[i] = unicodeClass(i) & kSplitBits;
        return kinds;
    }();
    return table[c];
}

Seen seenAt(std::string_view text, std::size_t at) {
    const auto lead = static_cast<unsigned char>(text[at]);
    if (lead < 0x80) return {asciiKind(lead), 1};
    const CodePoint c = codePointAt(text, at);
    return {static_cast<std::uint8_t>(unicodeClass(c.value) & kSplitBits), c.length};
}

/// End of the run of `kind` that begins at `at`, which may be empty.
std::size_t runEnd(std::string_view text, std::size_t at, std::uint8_t kind) {
    while (at < text.size()) {
        const Seen seen = seenAt(text, at);
        if (seen.kind != kind) break;
        at += seen.length;
    }
    return at;
}

/// \s+(?!\S)|\s+ : all white space when the text ends after it, else all but its last character, but at least one.
std::size_t whiteSpaceEnd(std::string_view text, std::size_t at) {
    std::size_t end = at, last = at;
    while (end < text.size()) {
        const Seen seen = seenAt(text, end);
        if (seen.kind != kWhiteSpace) break;
        last = end;
        end += seen.length;
    }
    return end == text.size() || last == at ? end : last;
}

/// Length of 's 't 're 've 'm 'll 'd at `at` (a quote stands there), 0 if none.
std::size_t contractionLength(std::string_view text, std::size_t at, bool foldCase) {
    const auto letter = [&](std::size_t i) {
        if (at + i >= text.size()) return '\0';
        const char c = text[at + i];
        return foldCase && c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    };
    const char first = letter(1), second = letter(2);
    if (first == 's' || first == 't' || first == 'm' || first == 'd') return 2;
    if ((first == 'r' || first == 'v') && second == 'e') return 3;
    if (first == 'l' && second == 'l') return 3;
    if (foldCase && text.substr(at + 1, 2) == "\xC5\xBF") return 3; // U+017F folds to s
    return 0;
}

bool isNewline(char c) {
    return c == '\r' || c == '\n';
}

std::size_t newlinesEnd(std::string_view text, std::size_t at) {
    while (at < text.size() && isNewline(text[at])) ++at;
    return at;
}

} // namespace

std::size_t scanGpt2(std::string_view text, std::size_t at) {
    if (text[at] == '\'')
        if (const std::size_t length = contractionLength(text, at, false)) return at + length;
    const Seen first = seenAt(text, at);
    if (first.kind != kWhiteSpace) return runEnd(text, at + first.length, first.kind);
    if (text[at] == ' ' && at + 1 < text.size()) {
        const Seen next = seenAt(text, at + 1);
        if (next.kind != kWhiteSpace) return runEnd(text, at + 1 + next.length, next.kind);
    }
    return whiteSpaceEnd(text, at);
}

std::size_t scanCl100k(std::string_view text, std::size_t at, int maxDigits) {
    if (text[at] == '\'')
        if (const std::size_t length = contractionLength(text, at, true)) return at + length;
    const Seen first = seenAt(text, at);
    if (first.kind == kLetter) return runEnd(text, at + first.length, kLetter);
    if (first.kind == kNumber) {
        std::size_t end = at + first.length;
        for (int digits = 1; digits < maxDigits && end < text.size(); ++digits) {
            const Seen next = seenAt(text, end);
            if (next.kind != kNumber) break;
            end += next.length;
        }
        return end;
    }
    // One leading character that is neither newline, letter nor number may go with the letters after it.
    const std::size_t second = at + first.length;
    if (!isNewline(text[at]) && second < text.size() && seenAt(text, second).kind == kLetter)
        return runEnd(text, second, kLetter);
    if (first.kind == 0) return newlinesEnd(text, runEnd(text, second, 0));
    if (text[at] == ' ' && second < text.size() && seenAt(text, second).kind == 0)
        return newlinesEnd(text, runEnd(text, second, 0));
    // White space that holds a newline is taken up to its last newline.
    const std::size_t spaceEnd = runEnd(text, at, kWhiteSpace);
    for (std::size_t end = spaceEnd; end > at; --end)
        if (isNewline(text[end - 1])) return end;
    return whiteSpaceEnd(text, at);
}

bool findTrailingSpace(std::string_view text, std::size_t from, std::size_t& begin, std::size_t& end) {
    for (std::size_t at = from; at < text.size();) {
        const Seen seen = seenAt(text, at);
        if (seen.kind != kWhiteSpace) {
            at += seen.length;
            continue;
        }
        // The match must not be empty, so a newline that could end it stands behind the run's first character.
        const std::size_t runLast = runEnd(text, at, kWhiteSpace);
        std::size_t last = runLast;
        if (runLast < text.size()) {
            do --last;
            while (last > at && text[last] != '\n');
        }
        if (last > at) {
            begin = at;
            end = last;
            return true;
        }
        at = runLast;
    }
    return false;
}

namespace {

std::uint8_t classAt(std::string_view text, std::size_t at, std::uint32_t& length) {
    const CodePoint c = codePointAt(text, at);
    length = c.length;
    return unicodeClass(c.value);
}

std::size_t classRunEnd(std::string_view text, std::size_t at, std::uint8_t bits) {
    std::uint32_t length = 0;
    while (at < text.size() && (classAt(text, at, length) & bits) != 0) at += length;
    return at;
}

bool isAsciiLetter(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/// End of the match of DeepSeek V3's pattern at `at`, or `at`.
std::size_t matchDeepseek3(std::string_view text, std::size_t at) {
    std::uint32_t length = 0, nextLength = 0;
    const std::uint8_t first = classAt(text, at, length);
    const std::size_t second = at + length;
    const std::uint8_t next = second < text.size() ? classAt(text, second, nextLength) : std::uint8_t{0};
    constexpr std::uint8_t kPunctuated = kPunctuation | kSymbol, kWordParts = kLetter | kMark;
    if ((first & kPunctuated) != 0 && length == 1 && second < text.size() && isAsciiLetter(text[second])) {
        std::size_t end = second;
        while (end < text.size() && isAsciiLetter(text[end])) ++end;
        return end;
    }
    if ((first & kLetter) != 0) return classRunEnd(text, at, kWordParts);
    if (!isNewline(text[at]) && (first & kPunctuated) == 0 && (next & kWordParts) != 0)
        return classRunEnd(text, second, kWordParts);
    if ((first & kMark) != 0) return second;
    if ((first & kPunctuated) != 0) return newlinesEnd(text, classRunEnd(text, at, kPunctuated));
    if (text[at] == ' ' && (next & kPunctuated) != 0) return newlinesEnd(text, classRunEnd(text, second, kPunctuated));
    if ((first & kWhiteSpace) == 0) return at;
    const std::size_t spaceEnd = runEnd(text, at, kWhiteSpace);
    for (std::size_t end = spaceEnd; end > at; --end)
        if (isNewline(text[end - 1])) return end;
    return whiteSpaceEnd(text, at);
}

} // namespace

std::size_t scanDeepseek3(std::string_view text, std::size_t at) {
    std::size_t end = matchDeepseek3(text, at);
    if (end > at) return end;
    do end += codePointAt(text, end).length;
    while (end < text.size() && matchDeepseek3(text, end) == end);
    return end;
}

} // namespace bw
