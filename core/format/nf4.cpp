// SPDX-License-Identifier: GPL-3.0-or-later
// Levels and maps of NF4, choice of magnitudes, byte layout. Source: Dettmers et al. 2023 and the files of bitsandbytes.
#include "core/format/nf4.h"

#include "core/base/error.h"
#include "core/base/parallel.h"
#include "core/format/checks.h"
#include "core/format/grid_kernels.h"
#include "core/format/kernels.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

namespace bw {

namespace {

constexpr std::int64_t kNested = 256; ///< magnitudes per nested one
constexpr float kLargest = std::numeric_limits<float>::max();

struct Layout {
    std::int64_t blocks, nested;
    std::uint64_t scalesAt, nestedAt, offsetAt, total;
};
Layout layoutOf(const Nf4Grid& grid, std::int64_t rows, std::int64_t cols) {
    Layout l{};
    l.blocks = rows * (cols / grid.block);
    l.nested = grid.doubleQuantized ? (l.blocks + kNested - 1) / kNested : 0;
    l.scalesAt = static_cast<std::uint64_t>(rows * cols / 2);
    l.nestedAt = l.scalesAt + static_cast<std::uint64_t>(l.blocks) * (grid.doubleQuantized ? 1 : 4);
    l.offsetAt = l.nestedAt + 4 * static_cast<std::uint64_t>(l.nested);
    l.total = l.offsetAt + (grid.doubleQuantized ? 4 : 0);
    return l;
}

/// Any bytes decode to finite numbers.
float bounded(float v) { return std::isnan(v) ? 0.0f : std::clamp(v, -kLargest, kLargest); }

const std::array<float, 15>& middles() {
    static const std::array<float, 15> values = [] {
        std::array<float, 15> m{};
        for (std::size_t k = 0; k < 15; ++k) m[k] = 0.5f * (nf4Levels()[k] + nf4Levels()[k + 1]);
        return m;
    }();
    return values;
}

/// Arrays of one row for the column kernels, which take a scale per value.
struct RowWork {
    std::vector<float> scale, offset, rounded;
    std::vector<std::uint8_t> codes;
    explicit RowWork(std::int64_t n)
        : scale(static_cast<std::size_t>(n)), offset(static_cast<std::size_t>(n), -0.0f), rounded(scale.size()), codes(scale.size()) {}
    void round(const float* x, std::size_t n) {
        kernels::roundUneven(x, n, {scale.data(), offset.data(), nullptr}, {nf4Levels().data(), middles().data()}, codes.data(), rounded.data());
    }
};

double errorOf(const float* x, const float* importance, std::size_t n, float scale, RowWork& work) {
    std::fill_n(work.scale.begin(), n, scale);
    work.round(x, n);
    double sum = 0;
    for (std::size_t j = 0; j < n; ++j) {
        const double e = static_cast<double>(x[j]) - static_cast<double>(work.rounded[j]);
        sum += (importance != nullptr ? static_cast<double>(importance[j]) : 1.0) * e * e;
    }
    return sum;
}

float searchMagnitude(const float* x, const float* importance, std::size_t n, float peak, RowWork& work) {
    constexpr int kSteps = 10; // down to ¾ of the peak, near the second level: by then the outermost one says nothing the next did not
    float best = peak;
    double least = errorOf(x, importance, n, peak, work);
    for (int k = 1; k <= kSteps; ++k) {
        const float trial = peak * (1.0f - 0.025f * static_cast<float>(k));
        if (const double error = errorOf(x, importance, n, trial, work); error < least) {
            least = error;
            best = trial;
        }
    }
    return best;
}

void packNibbles(const std::uint8_t* codes, std::size_t n, std::byte* out) {
    for (std::size_t j = 0; j < n / 2; ++j) out[j] = static_cast<std::byte>(codes[2 * j] << 4 | codes[2 * j + 1]);
}

} // namespace

const std::array<float, 16>& nf4Levels() {
    static constexpr std::array<float, 16> kLevels{
        -1.0f, -0.6961928009986877f, -0.5250730514526367f, -0.39491748809814453f, -0.28444138169288635f, -0.18477343022823334f, -0.09105003625154495f, 0.0f,
        0.07958029955625534f, 0.16093020141124725f, 0.24611230194568634f, 0.33791524171829224f, 0.44070982933044434f, 0.5626170039176941f, 0.7229568362236023f, 1.0f};
    return kLevels;
}

const std::array<float, 256>& dynamicMap() {
    static const std::array<float, 256> values = [] {
        std::array<float, 256> map{};
        std::size_t count = 0;
        for (int decade = 0; decade < 7; ++decade) {
            const int steps = 1 << decade;
            const double size = std::pow(10.0, decade - 6);
            // Bounds 0.1 … 1 counted from the nearer end with one rounding to f32, their means, times a power of ten.
            const double step = static_cast<double>((1.0f - 0.1f) / static_cast<float>(steps));
            const auto bound = [&](int i) {
                return static_cast<float>(i < (steps + 1) / 2 ? static_cast<double>(0.1f) + step * i : 1.0 - step * (steps - i));
            };
            for (int i = 0; i < steps; ++i) {
                const float mean = (bound(i) + bound(i + 1)) / 2.0f, value = static_cast<float>(size) * mean;
                map[count++] = value;
                map[count++] = -value;
            }
        }
        map[count++] = 0.0f;
        map[count++] = 1.0f;
        std::sort(map.begin(), map.end());
        return map;
    }();
    return values;
}

std::uint8_t nestedCode(float absmax, float nested, float offset) {
    const auto& map = dynamicMap();
    const float v = nested > 0 ? std::clamp((absmax - offset) / nested, -1.0f, 1.0f) : 0.0f;
    const auto above = static_cast<std::size_t>(std::lower_bound(map.begin(), map.end(), v) - map.begin());
    if (above == 0) return 0;
    return static_cast<std::uint8_t>(above < 256 && v > 0.5f * (map[above - 1] + map[above]) ? above : above - 1);
}

float nestedMagnitude(std::uint8_t code, float nested, float offset) { return bounded(dynamicMap()[code] * nested + offset); }

Nf4Format::Nf4Format(const Nf4Grid& grid) : Format(fmt::format("nf4:b{}{}", grid.block, grid.doubleQuantized ? ":dq" : ""), 4), grid_(grid) {}

bool Nf4Format::fits(std::int64_t rows, std::int64_t cols, std::string* why) const {
    if (rows < 1 || cols < 1) {
        if (why) *why = "a weight has at least one row and one column";
        return false;
    }
    if (cols % grid_.block != 0) {
        if (why) *why = fmt::format("{} does not divide {}", grid_.block, cols);
        return false;
    }
    return true;
}

std::uint64_t Nf4Format::bytes(std::int64_t rows, std::int64_t cols) const { return layoutOf(grid_, rows, cols).total; }

std::vector<float> Nf4Format::magnitudes(MatrixView<const float> weight, const EncodeOptions& options) const {
    const std::int64_t perRow = weight.cols / grid_.block;
    const auto n = static_cast<std::size_t>(grid_.block);
    std::vector<float> found(static_cast<std::size_t>(weight.rows * perRow));
    parallelFor(weight.rows, rowGrain(weight.cols), [&](std::int64_t begin, std::int64_t end) {
        RowWork work(options.clipSearch ? grid_.block : 0);
        for (std::int64_t r = begin; r < end; ++r)
            for (std::int64_t b = 0; b < perRow; ++b) {
                const float* x = weight.row(r) + b * grid_.block;
                float lo = 0, hi = 0;
                kernels::minMax(x, n, lo, hi);
                float& magnitude = found[static_cast<std::size_t>(r * perRow + b)];
                magnitude = std::max({-lo, hi, 0.0f});
                if (options.clipSearch && magnitude > 0)
                    magnitude = searchMagnitude(x, groupImportance(options.importance, b * grid_.block, grid_.block), n, magnitude, work);
            }
    });
    return found;
}

Nf4Codes Nf4Format::chooseScales(MatrixView<const float> weight, const EncodeOptions& options) const {
    Nf4Codes parts;
    parts.rows = weight.rows;
    parts.cols = weight.cols;
    parts.absmax = magnitudes(weight, options);
    if (!grid_.doubleQuantized) return parts;
    double sum = 0;
    for (const float v : parts.absmax) sum += static_cast<double>(v);
    parts.offset = static_cast<float>(sum / static_cast<double>(parts.absmax.size()));
    parts.absmaxCodes.resize(parts.absmax.size());
    parts.nestedAbsmax.resize(static_cast<std::size_t>(layoutOf(grid_, weight.rows, weight.cols).nested));
    for (std::size_t i = 0; i < parts.absmax.size(); ++i) {
        float& nested = parts.nestedAbsmax[i / kNested];
        nested = std::max(nested, std::fabs(parts.absmax[i] - parts.offset));
    }
    for (std::size_t i = 0; i < parts.absmax.size(); ++i) {
        const float nested = parts.nestedAbsmax[i / kNested];
        parts.absmaxCodes[i] = nestedCode(parts.absmax[i], nested, parts.offset);
        parts.absmax[i] = nestedMagnitude(parts.absmaxCodes[i], nested, parts.offset);
    }
    return parts;
}

void Nf4Format::encode(MatrixView<const float> weight, const EncodeOptions& options, std::span<std::byte> out) const {
    checkEncodeArguments(*this, weight, options, out.size());
    const Nf4Codes parts = chooseScales(weight, options);
    const std::int64_t perRow = weight.cols / grid_.block;
    parallelFor(weight.rows, rowGrain(weight.cols), [&](std::int64_t begin, std::int64_t end) {
        RowWork work(weight.cols);
        for (std::int64_t r = begin; r < end; ++r) {
            for (std::int64_t b = 0; b < perRow; ++b)
                std::fill_n(work.scale.begin() + b * grid_.block, grid_.block, parts.absmax[static_cast<std::size_t>(r * perRow + b)]);
            work.round(weight.row(r), work.codes.size());
            packNibbles(work.codes.data(), work.codes.size(), out.data() + r * weight.cols / 2);
        }
    });
    putScales(parts, out);
}

void Nf4Format::putScales(const Nf4Codes& parts, std::span<std::byte> out) const {
    const Layout l = layoutOf(grid_, parts.rows, parts.cols);
    if (!grid_.doubleQuantized) {
        std::memcpy(out.data() + l.scalesAt, parts.absmax.data(), 4 * parts.absmax.size());
        return;
    }
    std::memcpy(out.data() + l.scalesAt, parts.absmaxCodes.data(), parts.absmaxCodes.size());
    std::memcpy(out.data() + l.nestedAt, parts.nestedAbsmax.data(), 4 * parts.nestedAbsmax.size());
    std::memcpy(out.data() + l.offsetAt, &parts.offset, 4);
}

Nf4Codes Nf4Format::takeScales(std::span<const std::byte> in, std::int64_t rows, std::int64_t cols) const {
    const Layout l = layoutOf(grid_, rows, cols);
    if (in.size() != l.total)
        throw Error(ErrorCode::shapeMismatch, fmt::format("{} bytes are no {}×{} weight of {}", in.size(), rows, cols, name()));
    Nf4Codes parts;
    parts.rows = rows;
    parts.cols = cols;
    parts.absmax.resize(static_cast<std::size_t>(l.blocks));
    if (!grid_.doubleQuantized) {
        std::memcpy(parts.absmax.data(), in.data() + l.scalesAt, 4 * parts.absmax.size());
        std::transform(parts.absmax.begin(), parts.absmax.end(), parts.absmax.begin(), bounded);
        return parts;
    }
    parts.absmaxCodes.resize(parts.absmax.size());
    parts.nestedAbsmax.resize(static_cast<std::size_t>(l.nested));
    std::memcpy(parts.absmaxCodes.data(), in.data() + l.scalesAt, parts.absmaxCodes.size());
    std::memcpy(parts.nestedAbsmax.data(), in.data() + l.nestedAt, 4 * parts.nestedAbsmax.size());
    std::memcpy(&parts.offset, in.data() + l.offsetAt, 4);
    for (std::size_t i = 0; i < parts.absmax.size(); ++i)
        parts.absmax[i] = nestedMagnitude(parts.absmaxCodes[i], parts.nestedAbsmax[i / kNested], parts.offset);
    return parts;
}

void Nf4Format::decodeRows(std::span<const std::byte> in, std::int64_t rows, std::int64_t firstRow, MatrixView<float> out) const {
    const Layout l = layoutOf(grid_, rows, out.cols);
    if (in.size() != l.total || firstRow < 0 || firstRow + out.rows > rows)
        throw Error(ErrorCode::shapeMismatch, fmt::format("{} bytes are no {}×{} weight of {} (rows {} to {})", in.size(), rows,
                                                          out.cols, name(), firstRow, firstRow + out.rows));
    const std::int64_t perRow = out.cols / grid_.block;
    float offset = 0;
    if (grid_.doubleQuantized) std::memcpy(&offset, in.data() + l.offsetAt, 4);
    for (std::int64_t i = 0; i < out.rows; ++i)
        for (std::int64_t b = 0; b < perRow; ++b) {
            const auto at = static_cast<std::uint64_t>((firstRow + i) * perRow + b);
            float scale = 0;
            if (grid_.doubleQuantized) {
                std::memcpy(&scale, in.data() + l.nestedAt + at / kNested * 4, 4);
                scale = nestedMagnitude(std::to_integer<std::uint8_t>(in[l.scalesAt + at]), scale, offset);
            } else {
                std::memcpy(&scale, in.data() + l.scalesAt + at * 4, 4);
                scale = bounded(scale);
            }
            std::array<float, 16> values{};
            for (std::size_t k = 0; k < 16; ++k) values[k] = nf4Levels()[k] * scale;
            const std::byte* codes = in.data() + at * static_cast<std::uint64_t>(grid_.block) / 2;
            float* to = out.row(i) + b * grid_.block;
            for (std::int64_t j = 0; j < grid_.block / 2; ++j) {
                to[2 * j] = values[std::to_integer<std::size_t>(codes[j] >> 4)];
                to[2 * j + 1] = values[std::to_integer<std::size_t>(codes[j] & std::byte{15})];
            }
        }
}

Nf4Codes Nf4Format::unpack(std::span<const std::byte> in, std::int64_t rows, std::int64_t cols) const {
    Nf4Codes parts = takeScales(in, rows, cols);
    parts.codes.resize(static_cast<std::size_t>(rows * cols));
    for (std::size_t j = 0; j < parts.codes.size(); ++j)
        parts.codes[j] = std::to_integer<std::uint8_t>(j % 2 == 0 ? in[j / 2] >> 4 : in[j / 2] & std::byte{15});
    return parts;
}

void Nf4Format::pack(const Nf4Codes& parts, std::span<std::byte> out) const {
    const Layout l = layoutOf(grid_, parts.rows, parts.cols);
    const auto blocks = static_cast<std::size_t>(l.blocks);
    if (out.size() != l.total || parts.codes.size() != static_cast<std::size_t>(parts.rows * parts.cols) || parts.absmax.size() != blocks ||
        parts.absmaxCodes.size() != (grid_.doubleQuantized ? blocks : 0) || parts.nestedAbsmax.size() != static_cast<std::size_t>(l.nested))
        throw Error(ErrorCode::shapeMismatch, fmt::format("codes or magnitudes do not have the sizes of a {}×{} weight of {}", parts.rows, parts.cols, name()));
    packNibbles(parts.codes.data(), parts.codes.size(), out.data());
    putScales(parts, out);
}

} // namespace bw
