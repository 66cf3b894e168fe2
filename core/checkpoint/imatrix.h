// SPDX-License-Identifier: GPL-3.0-or-later
// Importance matrices: Σ x² of what enters every linear layer, channel by channel, in the two file forms of llama.cpp
// (the older .dat and GGUF). Not for: collecting them (core/calibrate) or rounding with them (core/quantize).
#pragma once

#include "core/base/atomic_file.h"

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

namespace bw {

/// Sums of one tensor. Stacked experts are M matrices of one tensor ("blk.3.ffn_up_exps.weight"); others have M = 1.
struct ImportanceEntry {
    std::int64_t cols = 0;      ///< I
    std::vector<double> sums;   ///< Σ x_j², M×I
    std::vector<double> counts; ///< rows of activations that each matrix saw, M
    std::int64_t matrices() const { return static_cast<std::int64_t>(counts.size()); }
};

struct ImportanceMatrix {
    /// llama.cpp's context when none is asked for; files without a chunk size were nearly always made with it.
    static constexpr std::int64_t kUsualChunk = 512;

    std::map<std::string, ImportanceEntry> entries; ///< by GGUF tensor name with ".weight"
    std::vector<std::string> datasets;              ///< names of the texts
    std::int64_t chunks = 0, chunkSize = kUsualChunk;

    /// Mean squared input, `cols` values, of matrix `matrix` of a tensor. Empty when the tensor is not there, when the
    /// matrix saw nothing or when every sum is zero: such a weight is rounded without importance. A .dat does not say
    /// how many experts its values are of: `cols` does.
    /// @throws Error(shapeMismatch) when the tensor is there with other columns or fewer matrices, naming both.
    std::vector<float> importance(const std::string& tensor, std::int64_t cols, std::int64_t matrix = 0) const;

    /// Adds sums and counts of another collection on the same model; order does not matter up to rounding of f64.
    /// @throws Error(shapeMismatch) when a tensor has other columns or matrices, naming it and both sizes.
    void merge(const ImportanceMatrix& other);

    /// Reads either form, told apart by the first bytes. A .dat keeps means, not sums: its counts become calls × 512
    /// rows. Sums of inputs (".in_sum") of newer files are not needed here and left out.
    /// @throws Error unknownFileType, truncated, headerTooLarge, invalidHeader, duplicateKey, tensorMissing,
    /// shapeMismatch, nonFinite (also negative sums); each names file and tensor. Memory ≤ a few times the file.
    static ImportanceMatrix read(const std::string& path);

    /// GGUF form: in_sum2 [M, I] and counts [M, 1] in f32 per tensor, sorted by name.
    void writeGguf(const std::string& path, AtomicFile::Replace replace) const;
    /// The older form. Per entry it keeps one call count and means: experts that saw nothing are stored as 1, tensors
    /// that saw nothing at all are left out.
    void writeDat(const std::string& path, AtomicFile::Replace replace) const;
    /// By the path's ending: ".dat" or GGUF.
    void write(const std::string& path, AtomicFile::Replace replace) const;
};

} // namespace bw
