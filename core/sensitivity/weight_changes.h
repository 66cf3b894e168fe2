// SPDX-License-Identifier: GPL-3.0-or-later
// W − Ŵ of one block's sites in every format that is tried: in f32 while they fit into a limit, else encoded and
// decoded anew for each use. Private to core/sensitivity.
#pragma once

#include "core/sensitivity/site_rounder.h"

#include <map>

namespace bw::detail {

class WeightChanges {
public:
    WeightChanges(const Model& model, const SiteRounder& rounder, std::uint64_t limit)
        : model_(model), rounder_(rounder), limit_(limit) {}
    /// Rounds the site to every choice, unless that has been done. @param rowsOnly rows() won't be asked for.
    /// @throws Error(nonFinite) naming the site.
    void prepare(const Site& site, const std::vector<SiteChoice>& choices, bool rowsOnly = false);
    /// Some rows in every choice of the site; valid until the next call.
    std::vector<MatrixView<const float>> rows(const Site& site, std::int64_t first, std::int64_t count);
    /// Row `row` of the embedding's W − Ŵ into `out` (I values); any number of threads at once after loadWeight().
    void row(const Site& site, std::size_t format, std::int64_t row, std::span<float> out) const;
    void loadWeight(const Site& site); ///< the weight that row() subtracts from
    /// Forgets everything but the embedding's encoded bytes, which a tied head has made and the look-up needs later.
    void endBlock();
    bool has(const Site& site) const { return sites_.contains(site.id.value()); }
    bool keeps(const Site& site) const; ///< rows() costs nothing

private:
    struct Change {
        FormatPtr format;
        std::vector<std::byte> bytes; ///< empty when `difference` is kept, but for the embedding
        Matrix difference;
    };
    const Matrix& weightOf(const Site& site);
    /// Rows from `first` on, as many as `weight` has; `into` is large enough.
    void subtract(const Site& site, MatrixView<const float> weight, const Change& change, std::int64_t first,
                  MatrixView<float> into) const;

    const Model& model_;
    const SiteRounder& rounder_;
    std::uint64_t limit_, taken_ = 0;
    std::map<int, std::vector<Change>> sites_; ///< by SiteId
    Matrix weight_;                            ///< of the site last asked for that doesn't fit
    std::vector<Matrix> decoded_;              ///< some rows of it, by choice
    int weightSite_ = -1;
};

} // namespace bw::detail
