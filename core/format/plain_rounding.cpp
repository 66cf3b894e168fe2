// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/format/plain_rounding.h"

#include "core/base/parallel.h"
#include "core/format/affine.h"
#include "core/format/float_format.h"
#include "core/format/half.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace bw {
namespace {

class AffineRounding final : public PlainRounding {
public:
    AffineRounding(const AffineFormat& format, std::int64_t rows, std::int64_t cols)
        : PlainRounding(format.grid().scope == AffineScope::group ? format.grid().group : cols), format_(format), rows_(rows), cols_(cols) {}

    const Grid& choose(std::span<const CellExtremes> extremes) override {
        const AffineGrid& grid = format_.grid();
        const bool tensor = grid.scope == AffineScope::tensor;
        made_.rows = rows_;
        made_.cols = cols_;
        made_.groupsPerRow = tensor ? 0 : cols_ / group();
        if (tensor) {
            CellExtremes all;
            for (const CellExtremes& e : extremes) all = {std::min(all.low, e.low), std::max(all.high, e.high), 0};
            format_.addScale(all.low, all.high, made_);
        } else {
            for (const CellExtremes& e : extremes) format_.addScale(e.low, e.high, made_);
        }
        grid_.cellRows = tensor ? rows_ : 1;
        grid_.cellCols = group();
        grid_.lowest = grid.symmetric ? 1.0f : 0.0f;
        grid_.highest = static_cast<float>((1 << grid.bits) - 1);
        for (std::size_t i = 0; i < made_.scales.size(); ++i) {
            grid_.scales.push_back(half::toFloat(made_.scales[i]));
            grid_.zeros.push_back(grid.symmetric ? static_cast<float>(1 << (grid.bits - 1)) : static_cast<float>(made_.zeros[i]));
        }
        return grid_;
    }
    void pack(std::vector<std::uint8_t> codes, std::span<std::byte> out) const override {
        AffineCodes parts = made_;
        parts.codes = std::move(codes);
        format_.pack(parts, out);
    }

private:
    AffineFormat format_;
    std::int64_t rows_, cols_;
    AffineCodes made_;
    Grid grid_;
};

class FloatRounding final : public PlainRounding {
public:
    FloatRounding(const FloatFormat& format, std::int64_t rows, std::int64_t cols)
        : PlainRounding(columns(format.grid(), cols)), format_(format), rows_(rows), cols_(cols) {}

    const Grid& choose(std::span<const CellExtremes> extremes) override {
        const FloatGrid& grid = format_.grid();
        const kernels::SmallFloat& kind = smallFloat(grid.code);
        grid_.rule = Rule::smallFloat;
        grid_.cellRows = grid.scope == FloatScope::tensor ? rows_ : grid.scope == FloatScope::block128 ? 128 : 1;
        grid_.cellCols = group();
        const std::int64_t groups = (cols_ + group() - 1) / group(), cellRows = (rows_ + grid_.cellRows - 1) / grid_.cellRows;
        std::vector<float> peaks(static_cast<std::size_t>(cellRows * groups), 0.0f);
        for (std::int64_t r = 0; r < rows_; ++r)
            for (std::int64_t g = 0; g < groups; ++g) {
                float& peak = peaks[static_cast<std::size_t>(r / grid_.cellRows * groups + g)];
                peak = std::max(peak, std::abs(extremes[static_cast<std::size_t>(r * groups + g)].peak));
            }
        made_ = format_.plainScales(rows_, cols_, peaks);
        grid_.scales = made_.scales;
        grid_.mantissaBits = kind.mantissaBits;
        grid_.bias = kind.bias;
        grid_.bits = kind.bits;
        grid_.largest = kind.largest;
        return grid_;
    }
    void pack(std::vector<std::uint8_t> codes, std::span<std::byte> out) const override {
        FloatCodes parts = made_;
        parts.codes = std::move(codes);
        format_.pack(parts, out);
    }

private:
    static std::int64_t columns(const FloatGrid& grid, std::int64_t cols) {
        if (grid.scope == FloatScope::tensor || grid.scope == FloatScope::channel) return cols;
        return grid.scope == FloatScope::block128 ? 128 : grid.group;
    }
    FloatFormat format_;
    std::int64_t rows_, cols_;
    FloatCodes made_;
    Grid grid_;
};

/// Blocks of 32 with an f16 scale: as ggml rounds them.
class BlockRounding final : public PlainRounding {
public:
    explicit BlockRounding(bool nibbles) : PlainRounding(32), nibbles_(nibbles) {}

    const Grid& choose(std::span<const CellExtremes> extremes) override {
        grid_.rule = nibbles_ ? Rule::addHalf : Rule::awayFromZero;
        for (const CellExtremes& e : extremes) {
            const float wanted = nibbles_ ? e.peak / -8.0f : std::abs(e.peak) / 127.0f;
            const float d = std::clamp(wanted, -half::kLargestHalf, half::kLargestHalf), inverse = d != 0.0f ? 1.0f / d : 0.0f;
            bits_.push_back(half::scaleBits(nibbles_ ? d : d + 0.0f));
            grid_.scales.push_back(half::toFloat(bits_.back()));
            grid_.inverses.push_back(std::isfinite(inverse) ? inverse : 0.0f);
        }
        return grid_;
    }
    void pack(std::vector<std::uint8_t> codes, std::span<std::byte> out) const override {
        constexpr std::int64_t kBlocks = 4096; // a tenth of a millisecond
        const std::size_t block = nibbles_ ? 18 : 34;
        parallelFor(static_cast<std::int64_t>(bits_.size()), kBlocks, [&](std::int64_t begin, std::int64_t end) {
            for (auto b = static_cast<std::size_t>(begin); b < static_cast<std::size_t>(end); ++b) {
                std::byte* to = out.data() + b * block;
                const std::uint8_t* from = codes.data() + b * 32;
                std::memcpy(to, &bits_[b], 2);
                for (std::size_t i = 0; nibbles_ && i < 16; ++i) to[2 + i] = static_cast<std::byte>((from[i] & 15u) | static_cast<unsigned>(from[i + 16]) << 4);
                if (!nibbles_) std::memcpy(to + 2, from, 32);
            }
        });
    }

private:
    bool nibbles_;
    std::vector<std::uint16_t> bits_;
    Grid grid_;
};

} // namespace

std::unique_ptr<PlainRounding> PlainRounding::of(const Format& format, const EncodeOptions& options, std::int64_t rows, std::int64_t cols) {
    if (!format.fits(rows, cols)) return nullptr;
    if (const auto* affine = dynamic_cast<const AffineFormat*>(&format))
        return options.clipSearch ? nullptr : std::make_unique<AffineRounding>(*affine, rows, cols);
    if (const auto* small = dynamic_cast<const FloatFormat*>(&format))
        return options.clipSearch || small->grid().scope == FloatScope::nv ? nullptr : std::make_unique<FloatRounding>(*small, rows, cols);
    const StorageType type = format.storage();
    const bool plain = options.search == BlockSearch::reference && options.importance.empty();
    return plain && (type == StorageType::q4_0 || type == StorageType::q8_0) ? std::make_unique<BlockRounding>(type == StorageType::q4_0) : nullptr;
}

} // namespace bw
