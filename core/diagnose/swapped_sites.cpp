// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/diagnose/swapped_sites.h"

#include "core/base/error.h"

#include <algorithm>
#include <fmt/format.h>

namespace bw {

void requireSameSites(const ChangedModel& changed) {
    if (&changed.base == &changed.model) return;
    const auto& mine = changed.base.sites();
    for (const Site& site : mine) {
        const Site* other = changed.model.findSite(site.name);
        if (other == nullptr || other->rows != site.rows || other->cols != site.cols)
            throw Error(ErrorCode::shapeMismatch,
                        fmt::format("'{}' is {}×{} in '{}' and {} in '{}'", site.name, site.rows, site.cols,
                                    changed.base.checkpoint().displayName(),
                                    other == nullptr ? "not there" : fmt::format("{}×{}", other->rows, other->cols),
                                    changed.model.checkpoint().displayName()),
                        "Only models of one architecture and size can be held against each other site by site.");
    }
    if (changed.model.sites().size() != mine.size())
        throw Error(ErrorCode::shapeMismatch,
                    fmt::format("'{}' has {} sites, '{}' {}", changed.base.checkpoint().displayName(), mine.size(),
                                changed.model.checkpoint().displayName(), changed.model.sites().size()),
                    "Only models of one architecture and size can be held against each other site by site.");
}

SwappedSites::SwappedSites(const ChangedModel& changed, std::vector<bool> taken, bool atRunTime)
    : changed_(changed), taken_(std::move(taken)), atRunTime_(atRunTime) {
    taken_.resize(changed.base.sites().size(), false);
}

void SwappedSites::apply(const Site& site, MatrixView<float> weight) const {
    if (!taken_[static_cast<std::size_t>(site.id.value())]) return;
    if (&changed_.base == &changed_.model) {
        if (changed_.source != nullptr) changed_.source->apply(site, weight);
        return;
    }
    const Matrix theirs = changed_.model.siteWeight(*changed_.model.findSite(site.name), changed_.source);
    for (std::int64_t r = 0; r < weight.rows; ++r) std::copy_n(theirs.row(r), weight.cols, weight.row(r));
}

std::shared_ptr<const RuntimeRounding> SwappedSites::rounding() const {
    return atRunTime_ && changed_.source != nullptr ? changed_.source->rounding() : nullptr;
}

} // namespace bw
