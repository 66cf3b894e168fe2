// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/tokenizer/token_table.h"

#include "core/base/error.h"
#include "core/base/text.h"

#include <fmt/format.h>

namespace bw {

TokenTable::TokenTable(const TokenizerParts& parts) : source_(parts.source) {
    idOfText_.reserve(parts.vocabulary.size());
    for (const auto& [text, id] : parts.vocabulary) {
        const auto [at, isNew] = idOfText_.emplace(text, id);
        if (!isNew)
            invalid(fmt::format("token '{}' is listed twice, with ids {} and {}", escapeForDisplay(text, 60),
                                at->second, id));
        setText(id, text);
    }
    for (const AddedToken& token : parts.added) addAdded(token);
    for (const auto& [text, id] : parts.decodeOnly) setText(id, text);
}

void TokenTable::invalid(const std::string& what) const {
    throw Error(ErrorCode::invalidTokenizer, fmt::format("{}: {}", source_, what),
                "the file may be damaged; take it from the model's origin again");
}

void TokenTable::setText(TokenId id, const std::string& text) {
    if (id < 0 || id > kMaxTokenId)
        invalid(fmt::format("token '{}' has id {}, which is out of range 0 to {}", escapeForDisplay(text, 60), id,
                            kMaxTokenId));
    const auto at = static_cast<std::size_t>(id);
    if (at >= flags_.size()) {
        flags_.resize(at + 1, 0);
        texts_.resize(at + 1);
    }
    if (flags_[at] & kUsed)
        invalid(fmt::format("id {} is used by '{}' and by '{}'", id, escapeForDisplay(texts_[at], 60),
                            escapeForDisplay(text, 60)));
    flags_[at] |= kUsed;
    texts_[at] = text;
}

void TokenTable::addAdded(const AddedToken& token) {
    const auto found = idOfText_.find(token.content);
    if (found == idOfText_.end()) {
        setText(token.id, token.content);
    } else if (found->second != token.id) {
        invalid(fmt::format("added token '{}' has id {} here and id {} in the vocabulary",
                            escapeForDisplay(token.content, 60), token.id, found->second));
    }
    flags_[static_cast<std::size_t>(token.id)] |= kAdded;
    if (token.special) flags_[static_cast<std::size_t>(token.id)] |= kSpecial;
}

TokenId TokenTable::require(std::string_view text, const std::string& what) const {
    const TokenId id = find(text);
    if (id < 0) invalid(fmt::format("{} '{}' is not in the vocabulary", what, escapeForDisplay(text, 60)));
    return id;
}

void TokenTable::requireId(TokenId id, const char* who) const {
    if (!known(id)) invalid(fmt::format("{} names id {}, which no token has (ids end at {})", who, id, texts_.size()));
}

} // namespace bw
