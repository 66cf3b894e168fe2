// SPDX-License-Identifier: GPL-3.0-or-later
// The CPU device: Eigen GEMM compiled once per instruction set and chosen at run time, Highway for the rest, TBB over
// output columns. Also the CPU kernels that other folders use directly (log-softmax, Gram matrices).
#pragma once

#include "core/compute/device.h"

#include <span>

namespace bw {

std::unique_ptr<Device> makeCpuDevice();
/// "AVX-512", "AVX2", "SSE4": what the dispatch chose.
std::string cpuInstructionSet();
/// CPU model and feature flags in one line, for the log's stacks.
std::string cpuDescription();

/// y = a·bᵀ in f32, a M×K, b N×K, y M×N (`add`: y += …); the GEMM beneath Device::multiply. Parallel over N.
void gemmTransposed(MatrixView<const float> a, MatrixView<const float> b, MatrixView<float> y, bool add = false);
/// y = a·b in f32, a M×K, b K×N; the input gradients of reverse mode. Parallel over tiles of y.
void gemmTimes(MatrixView<const float> a, MatrixView<const float> b, MatrixView<float> y, bool add = false);
/// y −= a·bᵀ in f64, a M×K, b N×K, y M×N, for a square y only what stands on and below its diagonal is sure to be right:
/// the update of a Cholesky factorisation. Parallel over tiles of y.
void subtractLower(MatrixView<const double> a, MatrixView<const double> b, MatrixView<double> y);
/// gram += xᵀ·x, x T×I, gram I×I. Without `mirror` the lower triangle is right and what stands above it is not: for sums
/// of many calls, where only the last one has to write both.
void accumulateGram(MatrixView<const float> x, MatrixView<float> gram, bool mirror = true);
/// log Σ exp(x), maximum subtracted, sum in f64.
double logSumExp(std::span<const float> x);
/// y = softmax(x), row by row; f32, the largest value subtracted. Parallel over rows.
void softmaxRows(MatrixView<const float> x, MatrixView<float> y);
/// KL(p‖q) in nats with p = softmax(base), q = softmax(other): Σ p·(log p − log q), f64 sums, never below −1e-9.
double klDivergence(std::span<const float> base, std::span<const float> other);
/// The same in f32 lanes with f64 sums of pieces, for many comparisons with one base: within 1e-5 relative, at a fifth of
/// the cost. baseNorm = logSumExp(base).
double klDivergenceFast(std::span<const float> base, double baseNorm, std::span<const float> other);
/// Σ (a−b)², sum in f64.
double squaredDistance(std::span<const float> a, std::span<const float> b);
/// No NaN and no infinity among the values.
bool allFinite(std::span<const float> x);

} // namespace bw
