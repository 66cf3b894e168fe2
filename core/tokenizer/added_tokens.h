// SPDX-License-Identifier: GPL-3.0-or-later
// Tokens written out in the text ("<|im_start|>"): found before anything else is cut. The longest one wins at each
// place.
#pragma once

#include "core/base/types.h"

#include <array>
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
    bool normalized = false; ///< looked for only in what the others leave over
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
    explicit AddedTokens(std::vector<AddedToken> tokens);

    /// Parts in order, none empty. @param text valid UTF-8. Cost: linear unless tokens share long prefixes.
    std::vector<Part> split(std::string_view text) const;
    const std::vector<AddedToken>& tokens() const { return tokens_; }

private:
    /// Some of the tokens, sorted by content; those that begin with byte b are order[first[b]] … order[first[b+1]−1].
    struct Index {
        std::vector<std::size_t> order;
        std::array<std::size_t, 257> first{};
    };
    Index makeIndex(bool normalized) const;
    const AddedToken* longestAt(const Index& index, std::string_view text, std::size_t at) const;
    void splitWith(const Index& index, std::string_view text, std::vector<Part>& out) const;
    std::vector<AddedToken> tokens_;
    Index exact_, normalized_;
};

} // namespace bw
