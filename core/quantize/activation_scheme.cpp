// SPDX-License-Identifier: GPL-3.0-or-later
// The grammar of activation schemes and the rounding itself: row by row, so that a result depends neither on batches nor on
// threads. NaN stays NaN: the walk names the block that it came from. Scales: activation_scales.cpp.
#include "core/quantize/activation_scheme.h"

#include "core/base/error.h"
#include "core/base/parallel.h"
#include "core/base/text.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <fmt/format.h>

namespace bw {
namespace {

constexpr std::int64_t kRows = 16;           ///< per piece: tens of µs
constexpr std::int64_t kMostGroup = 1 << 20; ///< wider than any input

[[noreturn]] void refuse(std::string_view text, const std::string& why) {
    throw Error(ErrorCode::usage, fmt::format("activation scheme \"{}\": {}", escapeForDisplay(text, 80), why),
                "Use none, a8:token, a4:token, a8:g128, a8:tensor[:minmax|average|percentile=99.9|kl|mse], a8:channel, fp8:token, "
                "fp8:tensor, fp8_e5m2:token, q8_0 or q8_k; integers also with :asym.");
}

std::vector<std::string_view> split(std::string_view text) {
    std::vector<std::string_view> parts;
    for (std::size_t at = 0;;) {
        const auto end = text.find(':', at);
        parts.push_back(text.substr(at, end - at));
        if (end == std::string_view::npos) return parts;
        at = end + 1;
    }
}

template <class Number>
bool readNumber(std::string_view text, Number& out) {
    const auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), out);
    return fault == std::errc() && end == text.data() + text.size();
}

void parseGrid(std::string_view text, std::string_view word, ActivationScheme& scheme) {
    using Grid = ActivationScheme::Grid;
    if (word == "fp8" || word == "fp8_e4m3") {
        scheme.grid = Grid::e4m3;
    } else if (word == "fp8_e5m2") {
        scheme.grid = Grid::e5m2;
    } else {
        std::string_view digits = word;
        if (digits.starts_with("int")) digits.remove_prefix(3);
        else if (digits.starts_with('a')) digits.remove_prefix(1);
        else digits = {};
        if (digits.size() != 1 || digits[0] < '2' || digits[0] > '8') refuse(text, fmt::format("\"{}\" is no grid", escapeForDisplay(word, 40)));
        scheme.grid = Grid::integer;
        scheme.bits = digits[0] - '0';
    }
}

bool parseScope(std::string_view text, std::string_view word, ActivationScheme& scheme) {
    using Scope = ActivationScheme::Scope;
    if (word == "token") scheme.scope = Scope::token;
    else if (word == "tensor") scheme.scope = Scope::tensor;
    else if (word == "channel") scheme.scope = Scope::channel;
    else if (word.size() > 1 && word[0] == 'g' && readNumber(word.substr(1), scheme.group)) {
        if (scheme.group < 1 || scheme.group > kMostGroup) refuse(text, fmt::format("a group of {} channels", scheme.group));
        scheme.scope = Scope::group;
    } else return false;
    return true;
}

bool parseCalibrator(std::string_view text, std::string_view word, ActivationScheme& scheme) {
    if (word == "minmax" || word == "average" || word == "kl" || word == "mse") {
        scheme.calibrator = word;
        return true;
    }
    constexpr std::string_view kPercentile = "percentile";
    if (!word.starts_with(kPercentile)) return false;
    scheme.calibrator = kPercentile;
    word.remove_prefix(kPercentile.size());
    if (word.empty()) return true;
    if (word[0] != '=' || !readNumber(word.substr(1), scheme.percentile) || !(scheme.percentile >= 90 && scheme.percentile <= 100))
        refuse(text, fmt::format("\"{}\" is no percentile from 90 to 100", escapeForDisplay(word, 40)));
    return true;
}

} // namespace

RuntimeGrid ActivationScheme::runtimeGrid() const {
    if (grid == Grid::e4m3) return {RuntimeGrid::Kind::e4m3, 8, true};
    if (grid == Grid::e5m2) return {RuntimeGrid::Kind::e5m2, 8, true};
    return {RuntimeGrid::Kind::integer, bits, symmetric};
}

std::string ActivationScheme::text() const {
    switch (grid) {
    case Grid::none: return "none";
    case Grid::q8_0: return "q8_0";
    case Grid::q8_k: return "q8_k";
    default: break;
    }
    std::string text = grid == Grid::e4m3 ? "fp8" : grid == Grid::e5m2 ? "fp8_e5m2" : fmt::format("a{}", bits);
    switch (scope) {
    case Scope::group: text += fmt::format(":g{}", group); break;
    case Scope::tensor: text += ":tensor"; break;
    case Scope::channel: text += ":channel"; break;
    default: text += ":token"; break;
    }
    if (isStatic() && calibrator == "percentile") text += fmt::format(":percentile={}", percentile);
    else if (isStatic() && calibrator != "minmax") text += ":" + calibrator;
    return symmetric ? text : text + ":asym";
}

ActivationScheme parseActivationScheme(std::string_view text) {
    ActivationScheme scheme;
    if (text.empty() || text == "none") return scheme;
    if (text == "q8_0" || text == "q8_k") {
        scheme.grid = text == "q8_0" ? ActivationScheme::Grid::q8_0 : ActivationScheme::Grid::q8_k;
        scheme.scope = ActivationScheme::Scope::block;
        return scheme;
    }
    const std::vector<std::string_view> parts = split(text);
    parseGrid(text, parts[0], scheme);
    std::size_t at = 1;
    if (at < parts.size() && parseScope(text, parts[at], scheme)) ++at;
    const bool calibrated = at < parts.size() && parseCalibrator(text, parts[at], scheme);
    if (calibrated) ++at;
    if (at < parts.size() && (parts[at] == "asym" || parts[at] == "sym")) scheme.symmetric = parts[at++] == "sym";
    if (at < parts.size()) refuse(text, fmt::format("\"{}\" is not understood here", escapeForDisplay(parts[at], 40)));
    if (calibrated && !scheme.isStatic()) refuse(text, "a scale that is found at run time needs no calibrator");
    const bool floating = scheme.grid != ActivationScheme::Grid::integer;
    if (floating && !scheme.symmetric) refuse(text, "floats have no zero point");
    if (floating && (scheme.calibrator == "kl" || scheme.calibrator == "mse")) refuse(text, scheme.calibrator + " weighs the steps of an integer grid");
    if (scheme.scope == ActivationScheme::Scope::channel && !scheme.symmetric) refuse(text, "channels have no zero points of their own");
    return scheme;
}

const InputScales& ActivationRounding::of(int inputGroup) const { return groups_.at(static_cast<std::size_t>(inputGroup)); }

bool ActivationRounding::roundsInput(int inputGroup) const {
    return inputGroup >= 0 && static_cast<std::size_t>(inputGroup) < rounds_.size() && rounds_[static_cast<std::size_t>(inputGroup)];
}

bool ActivationRounding::roundsToBytes(int inputGroup) const {
    const bool bytes = scheme_.grid == ActivationScheme::Grid::integer && scheme_.bits == 8 && scheme_.symmetric && scheme_.scope == ActivationScheme::Scope::token;
    return bytes && roundsInput(inputGroup) && of(inputGroup).keptColumns.empty();
}

void ActivationRounding::roundRow(const InputScales& scales, std::span<float> row) const {
    using Scope = ActivationScheme::Scope;
    if (scheme_.scope == Scope::block) return roundBlocks(row, scheme_.grid == ActivationScheme::Grid::q8_k);
    const RuntimeGrid grid = scheme_.runtimeGrid();
    const float top = grid.top();
    const auto dynamic = [&](std::span<float> part) {
        if (scheme_.symmetric) return roundSymmetric(part, largestMagnitude(part) / top, grid);
        const auto [low, high] = extremes(part);
        const ScaleAndZero found = scaleAndZero(low, high, top);
        roundWithZero(part, found.scale, found.zero, top);
    };
    switch (scheme_.scope) {
    case Scope::tensor:
        if (!scheme_.symmetric) return roundWithZero(row, scales.scales.front(), scales.zeros.front(), top);
        return roundSymmetric(row, scales.scales.front(), grid);
    case Scope::channel: return roundSymmetric(row, scales.scales, grid);
    case Scope::group:
        for (std::size_t first = 0; first < row.size(); first += static_cast<std::size_t>(scheme_.group))
            dynamic(row.subspan(first, std::min(static_cast<std::size_t>(scheme_.group), row.size() - first)));
        return;
    default: dynamic(row);
    }
}

void ActivationRounding::roundInput(int inputGroup, MatrixView<float> x) const {
    const InputScales& scales = of(inputGroup);
    const std::vector<std::int32_t>& kept = scales.keptColumns;
    parallelFor(x.rows, kRows, [&](std::int64_t begin, std::int64_t end) {
        std::vector<float> whole(kept.size());
        for (std::int64_t r = begin; r < end; ++r) {
            const auto row = x.rowSpan(r);
            for (std::size_t k = 0; k < kept.size(); ++k) whole[k] = std::exchange(row[static_cast<std::size_t>(kept[k])], 0.0f);
            roundRow(scales, row);
            for (std::size_t k = 0; k < kept.size(); ++k) row[static_cast<std::size_t>(kept[k])] = whole[k];
        }
    });
}

} // namespace bw
