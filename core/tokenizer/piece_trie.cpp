// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/tokenizer/piece_trie.h"

#include <bit>

namespace bw {

PieceTrie::PieceTrie() : idOfNode_(1, -1), edges_(1024), shift_(64 - 10) {}

std::size_t PieceTrie::slotOf(std::uint32_t key) const {
    // Fibonacci hashing: the top bits of key · 2^64/φ spread neighbours evenly.
    std::size_t slot = static_cast<std::size_t>((key * 0x9E3779B97F4A7C15ull) >> shift_);
    while (edges_[slot].key != key && edges_[slot].key != kNoEdge) slot = (slot + 1) & (edges_.size() - 1);
    return slot;
}

void PieceTrie::grow() {
    std::vector<Edge> old(edges_.size() * 2);
    old.swap(edges_);
    shift_ = 64u - static_cast<unsigned>(std::countr_zero(edges_.size()));
    for (const Edge& edge : old)
        if (edge.key != kNoEdge) edges_[slotOf(edge.key)] = edge;
}

bool PieceTrie::add(std::string_view piece, TokenId id) {
    std::uint32_t node = 0;
    for (std::size_t i = 0; i < piece.size(); ++i) {
        const auto byte = static_cast<unsigned char>(piece[i]);
        std::uint32_t child = i == 0 ? roots_[byte] : childOf(node, byte);
        if (child == 0) {
            if (idOfNode_.size() == kMostNodes) return false;
            child = static_cast<std::uint32_t>(idOfNode_.size());
            idOfNode_.push_back(-1);
            if (i == 0) {
                roots_[byte] = child;
            } else {
                if (++used_ * 2 > edges_.size()) grow();
                const std::uint32_t key = (node << 8) | byte;
                edges_[slotOf(key)] = {key, child};
            }
        }
        node = child;
    }
    if (node != 0) idOfNode_[node] = id;
    return true;
}

} // namespace bw
