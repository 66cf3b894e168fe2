// SPDX-License-Identifier: GPL-3.0-or-later
// Two checkpoints held against each other tensor by tensor, also across kinds: Hugging Face against GGUF through canonical
// names and logical layout, stacked experts expert by expert. "Did the export keep everything?"
#pragma once

#include "core/checkpoint/checkpoint.h"

#include <string>
#include <vector>

namespace bw {

enum class TensorVerdict {
    equal,         ///< the same values
    close,         ///< within the tolerance
    different,     ///< beyond it
    shapeMismatch, ///< other dimensions; values not compared
    missingInA,
    missingInB,
    notDecoded,    ///< a type that is listed but not decoded here
};

struct TensorDifference {
    std::string name;            ///< canonical, or as in the file
    TensorVerdict verdict = TensorVerdict::equal;
    std::string typeA, typeB;
    std::vector<std::int64_t> shapeA, shapeB;
    double maxAbs = 0;           ///< largest |a − b|
    std::int64_t row = -1, col = -1; ///< where it is; −1: no difference
    double valueA = 0, valueB = 0;   ///< there
    double meanAbs = 0;          ///< mean |a − b|
    double relativeRms = 0;      ///< √(Σ(a−b)² / Σa²); infinite when a is zero and b is not
    double cosine = 1;           ///< 1 when both are zero
    std::int64_t nonFinite = 0;  ///< elements that are NaN or infinite in one of the two only
};

struct VerifyReport {
    std::vector<TensorDifference> tensors; ///< in the order of A, then those that only B has
    /// Tensors without a canonical name in one checkpoint of another kind than the other: buffers that converters leave
    /// out (rotary frequencies, attention masks). Listed, not counted as missing.
    std::vector<std::string> leftOut;
    std::int64_t count(TensorVerdict verdict) const;
    /// Largest relative RMS among those compared; null when none was.
    const TensorDifference* worst() const;
    bool same() const; ///< every tensor is equal or close
};

/// @param tolerance largest relative RMS that counts as close; 0: only equal values are the same.
/// Memory: two pieces of 16 MiB, whatever the size. Results do not depend on the number of threads. Progress: weights.
/// @throws Error fileChanged, cancelled.
VerifyReport verifyCheckpoints(const Checkpoint& a, const Checkpoint& b, double tolerance, JobContext& job);

/// "equal", "different", "missing in A" …
const char* verdictName(TensorVerdict verdict);

} // namespace bw
