// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/checkpoint/rope_frequencies.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace bw {
namespace {

/// Long waves are slowed down by `factor`, short ones kept, those between blended by how often they fit the context.
float llama3(float frequency, const RopeConfig& rope) {
    const auto context = static_cast<double>(rope.originalContext);
    const double wave = 2 * std::numbers::pi / static_cast<double>(frequency);
    if (wave < context / rope.highFrequencyFactor) return frequency;
    const double slow = static_cast<double>(frequency) / rope.factor;
    if (wave > context / rope.lowFrequencyFactor) return static_cast<float>(slow);
    const double kept =
        (context / wave - rope.lowFrequencyFactor) / (rope.highFrequencyFactor - rope.lowFrequencyFactor);
    return static_cast<float>((1 - kept) * slow + kept * static_cast<double>(frequency));
}

/// The channel pair that turns `rotations` times within the original context.
double yarnChannel(double rotations, const RopeConfig& rope) {
    return static_cast<double>(rope.dims) *
           std::log(static_cast<double>(rope.originalContext) / (rotations * 2 * std::numbers::pi)) /
           (2 * std::log(rope.theta));
}

void applyYarn(std::vector<float>& frequencies, const RopeConfig& rope) {
    double low = yarnChannel(rope.betaFast, rope), high = yarnChannel(rope.betaSlow, rope);
    if (rope.truncate) {
        low = std::floor(low);
        high = std::ceil(high);
    }
    low = std::max(low, 0.0);
    high = std::min(high, static_cast<double>(rope.dims - 1));
    if (low == high) high += 0.001; // as the reference does, so that the ramp is a step
    for (std::size_t i = 0; i < frequencies.size(); ++i) {
        const double slowed = std::clamp((static_cast<double>(i) - low) / (high - low), 0.0, 1.0);
        const auto frequency = static_cast<double>(frequencies[i]);
        frequencies[i] = static_cast<float>(frequency / rope.factor * slowed + frequency * (1 - slowed));
    }
}

std::vector<float> unscaled(const RopeConfig& rope) {
    std::vector<float> frequencies(static_cast<std::size_t>(rope.dims / 2));
    for (std::size_t i = 0; i < frequencies.size(); ++i) {
        const float exponent = static_cast<float>(2 * i) / static_cast<float>(rope.dims);
        frequencies[i] = 1.0f / static_cast<float>(std::pow(rope.theta, static_cast<double>(exponent)));
    }
    return frequencies;
}

} // namespace

std::vector<float> ropeFrequencies(const RopeConfig& rope, bool longSequence) {
    std::vector<float> frequencies = unscaled(rope);
    switch (rope.scaling) {
    case RopeScaling::none:
    case RopeScaling::longrope: // its lists follow below
        break;
    case RopeScaling::linear:
        for (float& f : frequencies) f = static_cast<float>(static_cast<double>(f) / rope.factor);
        break;
    case RopeScaling::llama3:
        for (float& f : frequencies) f = llama3(f, rope);
        break;
    case RopeScaling::yarn:
        applyYarn(frequencies, rope);
        break;
    }
    const auto& divisors = longSequence && !rope.longFactors.empty() ? rope.longFactors : rope.factors;
    for (std::size_t i = 0; i < frequencies.size() && i < divisors.size(); ++i)
        frequencies[i] = static_cast<float>(static_cast<double>(frequencies[i]) / divisors[i]);
    return frequencies;
}

std::vector<float> ropeDivisors(const RopeConfig& rope, bool longSequence) {
    std::vector<float> divisors = unscaled(rope);
    const std::vector<float> scaled = ropeFrequencies(rope, longSequence);
    for (std::size_t i = 0; i < divisors.size(); ++i) divisors[i] /= scaled[i];
    return divisors;
}

} // namespace bw
