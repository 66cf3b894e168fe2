// SPDX-License-Identifier: GPL-3.0-or-later
// Large f32 working memory that spills to an unlinked scratch file past a limit, so that boundary activations and
// baseline logits never depend on the machine's memory.
#pragma once

#include "core/base/types.h"

#include <string>

namespace bw {

/// Sets the total bytes that ScratchMatrix may take from memory before it spills, and where spill files go
/// (default: 2 GiB, the system's temporary folder).
void setScratchLimit(std::uint64_t bytes, std::string folder = {});

class ScratchMatrix {
public:
    ScratchMatrix() = default;
    /// Zeroed rows×cols. @throws Error diskFull, outOfMemory.
    ScratchMatrix(std::int64_t rows, std::int64_t cols);
    ~ScratchMatrix();
    ScratchMatrix(ScratchMatrix&&) noexcept;
    ScratchMatrix& operator=(ScratchMatrix&&) noexcept;
    MatrixView<float> view() { return {data_, rows_, cols_}; }
    MatrixView<const float> view() const { return {data_, rows_, cols_}; }
    bool spilled() const { return spilled_; }

private:
    void free() noexcept;
    float* data_ = nullptr;
    std::int64_t rows_ = 0, cols_ = 0;
    std::uint64_t bytes_ = 0;
    bool spilled_ = false;
};

} // namespace bw
