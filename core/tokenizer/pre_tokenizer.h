// SPDX-License-Identifier: GPL-3.0-or-later
// Cuts text into the pieces inside which merges happen: a chain of stages, each cutting the pieces of the one before.
// Not for: special tokens (added_tokens.h), merging (bpe.h).
#pragma once

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
        gpt2,        ///< scanGpt2
        llama3,      ///< scanCl100k with up to 3 digits a piece
        qwen2,       ///< scanCl100k with single digits
        digit,       ///< each \p{N} alone, all else together
        digits,      ///< runs of \p{N} and runs of all else
        regex,       ///< matches and the gaps between them
        prefixSpace, ///< puts a space in front of a piece that begins otherwise; cuts nothing
    };
    struct Stage {
        Scanner scanner;
        std::shared_ptr<const SplitRegex> regex; ///< for Scanner::regex only
        bool keepMatches = true, keepGaps = true;
    };
    using Sink = std::function<void(std::string_view)>;

    PreTokenizer() = default;
    PreTokenizer(std::string name, std::vector<Stage> stages) : name_(std::move(name)), stages_(std::move(stages)) {}

    /// Calls `sink` with every non-empty piece in order. Pieces are views into `text`, or into a string that lives only
    /// during the call when a stage put a space in front. @param text valid UTF-8. Stack: constant, a frame a stage.
    /// @throws Error invalidTokenizer when a pattern hits its limits.
    void split(std::string_view text, const Sink& sink) const { splitFrom(0, text, sink); }

    /// For people and logs: "gpt2".
    const std::string& name() const { return name_; }

    /// The chain llama.cpp uses for `tokenizer.ggml.pre` = name. @throws Error unsupportedTokenizer naming it.
    static PreTokenizer fromGgufName(const std::string& name);
    /// The stage for a Split pattern: a scanner when it is a known pattern, PCRE2 otherwise.
    static Stage stageForPattern(const std::string& pattern);

private:
    void splitFrom(std::size_t stage, std::string_view text, const Sink& sink) const;
    std::string name_;
    std::vector<Stage> stages_;
};

} // namespace bw
