// SPDX-License-Identifier: GPL-3.0-or-later
// Answers from histograms of channels: a factor moves a channel's bins, and the error of a grid over a bin is worked out in
// closed form. Rotated inputs count as normal within a token.
#include "core/calibrate/what_if.h"

#include "core/base/error.h"
#include "core/calibrate/ranges.h"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>

namespace bw {
namespace {

constexpr int kHistogramBins = 4096;
constexpr double kOutlierChannel = 20.0;
/// Ranges that stand for all tokens when each has its own: six strata of equal share.
constexpr int kStrata = 6;
/// Candidates for a token's largest magnitude: an eighth of an octave apart, ten octaves down from the very largest.
constexpr int kMaximumSteps = 80, kStepsPerOctave = 8;

double levelsOf(int bits) { return std::ldexp(1.0, bits - 1) - 1.0; }

/// ∫₀ᵘ (t − min(rne(t), levels))² dt.
double errorIntegral(double u, double levels) {
    const double code = std::min(std::nearbyint(u), levels), rest = u - code;
    return code / 12.0 + rest * rest * rest / 3.0;
}

/// Power of two at or above x.
double roundedUp(double x) {
    int exponent = 0;
    const double part = std::frexp(x, &exponent);
    return std::ldexp(1.0, part == 0.5 ? exponent - 1 : exponent);
}

/// P(max of n normal magnitudes < m) = erf(m/√2)ⁿ.
double logInside(double m, double n) { return n * std::log(std::max(1e-300, std::erf(m / std::sqrt(2.0)))); }

/// E[max²] of n standard normal magnitudes.
double meanSquaredMaximum(double n) {
    constexpr double kStep = 0.01, kEnd = 12;
    double sum = 0;
    for (double m = kStep / 2; m < kEnd; m += kStep)
        sum += 2 * m * (1 - std::exp(logInside(m, n))) * kStep;
    return sum;
}

/// Median of the largest magnitude among `n` values, a share of which is normal with each of the deviations.
double medianMaximum(const std::vector<std::pair<double, double>>& deviations, double n) {
    double low = 0, high = 0;
    for (const auto& [deviation, share] : deviations)
        high = std::max(high, 12 * deviation);
    for (int i = 0; i < 60; ++i) {
        const double m = (low + high) / 2;
        double inside = 0;
        for (const auto& [deviation, share] : deviations)
            inside += deviation > 0 ? logInside(m / deviation, n * share) : 0.0;
        (inside < std::log(0.5) ? low : high) = m;
    }
    return (low + high) / 2;
}

/// Adds `mass` spread evenly over [low, high) to bins of one width from 0.
void spread(std::vector<double>& bins, double width, double low, double high, double mass) {
    const double from = low / width, to = std::max(high / width, from + 1e-9), density = mass / (to - from);
    const auto last = static_cast<double>(bins.size());
    for (double at = from; at < std::min(to, last);) {
        const double next = std::min(std::floor(at) + 1, to);
        bins[static_cast<std::size_t>(at)] += density * (next - at);
        at = next;
    }
}

/// Masses as whole numbers; what rounding takes goes to the next bin outwards, so that thin tails are not lost.
std::vector<std::uint64_t> wholeCounts(const std::vector<double>& masses) {
    std::vector<std::uint64_t> out(masses.size());
    double carried = 0;
    for (std::size_t i = 0; i < masses.size(); ++i) {
        carried += masses[i];
        const double whole = std::max(0.0, std::floor(carried + 0.5));
        out[i] = static_cast<std::uint64_t>(whole);
        carried -= whole;
    }
    return out;
}

int outliersAmong(const std::vector<float>& maxima) {
    std::vector<float> sorted = maxima;
    const auto middle = sorted.begin() + static_cast<std::ptrdiff_t>(sorted.size() / 2);
    std::nth_element(sorted.begin(), middle, sorted.end());
    return static_cast<int>(std::count_if(maxima.begin(), maxima.end(), [&](float m) {
        return *middle > 0 && static_cast<double>(m) > kOutlierChannel * static_cast<double>(*middle);
    }));
}

double largerSide(const ClipRange& range) { return std::max(std::abs(range.low), std::abs(range.high)); }

/// The static range of the question over values up to `absMax`.
double clipOf(const WhatIf& question, const Histogram& values, double absMax, int bits) {
    if (question.clip == WhatIf::Clip::none || !(absMax > 0))
        return absMax;
    if (question.clip == WhatIf::Clip::share)
        return absMax * question.clipValue;
    const std::optional<RangeHistogram> h = RangeHistogram::restore(values, -absMax, absMax);
    if (!h)
        return absMax;
    const double clip = largerSide(question.clip == WhatIf::Clip::mse ? rangeMse(*h, bits) : rangePercentile(*h, question.clipValue));
    return clip > 0 ? std::min(absMax, clip) : absMax;
}

double shareBeyond(const Histogram& h, double clip) {
    const double width = (static_cast<double>(h.high) - static_cast<double>(h.low)) / static_cast<double>(std::max<std::size_t>(1, h.bins.size()));
    double beyond = 0, all = 0;
    for (std::size_t i = 0; i < h.bins.size(); ++i) {
        const double low = static_cast<double>(h.low) + static_cast<double>(i) * width, inner = std::min(std::abs(low), std::abs(low + width));
        all += static_cast<double>(h.bins[i]);
        beyond += static_cast<double>(h.bins[i]) * std::clamp((inner + width - clip) / width, 0.0, 1.0);
    }
    return all > 0 ? beyond / all : 0.0;
}

} // namespace

WhatIfInput::WhatIfInput(const InputStatistics& statistics, std::int64_t rows, const ChannelHistograms& channels)
    : group_(statistics.group), tokens_(statistics.tokens), rows_(rows), weightsKnown_(!statistics.weightMax.empty()) {
    const std::size_t width = statistics.channelMax.size();
    if (channels.channels() != static_cast<std::int64_t>(width) || (weightsKnown_ && (statistics.weightMax.size() != width || statistics.weightSquares.size() != width)))
        throw Error(ErrorCode::usage, fmt::format("statistics of {} channels and histograms of {} do not belong together", width, channels.channels()));
    channels_.resize(width);
    for (std::size_t c = 0; c < width; ++c) {
        Channel& made = channels_[c];
        made.max = statistics.channelMax[c];
        made.weightMax = weightsKnown_ ? statistics.weightMax[c] : 1.0f;
        made.weightSquare = weightsKnown_ ? statistics.weightSquares[c] : 1.0;
        made.power = tokens_ > 0 ? statistics.sumSquares[c] / static_cast<double>(tokens_) : 0.0;
        const auto index = static_cast<std::int64_t>(c);
        const auto bins = channels.bins(index);
        const auto add = [&](double low, double high, std::uint32_t positive, std::uint32_t negative) {
            if (positive + negative == 0)
                return;
            const double top = std::min(high, static_cast<double>(made.max));
            made.bins.push_back({static_cast<float>(std::min(low, top)), static_cast<float>(top), static_cast<float>(positive), static_cast<float>(negative)});
            made.total += static_cast<double>(positive) + static_cast<double>(negative);
        };
        const std::uint32_t zero = bins[2 * ChannelHistograms::kSide];
        add(0, channels.edge(index, 0), zero - zero / 2, zero / 2);
        for (int i = 0; i < ChannelHistograms::kSide; ++i)
            add(channels.edge(index, i), channels.edge(index, i + 1), bins[static_cast<std::size_t>(i)], bins[static_cast<std::size_t>(i + ChannelHistograms::kSide)]);
        outputPower_ += made.power * made.weightSquare;
    }
    const ChannelHistograms& rms = statistics.tokenRms;
    const double counted = rms.channels() == 1 ? static_cast<double>(rms.count(0)) : 0.0;
    for (int i = 0; counted > 0 && i < ChannelHistograms::kSide; ++i)
        if (const std::uint32_t n = rms.bins(0)[static_cast<std::size_t>(i)]; n > 0)
            tokenRms_.emplace_back((rms.edge(0, i) + rms.edge(0, i + 1)) / 2, n / counted);
}

double smoothFactor(double channelMax, double weightMax, double alpha) {
    return channelMax > 0 && weightMax > 0 ? std::pow(weightMax, 1 - alpha) / std::pow(channelMax, alpha) : 1.0;
}

std::vector<WhatIfInput::Change> WhatIfInput::changesFor(const WhatIf& question, WhatIfResult& out) const {
    std::vector<Change> changes(channels_.size());
    out.channelMax.resize(channels_.size());
    for (std::size_t c = 0; c < channels_.size(); ++c) {
        const Channel& channel = channels_[c];
        if (question.alpha)
            changes[c].factor = smoothFactor(static_cast<double>(channel.max), static_cast<double>(channel.weightMax), *question.alpha);
        const double largest = static_cast<double>(channel.max) * changes[c].factor;
        out.channelMax[c] = static_cast<float>(largest);
        changes[c].kept = question.threshold && largest > *question.threshold;
        out.keptChannels += changes[c].kept ? 1 : 0;
        out.absMax = changes[c].kept ? out.absMax : std::max(out.absMax, largest);
    }
    return changes;
}

double WhatIfInput::gridError(const std::vector<Change>& changes, double clip, int bits, bool allWithin) const {
    if (!(clip > 0) || !(outputPower_ > 0))
        return 0;
    const double levels = levelsOf(bits);
    double sum = 0;
    for (std::size_t c = 0; c < channels_.size(); ++c) {
        const Channel& channel = channels_[c];
        if (changes[c].kept || !(channel.total > 0))
            continue;
        const double step = clip / levels / changes[c].factor; // in units of the input as it was
        double error = 0, before = 0, last = -1, counted = 0;
        for (const Bin& bin : channel.bins) {
            const double low = static_cast<double>(bin.low) / step;
            double high = static_cast<double>(bin.high) / step, count = static_cast<double>(bin.positive) + static_cast<double>(bin.negative);
            if (allWithin && high > levels) { // what lies beyond belongs to other tokens
                if (low >= levels)
                    break;
                count *= (levels - low) / (high - low);
                high = levels;
            }
            counted += count;
            if (high - low < 1e-9) { // a constant channel: its one value
                const double rest = high - std::min(std::nearbyint(high), levels);
                error += count * rest * rest;
                continue;
            }
            const double from = low == last ? before : errorIntegral(low, levels);
            before = errorIntegral(high, levels);
            last = high;
            error += count * (before - from) / (high - low);
        }
        if (!(counted > 0))
            continue;
        sum += error / counted * step * step * channel.weightSquare;
    }
    return sum / outputPower_;
}

std::vector<double> WhatIfInput::tokenMaxima(const std::vector<Change>& changes, double absMax) const {
    // log P(every channel of a token lies within m), channels taken as independent.
    std::vector<double> inside(kMaximumSteps, 0.0), edges(kMaximumSteps);
    for (int k = 0; k < kMaximumSteps; ++k)
        edges[static_cast<std::size_t>(k)] = absMax * std::exp2(static_cast<double>(k + 1 - kMaximumSteps) / kStepsPerOctave);
    for (std::size_t c = 0; c < channels_.size(); ++c) {
        const Channel& channel = channels_[c];
        if (changes[c].kept || !(channel.total > 0))
            continue;
        double below = 0;
        std::size_t bin = 0;
        for (int k = 0; k < kMaximumSteps; ++k) {
            const double m = edges[static_cast<std::size_t>(k)] / changes[c].factor;
            while (bin < channel.bins.size() && static_cast<double>(channel.bins[bin].high) <= m) {
                below += static_cast<double>(channel.bins[bin].positive) + static_cast<double>(channel.bins[bin].negative);
                ++bin;
            }
            double within = below;
            if (bin < channel.bins.size() && static_cast<double>(channel.bins[bin].low) < m) {
                const Bin& cut = channel.bins[bin];
                const double width = std::max(1e-30, static_cast<double>(cut.high) - static_cast<double>(cut.low));
                within += (static_cast<double>(cut.positive) + static_cast<double>(cut.negative)) * (m - static_cast<double>(cut.low)) / width;
            }
            inside[static_cast<std::size_t>(k)] += std::log(std::max(1e-9, std::min(1.0, within / channel.total)));
        }
    }
    std::vector<double> out;
    for (int s = 0; s < kStrata; ++s) {
        const double wanted = std::log((s + 0.5) / kStrata);
        std::size_t k = 0;
        while (k + 1 < inside.size() && inside[k] < wanted)
            ++k;
        if (k == 0) {
            out.push_back(edges[0]);
            continue;
        }
        const double share = inside[k] > inside[k - 1] ? std::clamp((wanted - inside[k - 1]) / (inside[k] - inside[k - 1]), 0.0, 1.0) : 1.0;
        out.push_back(edges[k - 1] * std::pow(edges[k] / edges[k - 1], share));
    }
    return out;
}

double WhatIfInput::tokenError(const std::vector<Change>& changes, const std::vector<double>& maxima, int bits) const {
    double sum = 0;
    for (const double m : maxima)
        sum += gridError(changes, m, bits, true);
    return maxima.empty() ? 0.0 : sum / static_cast<double>(maxima.size());
}

double WhatIfInput::weightError(const std::vector<Change>& changes, int bits) const {
    if (!weightsKnown_ || !(outputPower_ > 0))
        return 0;
    double largest = 0, sum = 0;
    for (std::size_t c = 0; c < channels_.size(); ++c)
        largest = changes[c].kept ? largest : std::max(largest, static_cast<double>(channels_[c].weightMax) / changes[c].factor);
    const double step = largest / levelsOf(bits), noise = static_cast<double>(rows_) * step * step / 12;
    for (std::size_t c = 0; c < channels_.size(); ++c)
        if (!changes[c].kept) { // no column loses more than it has
            const double factor = changes[c].factor * changes[c].factor;
            sum += channels_[c].power * factor * std::min(noise, channels_[c].weightSquare / factor);
        }
    return sum / outputPower_;
}

Histogram WhatIfInput::valuesOf(const std::vector<Change>& changes, double absMax) const {
    Histogram out;
    out.high = static_cast<float>(absMax > 0 ? roundedUp(absMax) : 1.0);
    out.low = -out.high;
    out.bins.assign(kHistogramBins, 0);
    constexpr std::size_t kHalf = kHistogramBins / 2;
    const double width = static_cast<double>(out.high) / static_cast<double>(kHalf);
    std::vector<double> positive(kHalf), negative(kHalf);
    for (std::size_t c = 0; c < channels_.size(); ++c) {
        if (changes[c].kept)
            continue;
        for (const Bin& bin : channels_[c].bins) {
            const double low = static_cast<double>(bin.low) * changes[c].factor, high = static_cast<double>(bin.high) * changes[c].factor;
            if (bin.positive > 0)
                spread(positive, width, low, high, static_cast<double>(bin.positive));
            if (bin.negative > 0)
                spread(negative, width, low, high, static_cast<double>(bin.negative));
        }
    }
    const std::vector<std::uint64_t> up = wholeCounts(positive), down = wholeCounts(negative);
    for (std::size_t i = 0; i < kHalf; ++i) {
        out.bins[kHalf + i] = up[i];
        out.bins[kHalf - 1 - i] = down[i];
    }
    return out;
}

WhatIfResult WhatIfInput::askRotated(const WhatIf& question) const {
    WhatIfResult out;
    const auto width = static_cast<double>(channels_.size()), tokens = static_cast<double>(tokens_);
    out.absMax = medianMaximum(tokenRms_, tokens * width);
    out.channelMax.assign(channels_.size(), static_cast<float>(medianMaximum(tokenRms_, tokens)));
    out.histogram.high = static_cast<float>(out.absMax > 0 ? roundedUp(out.absMax) : 1.0);
    out.histogram.low = -out.histogram.high;
    out.histogram.bins.assign(kHistogramBins, 0);
    constexpr std::size_t kHalf = kHistogramBins / 2;
    const double step = static_cast<double>(out.histogram.high) / static_cast<double>(kHalf), values = tokens * width / 2;
    std::vector<double> mass(kHalf);
    for (const auto& [deviation, share] : tokenRms_) {
        double before = 0;
        for (std::size_t i = 0; i < kHalf && before < 1; ++i) {
            const double inside = std::erf(static_cast<double>(i + 1) * step / deviation / std::sqrt(2.0));
            mass[i] += share * values * (inside - before);
            before = inside;
        }
    }
    const std::vector<std::uint64_t> counts = wholeCounts(mass);
    for (std::size_t i = 0; i < kHalf; ++i)
        out.histogram.bins[kHalf + i] = out.histogram.bins[kHalf - 1 - i] = counts[i];
    double power = 0, weights = 0;
    for (const Channel& channel : channels_) {
        power += channel.power;
        weights += channel.weightSquare;
    }
    const std::optional<RangeHistogram> h = RangeHistogram::restore(out.histogram, -out.absMax, out.absMax);
    // Columns of a rotated weight are alike: each has the mean of the squares.
    const double perValue = outputPower_ > 0 ? weights / outputPower_ : 0.0;
    const double weightDeviation = std::sqrt(weights / (width * static_cast<double>(std::max<std::int64_t>(1, rows_))));
    const double weightMax = medianMaximum({{weightDeviation, 1.0}}, width * static_cast<double>(std::max<std::int64_t>(1, rows_)));
    for (const int bits : {8, 4}) {
        RoundingError& e = bits == 8 ? out.bits8 : out.bits4;
        const double levels = levelsOf(bits);
        e.clip = clipOf(question, out.histogram, out.absMax, bits);
        e.tensor = h ? rangeSymmetricError(*h, e.clip, bits) * perValue : 0.0;
        e.token = meanSquaredMaximum(width) / (12 * levels * levels) * power / width * perValue;
        e.weight = weightsKnown_ && outputPower_ > 0 ? static_cast<double>(rows_) * weightMax * weightMax / (12 * levels * levels) * power / outputPower_ : 0.0;
    }
    out.clippedShare = shareBeyond(out.histogram, out.bits8.clip);
    return out;
}

WhatIfResult WhatIfInput::ask(const WhatIf& question) const {
    if (question.rotate && !tokenRms_.empty())
        return askRotated(question);
    WhatIfResult out;
    const std::vector<Change> changes = changesFor(question, out);
    out.outlierChannels = outliersAmong(out.channelMax);
    out.histogram = valuesOf(changes, out.absMax);
    const std::vector<double> maxima = out.absMax > 0 ? tokenMaxima(changes, out.absMax) : std::vector<double>();
    for (const int bits : {8, 4}) {
        RoundingError& e = bits == 8 ? out.bits8 : out.bits4;
        e.clip = clipOf(question, out.histogram, out.absMax, bits);
        e.tensor = gridError(changes, e.clip, bits, false);
        e.token = tokenError(changes, maxima, bits);
        e.weight = weightError(changes, bits);
    }
    out.clippedShare = shareBeyond(out.histogram, out.bits8.clip);
    return out;
}

} // namespace bw
