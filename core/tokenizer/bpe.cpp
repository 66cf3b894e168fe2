// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/tokenizer/bpe.h"

#include <algorithm>
#include <bit>

namespace bw {

MergeTable::MergeTable(std::size_t expected) {
    const std::size_t slots = std::bit_ceil(std::max<std::size_t>(16, expected * 2));
    slots_.resize(slots);
    shift_ = 64u - static_cast<unsigned>(std::countr_zero(slots));
}

std::uint64_t MergeTable::keyOf(TokenId left, TokenId right) {
    return (static_cast<std::uint64_t>(static_cast<std::uint32_t>(left)) << 32) | static_cast<std::uint32_t>(right);
}

std::size_t MergeTable::slotOf(std::uint64_t key) const {
    // Fibonacci hashing: the top bits of key · 2^64/φ spread neighbouring ids evenly.
    std::size_t slot = static_cast<std::size_t>((key * 0x9E3779B97F4A7C15ull) >> shift_);
    while (slots_[slot].key != key && slots_[slot].key != kEmpty) slot = (slot + 1) & (slots_.size() - 1);
    return slot;
}

void MergeTable::grow() {
    MergeTable larger(slots_.size());
    for (const Slot& slot : slots_)
        if (slot.key != kEmpty) larger.slots_[larger.slotOf(slot.key)] = slot;
    slots_ = std::move(larger.slots_);
    shift_ = larger.shift_;
}

void MergeTable::add(TokenId left, TokenId right, Merge merge, bool replace) {
    if ((size_ + 1) * 2 > slots_.size()) grow();
    const std::uint64_t key = keyOf(left, right);
    Slot& slot = slots_[slotOf(key)];
    if (slot.key == key) {
        if (replace) slot.merge = merge;
        return;
    }
    slot = {key, merge};
    ++size_;
}

const MergeTable::Merge* MergeTable::find(TokenId left, TokenId right) const {
    const Slot& slot = slots_[slotOf(keyOf(left, right))];
    return slot.key == kEmpty ? nullptr : &slot.merge;
}

void mergePiece(const MergeTable& table, std::vector<TokenId>& piece, MergeScratch& scratch) {
    if (piece.size() < 2) return;
    auto& symbols = scratch.symbols;
    auto& heap = scratch.heap;
    symbols.clear();
    heap.clear();
    const auto count = static_cast<std::int32_t>(piece.size());
    for (std::int32_t i = 0; i < count; ++i)
        symbols.push_back({piece[static_cast<std::size_t>(i)], i - 1, i + 1 < count ? i + 1 : -1, true});
    const auto at = [&](std::int32_t i) -> MergeScratch::Symbol& { return symbols[static_cast<std::size_t>(i)]; };
    // std:: heaps keep the largest in front; "larger" here is the later merge.
    const auto later = [](const MergeScratch::Candidate& a, const MergeScratch::Candidate& b) {
        return a.rank != b.rank ? a.rank > b.rank : a.position > b.position;
    };
    const auto offer = [&](std::int32_t left) {
        if (left < 0 || at(left).next < 0) return false;
        const MergeTable::Merge* merge = table.find(at(left).id, at(at(left).next).id);
        if (merge) heap.push_back({merge->rank, left, merge->result});
        return merge != nullptr;
    };
    for (std::int32_t i = 0; i < count; ++i) offer(i);
    std::make_heap(heap.begin(), heap.end(), later);
    while (!heap.empty()) {
        std::pop_heap(heap.begin(), heap.end(), later);
        const MergeScratch::Candidate best = heap.back();
        heap.pop_back();
        MergeScratch::Symbol& left = at(best.position);
        if (!left.alive || left.next < 0) continue;
        MergeScratch::Symbol& right = at(left.next);
        // A candidate is stale when either side was merged since; the reference tells it by the result alone.
        const MergeTable::Merge* now = table.find(left.id, right.id);
        if (!now || now->result != best.result) continue;
        left.id = best.result;
        right.alive = false;
        left.next = right.next;
        if (left.next >= 0) at(left.next).previous = best.position;
        if (offer(left.previous)) std::push_heap(heap.begin(), heap.end(), later);
        if (offer(best.position)) std::push_heap(heap.begin(), heap.end(), later);
    }
    piece.clear();
    for (std::int32_t i = 0; i >= 0; i = at(i).next) piece.push_back(at(i).id);
}

} // namespace bw
