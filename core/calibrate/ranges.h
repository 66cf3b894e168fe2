// SPDX-License-Identifier: GPL-3.0-or-later
// Range calibrators: where to clip an activation before an 8-bit grid is laid over it, from a histogram of its values.
#pragma once

#include "core/compute/device.h"

#include <optional>
#include <string>
#include <vector>

namespace bw {

struct ClipRange { double low = 0, high = 0; };

/// A signed histogram whose range doubles (bins merged in pairs) when a value falls outside; 2,048 bins at least.
class RangeHistogram {
public:
    explicit RangeHistogram(int bins = 4096);
    void add(std::span<const float> x, Device& device);
    /// The same of values where `device` has them, all finite, of which the least and the largest are known.
    void add(std::span<const float> x, float low, float high, Device& device);
    /// As if all of `other`'s values had been added here; those within f32 rounding of a bin's edge may be a bin off. @throws Error(usage) for another number of bins.
    void merge(const RangeHistogram& other);
    /// What was collected before, as a file gives it back; nothing when it is no histogram of this kind.
    static std::optional<RangeHistogram> restore(Histogram histogram, double minimum, double maximum);
    const Histogram& histogram() const { return histogram_; }
    double minimum() const { return min_; }
    double maximum() const { return max_; }
    std::uint64_t count() const;
    std::uint64_t nonFinite() const { return histogram_.nan + histogram_.infinite; }

private:
    Histogram histogram_;
    double min_ = 0, max_ = 0;
    bool any_ = false;
    void widen(float magnitude);
};

/// The full range.
ClipRange rangeMinMax(const RangeHistogram& h);
/// Two-sided: (100−p)/2 % of the mass is cut at each end; p in 90…100, 99.9 usual.
ClipRange rangePercentile(const RangeHistogram& h, double percent);
/// The symmetric clip whose quantized histogram (2^bits levels) has the least KL divergence from the original; clipped mass
/// goes to the edge bin of the reference, empty bins get none.
ClipRange rangeKl(const RangeHistogram& h, int bits);
/// The symmetric clip with the least mean squared error of rounding + clipping over the histogram.
ClipRange rangeMse(const RangeHistogram& h, int bits);
/// Mean squared error of an affine grid of 2^bits codes over `range`, measured on the histogram's bin centres.
double rangeError(const RangeHistogram& h, const ClipRange& range, int bits);

/// The same of the symmetric grid that runtimes lay: step = clip/(2^(bits−1)−1), codes ±(2^(bits−1)−1). `clip` 0: the power.
double rangeSymmetricError(const RangeHistogram& h, double clip, int bits);

} // namespace bw
