// SPDX-License-Identifier: GPL-3.0-or-later
// What a Fisher sketch is asked for and what it has gathered so far: cells of sites, of inputs and of caches, with
// their projections. Private to core/sensitivity. Not for: how projections are worked out (fisher_observer.h).
#pragma once

#include "core/sensitivity/fisher.h"
#include "core/sensitivity/site_rounder.h"

#include <set>

namespace bw::detail {

/// Asked formats that come to the same one at a place are worked out once.
struct FisherFormat {
    SiteChoice choice;
    std::vector<std::string> asked; ///< handed out each
    std::vector<double> sums;       ///< c·√T by window, draw and segment; empty until the first gradient
};

/// How a window's projections are laid out: `draws` of labels, each in `segments` equal parts of the window's
/// positions.
struct FisherLayout {
    std::int64_t windows = 0;
    int draws = 1, segments = 1;
    std::size_t size() const { return static_cast<std::size_t>(windows * draws * segments); }
    int perWindow() const { return draws * segments; }
};

/// As many as a window of that length has: of at least 32 positions, at most 16.
std::int64_t segmentsOf(std::int64_t length);
/// segmentsOf(), but so few that `cells` of them take no more than 2^23 numbers; draws so that the probes are reached.
FisherLayout fisherLayout(std::int64_t windows, std::int64_t length, int probes, std::size_t cells);

/// A site, a group's input, or one half of a block's cache.
struct FisherPlace {
    std::string name;
    const Site* site = nullptr; ///< null of activations and caches
    std::vector<FisherFormat> formats;
    std::int64_t tokens = 0;
    std::vector<SiteChoice> choices() const;
};

class FisherCells {
public:
    /// @throws Error(usage) for nothing to do or a pattern without a site; Error(invalidFormat).
    FisherCells(const Model& model, const FisherOptions& options, const std::vector<SensitivityCell>& known);
    bool empty() const { return places_.empty(); }
    std::size_t count() const; ///< cells asked for
    SiteRounder::Wanted wanted() const; ///< sites and what they are rounded to
    /// Null where nothing is wanted (any more).
    FisherPlace* site(SiteId id) { return at(bySite_[static_cast<std::size_t>(id.value())]); }
    FisherPlace* input(int group) { return at(byGroup_[static_cast<std::size_t>(group)]); }
    FisherPlace* keys(BlockIndex block) { return at(byBlock_[static_cast<std::size_t>(block.value())].first); }
    FisherPlace* values(BlockIndex block) { return at(byBlock_[static_cast<std::size_t>(block.value())].second); }
    bool wantsInputs() const { return wantsInputs_; }
    bool wantsCache() const { return wantsCache_; }
    /// Of a block: sites, inputs, caches; of −1: head and embedding.
    const std::vector<int>& ofBlock(BlockIndex block) const {
        return blocks_[static_cast<std::size_t>(block.value() + 1)];
    }
    FisherPlace& place(int index) { return places_[static_cast<std::size_t>(index)]; }

private:
    using Known = std::set<std::pair<std::string, std::string>>; ///< names and asked formats
    FisherPlace* at(int index) { return index < 0 ? nullptr : &places_[static_cast<std::size_t>(index)]; }
    /// Index of the new place, −1 when nothing is left to do there.
    int add(std::string name, const Site* site, BlockIndex block, const std::vector<std::string>& formats,
            const std::vector<SiteChoice>& parsed, std::int64_t rows, std::int64_t cols, const Known& known);
    void addSites(const Model& model, const FisherOptions& options, const Known& known);
    void addActivations(const Model& model, const FisherOptions& options, const Known& known);

    std::vector<FisherPlace> places_;
    std::vector<int> bySite_, byGroup_;
    std::vector<std::pair<int, int>> byBlock_;
    std::vector<std::vector<int>> blocks_; ///< block + 1
    bool wantsInputs_ = false, wantsCache_ = false;
};

/// A format over each token's row: "intN:token[:sym|:asym]" is the affine grid over the whole row (symmetric unless
/// told), any other name what parseFormat() makes of it. @throws Error(invalidFormat).
FormatPtr parseRowFormat(const std::string& text);

/// ½·mean c² and its standard error over windows, whose draws hang together; of a single window over its draws, of a
/// single probe √2·value, as of a χ² with one degree of freedom.
void setDamage(SensitivityCell& cell, std::span<const float> projections, int draws);

/// The rows of a place. `tokens`: T of a window, whose root every projection is divided by.
/// What a change does at one position and at another hardly ever acts together, so that a window's segments are as good
/// as that many probes: ½·mean of their squares, times S, has a far smaller error than that of their sum. Two
/// exceptions keep the sum: keys, whose common change the softmax takes out again, and rows where sum and parts differ
/// by more than two errors, as far as they do.
/// @throws Error(nonFinite) naming place and format.
std::vector<FisherRow> fisherRows(const FisherPlace& place, const FisherLayout& layout, std::int64_t tokens);

} // namespace bw::detail
