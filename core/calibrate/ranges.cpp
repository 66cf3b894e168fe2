// SPDX-License-Identifier: GPL-3.0-or-later
// The re-binning histogram and the four calibrators. All of them read bins only, so each costs the same for any number
// of values.
#include "core/calibrate/ranges.h"

#include "core/base/error.h"

#include <algorithm>
#include <cfloat>
#include <cmath>
#include <limits>
#include <utility>

namespace bw {
namespace {

/// Bins merge in pairs on both sides of zero: halves must be even.
constexpr int kBinMultiple = 4;
constexpr int kLeastBins = 2048;
/// Range of a histogram that has seen zeros only.
constexpr int kZeroExponent = -40;
/// Adding and subtracting 1.5·2^52 rounds a double of |x| < 2^51 to the nearest integer, ties to even, and vectorizes on
/// every x86-64.
constexpr double kRoundingShift = 6755399441055744.0;

double roundFast(double x) { return (x + kRoundingShift) - kRoundingShift; }

double binWidth(const Histogram& h) {
    return (static_cast<double>(h.high) - static_cast<double>(h.low)) / static_cast<double>(h.bins.size());
}

/// Bins that hold something: centre and count side by side for fast loops.
struct Mass {
    std::vector<double> centre, count;
    double total = 0;
};

Mass massOf(const RangeHistogram& h) {
    Mass mass;
    const Histogram& bins = h.histogram();
    const double width = binWidth(bins);
    for (std::size_t i = 0; i < bins.bins.size(); ++i) {
        if (bins.bins[i] == 0)
            continue;
        mass.centre.push_back(static_cast<double>(bins.low) + (static_cast<double>(i) + 0.5) * width);
        mass.count.push_back(static_cast<double>(bins.bins[i]));
        mass.total += mass.count.back();
    }
    return mass;
}

double gridError(const Mass& mass, const ClipRange& range, int bits) {
    const double low = std::min(range.low, 0.0), high = std::max(range.high, 0.0);
    const double top = std::ldexp(1.0, bits) - 1.0;
    const double step = (high - low) / top;
    double sum = 0;
    if (!(step > 0)) {
        for (std::size_t i = 0; i < mass.centre.size(); ++i)
            sum += mass.count[i] * mass.centre[i] * mass.centre[i];
        return mass.total > 0 ? sum / mass.total : 0.0;
    }
    const double zero = roundFast(-low / step), inverse = 1.0 / step;
    for (std::size_t i = 0; i < mass.centre.size(); ++i) {
        const double code = std::min(std::max(roundFast(mass.centre[i] * inverse) + zero, 0.0), top);
        const double error = mass.centre[i] - (code - zero) * step;
        sum += mass.count[i] * error * error;
    }
    return mass.total > 0 ? sum / mass.total : 0.0;
}

/// Counts of |x| in bins of one width from 0, up to the last that holds something.
std::vector<double> foldedCounts(const Histogram& h) {
    const std::size_t half = h.bins.size() / 2;
    std::vector<double> folded(half);
    std::size_t used = 0;
    for (std::size_t i = 0; i < half; ++i) {
        folded[i] = static_cast<double>(h.bins[half + i]) + static_cast<double>(h.bins[half - 1 - i]);
        if (folded[i] > 0)
            used = i + 1;
    }
    folded.resize(used);
    return folded;
}

/// Running sums from the left; element i covers bins [0, i).
struct RunningSums {
    std::vector<double> mass, massLogMass, filled;
    explicit RunningSums(const std::vector<double>& counts) : mass(1, 0.0), massLogMass(1, 0.0), filled(1, 0.0) {
        for (const double c : counts) {
            mass.push_back(mass.back() + c);
            massLogMass.push_back(massLogMass.back() + (c > 0 ? c * std::log(c) : 0.0));
            filled.push_back(filled.back() + (c > 0 ? 1.0 : 0.0));
        }
    }
};

/// KL divergence when the first `kept` bins are quantized to `levels` and the rest is clipped into the last of them.
/// Reference P: the kept bins, the clipped mass on top of the last; Q: each level's unclipped mass spread evenly over its
/// bins that hold something. Infinite when the clipped mass falls on a bin that Q leaves empty.
double clippedDivergence(const std::vector<double>& counts, const RunningSums& sums, std::size_t kept, std::size_t levels) {
    const double total = sums.mass.back(), inside = sums.mass[kept], clipped = total - inside;
    const double edge = counts[kept - 1];
    if (inside <= 0 || (edge <= 0 && clipped > 0))
        return std::numeric_limits<double>::infinity();
    const auto massLog = [](double c) { return c > 0 ? c * std::log(c) : 0.0; };
    // Σ P log P and Σ P log Q with P and Q still unnormalised; the norms are added at the end.
    const double selfTerm = sums.massLogMass[kept] - massLog(edge) + massLog(edge + clipped);
    double crossTerm = 0;
    for (std::size_t j = 0; j < levels; ++j) {
        const std::size_t first = j * kept / levels, last = (j + 1) * kept / levels;
        const double mass = sums.mass[last] - sums.mass[first];
        const double filled = sums.filled[last] - sums.filled[first];
        if (mass <= 0)
            continue;
        crossTerm += (mass + (last == kept ? clipped : 0.0)) * std::log(mass / filled);
    }
    return (selfTerm - crossTerm) / total - std::log(total) + std::log(inside);
}

} // namespace

RangeHistogram::RangeHistogram(int bins) {
    const int count = (std::max(bins, kLeastBins) + kBinMultiple - 1) / kBinMultiple * kBinMultiple;
    histogram_.bins.assign(static_cast<std::size_t>(count), 0);
}

std::uint64_t RangeHistogram::count() const {
    std::uint64_t sum = 0;
    for (const std::uint64_t b : histogram_.bins)
        sum += b;
    return sum;
}

void RangeHistogram::widen(float magnitude) {
    if (!(histogram_.high > 0)) {
        // A power of two above the magnitude: halving and doubling the range is then exact in f32.
        const int exponent = magnitude > 0 ? std::max(std::ilogb(magnitude) + 1, kZeroExponent) : kZeroExponent;
        histogram_.high = std::ldexp(1.0f, std::min(exponent, 127));
        histogram_.low = -histogram_.high;
    }
    while (magnitude >= histogram_.high && histogram_.high < 0x1.0p127f) {
        const std::size_t n = histogram_.bins.size();
        std::vector<std::uint64_t> merged(n, 0);
        for (std::size_t i = 0; i < n; ++i)
            merged[n / 4 + i / 2] += histogram_.bins[i];
        histogram_.bins = std::move(merged);
        histogram_.high *= 2;
        histogram_.low = -histogram_.high;
    }
}

void RangeHistogram::add(std::span<const float> x, Device& device) {
    float low = FLT_MAX, high = -FLT_MAX;
    for (const float v : x) {
        // NaN fails both comparisons; infinities are kept out of the range.
        low = v < low && v >= -FLT_MAX ? v : low;
        high = v > high && v <= FLT_MAX ? v : high;
    }
    add(x, low, high, device);
}

void RangeHistogram::add(std::span<const float> x, float low, float high, Device& device) {
    if (low > high) {
        if (!(histogram_.high > 0))
            widen(0);
    } else {
        min_ = any_ ? std::min(min_, static_cast<double>(low)) : static_cast<double>(low);
        max_ = any_ ? std::max(max_, static_cast<double>(high)) : static_cast<double>(high);
        any_ = true;
        widen(std::max(std::abs(low), std::abs(high)));
    }
    device.histogram(x, histogram_);
    // Values of 2^127 and more have no wider bin: they count in the outermost.
    histogram_.bins.front() += std::exchange(histogram_.below, 0);
    histogram_.bins.back() += std::exchange(histogram_.above, 0);
}

void RangeHistogram::merge(const RangeHistogram& other) {
    if (other.histogram_.bins.size() != histogram_.bins.size())
        throw Error(ErrorCode::usage, "histograms of " + std::to_string(histogram_.bins.size()) + " and " + std::to_string(other.histogram_.bins.size()) + " bins can't be added");
    if (!(other.histogram_.high > 0))
        return;
    RangeHistogram theirs = other;
    // Ranges are powers of two: widened to one of them, both have the same bins.
    const auto match = [](RangeHistogram& narrow, float high) {
        if (!(narrow.histogram_.high > 0)) {
            narrow.histogram_.high = high;
            narrow.histogram_.low = -high;
        }
        while (narrow.histogram_.high < high)
            narrow.widen(narrow.histogram_.high);
    };
    match(*this, theirs.histogram_.high);
    match(theirs, histogram_.high);
    for (std::size_t i = 0; i < histogram_.bins.size(); ++i)
        histogram_.bins[i] += theirs.histogram_.bins[i];
    histogram_.nan += theirs.histogram_.nan;
    histogram_.infinite += theirs.histogram_.infinite;
    if (theirs.any_) {
        min_ = any_ ? std::min(min_, theirs.min_) : theirs.min_;
        max_ = any_ ? std::max(max_, theirs.max_) : theirs.max_;
        any_ = true;
    }
}

std::optional<RangeHistogram> RangeHistogram::restore(Histogram histogram, double minimum, double maximum) {
    int exponent = 0;
    const bool powerOfTwo = histogram.high > 0 && histogram.high <= 0x1.0p127f && std::frexp(histogram.high, &exponent) == 0.5f;
    const bool empty = histogram.high == 0 && histogram.low == 0;
    const std::size_t bins = histogram.bins.size();
    if (!(powerOfTwo || empty) || histogram.low != -histogram.high || bins < kLeastBins || bins % kBinMultiple != 0 || !(minimum <= maximum) ||
        !(std::abs(minimum) <= FLT_MAX) || !(std::abs(maximum) <= FLT_MAX))
        return std::nullopt;
    RangeHistogram out;
    out.histogram_ = std::move(histogram);
    out.min_ = minimum;
    out.max_ = maximum;
    out.any_ = powerOfTwo;
    return out;
}

ClipRange rangeMinMax(const RangeHistogram& h) { return {h.minimum(), h.maximum()}; }

ClipRange rangePercentile(const RangeHistogram& h, double percent) {
    const Histogram& bins = h.histogram();
    const auto total = static_cast<double>(h.count());
    if (total <= 0)
        return {};
    const double cut = total * (100.0 - std::clamp(percent, 0.0, 100.0)) / 200.0;
    const double width = binWidth(bins);
    const auto n = bins.bins.size();
    // Mass is taken as spread evenly within a bin.
    ClipRange range{h.minimum(), h.maximum()};
    double passed = 0;
    for (std::size_t i = 0; i < n && cut > 0; ++i) {
        const auto count = static_cast<double>(bins.bins[i]);
        if (passed + count > cut) {
            range.low = static_cast<double>(bins.low) + (static_cast<double>(i) + (cut - passed) / count) * width;
            break;
        }
        passed += count;
    }
    passed = 0;
    for (std::size_t i = n; i-- > 0 && cut > 0;) {
        const auto count = static_cast<double>(bins.bins[i]);
        if (passed + count > cut) {
            range.high = static_cast<double>(bins.low) + (static_cast<double>(i + 1) - (cut - passed) / count) * width;
            break;
        }
        passed += count;
    }
    range.low = std::max(range.low, h.minimum());
    range.high = std::min(range.high, h.maximum());
    return range;
}

ClipRange rangeKl(const RangeHistogram& h, int bits) {
    const std::vector<double> counts = foldedCounts(h.histogram());
    const double full = std::max(std::abs(h.minimum()), std::abs(h.maximum()));
    const auto levels = static_cast<std::size_t>(1) << std::clamp(bits - 1, 1, 30);
    if (counts.size() <= levels)
        return {-full, full};
    const RunningSums sums(counts);
    std::size_t best = counts.size();
    double least = std::numeric_limits<double>::infinity();
    for (std::size_t kept = levels; kept <= counts.size(); ++kept) {
        const double divergence = clippedDivergence(counts, sums, kept, levels);
        if (divergence < least) {
            least = divergence;
            best = kept;
        }
    }
    const double clip = std::min(full, static_cast<double>(best) * binWidth(h.histogram()));
    return {-clip, clip};
}

ClipRange rangeMse(const RangeHistogram& h, int bits) {
    const Mass mass = massOf(h);
    const double full = std::max(std::abs(h.minimum()), std::abs(h.maximum()));
    const double width = binWidth(h.histogram());
    if (!(full > 0))
        return {};
    // The error ripples where grid and bins interfere, so every bin edge is tried instead of walking downhill.
    double best = full, least = gridError(mass, {-full, full}, bits);
    for (double edge = 1; edge * width < full; ++edge) {
        const double error = gridError(mass, {-edge * width, edge * width}, bits);
        if (error < least) {
            least = error;
            best = edge * width;
        }
    }
    return {-best, best};
}

double rangeError(const RangeHistogram& h, const ClipRange& range, int bits) { return gridError(massOf(h), range, bits); }

double rangeSymmetricError(const RangeHistogram& h, double clip, int bits) {
    if (!(clip > 0))
        return rangeError(h, {0, 0}, bits);
    const Mass mass = massOf(h);
    const double levels = std::ldexp(1.0, bits - 1) - 1.0, step = clip / levels, inverse = levels / clip;
    double sum = 0;
    for (std::size_t i = 0; i < mass.centre.size(); ++i) {
        const double code = std::clamp(roundFast(mass.centre[i] * inverse), -levels, levels);
        const double error = mass.centre[i] - code * step;
        sum += mass.count[i] * error * error;
    }
    return mass.total > 0 ? sum / mass.total : 0.0;
}

} // namespace bw
