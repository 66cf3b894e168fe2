// SPDX-License-Identifier: GPL-3.0-or-later
// A checkpoint made of another one by changing some tensors as their rows are read: rows and columns scaled, channels mixed,
// vectors replaced, an output matrix added. Nothing is copied and no file is written; whatever works on a checkpoint works on
// it. Not for: deciding what to change (core/quantize/transform.h), changing files.
#pragma once

#include "core/checkpoint/checkpoint.h"

#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace bw {

/// An orthogonal matrix R over a row of channels (or over the rows of a weight). Immutable, called by many threads.
class ChannelMixing {
public:
    virtual ~ChannelMixing() = default;
    virtual std::int64_t width() const = 0;
    /// x ← x·R; x.size() == width().
    virtual void mix(std::span<float> x) const = 0;
};

/// What happens to one tensor, in the layout of readRows(): W rows×cols, queries and keys in HF order, linears as {O, I}.
/// W' = Rᵣᵀ·(diag(rowScale)·W·diag(columnScale)·R꜀), where R꜀ works on every run of its width along a row, and Rᵣ on
/// `rowRuns` runs of rows from firstMixedRow on.
struct TensorEdit {
    std::vector<float> values;      ///< all elements: the base's are not read, and no other member is used
    std::vector<float> rowScale;    ///< rows() factors, or empty
    /// cols() factors, or n·cols() for a stack of n experts, rows()/n rows each; or empty.
    std::vector<float> columnScale;
    std::shared_ptr<const ChannelMixing> columns, rows; ///< R꜀ and Rᵣ; null = none
    std::int64_t firstMixedRow = 0, rowRuns = 1;
    /// A tensor that the base doesn't have is made from this one of the base's (canonical name); else empty.
    std::string source;
};

struct Derivation {
    /// Says what was done so that equal texts mean equal values: it becomes a part of the checkpoint's digest.
    std::string identity;
    std::map<std::string, TensorEdit> edits; ///< by canonical name
    bool untiedHead = false;                 ///< "output.weight" is added: config() and configJson() then say so
};

/// @throws Error tensorMissing (an edit of a tensor that is not there), shapeMismatch (an edit of another size).
/// Threads: reading is as free as from the base. Cost of a row: decoding it and one pass over it; where rows are mixed, reading
/// a part of a run reads the whole tensor once and keeps its values until another such tensor is read in parts.
std::shared_ptr<const Checkpoint> deriveCheckpoint(std::shared_ptr<const Checkpoint> base, Derivation derivation);

} // namespace bw
