// SPDX-License-Identifier: GPL-3.0-or-later
// The KV cache's memory: each block's keys and values grow by doubling until `capacity` tokens.
#include "core/model/model.h"

#include <algorithm>
#include <cassert>

namespace bw {
namespace {

MatrixView<float> rowsOf(Matrix& matrix, std::int64_t count, std::int64_t width, std::int64_t capacity) {
    assert(count >= 0 && count <= capacity);
    if (matrix.rows() < count) {
        constexpr std::int64_t kFirst = 64; // tokens; a short prompt fits without growing
        Matrix grown(std::min(capacity, std::max({count, 2 * matrix.rows(), kFirst})), width);
        if (matrix.size() > 0) std::copy_n(matrix.data(), matrix.size(), grown.data());
        matrix = std::move(grown);
    }
    return matrix.view().middleRows(0, count);
}

} // namespace

KvCache::KvCache(std::int64_t blocks, std::int64_t kvWidth, std::int64_t capacity)
    : kvWidth_(kvWidth), capacity_(capacity), keys_(static_cast<std::size_t>(blocks)),
      values_(static_cast<std::size_t>(blocks)) {}

MatrixView<float> KvCache::keys(BlockIndex block, std::int64_t count) {
    return rowsOf(keys_[static_cast<std::size_t>(block.value())], count, kvWidth_, capacity_);
}

MatrixView<float> KvCache::values(BlockIndex block, std::int64_t count) {
    return rowsOf(values_[static_cast<std::size_t>(block.value())], count, kvWidth_, capacity_);
}

} // namespace bw
