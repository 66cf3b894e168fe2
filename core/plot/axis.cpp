// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/plot/axis.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <fmt/format.h>
#include <limits>

namespace bw::plot {
namespace {

/// "10⁻³"
std::string powerOfTen(int exponent) {
    static constexpr std::array<const char*, 10> kRaised{"⁰", "¹", "²", "³", "⁴", "⁵", "⁶", "⁷", "⁸", "⁹"};
    std::string text = exponent < 0 ? "10⁻" : "10";
    for (const char c : std::to_string(std::abs(exponent))) text += kRaised[static_cast<std::size_t>(c - '0')];
    return text;
}

std::string logLabel(double mantissa, int exponent) {
    if (exponent >= -3 && exponent <= 3) return fmt::format("{:.{}f}", mantissa * std::pow(10.0, exponent), std::max(0, -exponent));
    return mantissa == 1 ? powerOfTen(exponent) : fmt::format("{}·{}", static_cast<int>(mantissa), powerOfTen(exponent));
}

std::vector<Tick> logTicks(double low, double high, int wanted) {
    const double decades = std::log10(high / low);
    const int first = static_cast<int>(std::floor(std::log10(low))), last = static_cast<int>(std::ceil(std::log10(high)));
    // Every 1st, 2nd … decade gets a figure; where there are few decades 2 and 5 get one too, or every step.
    const int step = std::max(1, static_cast<int>(std::ceil(decades / wanted)));
    const bool all = decades * 9 <= wanted * 1.6, some = decades * 3 <= wanted * 1.6;
    std::vector<Tick> ticks;
    for (int e = first; e <= last; ++e) {
        for (int m = 1; m <= 9; ++m) {
            const double value = m * std::pow(10.0, e);
            if (value < low * (1 - 1e-9) || value > high * (1 + 1e-9)) continue;
            const bool labelled = m == 1 ? (e % step + step) % step == 0 : all || (some && (m == 2 || m == 5));
            if (labelled) ticks.push_back({value, logLabel(m, e)});
            else if (step == 1 || m == 1) ticks.push_back({value, {}});
        }
    }
    return ticks;
}

std::vector<Tick> linearTicks(double low, double high, int wanted) {
    const double raw = (high - low) / std::max(1, wanted), power = std::pow(10.0, std::floor(std::log10(raw)));
    double step = 10 * power;
    for (const double m : {1.0, 2.0, 5.0})
        if (m * power >= raw * (1 - 1e-9)) {
            step = m * power;
            break;
        }
    std::vector<Tick> ticks;
    const int decimals = std::clamp(static_cast<int>(std::ceil(-std::log10(step) - 1e-9)), 0, 9);
    for (double k = std::ceil(low / step - 1e-9); k * step <= high + 1e-9 * step; ++k) {
        std::string label = fmt::format("{:.{}f}", k * step == 0 ? 0.0 : k * step, decimals);
        if (label.front() == '-') label.replace(0, 1, "−");
        ticks.push_back({k * step, label});
    }
    return ticks;
}

} // namespace

std::string figure(double value, int digits) {
    if (std::isnan(value)) return "n/a";
    std::string text;
    const double size = std::abs(value);
    if (size != 0 && (size < 1e-4 || size >= 1e6)) {
        text = fmt::format("{:.{}e}", value, std::max(0, digits - 1));
        const auto e = text.find('e'); // "1.2e-05" → "1.2e-5"
        text = text.substr(0, e) + "e" + std::to_string(std::atoi(text.c_str() + e + 1));
    } else {
        const int whole = size == 0 ? 1 : static_cast<int>(std::floor(std::log10(size))) + 1;
        text = fmt::format("{:.{}f}", value, std::clamp(digits - whole, 0, 8));
        if (text.find('.') != std::string::npos && digits > 2) {
            text.erase(text.find_last_not_of('0') + 1);
            if (text.back() == '.') text.pop_back();
        }
    }
    if (text.front() == '-') text.replace(0, 1, "−");
    return text;
}

Scale Scale::fit(std::span<const double> values, bool log, double decades) {
    Scale scale{std::numeric_limits<double>::infinity(), -std::numeric_limits<double>::infinity(), log, false};
    for (const double v : values)
        if (std::isfinite(v) && (!log || v > 0)) {
            scale.low = std::min(scale.low, v);
            scale.high = std::max(scale.high, v);
            scale.known = true;
        }
    if (!scale.known) return log ? Scale{0.1, 1, true, false} : Scale{0, 1, false, false};
    if (log) scale.low = std::max(scale.low, scale.high * std::pow(10.0, -decades));
    if (scale.high - scale.low < 1e-9 * std::max(std::abs(scale.high), std::abs(scale.low)) || scale.high == scale.low) { // one value: in the middle
        const double half = scale.high == 0 ? 0.5 : std::abs(scale.high) / 2;
        scale.low = log ? scale.low / 2 : scale.low - half;
        scale.high = log ? scale.high * 2 : scale.high + half;
    }
    return scale;
}

Scale Scale::grown(double share) const {
    Scale wider = *this;
    wider.low = value(-share);
    wider.high = value(1 + share);
    return wider;
}

double Scale::position(double v) const {
    if (!log) return (v - low) / (high - low);
    return v > 0 ? std::log(v / low) / std::log(high / low) : -std::numeric_limits<double>::infinity();
}

double Scale::value(double position) const { return log ? low * std::pow(high / low, position) : low + position * (high - low); }

std::vector<Tick> Scale::ticks(int wanted) const { return log ? logTicks(low, high, std::max(1, wanted)) : linearTicks(low, high, std::max(1, wanted)); }

ByteUnit byteUnit(double bytes) {
    static constexpr std::array<ByteUnit, 5> kUnits{{{"B", 1}, {"KiB", 1024}, {"MiB", 1048576}, {"GiB", 1073741824}, {"TiB", 1099511627776}}};
    std::size_t unit = 0;
    while (unit + 1 < kUnits.size() && bytes >= kUnits[unit + 1].bytes) ++unit;
    return kUnits[unit];
}

} // namespace bw::plot
