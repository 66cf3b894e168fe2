// SPDX-License-Identifier: GPL-3.0-or-later
// All pieces of a vocabulary by their bytes, to find every piece that a text begins with in one walk.
#pragma once

#include "core/base/types.h"

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

namespace bw {

class PieceTrie {
public:
    PieceTrie();
    /// @returns false when the pieces would need more than 2^23 nodes.
    bool add(std::string_view piece, TokenId id);
    /// Calls visit(length, id) for each piece that text begins with, short ones first.
    template <class Visit>
    void walk(std::string_view text, Visit visit) const {
        std::uint32_t node = text.empty() ? 0 : roots_[static_cast<unsigned char>(text[0])];
        for (std::size_t length = 1; node != 0; ++length) {
            if (idOfNode_[node] >= 0) visit(length, idOfNode_[node]);
            if (length == text.size()) return;
            node = childOf(node, static_cast<unsigned char>(text[length]));
        }
    }

private:
    struct Edge {
        std::uint32_t key = kNoEdge; ///< node << 8 | byte
        std::uint32_t child = 0;
    };
    static constexpr std::uint32_t kNoEdge = ~std::uint32_t{0}, kMostNodes = 1u << 23;
    std::size_t slotOf(std::uint32_t key) const;
    std::uint32_t childOf(std::uint32_t node, unsigned char byte) const {
        const Edge& edge = edges_[slotOf((node << 8) | byte)];
        return edge.key == kNoEdge ? 0 : edge.child;
    }
    void grow();
    std::array<std::uint32_t, 256> roots_{};
    std::vector<TokenId> idOfNode_; ///< −1 where no piece ends; node 0 stands for "none"
    std::vector<Edge> edges_;       ///< open addressing
    std::size_t used_ = 0;
    unsigned shift_ = 0;
};

} // namespace bw
