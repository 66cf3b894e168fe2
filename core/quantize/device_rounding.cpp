// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/quantize/device_rounding.h"

#include "core/compute/device.h"
#include "core/format/plain_rounding.h"

#include <algorithm>
#include <cmath>
#include <vector>

namespace bw::detail {
namespace {

/// Largest magnitudes between which no square of an f32 over- or underflows.
constexpr float kLeastPeak = 1e-12f, kMostPeak = 1e15f;

RoundingGrid::Rule ruleOf(PlainRounding::Rule rule) {
    switch (rule) {
    case PlainRounding::Rule::whole: return RoundingGrid::Rule::whole;
    case PlainRounding::Rule::smallFloat: return RoundingGrid::Rule::smallFloat;
    case PlainRounding::Rule::addHalf: return RoundingGrid::Rule::addHalf;
    case PlainRounding::Rule::awayFromZero: return RoundingGrid::Rule::awayFromZero;
    }
    return RoundingGrid::Rule::whole;
}

} // namespace

std::optional<double> roundOnDevice(Device& device, MatrixView<const float> weight, const Format& format, const EncodeOptions& options, std::span<std::byte> out) {
    if (!device.keepsResults() || weight.rows == 0 || weight.cols == 0 || out.size() != format.bytes(weight.rows, weight.cols)) return std::nullopt;
    const std::unique_ptr<PlainRounding> plain = PlainRounding::of(format, options, weight.rows, weight.cols);
    if (!plain) return std::nullopt;
    const std::int64_t groups = (weight.cols + plain->group() - 1) / plain->group();
    std::vector<Extremes> extremes(static_cast<std::size_t>(weight.rows * groups));
    if (!device.extremes(weight, plain->group(), extremes)) return std::nullopt;
    float peak = 0;
    std::vector<CellExtremes> cells;
    cells.reserve(extremes.size());
    for (const Extremes& e : extremes) {
        if (!std::isfinite(e.low) || !std::isfinite(e.high)) return std::nullopt;
        peak = std::max(peak, std::abs(e.peak));
        cells.push_back({e.low, e.high, e.peak});
    }
    if (!(peak >= kLeastPeak && peak <= kMostPeak)) return std::nullopt;
    const PlainRounding::Grid& made = plain->choose(cells);
    RoundingGrid grid;
    grid.rule = ruleOf(made.rule);
    grid.cellRows = made.cellRows;
    grid.cellCols = made.cellCols;
    grid.scales = made.scales;
    grid.inverses = made.inverses;
    grid.zeros = made.zeros;
    grid.lowest = made.lowest;
    grid.highest = made.highest;
    grid.mantissaBits = made.mantissaBits;
    grid.bias = made.bias;
    grid.bits = made.bits;
    grid.largest = made.largest;
    std::vector<std::uint8_t> codes(static_cast<std::size_t>(weight.size()));
    std::vector<double> errors(static_cast<std::size_t>(weight.rows));
    if (!device.roundToGrid(weight, grid, codes, errors)) return std::nullopt;
    plain->pack(std::move(codes), out);
    double sum = 0;
    for (const double e : errors) sum += e;
    return sum;
}

} // namespace bw::detail
