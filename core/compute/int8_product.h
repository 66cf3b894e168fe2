// SPDX-License-Identifier: GPL-3.0-or-later
// Products of signed bytes with sums in 32-bit integers, as W8A8 servers run them: y = (Σ a·w)·(scale of the row × scale of the
// output). The sums are exact, so that they check a simulation of the same codes in f32. Not for: choosing scales of weights.
#pragma once

#include "core/base/matrix.h"

#include <memory>
#include <span>
#include <vector>

namespace bw {

/// Whether this processor adds products of bytes four by four (AVX-512 VNNI); else portable loops give the same sums.
bool hasInt8Products();

/// Widest input whose sums cannot overflow: 2^31 / (128·255).
inline constexpr std::int64_t kMostInt8Columns = 65536;

/// Inputs as codes −127 … 127, each row with its own scale max|x|/127 (0 for a row of zeros): "a8:token".
class Int8Rows {
public:
    /// x T×I, finite, I ≤ kMostInt8Columns. T·I bytes and a few per row.
    explicit Int8Rows(MatrixView<const float> x);
    std::int64_t rows() const { return rows_; }
    std::int64_t cols() const { return cols_; }
    std::int64_t stride() const { return (cols_ + 3) / 4 * 4; }
    const std::int8_t* row(std::int64_t r) const { return codes_.get() + r * stride(); } ///< zeros behind the last column
    float scale(std::int64_t r) const { return scales_[static_cast<std::size_t>(r)]; }
    std::int32_t sum(std::int64_t r) const { return sums_[static_cast<std::size_t>(r)]; } ///< of the row's codes

private:
    std::int64_t rows_, cols_;
    std::unique_ptr<std::int8_t[]> codes_;
    std::vector<float> scales_;
    std::vector<std::int32_t> sums_;
};

/// An O×I weight of codes −128 … 127 with a scale for each output, in panels of 48 outputs with four inputs side by side.
class Int8Panels {
public:
    Int8Panels(std::span<const std::int8_t> codes, std::int64_t rows, std::int64_t cols, std::vector<float> scales);
    std::int64_t rows() const { return rows_; }
    std::int64_t cols() const { return cols_; }
    std::int64_t quads() const { return (cols_ + 3) / 4; }
    /// Codes + 128.
    const std::uint8_t* panel(std::int64_t p) const { return values_.data() + p * quads() * 4 * kOutputs; }
    float scale(std::int64_t o) const { return scales_[static_cast<std::size_t>(o)]; }
    const float* scales() const { return scales_.data(); }
    static constexpr std::int64_t kOutputs = 48; ///< three AVX-512 registers of sums

private:
    std::int64_t rows_, cols_;
    std::vector<std::uint8_t> values_;
    std::vector<float> scales_;
};

/// y T×O = Σ codes: exact.
void multiplyInt8Sums(const Int8Rows& x, const Int8Panels& w, MatrixView<std::int32_t> y);
/// y T×O = Σ codes · (scale of the row · scale of the output), or with `add` y += that.
void multiplyInt8(const Int8Rows& x, const Int8Panels& w, MatrixView<float> y, bool add = false);

/// Tests and benches: run the portable loops although the processor knows better. Not while work runs.
void usePortableInt8(bool portable);

} // namespace bw
