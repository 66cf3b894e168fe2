// SPDX-License-Identifier: GPL-3.0-or-later
// Between importance matrices (by tensor name, as files hold them) and sites. Not for: the file forms (core/checkpoint).
#pragma once

#include "core/calibrate/observers.h"
#include "core/checkpoint/imatrix.h"

#include <map>
#include <string>
#include <vector>

namespace bw {

/// Sums of a calibration walk as llama.cpp's tool collects them: every linear inside the blocks, experts stacked.
/// @param withHead also the output matrix, when it is a tensor of its own.
ImportanceMatrix importanceMatrix(const Model& model, const CalibrationResult& result, std::int64_t chunks, std::int64_t chunkSize,
                                  std::vector<std::string> datasets, bool withHead);

/// Name and matrix number of a site in an importance matrix: "blk.3.ffn_up_exps.weight" and 5.
struct ImportanceKey {
    std::string tensor;
    std::int64_t matrix = 0;
};
ImportanceKey importanceKey(const Site& site);

struct SiteImportance {
    std::map<int, std::vector<float>> values; ///< by SiteId: mean squared input per column
    std::int64_t missing = 0, covered = 0;    ///< sites inside the blocks without and with importance
    std::vector<std::string> warnings;        ///< which sites are rounded without importance, and their share of weights
};
/// Sites whose tensor is missing, saw nothing or has only zeros get none: they are rounded as without a matrix.
/// @throws Error(shapeMismatch) when the matrix was made for other widths.
SiteImportance siteImportance(const Model& model, const ImportanceMatrix& matrix);

} // namespace bw
