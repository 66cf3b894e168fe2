// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/tokenizer/class_pattern.h"

#include "core/base/text.h"
#include "core/tokenizer/unicode.h"

#include <algorithm>
#include <limits>

namespace bw {

bool CharacterClass::containsWide(char32_t c) const {
    if ((unicodeClass(c) & unicodeBits_) != 0) return true;
    const auto after = std::upper_bound(ranges_.begin(), ranges_.end(), c,
                                        [](char32_t value, const auto& range) { return value < range.first; });
    return after != ranges_.begin() && c <= std::prev(after)->second;
}

/// Reads one class; every construct it does not know ends in `failed`, and PCRE2 takes the pattern.
class ClassParser {
public:
    explicit ClassParser(std::string_view pattern) : pattern_(pattern) {}

    bool done() const { return at_ == pattern_.size(); }
    bool take(std::string_view text) {
        if (!pattern_.substr(at_).starts_with(text)) return false;
        at_ += text.size();
        return true;
    }
    /// {1,3} → 3; 0 when there is no such quantifier.
    std::size_t takeUpTo() {
        const std::size_t begin = at_;
        if (!take("{1,")) return 0;
        std::size_t most = 0;
        while (at_ < pattern_.size() && pattern_[at_] >= '0' && pattern_[at_] <= '9' && most < 10'000)
            most = most * 10 + static_cast<std::size_t>(pattern_[at_++] - '0');
        if (most > 0 && take("}")) return most;
        at_ = begin;
        return 0;
    }

    bool parse(CharacterClass& out) {
        if (done()) return false;
        if (pattern_[at_] == '[') {
            ++at_;
            if (!parseSet(out)) return false;
        } else if (constexpr std::string_view kOperators = "()|.*+?{}^$]";
                   kOperators.find(pattern_[at_]) != std::string_view::npos) {
            return false;
        } else if (!parseItem(out)) {
            return false;
        }
        std::sort(out.ranges_.begin(), out.ranges_.end());
        // Overlaps would hide a range behind a later, shorter one.
        std::vector<std::pair<char32_t, char32_t>> merged;
        for (const auto& range : out.ranges_) {
            if (!merged.empty() && range.first <= merged.back().second)
                merged.back().second = std::max(merged.back().second, range.second);
            else
                merged.push_back(range);
        }
        out.ranges_ = std::move(merged);
        for (char32_t c = 0; c < out.ascii_.size(); ++c) out.ascii_[c] = out.containsWide(c) != out.negated_;
        return true;
    }

private:
    bool parseSet(CharacterClass& out) {
        out.negated_ = take("^");
        bool any = false;
        while (!done() && pattern_[at_] != ']') {
            // A nested set or an intersection means other things to other engines.
            if (pattern_[at_] == '[' || pattern_.substr(at_).starts_with("&&")) return false;
            if (!parseItem(out)) return false;
            any = true;
        }
        return any && take("]");
    }

    /// \p{L}, \s, or a character, or a range of them.
    bool parseItem(CharacterClass& out) {
        struct Named {
            std::string_view text;
            std::uint8_t bits;
        };
        for (const Named& named : {Named{"\\p{L}", kLetter}, Named{"\\p{N}", kNumber}, Named{"\\p{P}", kPunctuation},
                                   Named{"\\p{M}", kMark}, Named{"\\p{S}", kSymbol}, Named{"\\s", kWhiteSpace}}) {
            if (!take(named.text)) continue;
            out.unicodeBits_ |= named.bits;
            return true;
        }
        char32_t first = 0, last = 0;
        if (!parseCharacter(first)) return false;
        last = first;
        const bool range = at_ + 1 < pattern_.size() && pattern_[at_] == '-' && pattern_[at_ + 1] != ']';
        if (range) {
            ++at_;
            if (!parseCharacter(last) || last < first) return false;
        }
        out.ranges_.emplace_back(first, last);
        return true;
    }

    bool parseCharacter(char32_t& out) {
        if (done()) return false;
        if (pattern_[at_] != '\\') {
            const CodePoint c = codePointAt(pattern_, at_);
            at_ += c.length;
            out = c.value;
            return true;
        }
        if (at_ + 1 >= pattern_.size()) return false;
        const char escaped = pattern_[at_ + 1];
        constexpr std::string_view kPlain = "\\]-[/^$.|?*+(){}!\"#%&',:;<=>@_`~ ";
        if (escaped == 'r' || escaped == 'n' || escaped == 't')
            out = escaped == 'r' ? U'\r' : escaped == 'n' ? U'\n' : U'\t';
        else if (kPlain.find(escaped) != std::string_view::npos)
            out = static_cast<char32_t>(escaped);
        else
            return false;
        at_ += 2;
        return true;
    }

    std::string_view pattern_;
    std::size_t at_ = 0;
};

std::optional<ClassPattern> ClassPattern::parse(std::string_view pattern) {
    if (!isValidUtf8(pattern)) return std::nullopt;
    ClassPattern out;
    ClassParser parser(pattern);
    if (parser.take("\\s?"))
        out.lead_ = Lead::whiteSpace;
    else if (parser.take(" ?"))
        out.lead_ = Lead::space;
    if (!parser.parse(out.class_)) return std::nullopt;
    if (parser.take("+"))
        out.most_ = std::numeric_limits<std::size_t>::max();
    else if (const std::size_t most = parser.takeUpTo())
        out.most_ = most;
    if (!parser.done()) return std::nullopt;
    return out;
}

/// End of the match that begins at `at`, or `at` when there is none.
std::size_t ClassPattern::matchAt(std::string_view text, std::size_t at) const {
    const CodePoint first = codePointAt(text, at);
    std::size_t end = at;
    const bool leads = lead_ == Lead::space        ? first.value == ' '
                       : lead_ == Lead::whiteSpace ? (unicodeClass(first.value) & kWhiteSpace) != 0
                                                   : false;
    const bool followed =
        leads && at + first.length < text.size() && class_.contains(codePointAt(text, at + first.length).value);
    if (followed)
        end += first.length;
    else if (!class_.contains(first.value))
        return at;
    for (std::size_t count = 0; count < most_ && end < text.size(); ++count) {
        const CodePoint c = codePointAt(text, end);
        if (!class_.contains(c.value)) break;
        end += c.length;
    }
    return end;
}

bool ClassPattern::find(std::string_view text, std::size_t from, std::size_t& begin, std::size_t& end) const {
    for (std::size_t at = from; at < text.size(); at += codePointAt(text, at).length) {
        end = matchAt(text, at);
        if (end == at) continue;
        begin = at;
        return true;
    }
    return false;
}

} // namespace bw
