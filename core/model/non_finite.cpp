// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/model/non_finite.h"

#include "core/base/parallel.h"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <set>

namespace bw {
namespace {

constexpr std::int64_t kChunkWeights = 1 << 22; ///< 16 MiB of floats: decoded in well under 100 ms

struct RowCount {
    std::int64_t weights = 0, blocks = 0, firstBlock = -1;
};

RowCount countRow(std::span<const float> row, std::int64_t blockLength) {
    RowCount count;
    std::int64_t last = -1;
    for (std::size_t c = 0; c < row.size(); ++c) {
        if (std::isfinite(row[c])) continue;
        const std::int64_t block = static_cast<std::int64_t>(c) / blockLength;
        ++count.weights;
        count.blocks += block != last ? 1 : 0;
        if (count.firstBlock < 0) count.firstBlock = block;
        last = block;
    }
    return count;
}

NonFiniteTensor count(const Checkpoint& checkpoint, const TensorInfo& tensor, const std::string& name, JobContext& job) {
    const std::int64_t rows = tensor.rows(), cols = tensor.cols();
    NonFiniteTensor out;
    out.tensor = name;
    out.blockLength = tensor.packed ? 1 : std::max(1, storageTypeInfo(tensor.type).blockElements);
    out.allBlocks = rows * ((cols + out.blockLength - 1) / out.blockLength);
    Matrix values(std::clamp<std::int64_t>(kChunkWeights / std::max<std::int64_t>(1, cols), 1, rows), cols);
    std::vector<RowCount> counts(static_cast<std::size_t>(values.rows()));
    for (std::int64_t first = 0; first < rows; first += values.rows()) {
        job.checkpoint();
        const MatrixView<float> chunk = values.view().middleRows(0, std::min(values.rows(), rows - first));
        checkpoint.readRows(tensor, first, chunk);
        parallelFor(chunk.rows, 16, [&](std::int64_t begin, std::int64_t end) {
            for (std::int64_t r = begin; r < end; ++r) counts[static_cast<std::size_t>(r)] = countRow(chunk.rowSpan(r), out.blockLength);
        });
        for (std::int64_t r = 0; r < chunk.rows; ++r) {
            const RowCount& row = counts[static_cast<std::size_t>(r)];
            if (row.weights > 0 && out.weights == 0) {
                out.firstRow = first + r;
                out.firstBlock = row.firstBlock;
            }
            out.weights += row.weights;
            out.blocks += row.blocks;
        }
        job.advance(chunk.size());
    }
    return out;
}

} // namespace

std::string NonFiniteTensor::text() const {
    if (blockLength == 1)
        return fmt::format("{}: {} of {} weights are not finite, the first in row {}, column {}", tensor, weights, allBlocks, firstRow, firstBlock);
    return fmt::format("{}: {} of {} blocks of {} weights are not finite, the first in row {}, block {}", tensor, blocks, allBlocks, blockLength, firstRow, firstBlock);
}

std::vector<NonFiniteTensor> findNonFinite(const Model& model, JobContext& job) {
    std::vector<NonFiniteTensor> found;
    std::set<std::string> seen; // experts of a stack share its tensor
    std::int64_t total = 0;
    for (const Site& site : model.sites()) total += site.rows * site.cols;
    job.beginStage("look for weights that are not finite", total, "weights");
    for (const Site& site : model.sites()) {
        if (!seen.insert(site.tensor).second) continue;
        NonFiniteTensor tensor = count(model.checkpoint(), model.checkpoint().require(site.tensor), site.tensor, job);
        if (tensor.weights > 0) found.push_back(std::move(tensor));
    }
    return found;
}

void zeroNonFinite(MatrixView<float> weights) {
    parallelFor(weights.rows, std::max<std::int64_t>(1, (1 << 16) / std::max<std::int64_t>(1, weights.cols)), [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t r = begin; r < end; ++r)
            for (float& w : weights.rowSpan(r)) w = std::isfinite(w) ? w : 0.0f;
    });
}

} // namespace bw
