// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/tokenizer/piece_model.h"

#include <algorithm>

namespace bw {
namespace {

/// Pieces longer than this are rarely seen twice; remembering more entries than this no longer fits the caches.
constexpr std::size_t kRememberedBytes = 64, kRememberedPieces = 1 << 16;

constexpr std::string_view kMark = "\u2581";

/// First U+2581 at or after `from` that stands behind another character; npos if none.
std::size_t wordBegin(std::string_view text, std::size_t from) {
    for (std::size_t at = text.find(kMark, from); at != std::string_view::npos;
         at = text.find(kMark, at + kMark.size())) {
        const bool behindMark = at >= kMark.size() && text.substr(at - kMark.size(), kMark.size()) == kMark;
        if (at > 0 && !behindMark) return at;
    }
    return std::string_view::npos;
}

} // namespace

bool PieceMemory::recall(std::string_view piece, std::vector<TokenId>& out) const {
    if (piece.size() > kRememberedBytes) return false;
    const auto found = places_.find(piece);
    if (found == places_.end()) return false;
    const auto begin = pool_.begin() + static_cast<std::ptrdiff_t>(found->second.begin);
    out.insert(out.end(), begin, begin + static_cast<std::ptrdiff_t>(found->second.count));
    return true;
}

void PieceMemory::remember(std::string_view piece, std::span<const TokenId> ids) {
    if (piece.size() > kRememberedBytes || places_.size() >= kRememberedPieces) return;
    places_.emplace(std::string(piece), Place{pool_.size(), ids.size()});
    pool_.insert(pool_.end(), ids.begin(), ids.end());
}

WordCuts::WordCuts(const TokenizerParts& parts, const TokenTable& table) {
    cuts_ = table.find(kMark) >= 0 &&
            std::none_of(parts.vocabulary.begin(), parts.vocabulary.end(),
                         [](const auto& entry) { return wordBegin(entry.first, 0) != std::string_view::npos; });
}

std::size_t WordCuts::end(std::string_view text, std::size_t at) const {
    if (!cuts_) return text.size();
    const std::size_t next = wordBegin(text, at + 1);
    return next == std::string_view::npos ? text.size() : next;
}

} // namespace bw
