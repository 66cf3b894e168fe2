// SPDX-License-Identifier: GPL-3.0-or-later
// y = x·wᵀ on the device: weights in parts that fit one binding, work in submits that stay far below a driver's
// watchdog.
#pragma once

#include "core/base/types.h"
#include "gpu/command.h"
#include "gpu/memory.h"
#include "gpu/pipeline.h"

#include <vector>

namespace bw::vk {

/// Rows firstRow … firstRow+rows−1 of a weight O×I in one buffer, row-major.
struct WeightPart {
    Buffer buffer;
    std::int64_t firstRow = 0, rows = 0;
};

/// Not thread safe: one call at a time on one CommandRunner.
class GemmKernel {
public:
    enum class Shader {
        shared, ///< gemm.comp: tiles in shared memory, for GPUs
        direct, ///< gemm_direct.comp: registers only, for devices that run on the processor
    };
    /// @param bindingBytes largest range that one binding may have. @throws Error deviceUnavailable.
    GemmKernel(DeviceContext& context, CommandRunner& runner, std::uint64_t bindingBytes, Shader shader);

    /// Copies w, O×I, to the device. @returns VK_SUCCESS, an out-of-memory result when it does not fit, or a failure.
    VkResult upload(MatrixView<const float> w, std::vector<WeightPart>& parts);

    /// y = x·wᵀ, or y += with `accumulate`; x T×I, y T×O. @param rowsDone rows of y that are finished; the rest of y is
    /// untouched when the result is no success, so that the caller can go on from there.
    VkResult multiply(MatrixView<const float> x, const std::vector<WeightPart>& parts, MatrixView<float> y,
                      bool accumulate, std::int64_t& rowsDone);

    /// Multiplications and additions a second, as measured; sizes the next submit.
    double rate() const { return rate_; }
    /// The longest submit so far.
    double longestSubmitSeconds() const { return longest_; }

private:
    /// A block of y's rows that is in the buffers.
    struct Block {
        std::int64_t rows, depth, outputs;
        bool accumulate;
    };
    VkResult fill(Buffer& buffer, MatrixView<const float> from);
    VkResult runPart(const WeightPart& part, const Block& block);
    DeviceContext& context_;
    CommandRunner& runner_;
    Pipeline pipeline_;
    std::uint64_t bindingBytes_;
    Buffer x_, y_, staging_;
    double rate_, longest_ = 0;
};

} // namespace bw::vk
