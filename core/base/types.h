// SPDX-License-Identifier: GPL-3.0-or-later
// Small value types shared by all of core/: strong ids and matrix views. Shape letters used everywhere: B windows,
// T tokens, C model width, F feed-forward width, H heads, D head size, V vocabulary, O×I a linear weight (rows are
// outputs), G group length.
#pragma once

#include <cassert>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>

namespace bw {

/// An integer that can't be mixed up with another kind of integer.
template <class Tag, class Rep = std::int64_t>
class StrongId {
public:
    constexpr StrongId() = default;
    constexpr explicit StrongId(Rep value) : value_(value) {}
    constexpr Rep value() const { return value_; }
    friend constexpr auto operator<=>(StrongId, StrongId) = default;

private:
    Rep value_{};
};

using RunId = StrongId<struct RunIdTag>;            ///< row id in the log's `runs`; 0 = none
using SiteId = StrongId<struct SiteIdTag, int>;     ///< index into Model::sites()
using BlockIndex = StrongId<struct BlockTag, int>;  ///< 0 … blocks−1
using TokenId = std::int32_t;

/// The nonlinearity of a feed-forward. GELU's tanh form and its exact one differ by up to 5e-4, far above rounding.
enum class Activation { silu, geluTanh, geluErf };

/// A rows×cols window into row-major memory it does not own; `stride` elements from row to row.
template <class T>
struct MatrixView {
    T* data = nullptr;
    std::int64_t rows = 0;
    std::int64_t cols = 0;
    std::int64_t stride = 0;

    MatrixView() = default;
    MatrixView(T* d, std::int64_t r, std::int64_t c) : data(d), rows(r), cols(c), stride(c) {}
    MatrixView(T* d, std::int64_t r, std::int64_t c, std::int64_t s) : data(d), rows(r), cols(c), stride(s) {}
    /// A mutable view is usable where a read-only one is wanted.
    template <class U>
        requires std::is_same_v<T, const U>
    MatrixView(MatrixView<U> other) : data(other.data), rows(other.rows), cols(other.cols), stride(other.stride) {}

    T* row(std::int64_t r) const {
        assert(r >= 0 && r < rows);
        return data + r * stride;
    }
    std::span<T> rowSpan(std::int64_t r) const { return {row(r), static_cast<std::size_t>(cols)}; }
    T& operator()(std::int64_t r, std::int64_t c) const { return data[r * stride + c]; }
    std::int64_t size() const { return rows * cols; }
    bool empty() const { return rows == 0 || cols == 0; }
    MatrixView middleRows(std::int64_t first, std::int64_t count) const {
        assert(first >= 0 && count >= 0 && first + count <= rows);
        return {data + first * stride, count, cols, stride};
    }
    MatrixView middleCols(std::int64_t first, std::int64_t count) const {
        assert(first >= 0 && count >= 0 && first + count <= cols);
        return {data + first, rows, count, stride};
    }
};

} // namespace bw

template <class Tag, class Rep>
struct std::hash<bw::StrongId<Tag, Rep>> {
    std::size_t operator()(bw::StrongId<Tag, Rep> id) const noexcept { return std::hash<Rep>{}(id.value()); }
};
