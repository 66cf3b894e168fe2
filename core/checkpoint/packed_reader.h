// SPDX-License-Identifier: GPL-3.0-or-later
// Reading side of packed_affine.h: finds the parts of each packed linear among a checkpoint's tensors and decodes rows
// of it straight from the mapped files.
#pragma once

#include "core/checkpoint/checkpoint.h"
#include "core/format/affine.h"

#include <unordered_map>

namespace bw {

/// The pieces of one packed linear as they lie in the files.
struct PackedParts {
    AffineGrid grid;
    std::int64_t rows = 0, cols = 0;
    std::int64_t groupsPerRow = 0; ///< 0: one scale for the whole tensor
    TensorInfo codes, scales, zeros;
    bool hasZeros = false;
};

/// Replaces the parts of every packed linear in `tensors` by one logical TensorInfo ("X.weight", shape {O, I}, `packed`
/// set, bytes of all parts) and returns the parts by that name. Linears whose parts make no sense throw.
/// @throws Error tensorMissing, shapeMismatch, invalidTensor; each names the module.
std::unordered_map<std::string, PackedParts> joinPackedTensors(std::vector<TensorInfo>& tensors, const std::vector<MappedFile>& files,
                                                              std::vector<std::string>& warnings);

/// Decodes rows [first, first+out.rows), in parallel; w = scale·(u − zero) in f32, one rounding, as AffineFormat does.
void readPackedRows(const PackedParts& parts, const std::vector<MappedFile>& files, std::int64_t first, MatrixView<float> out);

} // namespace bw
