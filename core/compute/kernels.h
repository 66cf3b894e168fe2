// SPDX-License-Identifier: GPL-3.0-or-later
// Vector kernels on plain rows, one thread each; Highway picks the instruction set at run time. Private to core/compute
// and its tests. Not for: matrix products (gemm.h) or threads (cpu_device.cpp).
#pragma once

#include <cstdint>

namespace bw::kernels {

// row_kernels.cpp. exp() in these is within 1 ulp of the exact value (Highway's f32 polynomial).
/// y = x / sqrt(mean(x²) + epsilon) · weight; the mean of squares is taken in f32 with one partial sum per lane.
void rmsNormRow(const float* x, const float* weight, float epsilon, float* y, std::int64_t n);
/// Rotates the pairs (i, i + half) of `heads` consecutive heads of 2·half values; cosines and sines have `half` values.
void ropeRow(float* x, std::int64_t heads, std::int64_t half, const float* cosine, const float* sine);
/// In place: softmax of scale·x over the first n values, zeros in [n, padded).
void softmaxRow(float* x, std::int64_t n, std::int64_t padded, float scale);
/// gate ← gate / (1 + exp(−gate)) · up
void siluMultiply(float* gate, const float* up, std::int64_t n);
void addInPlace(float* x, const float* y, std::int64_t n);
bool allFinite(const float* x, std::int64_t n);

// statistic_kernels.cpp
double logSumExp(const float* x, std::int64_t n);
double klDivergence(const float* base, const float* other, std::int64_t n);
double squaredDistance(const float* a, const float* b, std::int64_t n);
/// counts[0 … bins) += values in [low, high): bin = ⌊(x − low)·scale⌋, at most bins − 1, all in f32;
/// then counts[bins + 0…3] += below, above (≥ high), NaN, infinite.
void histogram(const float* x, std::int64_t n, float low, float high, float scale, std::int64_t bins,
               std::uint64_t* counts);

} // namespace bw::kernels
