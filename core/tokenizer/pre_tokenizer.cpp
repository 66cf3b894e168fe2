// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/tokenizer/pre_tokenizer.h"

#include "core/tokenizer/scanners.h"
#include "core/tokenizer/unicode.h"

namespace bw {
namespace {

using Stage = PreTokenizer::Stage;
using Scanner = PreTokenizer::Scanner;
using Behavior = PreTokenizer::Behavior;

bool isPunctuation(char32_t c) {
    const bool ascii =
        (c >= 0x21 && c <= 0x2F) || (c >= 0x3A && c <= 0x40) || (c >= 0x5B && c <= 0x60) || (c >= 0x7B && c <= 0x7E);
    return ascii || (unicodeClass(c) & kPunctuation) != 0;
}

/// First run (or single character) of what `wanted` accepts, at or after `from`.
template <class Wanted>
bool findCharacters(std::string_view text, std::size_t from, bool runs, Wanted wanted, std::size_t& begin,
                    std::size_t& end) {
    for (std::size_t at = from; at < text.size();) {
        const CodePoint c = codePointAt(text, at);
        if (!wanted(c.value)) {
            at += c.length;
            continue;
        }
        begin = at;
        end = at + c.length;
        while (runs && end < text.size()) {
            const CodePoint next = codePointAt(text, end);
            if (!wanted(next.value)) break;
            end += next.length;
        }
        return true;
    }
    return false;
}

/// Finds a stage's matches one after the other.
class Finder {
public:
    Finder(const Stage& stage, std::string_view text) : stage_(stage), text_(text) {
        if (stage.scanner == Scanner::regex) matcher_.emplace(*stage.regex, text);
    }
    bool find(std::size_t from, std::size_t& begin, std::size_t& end) {
        const auto hasClass = [](std::uint8_t bits) {
            return [bits](char32_t c) { return (unicodeClass(c) & bits) != 0; };
        };
        begin = from;
        switch (stage_.scanner) {
        case Scanner::gpt2:
            end = scanGpt2(text_, from);
            return true;
        case Scanner::llama3:
            end = scanCl100k(text_, from, 3);
            return true;
        case Scanner::qwen2:
            end = scanCl100k(text_, from, 1);
            return true;
        case Scanner::deepseek3:
            end = scanDeepseek3(text_, from);
            return true;
        case Scanner::digit:
            return findCharacters(text_, from, false, hasClass(kNumber), begin, end);
        case Scanner::digits:
            return findCharacters(text_, from, true, hasClass(kNumber), begin, end);
        case Scanner::whiteSpace:
            return findCharacters(text_, from, false, hasClass(kWhiteSpace), begin, end);
        case Scanner::punctuation:
            return findCharacters(text_, from, false, isPunctuation, begin, end);
        case Scanner::trailingSpace:
            return findTrailingSpace(text_, from, begin, end);
        case Scanner::characters:
            return stage_.pattern->find(text_, from, begin, end);
        case Scanner::regex:
            return matcher_->find(from, begin, end);
        case Scanner::prefixSpace:
        case Scanner::metaspace:
            break;
        }
        return false;
    }

private:
    const Stage& stage_;
    std::string_view text_;
    std::optional<SplitRegex::Matcher> matcher_;
};

/// Gives matches and gaps on as the stage's behaviour joins them. Holds one piece back that the next may still join.
template <class Give>
class Joiner {
public:
    Joiner(const Stage& stage, Give give) : behavior_(stage.behavior), invert_(stage.invert), give_(give) {}
    void add(std::size_t begin, std::size_t end, bool match) {
        if (begin == end) return;
        if (invert_) match = !match;
        bool join = false, drop = false;
        switch (behavior_) {
        case Behavior::isolated:
            break;
        case Behavior::removed:
            drop = match;
            break;
        case Behavior::contiguous:
            join = held_ && heldMatch_ == match;
            break;
        case Behavior::mergedWithPrevious:
            join = held_ && match && !heldMatch_;
            break;
        case Behavior::mergedWithNext:
            join = held_ && !match && heldMatch_;
            break;
        }
        if (!join) {
            flush();
            begin_ = begin;
        }
        held_ = !drop;
        heldMatch_ = match;
        end_ = end;
    }
    void flush() {
        if (held_) give_(begin_, end_);
        held_ = false;
    }

private:
    Behavior behavior_;
    bool invert_;
    Give give_;
    bool held_ = false, heldMatch_ = false;
    std::size_t begin_ = 0, end_ = 0;
};

} // namespace

PreTokenizer::Stage PreTokenizer::stageForPattern(const std::string& pattern) {
    // Some files hold line ends themselves where others spell them.
    std::string spelled;
    for (const char c : pattern) {
        if (c == '\r' || c == '\n')
            spelled += c == '\r' ? "\\r" : "\\n";
        else
            spelled += c;
    }
    struct Known {
        std::string_view pattern;
        Scanner scanner;
    };
    for (const Known& known : {Known{kGpt2Pattern, Scanner::gpt2}, Known{kLlama3Pattern, Scanner::llama3},
                               Known{kQwen2Pattern, Scanner::qwen2}, Known{kDeepseek3Pattern, Scanner::deepseek3},
                               Known{R"(\p{N})", Scanner::digit}, Known{R"(\p{N}+)", Scanner::digits},
                               Known{kTrailingSpacePattern, Scanner::trailingSpace}})
        if (spelled == known.pattern) return {.scanner = known.scanner};
    if (auto simple = ClassPattern::parse(pattern))
        return {.scanner = Scanner::characters, .pattern = std::make_shared<const ClassPattern>(std::move(*simple))};
    return {.scanner = Scanner::regex, .regex = std::make_shared<const SplitRegex>(pattern)};
}

void PreTokenizer::splitFrom(std::size_t index, std::string_view text, bool beginsText, const Sink& sink) const {
    if (text.empty()) return;
    if (index == stages_.size()) {
        sink(text);
        return;
    }
    const Stage& stage = stages_[index];
    if (stage.scanner == Scanner::prefixSpace) {
        if (text.front() == ' ') return splitFrom(index + 1, text, beginsText, sink);
        return splitFrom(index + 1, " " + std::string(text), beginsText, sink);
    }
    if (stage.scanner == Scanner::metaspace) {
        std::string changed;
        changed.reserve(text.size() + text.size() / 2);
        const bool begins = text.front() == ' ' || text.starts_with(stage.replacement);
        if (!begins && (stage.prefix == Prefix::always || (stage.prefix == Prefix::first && beginsText)))
            changed = stage.replacement;
        for (const char c : text) {
            if (c == ' ')
                changed += stage.replacement;
            else
                changed += c;
        }
        return splitFrom(index + 1, changed, beginsText, sink);
    }
    Joiner joiner(stage, [&](std::size_t begin, std::size_t end) {
        splitFrom(index + 1, text.substr(begin, end - begin), beginsText && begin == 0, sink);
    });
    Finder finder(stage, text);
    std::size_t at = 0, begin = 0, end = 0;
    while (at < text.size() && finder.find(at, begin, end)) {
        joiner.add(at, begin, false);
        joiner.add(begin, end, true);
        at = end;
    }
    joiner.add(at, text.size(), false);
    joiner.flush();
}

} // namespace bw
