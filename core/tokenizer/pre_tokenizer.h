// SPDX-License-Identifier: GPL-3.0-or-later
// Cuts text into the pieces inside which a model works: a chain of stages, each cutting the pieces of the one before.
// Not for: special tokens (added_tokens.h), the models (piece_model.h).
#pragma once

#include "core/tokenizer/class_pattern.h"
#include "core/tokenizer/split_regex.h"

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace bw {

class PreTokenizer {
public:
    enum class Scanner {
        // Each of these tiles the text; every tile is a match.
        gpt2,      ///< scanGpt2
        llama3,    ///< scanCl100k with up to 3 digits a piece
        qwen2,     ///< scanCl100k with single digits
        deepseek3, ///< scanDeepseek3
        // Each of these finds matches and leaves gaps between them.
        digit,         ///< each \p{N} alone
        digits,        ///< runs of \p{N}
        whiteSpace,    ///< each White_Space character
        punctuation,   ///< each \p{P} or ASCII punctuation
        trailingSpace, ///< findTrailingSpace
        characters,    ///< a ClassPattern
        regex,         ///< PCRE2
        // These change the text and cut nothing.
        prefixSpace, ///< puts a space in front of a piece that begins otherwise
        metaspace,   ///< ' ' becomes U+2581, one is put in front as `prefix` says
    };
    /// Where the matches go. Names as in tokenizer.json.
    enum class Behavior { isolated, removed, mergedWithPrevious, mergedWithNext, contiguous };
    /// Whether metaspace puts U+2581 in front of: every piece, the one that begins the text, none. Never twice.
    enum class Prefix { always, first, never };
    struct Stage {
        Scanner scanner;
        std::shared_ptr<const SplitRegex> regex = nullptr;     ///< for Scanner::regex only
        std::shared_ptr<const ClassPattern> pattern = nullptr; ///< for Scanner::characters only
        Behavior behavior = Behavior::isolated;
        bool invert = false; ///< gaps count as matches and matches as gaps
        Prefix prefix = Prefix::never;
        std::string replacement = "\u2581";
    };
    using Sink = std::function<void(std::string_view)>;

    PreTokenizer() = default;
    PreTokenizer(std::string name, std::vector<Stage> stages) : name_(std::move(name)), stages_(std::move(stages)) {}

    /// Calls `sink` with every non-empty piece in order. Pieces are views into `text`, or into a string that lives only
    /// during the call when a stage changed it. @param text valid UTF-8. @param beginsText false when something stands
    /// before it. Stack: constant, a frame a stage. @throws Error invalidTokenizer when a pattern hits its limits.
    void split(std::string_view text, const Sink& sink, bool beginsText = true) const {
        splitFrom(0, text, beginsText, sink);
    }

    /// For people and logs: "gpt2"; empty when text is not cut.
    const std::string& name() const { return name_; }

    /// The stage for a Split pattern: a scanner when it is a known pattern, PCRE2 otherwise.
    static Stage stageForPattern(const std::string& pattern);

private:
    void splitFrom(std::size_t stage, std::string_view text, bool beginsText, const Sink& sink) const;
    std::string name_;
    std::vector<Stage> stages_;
};

} // namespace bw
