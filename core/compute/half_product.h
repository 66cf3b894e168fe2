// SPDX-License-Identifier: GPL-3.0-or-later
// Products with inputs that lie near one whose product is known: only the difference is multiplied, in bf16 with f32
// sums, at twice the speed of f32. Rounding the factors to 8 bits then costs 2⁻⁹ of the difference, not of the result.
// Plain products in bf16 too, for gradients that a random sample blurs far more than that.
#pragma once

#include "core/compute/device.h"

#include <memory>
#include <vector>

namespace bw {

/// Whether this processor multiplies pairs of bf16 numbers (AVX-512 BF16).
bool hasHalfProducts();

/// A weight that works out its own product on the host: CpuDevice::multiply hands the call on.
class HostWeight : public DeviceWeight {
public:
    /// As Device::multiply.
    virtual void multiply(MatrixView<const float> x, MatrixView<float> y, bool add) const = 0;
    /// As Device::multiplyBack; from `values` in f32 unless it knows better.
    virtual void multiplyBack(MatrixView<const float> dy, MatrixView<float> dx, bool add) const;
};

/// An O×I weight rounded to bf16, in panels of 48 outputs with pairs of inputs side by side. 2 bytes a weight.
class HalfPanels {
public:
    HalfPanels() = default;
    explicit HalfPanels(MatrixView<const float> weight);
    /// Of the transposed weight: I×O.
    static HalfPanels transposed(MatrixView<const float> weight);
    std::int64_t rows() const { return rows_; }
    std::int64_t cols() const { return cols_; }
    const std::uint16_t* panel(std::int64_t p) const { return values_.data() + p * panelValues(); }
    static constexpr std::int64_t kOutputs = 48; ///< three AVX-512 registers of f32 sums
    std::int64_t pairs() const { return (cols_ + 1) / 2; }
    std::int64_t panelValues() const { return pairs() * 2 * kOutputs; }

private:
    /// row(o, i) is the value of output o and input i.
    template <class Value> void fill(std::int64_t rows, std::int64_t cols, const Value& value);
    std::int64_t rows_ = 0, cols_ = 0;
    std::vector<std::uint16_t> values_;
};

/// x − near, or x itself, rounded to bf16: made once for all weights that read the same input.
class HalfDifference {
public:
    HalfDifference() = default;
    /// x, near T×I.
    HalfDifference(MatrixView<const float> x, MatrixView<const float> near);
    explicit HalfDifference(MatrixView<const float> x);
    bool isZero() const { return !any_; } ///< x equals `near` throughout
    std::int64_t rows() const { return rows_; }
    std::int64_t cols() const { return cols_; }
    std::int64_t stride() const { return (cols_ + 1) / 2 * 2; }
    const std::uint16_t* row(std::int64_t r) const { return values_.get() + r * stride(); }

private:
    std::int64_t rows_ = 0, cols_ = 0;
    bool any_ = false;
    std::unique_ptr<std::uint16_t[]> values_;
};

/// y = known + (x − near)·wᵀ, or with `add` y += that. known, y T×O. Where x equals `near` throughout, `known` is taken as
/// it is. The error is 2⁻⁹ relative in each factor of a term of the difference. Needs hasHalfProducts().
/// Elements do not depend on the number of threads.
void multiplyDifference(const HalfDifference& difference, MatrixView<const float> known, const HalfPanels& w,
                        MatrixView<float> y, bool add);

/// y = x·wᵀ, or with `add` y += that; both factors rounded to bf16, sums in f32.
void multiplyHalf(const HalfDifference& x, const HalfPanels& w, MatrixView<float> y, bool add);

/// gram += xᵀ·x on and below the diagonal, x T×I rounded to bf16, sums of a call in f32; what stands above it is of no use. Needs
/// hasHalfProducts(). Elements do not depend on the number of threads.
void accumulateGramHalf(MatrixView<const float> x, MatrixView<float> gram);

/// A weight whose products are made in bf16, forwards and backwards. 4 bytes a weight beside the exact one's.
class HalfWeight final : public HostWeight {
public:
    /// @param exact as prepared by the device; its numbers outlive this. @param forwards false: multiply() in f32.
    explicit HalfWeight(DeviceWeightPtr exact, bool forwards = true);
    void multiply(MatrixView<const float> x, MatrixView<float> y, bool add) const override;
    void multiplyBack(MatrixView<const float> dy, MatrixView<float> dx, bool add) const override;

private:
    DeviceWeightPtr exact_;
    HalfPanels panels_, turned_;
};

} // namespace bw
