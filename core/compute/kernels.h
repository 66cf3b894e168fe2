// SPDX-License-Identifier: GPL-3.0-or-later
// Vector kernels on plain rows, one thread each; Highway picks the instruction set at run time. Private to core/compute
// and its tests. Not for: matrix products (gemm.h) or threads (cpu_device.cpp).
#pragma once

#include <cstdint>

namespace bw::kernels {

// row_kernels.cpp. exp() in these is within 1 ulp of the exact value (Highway's f32 polynomial).
/// y = x / sqrt(mean(x²) + epsilon) · weight; the mean of squares is taken in f32 with one partial sum per lane.
void rmsNormRow(const float* x, const float* weight, float epsilon, float* y, std::int64_t n);
/// y = (x − mean) / sqrt(variance + epsilon) · weight + bias (none: nullptr); the variance is that of all n values.
void layerNormRow(const float* x, const float* weight, const float* bias, float epsilon, float* y, std::int64_t n);
/// Rotates the pairs (i, i + half) of `heads` heads, `stride` values apart; cosines and sines have `half` values.
void ropeRow(float* x, std::int64_t heads, std::int64_t stride, std::int64_t half, const float* cosine,
             const float* sine);
/// In place: softmax of scale·x over the first n values, zeros in [n, padded).
void softmaxRow(float* x, std::int64_t n, std::int64_t padded, float scale);
void addInPlace(float* x, const float* y, std::int64_t n);
bool allFinite(const float* x, std::int64_t n);

// activation_kernels.cpp. `up` may be null: 1 everywhere.
/// gate ← gate / (1 + exp(−gate)) · up
void siluMultiply(float* gate, const float* up, std::int64_t n);
/// gate ← ½·gate·(1 + tanh(√(2/π)·(gate + 0.044715·gate³)))·up
void geluTanhMultiply(float* gate, const float* up, std::int64_t n);
/// gate ← ½·gate·(1 + erf(gate/√2))·up
void geluErfMultiply(float* gate, const float* up, std::int64_t n);
/// x ← cap·tanh(scale·x/cap)
void softCap(float* x, std::int64_t n, float scale, float cap);

// back_kernels.cpp: reverse mode. `add`: += instead of =; dx may be dy.
void rmsNormBackRow(const float* x, const float* weight, float epsilon, const float* dy, float* dx, std::int64_t n,
                    bool add);
void layerNormBackRow(const float* x, const float* weight, float epsilon, const float* dy, float* dx, std::int64_t n,
                      bool add);
/// d ← scale·p·(d − Σ p·d)·slope: from the gradient of softmax(scale·x) = p to that of x. `slope` may be null: 1.
void softmaxBackRow(const float* p, const float* slope, float scale, float* d, std::int64_t n);
/// value = f(x), slope = f'(x)
void siluSlope(const float* x, float* value, float* slope, std::int64_t n);
void geluTanhSlope(const float* x, float* value, float* slope, std::int64_t n);
void geluErfSlope(const float* x, float* value, float* slope, std::int64_t n);
/// y = a·b and y = a·b·c, element by element; y may be any of them.
void product(const float* a, const float* b, float* y, std::int64_t n);
void product(const float* a, const float* b, const float* c, float* y, std::int64_t n);

// statistic_kernels.cpp
double logSumExp(const float* x, std::int64_t n);
double klDivergence(const float* base, const float* other, std::int64_t n);
double klDivergenceFast(const float* base, double baseNorm, const float* other, std::int64_t n);
double squaredDistance(const float* a, const float* b, std::int64_t n);
/// counts[0 … bins) += values in [low, high): bin = ⌊(x − low)·scale⌋, at most bins − 1, all in f32;
/// then counts[bins + 0…3] += below, above (≥ high), NaN, infinite.
void histogram(const float* x, std::int64_t n, float low, float high, float scale, std::int64_t bins,
               std::uint64_t* counts);

} // namespace bw::kernels
