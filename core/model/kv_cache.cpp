// SPDX-License-Identifier: GPL-3.0-or-later
// The KV cache's memory: each block's keys and values grow by doubling until `capacity` tokens.
#include "core/model/model.h"

#include <algorithm>
#include <cassert>

namespace bw {
namespace {

std::span<float> all(Matrix& matrix) { return {matrix.data(), static_cast<std::size_t>(matrix.size())}; }

} // namespace

KvCache::KvCache(std::int64_t blocks, std::int64_t kvWidth, std::int64_t capacity, std::shared_ptr<Device> lentTo)
    : kvWidth_(kvWidth), capacity_(capacity), keys_(static_cast<std::size_t>(blocks)),
      values_(static_cast<std::size_t>(blocks)), lentTo_(std::move(lentTo)) {}

KvCache::~KvCache() {
    if (!lentTo_) return;
    for (auto* matrices : {&keys_, &values_})
        for (Matrix& matrix : *matrices) lentTo_->reclaim(all(matrix));
}

MatrixView<float> KvCache::rowsOf(Matrix& matrix, std::int64_t count) {
    assert(count >= 0 && count <= capacity_);
    if (matrix.rows() < count) {
        constexpr std::int64_t kFirst = 64; // tokens; a short prompt fits without growing
        Matrix grown(std::min(capacity_, std::max({count, 2 * matrix.rows(), kFirst})), kvWidth_);
        if (matrix.size() > 0) std::copy_n(matrix.data(), matrix.size(), grown.data());
        if (lentTo_) {
            lentTo_->reclaim(all(matrix));
            lentTo_->lend(all(grown));
            lentTo_->hostWrote(std::as_const(grown).view().middleRows(0, matrix.rows()));
        }
        matrix = std::move(grown);
    }
    return matrix.view().middleRows(0, count);
}

MatrixView<float> KvCache::keys(BlockIndex block, std::int64_t count) {
    return rowsOf(keys_[static_cast<std::size_t>(block.value())], count);
}

MatrixView<float> KvCache::values(BlockIndex block, std::int64_t count) {
    return rowsOf(values_[static_cast<std::size_t>(block.value())], count);
}

} // namespace bw
