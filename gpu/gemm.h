// SPDX-License-Identifier: GPL-3.0-or-later
// y = x·wᵀ on the device, from weights as they are stored: f32 or halves or blocks of a few bits, decoded where they are used.
// Weights lie in parts that fit one binding; work goes out in submits that stay far below a driver's watchdog.
#pragma once

#include "core/base/types.h"
#include "core/compute/device.h"
#include "gpu/stream.h"

#include <array>
#include <memory>
#include <vector>

namespace bw::vk {

/// Rows firstRow … firstRow+rows−1 of a weight O×I in one buffer, row-major.
struct WeightPart {
    Buffer buffer;
    std::int64_t firstRow = 0, rows = 0;
};

/// A T×N matrix on the device: the first value's place in a buffer and the values from row to row.
struct Located {
    VkBuffer buffer = VK_NULL_HANDLE;
    std::uint64_t first = 0; ///< in floats
    std::int64_t rows = 0, cols = 0, stride = 0;
    std::uint64_t floats() const { return rows == 0 ? 0 : static_cast<std::uint64_t>((rows - 1) * stride + cols); }
    Located middleRows(std::int64_t from, std::int64_t count) const {
        Located part = *this;
        part.first += static_cast<std::uint64_t>(from * stride);
        part.rows = count;
        return part;
    }
};

/// Binds a range that may start anywhere: where its binding starts, and how many floats behind that it begins.
struct Bound {
    Slice slice;
    std::uint32_t at = 0;
};
Bound bound(const DeviceContext& context, const Located& matrix);
/// How many rows of it one binding holds; 0: not even one.
std::int64_t rowsInBinding(const DeviceContext& context, const Located& matrix);

/// Not thread safe.
class Gemm {
public:
    enum class Shader {
        shared, ///< gemm.comp: tiles in shared memory, for GPUs
        direct, ///< gemm_direct.comp: registers only, for devices that run on the processor
    };
    Gemm(DeviceContext& context, Stream& work, Shader shader) : context_(context), work_(work), shader_(shader) {}

    /// Copies w, O×I, to the device through `copies`. @returns VK_SUCCESS, an out-of-memory result when it does not fit, or a failure.
    static VkResult upload(DeviceContext& context, Stream& copies, MatrixView<const float> w, std::vector<WeightPart>& parts);
    static VkResult upload(DeviceContext& context, Stream& copies, const StoredWeight& w, std::vector<WeightPart>& parts);

    /// y = x·wᵀ, or y += with `accumulate`. @returns also an out-of-memory result when a row fits no binding.
    /// @throws Error deviceUnavailable when the shader can't be built.
    VkResult multiply(const Located& x, const std::vector<WeightPart>& parts, WeightStorage storage, const Located& y, bool accumulate);

    /// y[t] = row ids[t] of the weight; the ids lie on the device. @returns as multiply().
    VkResult rows(const std::vector<WeightPart>& parts, WeightStorage storage, const Slice& ids, const Located& y);

private:
    const Kernel& kernel(WeightStorage storage);
    /// For products of so few rows that reading the weight is all that counts; null for more.
    const Kernel* fewRowsKernel(WeightStorage storage, std::int64_t rows);
    VkResult runPart(const WeightPart& part, const Kernel& kernel, const Located& x, const Located& y, bool accumulate);
    VkResult runFewRows(const WeightPart& part, const Kernel& kernel, const Located& x, const Located& y, bool accumulate);
    DeviceContext& context_;
    Stream& work_;
    Shader shader_;
    std::array<std::unique_ptr<Kernel>, kWeightStorages> kernels_, fewRowsKernels_, rowKernels_;
};

} // namespace bw::vk
