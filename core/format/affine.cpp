// SPDX-License-Identifier: GPL-3.0-or-later
// Affine grids: choice of scale and zero point, clip search, and the byte layout
//   codes  O × ⌈I·B/32⌉ words, code k of a row at bit k·B
//   scales f16, O × groups (one for tensor scope)
//   zeros  asym only: ⌈O·B/32⌉ words × groups, zero of row r at bit r·B down a column
// which is how packed safetensors have them. Source: METHODS of affine grids in the manual.
#include "core/format/affine.h"

#include "core/base/error.h"
#include "core/base/parallel.h"
#include "core/format/checks.h"
#include "core/format/half.h"
#include "core/format/kernels.h"

#include <fmt/format.h>

#include <algorithm>
#include <cassert>
#include <cmath>
#include <cstring>

namespace bw {

namespace {

using kernels::AffineStep;

struct Choice {
    std::uint16_t scale = 0; ///< f16 bits
    AffineStep step;
};

/// Rounds to nearest, halves to even, whatever the rounding mode: |v| ≤ 2^22.
float nearestEven(float v) { return (v + 12582912.0f) - 12582912.0f; }

Choice stepWithScale(std::uint16_t bits, float lo, const AffineGrid& grid) {
    Choice c;
    c.scale = bits;
    c.step.scale = half::toFloat(bits);
    c.step.high = (1 << grid.bits) - 1;
    if (grid.symmetric) {
        c.step.zero = 1 << (grid.bits - 1);
        c.step.low = 1;
    } else if (c.step.scale > 0) {
        const float top = static_cast<float>(c.step.high);
        c.step.zero = static_cast<int>(nearestEven(std::clamp(-lo / c.step.scale, 0.0f, top)));
    }
    return c;
}

/// Scale and zero point for the range [lo, hi] (widened to hold 0). The scale is the nearest f16; where its rounding
/// would leave the grid's outermost codes unused, the next smaller one, so that encoding decoded values changes nothing.
/// Below f16's normal numbers, where it is coarse, the scale is rounded up: no weight of the range is clipped.
Choice chooseStep(float lo, float hi, const AffineGrid& grid) {
    lo = std::min(lo, 0.0f);
    hi = std::max(hi, 0.0f);
    const int levels = grid.symmetric ? (1 << (grid.bits - 1)) - 1 : (1 << grid.bits) - 1;
    const auto n = static_cast<float>(levels);
    const float wanted = grid.symmetric              ? std::max(-lo, hi) / n
                         : std::isfinite(hi - lo) ? (hi - lo) / n
                                                  : hi / n - lo / n;
    constexpr float kSmallestNormal = 0x1p-14f;
    if (wanted < kSmallestNormal) return stepWithScale(static_cast<std::uint16_t>(std::ceil(wanted * 0x1p24f)), lo, grid);
    std::uint16_t bits = half::scaleBits(wanted);
    Choice c = stepWithScale(bits, lo, grid);
    for (int tries = 0; tries < 4 && !grid.symmetric; ++tries) {
        const float reach = std::min(hi / c.step.scale, 512.0f);
        if (static_cast<int>(nearestEven(reach)) + c.step.zero >= c.step.high) break;
        c = stepWithScale(--bits, lo, grid);
    }
    return c;
}

constexpr float kClipStep = 0.025f;
constexpr int kClipSteps = 30;   ///< factors 1 … 0.25
constexpr int kClipPatience = 5; ///< the error has one valley but for rounding noise: stop after this many worse factors

/// Tries shrunken ranges; `errorOf(choice)` is the (weighted) error of one. The unshrunk range comes first and wins ties.
template <class ErrorOf>
Choice searchClip(float lo, float hi, const AffineGrid& grid, const ErrorOf& errorOf) {
    Choice best = chooseStep(lo, hi, grid);
    auto least = errorOf(best);
    for (int k = 1, worse = 0; k <= kClipSteps && worse < kClipPatience && least > 0; ++k) {
        const float factor = 1.0f - kClipStep * static_cast<float>(k);
        const Choice choice = chooseStep(lo * factor, hi * factor, grid);
        const auto error = errorOf(choice);
        if (error < least) {
            least = error;
            best = choice;
            worse = 0;
        } else {
            ++worse;
        }
    }
    return best;
}

struct Layout {
    std::int64_t rows, cols, groupsPerRow, groupLength, scales;
    std::uint64_t rowBytes, scalesAt, zerosAt, total;
};

Layout layoutOf(const AffineGrid& grid, std::int64_t rows, std::int64_t cols) {
    Layout l{};
    l.rows = rows;
    l.cols = cols;
    l.groupLength = grid.scope == AffineScope::group ? grid.group : cols;
    l.groupsPerRow = cols / l.groupLength;
    const bool tensor = grid.scope == AffineScope::tensor;
    l.scales = tensor ? 1 : rows * l.groupsPerRow;
    const auto bits = static_cast<std::uint64_t>(grid.bits);
    const auto words = [&](std::int64_t n) { return (static_cast<std::uint64_t>(n) * bits + 31) / 32 * 4; };
    l.rowBytes = words(cols);
    l.scalesAt = l.rowBytes * static_cast<std::uint64_t>(rows);
    l.zerosAt = l.scalesAt + 2 * static_cast<std::uint64_t>(l.scales);
    l.total = l.zerosAt;
    if (!grid.symmetric) l.total += tensor ? words(1) : words(rows) * static_cast<std::uint64_t>(l.groupsPerRow);
    return l;
}

/// Zero point of row r, group g. A code may cross into the word below it in the column.
int zeroAt(const Layout& l, const AffineGrid& grid, const std::byte* in, std::int64_t r, std::int64_t g) {
    const std::int64_t columns = grid.scope == AffineScope::tensor ? 1 : l.groupsPerRow;
    const std::uint64_t bit = static_cast<std::uint64_t>(r) * static_cast<std::uint64_t>(grid.bits);
    const auto word = [&](std::uint64_t w) {
        std::uint32_t value = 0;
        std::memcpy(&value, in + l.zerosAt + (w * static_cast<std::uint64_t>(columns) + static_cast<std::uint64_t>(g)) * 4, 4);
        return static_cast<std::uint64_t>(value);
    };
    std::uint64_t value = word(bit / 32) >> (bit % 32);
    if (bit % 32 + static_cast<std::uint64_t>(grid.bits) > 32) value |= word(bit / 32 + 1) << (32 - bit % 32);
    return static_cast<int>(value & ((1u << grid.bits) - 1u));
}

void writeZeros(const Layout& l, const AffineGrid& grid, std::span<const std::uint8_t> zeros, std::byte* out) {
    const bool tensor = grid.scope == AffineScope::tensor;
    const std::int64_t columns = tensor ? 1 : l.groupsPerRow, rows = tensor ? 1 : l.rows;
    std::vector<std::uint32_t> words((l.total - l.zerosAt) / 4);
    for (std::int64_t r = 0; r < rows; ++r)
        for (std::int64_t g = 0; g < columns; ++g) {
            const std::uint64_t bit = static_cast<std::uint64_t>(r) * static_cast<std::uint64_t>(grid.bits);
            const std::uint64_t value = static_cast<std::uint64_t>(zeros[static_cast<std::size_t>(r * columns + g)]) << (bit % 32);
            const std::size_t at = static_cast<std::size_t>((bit / 32) * static_cast<std::uint64_t>(columns)) + static_cast<std::size_t>(g);
            words[at] |= static_cast<std::uint32_t>(value);
            if (value >> 32) words[at + static_cast<std::size_t>(columns)] |= static_cast<std::uint32_t>(value >> 32);
        }
    std::memcpy(out + l.zerosAt, words.data(), words.size() * 4);
}

void writeRow(const Layout& l, const AffineGrid& grid, std::int64_t row, const std::uint8_t* codes, std::byte* out) {
    std::byte* at = out + static_cast<std::uint64_t>(row) * l.rowBytes;
    const auto used = (static_cast<std::uint64_t>(l.cols) * static_cast<std::uint64_t>(grid.bits) + 7) / 8;
    std::memset(at + used, 0, l.rowBytes - used);
    kernels::packBits(codes, static_cast<std::size_t>(l.cols), grid.bits, at);
}

std::string gridName(const AffineGrid& grid) {
    const std::string scope = grid.scope == AffineScope::group     ? fmt::format("g{}", grid.group)
                              : grid.scope == AffineScope::channel ? "channel"
                                                                   : "tensor";
    return fmt::format("int{}:{}:{}", grid.bits, scope, grid.symmetric ? "sym" : "asym");
}

/// One scale for the whole weight.
Choice tensorStep(MatrixView<const float> weight, const AffineGrid& grid, const EncodeOptions& options) {
    const auto cols = static_cast<std::size_t>(weight.cols);
    std::vector<float> lo(static_cast<std::size_t>(weight.rows)), hi(lo.size());
    parallelFor(weight.rows, rowGrain(weight.cols), [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t r = begin; r < end; ++r)
            kernels::minMax(weight.row(r), cols, lo[static_cast<std::size_t>(r)], hi[static_cast<std::size_t>(r)]);
    });
    const float least = *std::min_element(lo.begin(), lo.end()), most = *std::max_element(hi.begin(), hi.end());
    if (!options.clipSearch) return chooseStep(least, most, grid);
    const float* importance = groupImportance(options.importance, 0, weight.cols);
    std::vector<double> errors(lo.size());
    return searchClip(least, most, grid, [&](const Choice& choice) {
        parallelFor(weight.rows, rowGrain(weight.cols), [&](std::int64_t begin, std::int64_t end) {
            for (std::int64_t r = begin; r < end; ++r)
                errors[static_cast<std::size_t>(r)] =
                    static_cast<double>(kernels::affineError(weight.row(r), importance, cols, choice.step));
        });
        double sum = 0;
        for (const double e : errors) sum += e;
        return sum;
    });
}

} // namespace

AffineFormat::AffineFormat(const AffineGrid& grid) : Format(gridName(grid), grid.bits), grid_(grid) {
    assert(grid.bits >= 2 && grid.bits <= 8 && grid.group >= 1);
}

bool AffineFormat::fits(std::int64_t rows, std::int64_t cols, std::string* why) const {
    if (rows < 1 || cols < 1) {
        if (why) *why = "a weight has at least one row and one column";
        return false;
    }
    if (grid_.scope == AffineScope::group && cols % grid_.group != 0) {
        if (why) *why = fmt::format("{} does not divide {}", grid_.group, cols);
        return false;
    }
    return true;
}

std::uint64_t AffineFormat::bytes(std::int64_t rows, std::int64_t cols) const { return layoutOf(grid_, rows, cols).total; }

void AffineFormat::encode(MatrixView<const float> weight, const EncodeOptions& options, std::span<std::byte> out) const {
    checkEncodeArguments(*this, weight, options, out.size());
    const Layout l = layoutOf(grid_, weight.rows, weight.cols);
    const auto length = static_cast<std::size_t>(l.groupLength);
    const bool tensor = grid_.scope == AffineScope::tensor;
    const Choice shared = tensor ? tensorStep(weight, grid_, options) : Choice{};
    std::vector<std::uint8_t> zeros(grid_.symmetric ? 0 : static_cast<std::size_t>(l.scales));
    const auto chooseFor = [&](const float* x, std::int64_t column) {
        float lo = 0, hi = 0;
        kernels::minMax(x, length, lo, hi);
        if (!options.clipSearch) return chooseStep(lo, hi, grid_);
        const float* importance = groupImportance(options.importance, column, l.groupLength);
        return searchClip(lo, hi, grid_, [&](const Choice& c) { return kernels::affineError(x, importance, length, c.step); });
    };
    parallelFor(weight.rows, rowGrain(weight.cols), [&](std::int64_t begin, std::int64_t end) {
        std::vector<std::uint8_t> codes(static_cast<std::size_t>(l.cols));
        for (std::int64_t r = begin; r < end; ++r) {
            for (std::int64_t g = 0; g < l.groupsPerRow; ++g) {
                const std::int64_t column = g * l.groupLength;
                const float* x = weight.row(r) + column;
                const Choice choice = tensor ? shared : chooseFor(x, column);
                kernels::affineCodes(x, length, choice.step, codes.data() + column);
                if (tensor) continue;
                const auto index = static_cast<std::size_t>(r * l.groupsPerRow + g);
                std::memcpy(out.data() + l.scalesAt + 2 * index, &choice.scale, 2);
                if (!grid_.symmetric) zeros[index] = static_cast<std::uint8_t>(choice.step.zero);
            }
            writeRow(l, grid_, r, codes.data(), out.data());
        }
    });
    if (tensor) {
        std::memcpy(out.data() + l.scalesAt, &shared.scale, 2);
        if (!grid_.symmetric) zeros[0] = static_cast<std::uint8_t>(shared.step.zero);
    }
    if (!grid_.symmetric) writeZeros(l, grid_, zeros, out.data());
}

void AffineFormat::decodeRows(std::span<const std::byte> in, std::int64_t rows, std::int64_t firstRow, MatrixView<float> out) const {
    const Layout l = layoutOf(grid_, rows, out.cols);
    if (in.size() != l.total || firstRow < 0 || firstRow + out.rows > rows)
        throw Error(ErrorCode::shapeMismatch, fmt::format("{} bytes are no {}×{} weight of {} (rows {} to {})", in.size(), rows,
                                                          out.cols, name(), firstRow, firstRow + out.rows));
    const bool tensor = grid_.scope == AffineScope::tensor;
    std::vector<std::uint8_t> codes(static_cast<std::size_t>(l.cols));
    for (std::int64_t i = 0; i < out.rows; ++i) {
        const std::int64_t r = firstRow + i;
        kernels::unpackBits(in.data() + static_cast<std::uint64_t>(r) * l.rowBytes, codes.size(), grid_.bits, codes.data());
        for (std::int64_t g = 0; g < l.groupsPerRow; ++g) {
            const auto index = static_cast<std::uint64_t>(tensor ? 0 : r * l.groupsPerRow + g);
            std::uint16_t scale = 0;
            std::memcpy(&scale, in.data() + l.scalesAt + 2 * index, 2);
            AffineStep step;
            step.scale = half::toFloat(scale);
            step.zero = grid_.symmetric ? 1 << (grid_.bits - 1) : zeroAt(l, grid_, in.data(), tensor ? 0 : r, tensor ? 0 : g);
            const std::int64_t column = g * l.groupLength;
            kernels::affineDecode(codes.data() + column, static_cast<std::size_t>(l.groupLength), step, out.row(i) + column);
        }
    }
}

AffineCodes AffineFormat::unpack(std::span<const std::byte> in, std::int64_t rows, std::int64_t cols) const {
    const Layout l = layoutOf(grid_, rows, cols);
    if (in.size() != l.total)
        throw Error(ErrorCode::shapeMismatch, fmt::format("{} bytes are no {}×{} weight of {}", in.size(), rows, cols, name()));
    const bool tensor = grid_.scope == AffineScope::tensor;
    AffineCodes result;
    result.rows = rows;
    result.cols = cols;
    result.groupsPerRow = tensor ? 0 : l.groupsPerRow;
    result.codes.resize(static_cast<std::size_t>(rows * cols));
    constexpr std::int64_t kPieceWeights = 1 << 16;
    parallelFor(rows, std::max<std::int64_t>(1, kPieceWeights / std::max<std::int64_t>(1, cols)), [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t r = begin; r < end; ++r)
            kernels::unpackBits(in.data() + static_cast<std::uint64_t>(r) * l.rowBytes, static_cast<std::size_t>(cols), grid_.bits,
                                result.codes.data() + r * cols);
    });
    result.scales.resize(static_cast<std::size_t>(l.scales));
    std::memcpy(result.scales.data(), in.data() + l.scalesAt, 2 * result.scales.size());
    if (grid_.symmetric) return result;
    result.zeros.resize(result.scales.size());
    for (std::int64_t i = 0; i < l.scales; ++i)
        result.zeros[static_cast<std::size_t>(i)] =
            static_cast<std::uint8_t>(zeroAt(l, grid_, in.data(), tensor ? 0 : i / l.groupsPerRow, tensor ? 0 : i % l.groupsPerRow));
    return result;
}

void AffineFormat::addScale(float low, float high, AffineCodes& to) const {
    const Choice choice = chooseStep(low, high, grid_);
    to.scales.push_back(choice.scale);
    if (!grid_.symmetric) to.zeros.push_back(static_cast<std::uint8_t>(choice.step.zero));
}

void AffineFormat::pack(const AffineCodes& codes, std::span<std::byte> out) const {
    std::string why;
    if (!fits(codes.rows, codes.cols, &why))
        throw Error(ErrorCode::formatDoesNotFit,
                    fmt::format("{} cannot hold a {}×{} weight: {}", name(), codes.rows, codes.cols, why));
    const Layout l = layoutOf(grid_, codes.rows, codes.cols);
    const auto scales = static_cast<std::size_t>(l.scales);
    if (out.size() != l.total || codes.codes.size() != static_cast<std::size_t>(codes.rows * codes.cols) ||
        codes.scales.size() != scales || codes.zeros.size() != (grid_.symmetric ? 0 : scales))
        throw Error(ErrorCode::shapeMismatch, fmt::format("codes, scales or zeros do not have the sizes of a {}×{} weight of {}",
                                                          codes.rows, codes.cols, name()));
    const int high = (1 << grid_.bits) - 1;
    const auto outside = [&](std::uint8_t v) { return v > high; };
    if (std::any_of(codes.codes.begin(), codes.codes.end(), outside) || std::any_of(codes.zeros.begin(), codes.zeros.end(), outside))
        throw Error(ErrorCode::invalidTensor, fmt::format("a code or zero point of {} is past {}", name(), high));
    for (std::int64_t r = 0; r < codes.rows; ++r) writeRow(l, grid_, r, codes.codes.data() + r * codes.cols, out.data());
    std::memcpy(out.data() + l.scalesAt, codes.scales.data(), 2 * scales);
    if (!grid_.symmetric) writeZeros(l, grid_, codes.zeros, out.data());
}

} // namespace bw
