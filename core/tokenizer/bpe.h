// SPDX-License-Identifier: GPL-3.0-or-later
// Byte pair merges: the table of ranks and the merging of one piece. Not for: cutting text into pieces, files.
#pragma once

#include "core/base/types.h"

#include <cstdint>
#include <string_view>
#include <vector>

namespace bw {

/// Which pair of token ids becomes which token, and how early. Open addressing; one cache line a look-up as a rule.
class MergeTable {
public:
    struct Merge {
        std::uint32_t rank;
        TokenId result;
    };

    explicit MergeTable(std::size_t expected = 0);
    /// @param replace what happens to a pair that is there already: the later one wins, or the first stays.
    void add(TokenId left, TokenId right, Merge merge, bool replace);
    const Merge* find(TokenId left, TokenId right) const;
    std::size_t size() const { return size_; }

private:
    struct Slot {
        std::uint64_t key = kEmpty;
        Merge merge{0, -1};
    };
    static constexpr std::uint64_t kEmpty = ~std::uint64_t{0};
    static std::uint64_t keyOf(TokenId left, TokenId right);
    std::size_t slotOf(std::uint64_t key) const;
    void grow();
    std::vector<Slot> slots_;
    std::size_t size_ = 0;
    unsigned shift_ = 64;
};

/// Scratch of `mergePiece`, kept between pieces so that nothing is allocated for each word.
struct MergeScratch {
    struct Symbol {
        TokenId id;
        std::int32_t previous, next; ///< −1 at the ends
        bool alive;
    };
    struct Candidate {
        std::uint32_t rank;
        std::int32_t position;
        TokenId result;
    };
    std::vector<Symbol> symbols;
    std::vector<Candidate> heap;
};

/// Merges `pieces` in place: always the pair of lowest rank, the leftmost of equals. Source: Sennrich et al. 2016,
/// with a heap: O(n log n) time, O(n) memory for n symbols, constant stack.
void mergePiece(const MergeTable& table, std::vector<TokenId>& piece, MergeScratch& scratch);

} // namespace bw
