// SPDX-License-Identifier: GPL-3.0-or-later
// Activation buffers that are used again from block to block: fresh ones of tens of MB would cost a page fault for
// every 4 KiB of them each time. Private to core/model.
#pragma once

#include "core/base/matrix.h"
#include "core/compute/device.h"

#include <mutex>
#include <span>
#include <vector>

namespace bw {

class BufferPool {
public:
    /// A rows×cols buffer with undefined values; goes back to the pool at its end of life.
    class Lease {
    public:
        /// @param lentTo may keep the values to itself until it is asked (Device::lend); null: they are on the host.
        Lease(BufferPool& pool, std::int64_t rows, std::int64_t cols, Device* lentTo = nullptr)
            : pool_(pool), lentTo_(lentTo), rows_(rows), cols_(cols), memory_(pool.take(rows * cols)) {
            if (lentTo_ != nullptr) lentTo_->lend(span());
        }
        ~Lease() {
            if (lentTo_ != nullptr) lentTo_->reclaim(span());
            pool_.give(std::move(memory_));
        }
        Lease(const Lease&) = delete;
        Lease& operator=(const Lease&) = delete;
        MatrixView<float> view() { return {memory_.data(), rows_, cols_}; }

    private:
        std::span<float> span() { return {memory_.data(), static_cast<std::size_t>(rows_ * cols_)}; }
        BufferPool& pool_;
        Device* lentTo_;
        std::int64_t rows_, cols_;
        Matrix memory_;
    };

private:
    Matrix take(std::int64_t values);
    void give(Matrix memory);

    std::mutex mutex_;
    std::vector<Matrix> free_;
};

} // namespace bw
