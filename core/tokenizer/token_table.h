// SPDX-License-Identifier: GPL-3.0-or-later
// Ids and the texts they stand for in the file, both ways, checked while it is filled.
#pragma once

#include "core/tokenizer/parts.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace bw {

struct TextHash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
};

class TokenTable {
public:
    /// @throws Error invalidTokenizer: an id out of range or used twice, a text listed twice.
    explicit TokenTable(const TokenizerParts& parts);

    /// A token of the model's vocabulary (not one that is only added) by its text; −1 when there is none.
    TokenId find(std::string_view text) const {
        const auto found = idOfText_.find(text);
        return found == idOfText_.end() ? -1 : found->second;
    }
    /// @param what "the unknown token", for the message. @throws Error invalidTokenizer when no token has this text.
    TokenId require(std::string_view text, const std::string& what) const;
    void requireId(TokenId id, const char* who) const;

    bool known(TokenId id) const { return has(id, kUsed); }
    bool isSpecial(TokenId id) const { return has(id, kSpecial); }
    bool isAdded(TokenId id) const { return has(id, kAdded); }
    /// As in the file. @param id a known one.
    const std::string& text(TokenId id) const { return texts_[static_cast<std::size_t>(id)]; }
    /// Highest id + 1.
    std::size_t size() const { return texts_.size(); }

    [[noreturn]] void invalid(const std::string& what) const;

private:
    static constexpr std::uint8_t kUsed = 1, kSpecial = 2, kAdded = 4;
    bool has(TokenId id, std::uint8_t flag) const {
        return id >= 0 && static_cast<std::size_t>(id) < flags_.size() &&
               (flags_[static_cast<std::size_t>(id)] & flag) != 0;
    }
    void setText(TokenId id, const std::string& text);
    void addAdded(const AddedToken& token);
    std::string source_;
    std::unordered_map<std::string, TokenId, TextHash, std::equal_to<>> idOfText_;
    std::vector<std::string> texts_;
    std::vector<std::uint8_t> flags_;
};

} // namespace bw
