// SPDX-License-Identifier: GPL-3.0-or-later
// Passes as bytes, for a store on disk. Whoever reads them has checked that they are whole; what is held against limits here is
// what a wrong size would cost.
#include "core/base/bytes.h"
#include "core/calibrate/pass.h"

#include <cmath>

namespace bw {
namespace {

using namespace detail;

void putRange(std::string& out, const RangeHistogram& h) {
    const Histogram& bins = h.histogram();
    putBytes(out, bins.low);
    putBytes(out, bins.high);
    putVector(out, bins.bins);
    for (const std::uint64_t n : {bins.below, bins.above, bins.nan, bins.infinite})
        putBytes(out, n);
    putBytes(out, h.minimum());
    putBytes(out, h.maximum());
}

bool takeRange(std::string_view& in, RangeHistogram& out) {
    Histogram bins;
    double least = 0, most = 0;
    if (!takeBytes(in, bins.low) || !takeBytes(in, bins.high) || !takeVector(in, bins.bins))
        return false;
    for (std::uint64_t* n : {&bins.below, &bins.above, &bins.nan, &bins.infinite})
        if (!takeBytes(in, *n))
            return false;
    if (!takeBytes(in, least) || !takeBytes(in, most))
        return false;
    std::optional<RangeHistogram> made = RangeHistogram::restore(std::move(bins), least, most);
    if (!made)
        return false;
    out = std::move(*made);
    return true;
}

} // namespace

void GroupPass::encode(std::string& out) const {
    putText(out, group_);
    putBytes(out, tokens_);
    putBytes(out, fitWindows_);
    putVector(out, channels_);
    for (const ExactSum& sum : {lowSum_, highSum_, tokenError_[0], tokenError_[1], tokenPower_[0], tokenPower_[1]})
        putBytes(out, sum);
    putRange(out, fit_);
    putRange(out, heldOut_);
    tokenRms_.encode(out);
    putBytes(out, static_cast<std::uint8_t>(fitChannels_.empty() ? 0 : 1));
    if (!fitChannels_.empty()) {
        fitChannels_.encode(out);
        heldOutChannels_.encode(out);
    }
}

std::optional<GroupPass> GroupPass::decode(std::string_view& in, std::vector<SiteId> sites) {
    static_assert(sizeof(Channel) == 7 * sizeof(ExactSum) + 4 * sizeof(float), "channels are stored as they lie");
    GroupPass out;
    out.sites_ = std::move(sites);
    std::uint8_t perChannel = 0;
    if (!takeText(in, out.group_) || !takeBytes(in, out.tokens_) || !takeBytes(in, out.fitWindows_) || !takeVector(in, out.channels_) || out.tokens_ < 0 || out.fitWindows_ < 0)
        return std::nullopt;
    for (ExactSum* sum : {&out.lowSum_, &out.highSum_, &out.tokenError_[0], &out.tokenError_[1], &out.tokenPower_[0], &out.tokenPower_[1]})
        if (!takeBytes(in, *sum))
            return std::nullopt;
    const auto width = static_cast<std::int64_t>(out.channels_.size());
    if (width == 0 || !takeRange(in, out.fit_) || !takeRange(in, out.heldOut_) || !ChannelHistograms::decode(in, 1, out.tokenRms_) || !takeBytes(in, perChannel))
        return std::nullopt;
    if (perChannel != 0 && (!ChannelHistograms::decode(in, width, out.fitChannels_) || !ChannelHistograms::decode(in, width, out.heldOutChannels_)))
        return std::nullopt;
    return out;
}

} // namespace bw
