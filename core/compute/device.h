// SPDX-License-Identifier: GPL-3.0-or-later
// The operations a forward pass needs, behind one interface: the CPU (cpu_device.h) and, in gpu/, Vulkan. Host pointers
// in, host pointers out; a device may keep its own copy of a weight. Not for: knowing what a model is.
#pragma once

#include "core/base/error.h"
#include "core/base/histogram.h"
#include "core/base/matrix.h"
#include "core/base/types.h"

#include <array>
#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace bw {

/// How a weight may lie that a device multiplies from without decoding it first. Blocks as in GGUF. int4 and int8 in 32-bit
/// words, each row: the length of a group of inputs; scale and zero point (f32) of each group; the codes, the first in the
/// lowest bits. w = scale·(code − zero).
enum class WeightStorage { f32, f16, bf16, q4_0, q8_0, q4_k, q6_k, int4, int8 };
inline constexpr std::size_t kWeightStorages = 9;

/// An O×I weight as it is stored, row after row.
struct StoredWeight {
    WeightStorage storage = WeightStorage::f32;
    std::int64_t rows = 0, cols = 0;
    std::span<const std::byte> bytes;
};

/// The device failed, and values that stood only there are gone: whoever can repeats the work on the CPU.
class DeviceLost final : public Error {
public:
    using Error::Error;
};

/// A linear layer's weight in whatever form the device multiplies fastest. Immutable, shareable across threads.
class DeviceWeight {
public:
    virtual ~DeviceWeight() = default;
    std::int64_t rows = 0, cols = 0; ///< O, I
    MatrixView<const float> values;  ///< O×I, the caller's f32 memory; empty for one prepared as it is stored
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

/// A row of logits, as an evaluation needs it.
struct RowScore {
    static constexpr std::size_t kLargest = 10;
    double logSumExp = 0;
    float target = 0;                               ///< the target's logit
    std::array<std::int32_t, kLargest> largest{};   ///< ids of the largest logits, the largest first; −1 past the vocabulary
    float top = 0;                                  ///< the largest logit
};

/// What the inputs x T×I of a layer amount to.
struct InputSums {
    struct Channel {
        double first = 0, absolute = 0, second = 0, third = 0, fourth = 0; ///< Σ x, |x|, x², x³, x⁴ over the rows
        float low = 0, high = 0;                                          ///< NaN left out
    };
    /// A row on its own symmetric grid of 8 bits, as wide as its largest magnitude.
    struct Row {
        double power = 0, error = 0; ///< Σ x², Σ (x − x̂)²; both 0 where that magnitude is 0 or not finite
    };
    std::vector<Channel> channels; ///< I
    std::vector<Row> rows;         ///< T
};

/// The least and largest of some values, and the first one of the largest magnitude.
struct Extremes {
    float low = 0, high = 0, peak = 0;
};

/// Grids with known scales that a weight is rounded to: rows and columns in cells that share one.
struct RoundingGrid {
    enum class Rule {
        whole,      ///< code = clamp(rne(x/scale) + zero, lowest, highest), value = scale·(code − zero)
        smallFloat, ///< sign and magnitude of a small float, nearest to x/scale, ties to even; value = that·scale
        addHalf,    ///< code = clamp(trunc(x·inverse + 8.5), 0, 15), value = scale·(code − 8): blocks of Q4_0
        awayFromZero, ///< code = round(x·inverse), halves away from zero, in ±127, as a signed byte; value = scale·code: Q8_0
    };
    Rule rule = Rule::whole;
    std::int64_t cellRows = 1, cellCols = 32;
    std::span<const float> scales;   ///< ⌈O/cellRows⌉×⌈I/cellCols⌉, what a code is multiplied by; 0: all codes are `zero` or 0
    std::span<const float> inverses; ///< of addHalf and awayFromZero, as many
    std::span<const float> zeros;    ///< of whole, as many; whole numbers
    float lowest = 0, highest = 0;   ///< of whole
    int mantissaBits = 0, bias = 0, bits = 8; ///< of smallFloat
    float largest = 0;               ///< of smallFloat: finite, magnitudes past it become it
};

class Device {
public:
    virtual ~Device() = default;
    virtual std::string name() const = 0;        ///< "cpu", "vulkan:0"
    virtual std::string description() const = 0; ///< "CPU, 2 threads, AVX-512", "llvmpipe (Vulkan 1.3)"
    /// Why everything runs on the CPU since some time; empty while the device works.
    virtual std::string failure() const { return {}; }
    /// How often each operation ran here and how often on the CPU because the device has no kernel: for the log.
    struct Counts { std::uint64_t onDevice = 0, onCpu = 0; };
    virtual std::map<std::string, Counts> operationCounts() const { return {}; }
    /// Bytes of lent memory that have come back to the host.
    virtual std::uint64_t bytesToHost() const { return 0; }

    // Memory that a device may keep its own copy of, from lend() to reclaim(): results of operations stay there until the host
    // asks for them. Whoever touches such memory on the host says so: toHost() before reading or writing a part of it,
    // hostWrote() after writing. On the CPU there is one memory, and all this does nothing.
    virtual bool keepsResults() const { return false; } ///< false: lending is of no use
    /// What the memory holds counts for nothing until hostWrote(). Pieces never overlap.
    virtual void lend(std::span<float> /*memory*/) {}
    virtual void reclaim(std::span<float> /*memory*/) {} ///< what was not brought back is gone
    /// @throws DeviceLost.
    virtual void toHost(MatrixView<const float> /*values*/) {}
    virtual void hostWrote(MatrixView<const float> /*values*/) {}
    /// Bytes of activations that a pass through a block may take.
    virtual std::uint64_t activationBytes() const { return 64ull << 20; }

    /// Takes an f32 O×I weight whose memory must outlive the result: the CPU multiplies from it in place.
    virtual DeviceWeightPtr prepare(MatrixView<const float> weight) = 0;
    /// Takes a weight as it is stored, whose bytes are read before this returns. `decode` makes its f32 values, should the CPU
    /// need them; it may be called at any time, once. @returns null when this device wants decoded values.
    virtual DeviceWeightPtr prepareStored(const StoredWeight& /*weight*/, std::function<Matrix()> /*decode*/) { return nullptr; }
    /// y = x·wᵀ, x T×I, w O×I, y T×O. With `add`, y += x·wᵀ.
    virtual void multiply(MatrixView<const float> x, const DeviceWeight& w, MatrixView<float> y, bool add = false) = 0;
    /// multiply() of rows that lie on their symmetric grids of 8 bits: whole numbers in ±127 times a 127th of the row's largest
    /// magnitude. Where the weight is coded in 8 bits as well, a device may multiply the codes: sums are then exact per group.
    virtual void multiplyBytes(MatrixView<const float> x, const DeviceWeight& w, MatrixView<float> y, bool add = false) { multiply(x, w, y, add); }
    /// Rounds every row of x to that grid, to nearest, ties to even; a row with what is not finite becomes NaN.
    /// @returns false, and nothing is changed, where that is left to the host.
    virtual bool roundToBytes(MatrixView<float> /*x*/) { return false; }
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
    virtual void copy(MatrixView<const float> x, MatrixView<float> y); ///< y = x
    virtual void fill(MatrixView<float> x, float value);               ///< every value
    /// Adds the lower triangle of xᵀx to `lower`, I×I on the host, x T×I. What stands above the diagonal is of no use.
    virtual void gram(MatrixView<const float> x, MatrixView<float> lower);
    /// What each row of logits T×V says of its target. @throws DeviceLost when they stood only on a device that failed.
    virtual void scoreRows(MatrixView<const float> logits, std::span<const std::int32_t> targets, std::span<RowScore> out);
    /// out[t, k] = logits[t, columns[t·K + k]], T×K on the host; NaN for a column below 0. @throws DeviceLost as scoreRows().
    virtual void valuesAt(MatrixView<const float> logits, std::span<const std::int32_t> columns, MatrixView<float> out);
    /// KL(softmax(base)‖softmax(other)) in nats, row by row.
    virtual void divergeRows(MatrixView<const float> base, MatrixView<const float> other, std::span<double> out);
    /// Fills `out`. Sums of a GPU are f32 of some dozens of values and f64 of those, in an order that only the shape decides.
    virtual void inputSums(MatrixView<const float> x, InputSums& out);
    /// Adds to counts, I×(2·side + 1), in bins of an eighth of an octave: x of channel c counts in bin (bits of |x|)/2²⁰ − least[c],
    /// `side` further if it is negative, and in the last one if that is below 0. All x are finite and below the side-th bin.
    virtual void logHistograms(MatrixView<const float> x, std::span<const std::int32_t> least, std::int32_t side, std::span<std::uint32_t> counts);
    /// y[t] = row rows[t] of the weight, decoded: the look-up of an embedding that is multiplied with, too.
    virtual void rowsOf(const DeviceWeight& w, std::span<const std::int32_t> rows, MatrixView<float> y);

    // Rounding of weights in host memory. @returns false, and nothing is written, where the device leaves it to the format's own code.
    /// Of every run of `group` columns, row by row: ⌈I/group⌉ a row. Needs finite weights.
    virtual bool extremes(MatrixView<const float> /*w*/, std::int64_t /*group*/, std::span<Extremes> /*out*/) { return false; }
    /// Codes O×I; Σ (w − ŵ)² of every row into `errors`. Needs finite weights.
    virtual bool roundToGrid(MatrixView<const float> /*w*/, const RoundingGrid& /*grid*/, std::span<std::uint8_t> /*codes*/, std::span<double> /*errors*/) {
        return false;
    }

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
