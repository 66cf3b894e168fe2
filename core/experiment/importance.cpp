// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/experiment/importance.h"

#include "core/base/error.h"

#include <algorithm>
#include <fmt/format.h>

namespace bw {
namespace {

/// Names of a few sites for a warning.
std::string someOf(const std::vector<std::string>& names) {
    std::string text;
    for (std::size_t i = 0; i < std::min<std::size_t>(names.size(), 4); ++i) text += (i == 0 ? "" : ", ") + names[i];
    return text + (names.size() > 4 ? " …" : "");
}

} // namespace

ImportanceKey importanceKey(const Site& site) {
    if (site.expert < 0) return {site.name + ".weight", 0};
    return {site.name.substr(0, site.name.rfind(".e")) + "_exps.weight", site.expert};
}

ImportanceMatrix importanceMatrix(const Model& model, const CalibrationResult& result, std::int64_t chunks, std::int64_t chunkSize, std::vector<std::string> datasets, bool withHead) {
    ImportanceMatrix matrix;
    matrix.chunks = chunks;
    matrix.chunkSize = chunkSize;
    matrix.datasets = std::move(datasets);
    for (const Site& site : model.sites()) {
        if (site.block.value() < 0 && !(withHead && site.kind == SiteKind::output)) continue;
        const InputStatistics* input = result.forSite(site.id);
        const ImportanceKey key = importanceKey(site);
        ImportanceEntry& entry = matrix.entries[key.tensor];
        entry.cols = site.cols;
        const auto needed = static_cast<std::size_t>(key.matrix + 1);
        if (entry.counts.size() < needed) {
            entry.counts.resize(needed, 0.0);
            entry.sums.resize(needed * static_cast<std::size_t>(site.cols), 0.0);
        }
        if (!input || static_cast<std::int64_t>(input->sumSquares.size()) != site.cols) continue; // an expert that saw nothing
        entry.counts[static_cast<std::size_t>(key.matrix)] = static_cast<double>(input->tokens);
        std::copy(input->sumSquares.begin(), input->sumSquares.end(), entry.sums.begin() + static_cast<std::ptrdiff_t>(key.matrix * site.cols));
    }
    return matrix;
}

SiteImportance siteImportance(const Model& model, const ImportanceMatrix& matrix) {
    SiteImportance out;
    std::vector<std::string> absent, empty;
    double weights = 0, without = 0;
    for (const Site& site : model.sites()) {
        const ImportanceKey key = importanceKey(site);
        std::vector<float> values = matrix.importance(key.tensor, site.cols, key.matrix);
        const bool inBlock = site.block.value() >= 0; // matrices usually leave out the embedding and the head
        if (inBlock) {
            weights += static_cast<double>(site.rows * site.cols);
            ++(values.empty() ? out.missing : out.covered);
        }
        if (!values.empty()) {
            out.values[site.id.value()] = std::move(values);
        } else if (inBlock) {
            without += static_cast<double>(site.rows * site.cols);
            (matrix.entries.contains(key.tensor) ? empty : absent).push_back(site.name);
        }
    }
    if (out.covered == 0)
        throw Error(ErrorCode::tensorMissing, "the importance matrix holds none of the model's tensors (it has " + std::to_string(matrix.entries.size()) + ", for instance '" +
                                                  (matrix.entries.empty() ? std::string() : matrix.entries.begin()->first) + "')", "It was made for another model.");
    const auto tell = [&](const std::vector<std::string>& names, const char* why) {
        if (!names.empty()) out.warnings.push_back(fmt::format("{} of {} sites are rounded without importance, {}: {}", names.size(), out.missing + out.covered, why, someOf(names)));
    };
    tell(absent, "they are not in the importance matrix");
    tell(empty, "they saw no activations when it was made");
    if (out.missing > 0) out.warnings.push_back(fmt::format("{:.2f} % of the weights have no importance", 100.0 * without / weights));
    return out;
}

} // namespace bw
