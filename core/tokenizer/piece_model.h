// SPDX-License-Identifier: GPL-3.0-or-later
// The part of a tokenizer that turns one piece of text into ids, and what its kinds share.
#pragma once

#include "core/tokenizer/token_table.h"

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace bw {

class PieceModel {
public:
    virtual ~PieceModel() = default;
    /// The state of one encode(): scratch and remembered pieces. Never shared between threads.
    class Session {
    public:
        virtual ~Session() = default;
        /// Appends the ids of `piece`, which is valid UTF-8.
        virtual void encode(std::string_view piece, std::vector<TokenId>& out) = 0;
    };
    virtual std::unique_ptr<Session> session() const = 0;
};

/// @param table filled from the same parts; must outlive the model. @throws Error invalidTokenizer.
std::unique_ptr<const PieceModel> makeBpe(const TokenizerParts& parts, const TokenTable& table);
std::unique_ptr<const PieceModel> makeScoredBpe(const TokenizerParts& parts, const TokenTable& table);
std::unique_ptr<const PieceModel> makeUnigram(const TokenizerParts& parts, const TokenTable& table);

/// Remembers the ids of short pieces, which prose repeats.
class PieceMemory {
public:
    /// @returns true and appends the ids when `piece` is known.
    bool recall(std::string_view piece, std::vector<TokenId>& out) const;
    void remember(std::string_view piece, std::span<const TokenId> ids);

private:
    struct Place {
        std::size_t begin, count;
    };
    std::unordered_map<std::string, Place, TextHash, std::equal_to<>> places_;
    std::vector<TokenId> pool_;
};

/// Cuts text in front of each run of U+2581 where that changes nothing: no token of the vocabulary holds U+2581 behind
/// another character, so none can lie across such a place, and U+2581 itself is a token.
class WordCuts {
public:
    WordCuts() = default;
    explicit WordCuts(const TokenizerParts& parts, const TokenTable& table);
    /// End of the word that begins at `at`.
    std::size_t end(std::string_view text, std::size_t at) const;

private:
    bool cuts_ = false;
};

} // namespace bw
