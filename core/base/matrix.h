// SPDX-License-Identifier: GPL-3.0-or-later
// A rows×cols f32 matrix that owns 64-byte aligned memory. Not for: arithmetic (core/compute).
#pragma once

#include "core/base/types.h"

#include <algorithm>
#include <memory>
#include <new>

namespace bw {

class Matrix {
public:
    Matrix() = default;
    /// Values are uninitialised; call `fill` where zeros are wanted.
    Matrix(std::int64_t rows, std::int64_t cols)
        : rows_(rows), cols_(cols),
          data_(static_cast<float*>(::operator new[](static_cast<std::size_t>(rows * cols) * sizeof(float) + 64,
                                                     std::align_val_t{64}))) {}
    std::int64_t rows() const { return rows_; }
    std::int64_t cols() const { return cols_; }
    std::int64_t size() const { return rows_ * cols_; }
    float* data() { return data_.get(); }
    const float* data() const { return data_.get(); }
    float* row(std::int64_t r) { return data_.get() + r * cols_; }
    const float* row(std::int64_t r) const { return data_.get() + r * cols_; }
    MatrixView<float> view() { return {data_.get(), rows_, cols_}; }
    MatrixView<const float> view() const { return {data_.get(), rows_, cols_}; }
    void fill(float value) { std::fill_n(data_.get(), size(), value); }

private:
    struct Free {
        void operator()(float* p) const { ::operator delete[](p, std::align_val_t{64}); }
    };
    std::int64_t rows_ = 0;
    std::int64_t cols_ = 0;
    std::unique_ptr<float[], Free> data_;
};

} // namespace bw
