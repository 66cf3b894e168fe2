// SPDX-License-Identifier: GPL-3.0-or-later
// What a tokenizer file does to text before it is cut: a chain of small steps. Not for: the Unicode tables
// (normal_forms.h), marking spaces as a pre-tokenizer does (PreTokenizer::Scanner::metaspace).
#pragma once

#include "core/tokenizer/added_tokens.h"
#include "core/tokenizer/charsmap.h"
#include "core/tokenizer/split_regex.h"

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace bw {

/// SentencePiece's own normalizer, as one step.
struct SentencePieceRules {
    std::shared_ptr<const Charsmap> charsmap;       ///< may be null
    std::shared_ptr<const AddedTokens> userDefined; ///< never changed by the map; may be null
    bool addPrefix = true;                          ///< a space in front of the text (behind it with spaceBehind)
    bool removeExtraSpaces = true;                  ///< at both ends, and all but one between words
    bool escapeSpaces = true;                       ///< ' ' becomes U+2581
    bool spaceBehind = false;
    bool prefixWordsOnly = false; ///< llama.cpp: no prefix in front of nothing but spaces; U+2581 of the text stays
};

class Normalizer {
public:
    enum class Kind {
        nfc,
        nfd,
        nfkc,
        nfkd,
        lowerCase,
        stripAccents,
        nmt,
        strip,
        prepend,
        replace,
        charsmap,
        sentencePiece
    };
    struct Step {
        Kind kind;
        std::string pattern = {}, content = {}; ///< replace: literal pattern and replacement; prepend: content
        std::shared_ptr<const SplitRegex> regex = nullptr; ///< replace: instead of `pattern`
        bool left = false, right = false;                  ///< strip
        std::shared_ptr<const Charsmap> charsmap = nullptr;
        SentencePieceRules rules = {};
    };

    Normalizer() = default;
    explicit Normalizer(std::vector<Step> steps) : steps_(std::move(steps)) {}
    bool empty() const { return steps_.empty(); }

    /// @param text valid UTF-8; so is the result. @throws Error invalidTokenizer: a pattern hits its limits, or the
    /// text grows to more than 16 times its length and 4 KiB.
    std::string apply(std::string_view text) const;

private:
    std::vector<Step> steps_;
};

} // namespace bw
