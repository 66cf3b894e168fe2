// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/tokenizer/normal_forms.h"

#include "core/tokenizer/unicode.h"

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <span>
#include <unordered_map>
#include <vector>

namespace bw {
namespace {

struct Composition {
    char32_t first, second, result;
};
struct MarkRange {
    char32_t first, last;
    std::uint8_t value;
};
struct CaseRun {
    char32_t first, last, step;
    std::int32_t distance;
};

#include "core/tokenizer/normalization_table.inc"

// Hangul syllables are computed (Unicode, ch. 3.12): 19 leading, 21 vowel and 27 + 1 trailing parts.
constexpr char32_t kSyllables = 0xAC00, kLeading = 0x1100, kVowels = 0x1161, kTrailing = 0x11A7;
constexpr char32_t kLeadingCount = 19, kVowelCount = 21, kTrailingCount = 28;
constexpr char32_t kSyllableCount = kLeadingCount * kVowelCount * kTrailingCount;

/// Code point → what follows its header in one of the flat tables.
using Mapping = std::unordered_map<char32_t, std::span<const char32_t>>;

Mapping mappingOf(std::span<const char32_t> table) {
    Mapping mapping;
    for (std::size_t at = 0; at < table.size();) {
        const std::size_t length = table[at] & 0xFF;
        mapping.emplace(table[at] >> 8, table.subspan(at + 1, length));
        at += 1 + length;
    }
    return mapping;
}

std::uint8_t valueIn(std::span<const MarkRange> ranges, char32_t c) {
    const auto after = std::upper_bound(ranges.begin(), ranges.end(), c,
                                        [](char32_t value, const MarkRange& range) { return value < range.first; });
    if (after == ranges.begin()) return 0;
    const MarkRange& range = *std::prev(after);
    return c <= range.last ? range.value : std::uint8_t{0};
}

/// Combining class; 0 for starters.
std::uint8_t classOf(char32_t c) {
    return c < 0x300 ? std::uint8_t{0} : valueIn(kCombining, c);
}

std::span<const char32_t> decomposition(char32_t c, bool compatible) {
    static const Mapping canonical = mappingOf(kCanonical), compatibility = mappingOf(kCompatible);
    if (compatible)
        if (const auto found = compatibility.find(c); found != compatibility.end()) return found->second;
    const auto found = canonical.find(c);
    return found == canonical.end() ? std::span<const char32_t>() : found->second;
}

/// The code point both make, 0 if none.
char32_t composed(char32_t first, char32_t second) {
    if (first >= kLeading && first < kLeading + kLeadingCount && second >= kVowels && second < kVowels + kVowelCount)
        return kSyllables + ((first - kLeading) * kVowelCount + (second - kVowels)) * kTrailingCount;
    if (first >= kSyllables && first < kSyllables + kSyllableCount && (first - kSyllables) % kTrailingCount == 0 &&
        second > kTrailing && second < kTrailing + kTrailingCount)
        return first + (second - kTrailing);
    static const auto pairs = [] {
        std::unordered_map<std::uint64_t, char32_t> map;
        for (const Composition& c : kCompositions) map.emplace((std::uint64_t{c.first} << 32) | c.second, c.result);
        return map;
    }();
    const auto found = pairs.find((std::uint64_t{first} << 32) | second);
    return found == pairs.end() ? char32_t{0} : found->second;
}

struct Character {
    char32_t value;
    std::uint8_t combining;
};

void appendDecomposed(std::vector<Character>& out, char32_t c, bool compatible) {
    if (c >= kSyllables && c < kSyllables + kSyllableCount) {
        const char32_t index = c - kSyllables;
        out.push_back({kLeading + index / (kVowelCount * kTrailingCount), 0});
        out.push_back({kVowels + index / kTrailingCount % kVowelCount, 0});
        if (index % kTrailingCount != 0) out.push_back({kTrailing + index % kTrailingCount, 0});
        return;
    }
    const std::span<const char32_t> parts = c < 0x80 ? std::span<const char32_t>() : decomposition(c, compatible);
    if (parts.empty()) out.push_back({c, classOf(c)});
    for (const char32_t part : parts) out.push_back({part, classOf(part)});
}

/// Canonical ordering: each run of marks sorted by class, equals in their order.
void orderMarks(std::vector<Character>& text) {
    for (std::size_t at = 0; at < text.size();) {
        std::size_t end = at;
        while (end < text.size() && text[end].combining != 0) ++end;
        const auto begin = text.begin() + static_cast<std::ptrdiff_t>(at);
        if (end > at + 1)
            std::stable_sort(begin, text.begin() + static_cast<std::ptrdiff_t>(end),
                             [](const Character& a, const Character& b) { return a.combining < b.combining; });
        at = end + 1;
    }
}

/// Composes in place: a mark joins the last starter unless another mark of its class or higher stands between.
void compose(std::vector<Character>& text) {
    constexpr std::size_t kNone = ~std::size_t{0};
    std::size_t starter = kNone, kept = 0;
    int last = -1; ///< class of the character kept last after the starter, −1 right behind it
    for (const Character& c : text) {
        if (starter != kNone && last < int{c.combining}) {
            if (const char32_t joined = composed(text[starter].value, c.value)) {
                text[starter].value = joined;
                continue;
            }
        }
        if (c.combining == 0) {
            starter = kept;
            last = -1;
        } else {
            last = c.combining;
        }
        text[kept++] = c;
    }
    text.resize(kept);
}

/// First byte of the part that may have to change. Below U+0300 nothing changes under NFC; ASCII never does.
std::size_t unchangedPrefix(std::string_view text, NormalForm form) {
    const unsigned char limit = form == NormalForm::nfc ? 0xCC : 0x80; // 0xCC leads U+0300
    const auto first = std::find_if(text.begin(), text.end(), [&](char c) {
        const auto byte = static_cast<unsigned char>(c);
        return byte >= limit;
    });
    auto at = static_cast<std::size_t>(first - text.begin());
    if (at == text.size()) return at;
    // The character before may take part in a composition.
    while (at > 0 && (static_cast<unsigned char>(text[at - 1]) & 0xC0) == 0x80) --at;
    return at == 0 ? 0 : at - 1;
}

} // namespace

std::string normalForm(std::string_view text, NormalForm form) {
    const std::size_t unchanged = unchangedPrefix(text, form);
    std::string out(text.substr(0, unchanged));
    if (unchanged == text.size()) return out;
    const bool compatible = form == NormalForm::nfkc || form == NormalForm::nfkd;
    std::vector<Character> characters;
    characters.reserve(text.size() - unchanged);
    for (std::size_t at = unchanged; at < text.size();) {
        const CodePoint c = codePointAt(text, at);
        appendDecomposed(characters, c.value, compatible);
        at += c.length;
    }
    orderMarks(characters);
    if (form == NormalForm::nfc || form == NormalForm::nfkc) compose(characters);
    for (const Character& c : characters) appendUtf8(out, c.value);
    return out;
}

std::string lowerCase(std::string_view text) {
    std::string out;
    out.reserve(text.size());
    for (std::size_t at = 0; at < text.size();) {
        const CodePoint c = codePointAt(text, at);
        at += c.length;
        if (c.value == 0x130) { // the only one that becomes two code points
            out += "i\u0307";
            continue;
        }
        char32_t value = c.value;
        const auto after = std::upper_bound(std::begin(kLower), std::end(kLower), value,
                                            [](char32_t v, const CaseRun& run) { return v < run.first; });
        if (after != std::begin(kLower)) {
            const CaseRun& run = *std::prev(after);
            if (value <= run.last && (value - run.first) % run.step == 0)
                value = static_cast<char32_t>(static_cast<std::int32_t>(value) + run.distance);
        }
        appendUtf8(out, value);
    }
    return out;
}

std::string withoutAccents(std::string_view text) {
    std::string out;
    out.reserve(text.size());
    for (std::size_t at = 0; at < text.size();) {
        const CodePoint c = codePointAt(text, at);
        if (c.value < 0x300 || valueIn(kAccents, c.value) == 0) out.append(text, at, c.length);
        at += c.length;
    }
    return out;
}

} // namespace bw
