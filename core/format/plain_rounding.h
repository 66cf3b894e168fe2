// SPDX-License-Identifier: GPL-3.0-or-later
// Rounding to nearest without a search, taken apart for whoever rounds elsewhere: scales from the extremes of cells, then codes,
// then bytes. The bytes are those of Format::encode() if the codes are. Not for: rounding here (Format::encode() is faster).
#pragma once

#include "core/format/format.h"

#include <memory>
#include <vector>

namespace bw {

/// The least and largest value of a run of columns of one row, and the first one of the largest magnitude.
struct CellExtremes {
    float low = 0, high = 0, peak = 0;
};

class PlainRounding {
public:
    enum class Rule { whole, smallFloat, addHalf, awayFromZero };
    /// What codes stand for; cells of cellRows×cellCols share an entry of the vectors.
    struct Grid {
        Rule rule = Rule::whole;
        std::int64_t cellRows = 1, cellCols = 32;
        std::vector<float> scales, inverses, zeros; ///< inverses: of addHalf and awayFromZero; zeros: of whole
        float lowest = 0, highest = 0;              ///< codes of whole
        int mantissaBits = 0, bias = 0, bits = 8;   ///< of smallFloat
        float largest = 0;
    };

    virtual ~PlainRounding() = default;
    /// Null when the format, or what the options ask for, is not rounding to nearest with scales that follow from extremes:
    /// affine grids and small floats without a clip search (nvfp4 not), q4_0 and q8_0 with the reference search.
    static std::unique_ptr<PlainRounding> of(const Format& format, const EncodeOptions& options, std::int64_t rows, std::int64_t cols);

    std::int64_t group() const { return group_; } ///< columns of the runs that extremes are wanted of
    /// @param extremes O×⌈I/group⌉, all finite.
    virtual const Grid& choose(std::span<const CellExtremes> extremes) = 0;
    /// @param codes O×I as the grid has them. @param out Format::bytes().
    virtual void pack(std::vector<std::uint8_t> codes, std::span<std::byte> out) const = 0;

protected:
    explicit PlainRounding(std::int64_t group) : group_(group) {}

private:
    std::int64_t group_;
};

} // namespace bw
