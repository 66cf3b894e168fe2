// SPDX-License-Identifier: GPL-3.0-or-later
// Range calibrators for one channel, from its log-binned histogram, and the error of a symmetric grid over it. Values are
// taken as spread evenly within a bin; everything else is worked out in closed form.
#pragma once

#include "core/calibrate/channel_histograms.h"
#include "core/calibrate/ranges.h"

namespace bw {

/// Mean squared error of x → step·clamp(rne(x/step)) with step = clip/(2^(bits−1)−1), over a channel's values; of zero
/// clip, the mean square. 0 for a channel without values.
double channelGridError(const ChannelHistograms& h, std::int64_t channel, double clip, int bits);
/// Mean square of a channel's values.
double channelPower(const ChannelHistograms& h, std::int64_t channel);
/// Two-sided, as rangePercentile().
ClipRange channelPercentile(const ChannelHistograms& h, std::int64_t channel, double percent);
/// Symmetric clips out of 24 that shrink by a twelfth of an octave each from `full`, the largest magnitude.
double channelMse(const ChannelHistograms& h, std::int64_t channel, double full, int bits);
double channelKl(const ChannelHistograms& h, std::int64_t channel, double full, int bits);

} // namespace bw
