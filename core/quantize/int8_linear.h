// SPDX-License-Identifier: GPL-3.0-or-later
// A quantized weight run as W8A8 servers run it: inputs to int8 per token, products of integers, outlier columns in f32. It is
// what the simulation (decoded weights, rounded inputs, f32 products) is checked against. Not for: other schemes.
#pragma once

#include "core/compute/int8_product.h"
#include "core/quantize/quantized_model.h"

namespace bw {

class Int8Linear {
public:
    /// @param tensor  of format int8:channel:sym, O×I; kept columns are multiplied in f32, as 16-bit parts are simulated.
    /// @throws Error(usage) for another format, single kept weights, or inputs wider than integer sums allow.
    Int8Linear(const QuantizedTensor& tensor, std::int64_t rows, std::int64_t cols);
    /// y T×O = x·Ŵᵀ with x T×I rounded as "a8:token" but for the kept columns.
    void multiply(MatrixView<const float> x, MatrixView<float> y) const;
    const Int8Panels& panels() const { return panels_; }

private:
    Int8Panels panels_;
    std::vector<std::int32_t> columns_;
    Matrix kept_; ///< O×n
};

} // namespace bw
