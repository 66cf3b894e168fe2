// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/sensitivity/weight_changes.h"

#include "core/base/parallel.h"

#include <algorithm>
#include <cassert>
#include <utility>

namespace bw::detail {

void WeightChanges::prepare(const Site& site, const std::vector<SiteChoice>& choices, bool rowsOnly) {
    if (has(site)) return;
    const Matrix weight = model_.siteWeight(site);
    std::vector<Change> made;
    for (const SiteChoice& choice : choices) {
        Change& change = made.emplace_back();
        change.format = choice.format;
        change.bytes = rounder_.round(site, weight.view(), choice).bytes;
        const std::uint64_t bytes = static_cast<std::uint64_t>(weight.size()) * sizeof(float);
        if (rowsOnly || bytes > limit_ - std::min(limit_, taken_)) continue;
        change.difference = Matrix(weight.rows(), weight.cols());
        subtract(site, weight.view(), change, 0, change.difference.view());
        taken_ += bytes;
        if (site.kind != SiteKind::tokenEmbedding) change.bytes = {};
    }
    sites_.emplace(site.id.value(), std::move(made));
}

void WeightChanges::subtract(const Site& site, MatrixView<const float> weight, const Change& change, std::int64_t first,
                             MatrixView<float> into) const {
    constexpr std::int64_t kPieceWeights = 1 << 16;
    parallelFor(
        weight.rows, std::max<std::int64_t>(1, kPieceWeights / weight.cols), [&](std::int64_t begin, std::int64_t end) {
            change.format->decodeRows(change.bytes, site.rows, first + begin, into.middleRows(begin, end - begin));
            for (std::int64_t r = begin; r < end; ++r)
                for (std::int64_t c = 0; c < weight.cols; ++c) into(r, c) = weight(r, c) - into(r, c);
        });
}

const Matrix& WeightChanges::weightOf(const Site& site) {
    if (weightSite_ != site.id.value()) {
        weight_ = model_.siteWeight(site);
        weightSite_ = site.id.value();
    }
    return weight_;
}

bool WeightChanges::keeps(const Site& site) const {
    return std::ranges::all_of(sites_.at(site.id.value()),
                               [](const Change& change) { return change.difference.size() > 0; });
}

void WeightChanges::loadWeight(const Site& site) {
    (void)weightOf(site);
}

std::vector<MatrixView<const float>> WeightChanges::rows(const Site& site, std::int64_t first, std::int64_t count) {
    const std::vector<Change>& changes = sites_.at(site.id.value());
    std::vector<MatrixView<const float>> out;
    decoded_.resize(std::max(decoded_.size(), changes.size()));
    for (std::size_t f = 0; f < changes.size(); ++f) {
        if (changes[f].difference.size() > 0) {
            out.push_back(changes[f].difference.view().middleRows(first, count));
            continue;
        }
        if (decoded_[f].size() < count * site.cols) decoded_[f] = Matrix(count, site.cols);
        const MatrixView<float> into(decoded_[f].data(), count, site.cols);
        subtract(site, weightOf(site).view().middleRows(first, count), changes[f], first, into);
        out.push_back(into);
    }
    return out;
}

void WeightChanges::row(const Site& site, std::size_t format, std::int64_t row, std::span<float> out) const {
    assert(weightSite_ == site.id.value());
    const Change& change = sites_.at(site.id.value()).at(format);
    change.format->decodeRows(change.bytes, site.rows, row, {out.data(), 1, site.cols});
    const float* weight = weight_.row(row);
    for (std::size_t c = 0; c < out.size(); ++c) out[c] = weight[c] - out[c];
}

void WeightChanges::endBlock() {
    std::erase_if(sites_,
                  [&](const auto& entry) { return model_.site(SiteId(entry.first)).kind != SiteKind::tokenEmbedding; });
    for (auto& [site, changes] : sites_)
        for (Change& change : changes) change.difference = Matrix();
    weight_ = Matrix();
    decoded_.clear();
    weightSite_ = -1;
    taken_ = 0;
}

} // namespace bw::detail
