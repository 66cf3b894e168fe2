// SPDX-License-Identifier: GPL-3.0-or-later
// Choice of scales and byte layout of small floats. The scale that is stored is the one rounded with.
#include "core/format/float_format.h"

#include "core/base/error.h"
#include "core/base/parallel.h"
#include "core/format/checks.h"
#include "core/format/half.h"
#include "core/format/kernels.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>

namespace bw {

namespace {

constexpr std::int64_t kBlock = 128;
constexpr float kLargestNvScale = 448;

struct Shape {
    std::int64_t rowsPerScale, colsPerScale, scaleRows, scaleCols;
    std::uint64_t rowBytes, scaleBytes, scalesAt, globalAt, total;
};

Shape shapeOf(const FloatGrid& grid, std::int64_t rows, std::int64_t cols) {
    Shape s{};
    switch (grid.scope) {
    case FloatScope::tensor: s.rowsPerScale = rows; s.colsPerScale = cols; break;
    case FloatScope::channel: s.rowsPerScale = 1; s.colsPerScale = cols; break;
    case FloatScope::block128: s.rowsPerScale = s.colsPerScale = kBlock; break;
    default: s.rowsPerScale = 1; s.colsPerScale = grid.group;
    }
    s.scaleRows = (rows + s.rowsPerScale - 1) / s.rowsPerScale;
    s.scaleCols = (cols + s.colsPerScale - 1) / s.colsPerScale;
    s.scaleBytes = grid.scope == FloatScope::mx || grid.scope == FloatScope::nv ? 1 : (grid.scope == FloatScope::group ? 2 : 4);
    s.rowBytes = (static_cast<std::uint64_t>(cols) * static_cast<std::uint64_t>(smallFloat(grid.code).bits) + 7) / 8;
    s.scalesAt = s.rowBytes * static_cast<std::uint64_t>(rows);
    s.globalAt = s.scalesAt + s.scaleBytes * static_cast<std::uint64_t>(s.scaleRows * s.scaleCols);
    s.total = s.globalAt + (grid.scope == FloatScope::nv ? 4 : 0);
    return s;
}

const kernels::SmallFloat& scaleFloat() { return smallFloat(FloatCode::e4m3); }
const std::array<float, 256>& scaleValues() {
    static const std::array<float, 256> values = kernels::floatValues(scaleFloat());
    return values;
}

float finiteOrZero(float v) { return std::isfinite(v) ? v : 0.0f; }

/// Value of a stored scale. Hostile bytes give finite numbers: what is no number counts as 0.
float scaleValue(const FloatGrid& grid, std::uint32_t stored, float globalScale) {
    switch (grid.scope) {
    case FloatScope::mx: return stored == 255 ? 0.0f : std::ldexp(1.0f, static_cast<int>(stored) - 127);
    case FloatScope::nv: return finiteOrZero(scaleValues()[stored & 127u] / globalScale);
    case FloatScope::group: return finiteOrZero(half::bf16ToFloat(static_cast<std::uint16_t>(stored)));
    default: return finiteOrZero(__builtin_bit_cast(float, stored));
    }
}

/// The stored scale nearest to `wanted` ≥ 0, above zero, and such that the largest float times it is finite.
std::uint32_t storedScale(const FloatGrid& grid, float wanted, float globalScale) {
    constexpr float kLeast = 0x1p-126f;
    const float largest = smallFloat(grid.code).largest;
    if (grid.scope == FloatScope::nv) {
        std::uint8_t code = 0;
        const float scaled = std::min(wanted * globalScale, kLargestNvScale);
        kernels::floatCodes(&scaled, 1, 1.0f, scaleFloat(), &code);
        return std::max<std::uint32_t>(code, 1); // 2^-9: a scale of zero would lose its group
    }
    wanted = std::max(wanted, kLeast);
    std::uint32_t stored = grid.scope == FloatScope::group ? half::bf16FromFloat(wanted) : __builtin_bit_cast(std::uint32_t, wanted);
    while (!std::isfinite(scaleValue(grid, stored, 1) * largest)) --stored;
    return stored;
}

/// MX: the exponent that puts a peak, rounded to the mantissa of the code, in the code's highest binade; E4M3, whose top
/// ends at 1.75·2^8, counts one bit of mantissa. The rule of compressed-tensors, which vLLM's kernels follow.
std::uint32_t exponentScale(const kernels::SmallFloat& kind, float peak) {
    const std::uint32_t bits = __builtin_bit_cast(std::uint32_t, peak) + (1u << (22 - (kind.mantissaBits == 3 && kind.bits == 8 ? 1 : kind.mantissaBits)));
    const int exponent = static_cast<int>(bits >> 23) - std::ilogb(kind.largest);
    return static_cast<std::uint32_t>(std::clamp(exponent, 1, 254 - std::ilogb(kind.largest))); // 2^-126 … finite products
}

/// Weights of one scale: rows × cols of a weight.
struct Cell {
    MatrixView<const float> x;
    const float* importance; ///< of its columns, or null
    float peak() const {
        float most = 0;
        for (std::int64_t r = 0; r < x.rows; ++r) {
            float lo = 0, hi = 0;
            kernels::minMax(x.row(r), static_cast<std::size_t>(x.cols), lo, hi);
            most = std::max({most, -lo, hi});
        }
        return most;
    }
    double error(float scale, const kernels::SmallFloat& kind) const {
        double sum = 0;
        for (std::int64_t r = 0; r < x.rows; ++r)
            sum += static_cast<double>(kernels::floatError(x.row(r), importance, static_cast<std::size_t>(x.cols), scale, kind));
        return sum;
    }
};

/// Scales that a search tries, best guess first. E2M1 steps are so coarse that a larger scale,
/// which puts the peak on 4 in place of 6, may serve the other weights better.
std::vector<std::uint32_t> candidates(const FloatGrid& grid, float peak, float globalScale, bool search) {
    const kernels::SmallFloat& kind = smallFloat(grid.code);
    if (!(peak > 0)) return {grid.scope == FloatScope::mx ? 127u : storedScale(grid, grid.scope == FloatScope::nv ? 1 / globalScale : 1.0f, globalScale)};
    if (grid.scope == FloatScope::mx) {
        const std::uint32_t e = exponentScale(kind, peak);
        if (!search) return {e};
        return {e, std::max(e, 2u) - 1, std::min(e + 1, static_cast<std::uint32_t>(254 - std::ilogb(kind.largest)))};
    }
    std::vector<std::uint32_t> tried{storedScale(grid, peak / kind.largest, globalScale)};
    if (!search) return tried;
    const int up = grid.code == FloatCode::e2m1 ? 10 : 0, down = grid.code == FloatCode::e2m1 ? 8 : 6;
    for (int k = -down; k <= up; ++k) {
        const std::uint32_t stored = storedScale(grid, peak * (1.0f + 0.05f * static_cast<float>(k)) / kind.largest, globalScale);
        if (stored != tried.front() && stored != tried.back()) tried.push_back(stored); // E4M3 scales lie further apart
    }
    return tried;
}

std::uint32_t chooseScale(const FloatGrid& grid, const Cell& cell, float globalScale, bool search) {
    const std::vector<std::uint32_t> tried = candidates(grid, cell.peak(), globalScale, search);
    std::uint32_t best = tried.front();
    double least = HUGE_VAL;
    for (std::size_t k = 0; tried.size() > 1 && k < tried.size(); ++k) {
        const double error = cell.error(scaleValue(grid, tried[k], globalScale), smallFloat(grid.code));
        if (error < least) {
            least = error;
            best = tried[k];
        }
    }
    return best;
}

float peakOf(MatrixView<const float> weight) {
    std::vector<float> peaks(static_cast<std::size_t>(weight.rows));
    parallelFor(weight.rows, rowGrain(weight.cols), [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t r = begin; r < end; ++r) peaks[static_cast<std::size_t>(r)] = Cell{weight.middleRows(r, 1), nullptr}.peak();
    });
    return *std::max_element(peaks.begin(), peaks.end());
}

const char* codeName(FloatCode code) {
    switch (code) {
    case FloatCode::e4m3: return "8_e4m3";
    case FloatCode::e5m2: return "8_e5m2";
    case FloatCode::e3m2: return "6_e3m2";
    case FloatCode::e2m3: return "6_e2m3";
    default: return "4_e2m1";
    }
}

std::string nameOf(const FloatGrid& grid) {
    switch (grid.scope) {
    case FloatScope::mx: return std::string("mxfp") + codeName(grid.code);
    case FloatScope::nv: return "nvfp4";
    case FloatScope::tensor: return fmt::format("fp{}:tensor", codeName(grid.code));
    case FloatScope::channel: return fmt::format("fp{}:channel", codeName(grid.code));
    case FloatScope::block128: return fmt::format("fp{}:block128", codeName(grid.code));
    default: return fmt::format("fp{}:g{}", codeName(grid.code), grid.group);
    }
}

/// Puts codes of one row through `body(firstColumn, count, scale)` for each of its scales.
template <class Body>
void eachScale(const Shape& s, const std::vector<float>& scales, std::int64_t row, std::int64_t cols, const Body& body) {
    for (std::int64_t g = 0; g < s.scaleCols; ++g) {
        const std::int64_t first = g * s.colsPerScale;
        body(first, std::min(s.colsPerScale, cols - first), scales[static_cast<std::size_t>(row / s.rowsPerScale * s.scaleCols + g)]);
    }
}

} // namespace

const kernels::SmallFloat& smallFloat(FloatCode code) {
    static constexpr kernels::SmallFloat kKinds[]{{8, 3, 7, 448}, {8, 2, 15, 57344}, {6, 2, 3, 28}, {6, 3, 1, 7.5f}, {4, 1, 1, 6}};
    return kKinds[static_cast<std::size_t>(code)];
}

/// What brings the largest scale of E2M1 groups to the largest E4M3 number; 1 where f32 has no such number.
float nvGlobalScale(float peak) {
    const float largest = smallFloat(FloatCode::e2m1).largest;
    float scale = kLargestNvScale * largest * (1 / peak); // as torch divides
    if (!(peak > 0) || !std::isfinite(scale) || !std::isfinite(1 / scale)) return 1;
    while (!std::isfinite(kLargestNvScale / scale * largest)) scale *= 1.000001f;
    return scale;
}

FloatFormat::FloatFormat(const FloatGrid& grid) : Format(nameOf(grid), smallFloat(grid.code).bits), grid_(grid) {}

bool FloatFormat::fits(std::int64_t rows, std::int64_t cols, std::string* why) const {
    if (rows < 1 || cols < 1) {
        if (why) *why = "a weight has at least one row and one column";
        return false;
    }
    const bool groups = grid_.scope == FloatScope::group || grid_.scope == FloatScope::mx || grid_.scope == FloatScope::nv;
    if (groups && cols % grid_.group != 0) {
        if (why) *why = fmt::format("{} does not divide {}", grid_.group, cols);
        return false;
    }
    return true;
}

std::uint64_t FloatFormat::bytes(std::int64_t rows, std::int64_t cols) const { return shapeOf(grid_, rows, cols).total; }

FloatCodes FloatFormat::chooseScales(MatrixView<const float> weight, const EncodeOptions& options, float globalScale) const {
    const Shape s = shapeOf(grid_, weight.rows, weight.cols);
    FloatCodes parts;
    parts.rows = weight.rows;
    parts.cols = weight.cols;
    parts.scaleRows = s.scaleRows;
    parts.scaleCols = s.scaleCols;
    if (grid_.scope == FloatScope::nv) {
        const float given = globalScale > 0 ? globalScale : grid_.globalScale;
        parts.globalScale = given > 0 ? given : nvGlobalScale(peakOf(weight));
    }
    const auto count = static_cast<std::size_t>(s.scaleRows * s.scaleCols);
    parts.scales.resize(count);
    if (s.scaleBytes == 1) parts.scaleBytes.resize(count);
    parallelFor(s.scaleRows, rowGrain(weight.cols * s.rowsPerScale), [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t i = begin; i < end; ++i)
            for (std::int64_t g = 0; g < s.scaleCols; ++g) {
                const std::int64_t row = i * s.rowsPerScale, column = g * s.colsPerScale;
                const std::int64_t length = std::min(s.colsPerScale, weight.cols - column);
                const Cell cell{weight.middleRows(row, std::min(s.rowsPerScale, weight.rows - row)).middleCols(column, length),
                                groupImportance(options.importance, column, length)};
                const std::uint32_t stored = chooseScale(grid_, cell, parts.globalScale, options.clipSearch);
                const auto at = static_cast<std::size_t>(i * s.scaleCols + g);
                parts.scales[at] = scaleValue(grid_, stored, parts.globalScale);
                if (s.scaleBytes == 1) parts.scaleBytes[at] = static_cast<std::uint8_t>(stored);
            }
    });
    return parts;
}

FloatCodes FloatFormat::plainScales(std::int64_t rows, std::int64_t cols, std::span<const float> peaks) const {
    const Shape s = shapeOf(grid_, rows, cols);
    FloatCodes parts;
    parts.rows = rows;
    parts.cols = cols;
    parts.scaleRows = s.scaleRows;
    parts.scaleCols = s.scaleCols;
    for (const float peak : peaks) {
        const std::uint32_t stored = candidates(grid_, peak, 1, false).front();
        parts.scales.push_back(scaleValue(grid_, stored, 1));
        if (s.scaleBytes == 1) parts.scaleBytes.push_back(static_cast<std::uint8_t>(stored));
    }
    return parts;
}

void FloatFormat::encode(MatrixView<const float> weight, const EncodeOptions& options, std::span<std::byte> out) const {
    checkEncodeArguments(*this, weight, options, out.size());
    const Shape s = shapeOf(grid_, weight.rows, weight.cols);
    const FloatCodes parts = chooseScales(weight, options);
    const kernels::SmallFloat& kind = smallFloat(grid_.code);
    parallelFor(weight.rows, rowGrain(weight.cols), [&](std::int64_t begin, std::int64_t end) {
        std::vector<std::uint8_t> codes(static_cast<std::size_t>(weight.cols));
        for (std::int64_t r = begin; r < end; ++r) {
            eachScale(s, parts.scales, r, weight.cols, [&](std::int64_t first, std::int64_t count, float scale) {
                if (scale > 0) return kernels::floatCodes(weight.row(r) + first, static_cast<std::size_t>(count), scale, kind, codes.data() + first);
                std::fill_n(codes.begin() + first, count, std::uint8_t{0}); // weights too small for any stored scale
            });
            kernels::packBits(codes.data(), codes.size(), kind.bits, out.data() + static_cast<std::uint64_t>(r) * s.rowBytes);
        }
    });
    putScales(parts, out);
}

void FloatFormat::putScales(const FloatCodes& parts, std::span<std::byte> out) const {
    const Shape s = shapeOf(grid_, parts.rows, parts.cols);
    for (std::size_t i = 0; i < parts.scales.size(); ++i) {
        std::uint32_t stored = __builtin_bit_cast(std::uint32_t, parts.scales[i]);
        if (s.scaleBytes == 2) stored >>= 16;
        if (s.scaleBytes == 1) stored = parts.scaleBytes[i];
        std::memcpy(out.data() + s.scalesAt + i * s.scaleBytes, &stored, s.scaleBytes); // little-endian, as all files here
    }
    if (grid_.scope == FloatScope::nv) std::memcpy(out.data() + s.globalAt, &parts.globalScale, 4);
}

FloatCodes FloatFormat::takeScales(std::span<const std::byte> in, std::int64_t rows, std::int64_t cols) const {
    const Shape s = shapeOf(grid_, rows, cols);
    if (in.size() != s.total)
        throw Error(ErrorCode::shapeMismatch, fmt::format("{} bytes are no {}×{} weight of {}", in.size(), rows, cols, name()));
    FloatCodes parts;
    parts.rows = rows;
    parts.cols = cols;
    parts.scaleRows = s.scaleRows;
    parts.scaleCols = s.scaleCols;
    if (grid_.scope == FloatScope::nv) std::memcpy(&parts.globalScale, in.data() + s.globalAt, 4);
    const auto count = static_cast<std::size_t>(s.scaleRows * s.scaleCols);
    parts.scales.resize(count);
    if (s.scaleBytes == 1) parts.scaleBytes.resize(count);
    for (std::size_t i = 0; i < count; ++i) {
        std::uint32_t stored = 0;
        std::memcpy(&stored, in.data() + s.scalesAt + i * s.scaleBytes, s.scaleBytes);
        parts.scales[i] = scaleValue(grid_, stored, parts.globalScale);
        if (s.scaleBytes == 1) parts.scaleBytes[i] = static_cast<std::uint8_t>(stored);
    }
    return parts;
}

void FloatFormat::decodeRows(std::span<const std::byte> in, std::int64_t rows, std::int64_t firstRow, MatrixView<float> out) const {
    const Shape s = shapeOf(grid_, rows, out.cols);
    if (in.size() != s.total || firstRow < 0 || firstRow + out.rows > rows)
        throw Error(ErrorCode::shapeMismatch, fmt::format("{} bytes are no {}×{} weight of {} (rows {} to {})", in.size(), rows,
                                                          out.cols, name(), firstRow, firstRow + out.rows));
    const kernels::SmallFloat& kind = smallFloat(grid_.code);
    const std::array<float, 256> values = kernels::floatValues(kind);
    float global = 1;
    if (grid_.scope == FloatScope::nv) std::memcpy(&global, in.data() + s.globalAt, 4);
    std::vector<std::uint8_t> codes(static_cast<std::size_t>(out.cols));
    for (std::int64_t i = 0; i < out.rows; ++i) {
        const std::int64_t r = firstRow + i;
        kernels::unpackBits(in.data() + static_cast<std::uint64_t>(r) * s.rowBytes, codes.size(), kind.bits, codes.data());
        for (std::int64_t g = 0; g < s.scaleCols; ++g) {
            const auto index = static_cast<std::uint64_t>(r / s.rowsPerScale * s.scaleCols + g);
            std::uint32_t stored = 0;
            std::memcpy(&stored, in.data() + s.scalesAt + index * s.scaleBytes, s.scaleBytes);
            const float scale = scaleValue(grid_, stored, global);
            const std::int64_t first = g * s.colsPerScale, end = std::min(first + s.colsPerScale, out.cols);
            for (std::int64_t c = first; c < end; ++c) out.row(i)[c] = values[codes[static_cast<std::size_t>(c)]] * scale;
        }
    }
}

FloatCodes FloatFormat::unpack(std::span<const std::byte> in, std::int64_t rows, std::int64_t cols) const {
    FloatCodes parts = takeScales(in, rows, cols);
    const Shape s = shapeOf(grid_, rows, cols);
    parts.codes.resize(static_cast<std::size_t>(rows * cols));
    parallelFor(rows, rowGrain(cols), [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t r = begin; r < end; ++r)
            kernels::unpackBits(in.data() + static_cast<std::uint64_t>(r) * s.rowBytes, static_cast<std::size_t>(cols), smallFloat(grid_.code).bits,
                                parts.codes.data() + r * cols);
    });
    return parts;
}

void FloatFormat::pack(const FloatCodes& parts, std::span<std::byte> out) const {
    const Shape s = shapeOf(grid_, parts.rows, parts.cols);
    if (out.size() != s.total || parts.codes.size() != static_cast<std::size_t>(parts.rows * parts.cols) ||
        parts.scales.size() != static_cast<std::size_t>(s.scaleRows * s.scaleCols) || parts.scaleBytes.size() != (s.scaleBytes == 1 ? parts.scales.size() : 0))
        throw Error(ErrorCode::shapeMismatch, fmt::format("codes or scales do not have the sizes of a {}×{} weight of {}", parts.rows, parts.cols, name()));
    parallelFor(parts.rows, rowGrain(parts.cols), [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t r = begin; r < end; ++r)
            kernels::packBits(parts.codes.data() + r * parts.cols, static_cast<std::size_t>(parts.cols), smallFloat(grid_.code).bits,
                              out.data() + static_cast<std::uint64_t>(r) * s.rowBytes);
    });
    putScales(parts, out);
}

void packGgmlNvfp4(const FloatCodes& parts, std::span<std::byte> out) {
    constexpr std::int64_t kWeights = 64, kGroup = 16, kBytes = 36;
    if (parts.cols % kWeights != 0 || out.size() != static_cast<std::size_t>(parts.rows * parts.cols / kWeights * kBytes))
        throw Error(ErrorCode::formatDoesNotFit, fmt::format("NVFP4 blocks of 64 cannot hold a {}×{} weight", parts.rows, parts.cols));
    for (std::int64_t b = 0; b < parts.rows * parts.cols / kWeights; ++b) {
        std::byte* block = out.data() + b * kBytes;
        for (std::int64_t g = 0; g < 4; ++g) {
            block[g] = static_cast<std::byte>(parts.scaleBytes[static_cast<std::size_t>(4 * b + g)]);
            const std::uint8_t* codes = parts.codes.data() + b * kWeights + g * kGroup;
            for (std::int64_t j = 0; j < 8; ++j) block[4 + 8 * g + j] = static_cast<std::byte>(codes[j] | codes[j + 8] << 4);
        }
    }
}

} // namespace bw
