// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/tokenizer/bpe.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <random>

namespace bw {
namespace {

/// The definition itself: again and again the lowest rank, leftmost.
std::vector<TokenId> mergeSlowly(const MergeTable& table, std::vector<TokenId> piece) {
    for (;;) {
        std::size_t best = piece.size();
        const MergeTable::Merge* bestMerge = nullptr;
        for (std::size_t i = 0; i + 1 < piece.size(); ++i) {
            const MergeTable::Merge* merge = table.find(piece[i], piece[i + 1]);
            if (merge && (!bestMerge || merge->rank < bestMerge->rank)) {
                best = i;
                bestMerge = merge;
            }
        }
        if (!bestMerge) return piece;
        piece[best] = bestMerge->result;
        piece.erase(piece.begin() + static_cast<std::ptrdiff_t>(best) + 1);
    }
}

TEST(Bpe, LeftmostOfEqualRanksFirst) {
    MergeTable table;
    table.add(0, 0, {0, 1}, true);
    MergeScratch scratch;
    std::vector<TokenId> piece{0, 0, 0};
    mergePiece(table, piece, scratch);
    EXPECT_THAT(piece, testing::ElementsAre(1, 0));
}

TEST(Bpe, EqualsTheDefinitionOnRandomTablesAndPieces) {
    std::mt19937 rng(7);
    for (int round = 0; round < 300; ++round) {
        MergeTable table;
        TokenId next = 3; // letters 0, 1, 2
        for (std::uint32_t rank = 0; rank < 20; ++rank) {
            std::uniform_int_distribution<TokenId> any(0, next - 1);
            const TokenId left = any(rng), right = any(rng);
            if (table.find(left, right)) continue;
            table.add(left, right, {rank, next++}, true);
        }
        std::uniform_int_distribution<int> letter(0, 2), length(0, 40);
        std::vector<TokenId> piece(static_cast<std::size_t>(length(rng)));
        for (TokenId& id : piece) id = letter(rng);
        const std::vector<TokenId> expected = mergeSlowly(table, piece);
        MergeScratch scratch;
        mergePiece(table, piece, scratch);
        ASSERT_EQ(piece, expected) << "round " << round;
    }
}

TEST(Bpe, TableGrowsAndKeepsWhatWasAdded) {
    MergeTable table;
    for (TokenId i = 0; i < 5000; ++i) table.add(i, i * 7, {static_cast<std::uint32_t>(i), i + 1}, true);
    EXPECT_EQ(table.size(), 5000u);
    for (TokenId i = 0; i < 5000; ++i) {
        const MergeTable::Merge* merge = table.find(i, i * 7);
        ASSERT_NE(merge, nullptr);
        EXPECT_EQ(merge->result, i + 1);
    }
    EXPECT_EQ(table.find(1, 8), nullptr);
}

TEST(Bpe, APairListedTwiceKeepsWhatTheCallerSays) {
    MergeTable table;
    table.add(1, 2, {0, 3}, true);
    table.add(1, 2, {9, 4}, false);
    EXPECT_EQ(table.find(1, 2)->result, 3);
    table.add(1, 2, {9, 4}, true);
    EXPECT_EQ(table.find(1, 2)->result, 4);
    EXPECT_EQ(table.size(), 1u);
}

} // namespace
} // namespace bw
