// SPDX-License-Identifier: GPL-3.0-or-later
// Tokens back to bytes: a chain of small steps, most of which see one token at a time. Not for: which tokens are left
// out (text_tokenizer.cpp).
#pragma once

#include "core/tokenizer/split_regex.h"

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace bw {

class Decoder {
public:
    enum class Kind {
        byteLevel,    ///< GPT-2's symbols become bytes; a token with other characters stands as it is
        byteFallback, ///< "<0x0A>" becomes its byte. Broken UTF-8 is left as it is, not replaced.
        replace,
        metaspace, ///< U+2581 becomes a space, but goes where it stands in the first token (unless `keepFirst`)
        strip,     ///< up to `start` copies of `content` at the front and `stop` at the end
        fuse,      ///< what follows sees the whole text
        spaces,    ///< a space between tokens
    };
    struct Step {
        Kind kind;
        std::string pattern = {}, content = {};
        std::shared_ptr<const SplitRegex> regex = nullptr; ///< replace: instead of `pattern`
        std::size_t start = 0, stop = 0;
        bool keepFirst = false;
    };

    Decoder() = default;
    explicit Decoder(std::vector<Step> steps);

    /// One token by itself; what it is inside a text when it is not the first. @throws Error invalidTokenizer: a
    /// pattern hits its limits, or the text grows to more than 16 times its length and 4 KiB.
    std::string token(std::string_view text) const { return apply(text, false); }
    std::string firstToken(std::string_view text) const { return apply(text, true); }
    bool firstDiffers() const { return firstDiffers_; }
    std::string_view between() const { return between_; }
    /// The steps after `fuse`, on the joined text.
    std::string whole(std::string text) const;

private:
    std::string apply(std::string_view text, bool first) const;
    std::vector<Step> tokenSteps_, wholeSteps_;
    std::string between_;
    bool firstDiffers_ = false;
};

} // namespace bw
