// SPDX-License-Identifier: GPL-3.0-or-later
// Tokens written out in the text ("<|im_start|>"): found before anything else is cut. The longest one wins at each
// place.
#pragma once

#include "core/base/types.h"

#include <array>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace bw {

struct AddedToken {
    std::string content;
    TokenId id = -1;
    bool special = false;    ///< control token: left out by decode(…, keepSpecial = false)
    bool singleWord = false; ///< only where no word character touches it
    bool stripLeft = false;  ///< takes the white space before it
    bool stripRight = false; ///< takes the white space after it
    bool normalized = false; ///< looked for in normalized text, in what the others leave over
};

class AddedTokens {
public:
    /// A part of a text: an added token (id ≥ 0) or plain text (id −1).
    struct Part {
        TokenId id;
        std::string_view text;
    };

    AddedTokens() = default;
    /// @throws Error invalidTokenizer: a token that is empty, longer than 1024 bytes, or listed twice.
    /// @param normalize applied to the content of `normalized` tokens, which are looked for in text it was applied to.
    explicit AddedTokens(std::vector<AddedToken> tokens,
                         const std::function<std::string(std::string_view)>& normalize = {});

    /// Parts in order, cut at the tokens that are not `normalized`. @param text valid UTF-8. Cost: linear unless tokens
    /// share long prefixes.
    std::vector<Part> split(std::string_view text) const { return splitWith(exact_, text); }
    /// Cuts a normalized part at the `normalized` tokens.
    std::vector<Part> splitNormalized(std::string_view text) const { return splitWith(normalized_, text); }
    /// The longest token that `text` begins with, whatever surrounds it; empty when none does.
    std::string_view longestPrefix(std::string_view text) const;
    const std::vector<AddedToken>& tokens() const { return tokens_; }
    /// What is looked for: a token's content, normalized if it is looked for in normalized text.
    const std::string& sought(std::size_t token) const { return contents_[token]; }

private:
    /// Some of the tokens, sorted by content; those that begin with byte b are order[first[b]] … order[first[b+1]−1].
    struct Index {
        std::vector<std::size_t> order;
        std::array<std::size_t, 257> first{};
    };
    Index makeIndex(bool normalized);
    static constexpr std::size_t kNone = ~std::size_t{0};
    std::size_t longestAt(const Index& index, std::string_view text, std::size_t at) const;
    std::vector<Part> splitWith(const Index& index, std::string_view text) const;
    std::vector<AddedToken> tokens_;
    std::vector<std::string> contents_; ///< of tokens_, normalized where they are looked for in normalized text
    Index exact_, normalized_;
};

} // namespace bw
