// SPDX-License-Identifier: GPL-3.0-or-later
// The operations a forward pass needs, behind one interface: the CPU (cpu_device.h) and, in gpu/, Vulkan. Host pointers
// in, host pointers out; a device may keep its own copy of a weight. Not for: knowing what a model is.
#pragma once

#include "core/base/histogram.h"
#include "core/base/types.h"

#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace bw {

/// A linear layer's weight in whatever form the device multiplies fastest. Immutable, shareable across threads.
class DeviceWeight {
public:
    virtual ~DeviceWeight() = default;
    std::int64_t rows = 0, cols = 0; ///< O, I
    MatrixView<const float> values;  ///< O×I, the caller's f32 memory
};
using DeviceWeightPtr = std::shared_ptr<const DeviceWeight>;

/// Geometry of one attention call. T query tokens at positions position0 … position0+T−1; keys and values hold
/// position0+T tokens. q: T×(H·D); k, v: (position0+T)×(kvHeads·D).
struct AttentionShape {
    std::int64_t heads = 0, kvHeads = 0, headDim = 0, position0 = 0;
    std::int64_t window = 0; ///< newest keys that a token sees, its own included; 0 = all
    float scale = 0;         ///< of q·k; 0 = 1/√D
    float softCap = 0;       ///< scaled scores become cap·tanh(score/cap); 0 = none
};

/// How heads of D channels are rotated: pair (i, i+n) of the first 2n channels by position·frequencies[i] radians, n
/// the number of frequencies (HF's half-split layout); the other channels stay.
struct RopeShape {
    std::int64_t headDim = 0;
    std::span<const float> frequencies;
    float scale = 1; ///< multiplies cosines and sines
};

class Device {
public:
    virtual ~Device() = default;
    virtual std::string name() const = 0;        ///< "cpu", "vulkan:0"
    virtual std::string description() const = 0; ///< "CPU, 2 threads, AVX-512", "llvmpipe (Vulkan 1.3)"
    /// How often each operation ran here and how often on the CPU because the device has no kernel: for the log.
    struct Counts { std::uint64_t onDevice = 0, onCpu = 0; };
    virtual std::map<std::string, Counts> operationCounts() const { return {}; }

    /// Takes an f32 O×I weight whose memory must outlive the result: the CPU multiplies from it in place.
    virtual DeviceWeightPtr prepare(MatrixView<const float> weight) = 0;
    /// y = x·wᵀ, x T×I, w O×I, y T×O. With `add`, y += x·wᵀ.
    virtual void multiply(MatrixView<const float> x, const DeviceWeight& w, MatrixView<float> y, bool add = false) = 0;
    /// y[t] = x[t] / sqrt(mean(x[t]²) + epsilon) · weight; rows independent, sums in f32 like the reference.
    virtual void rmsNorm(MatrixView<const float> x, std::span<const float> weight, float epsilon, MatrixView<float> y) = 0;
    /// y[t] = (x[t] − mean) / sqrt(variance + epsilon) · weight + bias (may be empty).
    virtual void layerNorm(MatrixView<const float> x, std::span<const float> weight, std::span<const float> bias,
                           float epsilon, MatrixView<float> y) = 0;
    /// Rotates every head of x T×(heads·D) in place; row t stands at position0+t.
    virtual void rope(MatrixView<float> x, const RopeShape& shape, std::int64_t position0) = 0;
    /// Causal grouped-query attention, softmax(scale·q·kᵀ)·v into out T×(H·D).
    virtual void attention(MatrixView<const float> q, MatrixView<const float> k, MatrixView<const float> v,
                           const AttentionShape& shape, MatrixView<float> out) = 0;
    /// gate ← f(gate)·up, element by element.
    virtual void activateMultiply(Activation f, MatrixView<float> gate, MatrixView<const float> up) = 0;
    virtual void activate(Activation f, MatrixView<float> x) = 0; ///< x ← f(x)
    virtual void add(MatrixView<float> x, MatrixView<const float> y) = 0; ///< x += y
    virtual void addBias(MatrixView<float> x, std::span<const float> bias) = 0; ///< every row += bias
    virtual void softCap(MatrixView<float> x, float cap) = 0; ///< x ← cap·tanh(x/cap)
    /// Adds counts of x's values into `into` (its range and bins are set).
    virtual void histogram(std::span<const float> x, Histogram& into) = 0;

    // Reverse mode: gradients with respect to what went into the operations above. The activations have N rows; gradients
    // have K·N, those of K losses below each other, so that row r belongs to the activations' row r mod N. Rotations need
    // no operation of their own: the reverse is rope() with negated frequencies. The defaults run on the CPU and need
    // DeviceWeight::values.
    /// dx = dy·w. With `add`, dx += that.
    virtual void multiplyBack(MatrixView<const float> dy, const DeviceWeight& w, MatrixView<float> dx, bool add = false);
    /// dx = ∂/∂x of rmsNorm(x), `add`: dx += that. dx may be dy.
    virtual void rmsNormBack(MatrixView<const float> x, std::span<const float> weight, float epsilon,
                             MatrixView<const float> dy, MatrixView<float> dx, bool add = false);
    virtual void layerNormBack(MatrixView<const float> x, std::span<const float> weight, float epsilon,
                               MatrixView<const float> dy, MatrixView<float> dx, bool add = false);
    /// Of attention() inside each of N/windowLength windows (position0 is 0); the softmax is worked out anew. dOut
    /// K·N×(H·D); dq the same; dk, dv K·N×(kvHeads·D). All three are overwritten.
    virtual void attentionBack(MatrixView<const float> q, MatrixView<const float> k, MatrixView<const float> v,
                               const AttentionShape& shape, std::int64_t windowLength, MatrixView<const float> dOut,
                               MatrixView<float> dq, MatrixView<float> dk, MatrixView<float> dv);
    /// Of f(gate)·up, from what `gate` and `up` were before; dGate and dUp are overwritten and may be dHidden.
    virtual void activateMultiplyBack(Activation f, MatrixView<const float> gate, MatrixView<const float> up,
                                      MatrixView<const float> dHidden, MatrixView<float> dGate, MatrixView<float> dUp);
    /// d ← d·f'(x)
    virtual void activateBack(Activation f, MatrixView<const float> x, MatrixView<float> d);
    /// d ← d·(1 − (y/cap)²) of y = softCap(x).
    virtual void softCapBack(MatrixView<const float> y, float cap, MatrixView<float> d);
};

} // namespace bw
