// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/tokenizer/normalizer.h"

#include "core/base/error.h"
#include "core/tokenizer/normal_forms.h"
#include "core/tokenizer/unicode.h"

#include <fmt/format.h>
#include <optional>

namespace bw {
namespace {

/// NFKC makes at most 11 bytes of one; replacements of a sane file stay below that too, and what is put in front of a
/// text is a few bytes long.
constexpr std::size_t kMostGrowth = 16, kAlwaysAllowed = 4096;
constexpr std::string_view kMark = "\u2581";

void checkSize(const std::string& text, std::size_t limit) {
    if (text.size() > limit)
        throw Error(
            ErrorCode::invalidTokenizer,
            fmt::format("the normalizer makes a text of more than {} bytes, {} times its input", limit, kMostGrowth),
            "the tokenizer file may be hostile; take it from the model's origin again");
}

bool isSpaceAt(std::string_view text, std::size_t at) {
    return (unicodeClass(codePointAt(text, at).value) & kWhiteSpace) != 0;
}

std::string_view stripped(std::string_view text, bool left, bool right) {
    while (left && !text.empty() && isSpaceAt(text, 0)) text.remove_prefix(codePointAt(text, 0).length);
    while (right && !text.empty()) {
        std::size_t last = text.size() - 1;
        while (last > 0 && (static_cast<unsigned char>(text[last]) & 0xC0) == 0x80) --last;
        if (!isSpaceAt(text, last)) break;
        text = text.substr(0, last);
    }
    return text;
}

std::string replaced(std::string_view text, const Normalizer::Step& step, std::size_t limit) {
    std::string out;
    std::size_t at = 0;
    if (step.regex) {
        SplitRegex::Matcher matcher(*step.regex, text);
        std::size_t begin = 0, end = 0;
        while (at < text.size() && matcher.find(at, begin, end)) {
            out.append(text.substr(at, begin - at)).append(step.content);
            checkSize(out, limit);
            at = end;
        }
    } else if (!step.pattern.empty()) {
        for (std::size_t found = text.find(step.pattern); found != std::string_view::npos;
             found = text.find(step.pattern, at)) {
            out.append(text.substr(at, found - at)).append(step.content);
            checkSize(out, limit);
            at = found + step.pattern.size();
        }
    }
    return out.append(text.substr(at));
}

/// SentencePiece's "nmt" rules: control characters go, odd white space and marks become a space.
std::string nmt(std::string_view text) {
    std::string out;
    for (std::size_t at = 0; at < text.size();) {
        const CodePoint c = codePointAt(text, at);
        const char32_t v = c.value;
        const bool spaced = v == 9 || v == 10 || v == 12 || v == 13 || v == 0x1680 || (v >= 0x200B && v <= 0x200F) ||
                            v == 0x2028 || v == 0x2029 || v == 0x2581 || v == 0xFEFF || v == 0xFFFD;
        const bool dropped = (v >= 1 && v <= 0x1F) || v == 0x7F || v == 0x8F || v == 0x9F;
        if (spaced)
            out += ' ';
        else if (!dropped)
            out.append(text, at, c.length);
        at += c.length;
    }
    return out;
}

/// The map over user-perceived characters as the `tokenizers` library applies it: a character of under 6 bytes is
/// replaced whole by what its shortest known prefix becomes, a longer or unknown one code point by code point.
std::string mapped(std::string_view text, const Charsmap& charsmap, std::size_t limit) {
    static const SplitRegex grapheme("\\X");
    constexpr std::size_t kLongestWhole = 6;
    std::optional<SplitRegex::Matcher> matcher;
    std::string out;
    const auto isAscii = [&](std::size_t i) { return static_cast<unsigned char>(text[i]) < 0x80; };
    for (std::size_t at = 0, end = 0; at < text.size(); at = end) {
        // Two ASCII characters side by side are two perceived ones, but for CR LF.
        end = at + 1;
        const bool alone = isAscii(at) && text[at] != '\r' && (end == text.size() || isAscii(end));
        if (!alone) {
            if (!matcher) matcher.emplace(grapheme, text);
            std::size_t begin = 0;
            if (!matcher->find(at, begin, end)) end = text.size();
        }
        const std::string_view whole = text.substr(at, end - at);
        if (whole.size() < kLongestWhole) {
            if (const auto match = charsmap.shortest(whole)) {
                out += match->replacement;
                checkSize(out, limit);
                continue;
            }
        }
        for (std::size_t i = 0; i < whole.size();) {
            const std::string_view part = whole.substr(i, codePointAt(whole, i).length);
            const auto match = charsmap.shortest(part);
            out += match ? match->replacement : part;
            i += part.size();
        }
        checkSize(out, limit);
    }
    return out;
}

std::string sentencePiece(std::string_view text, const SentencePieceRules& rules, std::size_t limit) {
    const std::string_view space = rules.escapeSpaces ? kMark : std::string_view(" ");
    std::string out;
    bool afterSpace = rules.removeExtraSpaces;
    std::size_t wordEnd = 0; ///< of what is no space of the input
    while (!text.empty()) {
        std::size_t consumed = codePointAt(text, 0).length;
        std::string_view chunk = text.substr(0, consumed);
        const std::size_t fixed = rules.userDefined ? rules.userDefined->longestPrefix(text).size() : 0;
        if (fixed > 0) {
            consumed = fixed;
            chunk = text.substr(0, fixed);
        } else if (rules.charsmap) {
            if (const auto match = rules.charsmap->longest(text)) {
                consumed = match->length;
                chunk = match->replacement;
                // A hostile map can match a part of a character.
                while (consumed < text.size() && (static_cast<unsigned char>(text[consumed]) & 0xC0) == 0x80)
                    ++consumed;
            }
        }
        while (afterSpace && chunk.starts_with(' ')) chunk.remove_prefix(1);
        for (const char c : chunk) {
            if (c == ' ')
                out += space;
            else
                out += c;
            if (c != ' ') wordEnd = out.size();
        }
        if (!chunk.empty()) afterSpace = chunk.ends_with(' ');
        if (!rules.removeExtraSpaces) afterSpace = false;
        text.remove_prefix(consumed);
        checkSize(out, limit);
    }
    if (rules.removeExtraSpaces && rules.prefixWordsOnly) out.resize(wordEnd);
    if (rules.removeExtraSpaces && !rules.prefixWordsOnly) // takes a U+2581 that was in the text along
        while (out.ends_with(space)) out.resize(out.size() - space.size());
    const bool something = !out.empty() && (wordEnd > 0 || !rules.prefixWordsOnly);
    if (rules.addPrefix && something) rules.spaceBehind ? out.append(space) : out.insert(0, space);
    return out;
}

std::string applyStep(std::string_view text, const Normalizer::Step& step, std::size_t limit) {
    using Kind = Normalizer::Kind;
    switch (step.kind) {
    case Kind::nfc:
        return normalForm(text, NormalForm::nfc);
    case Kind::nfd:
        return normalForm(text, NormalForm::nfd);
    case Kind::nfkc:
        return normalForm(text, NormalForm::nfkc);
    case Kind::nfkd:
        return normalForm(text, NormalForm::nfkd);
    case Kind::lowerCase:
        return lowerCase(text);
    case Kind::stripAccents:
        return withoutAccents(text);
    case Kind::nmt:
        return nmt(text);
    case Kind::strip:
        return std::string(stripped(text, step.left, step.right));
    case Kind::prepend:
        return text.empty() ? std::string() : step.content + std::string(text);
    case Kind::replace:
        return replaced(text, step, limit);
    case Kind::charsmap:
        return mapped(text, *step.charsmap, limit);
    case Kind::sentencePiece:
        return sentencePiece(text, step.rules, limit);
    }
    return std::string(text);
}

} // namespace

std::string Normalizer::apply(std::string_view text) const {
    const std::size_t limit = kAlwaysAllowed + kMostGrowth * text.size();
    std::string now(text);
    for (const Step& step : steps_) {
        now = applyStep(now, step, limit);
        checkSize(now, limit);
    }
    return now;
}

} // namespace bw
