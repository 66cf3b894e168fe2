// SPDX-License-Identifier: GPL-3.0-or-later
// The calibration walk: every group's inputs are folded into sums and histograms as they pass, nothing is kept of them.
#include "core/calibrate/observers.h"

#include "core/base/parallel.h"
#include "core/calibrate/dataset.h"

#include <algorithm>
#include <cmath>
#include <memory>

namespace bw {
namespace {

/// An outlier: beyond six standard deviations of its group (Dettmers et al. 2022 use 6.0 on unit-variance inputs).
constexpr double kOutlierSigmas = 6.0;
/// An outlier channel: its maximum this many times the median channel's.
constexpr double kOutlierChannel = 20.0;
/// Channels summed by one thread at a time; fixed, so that sums do not depend on the number of threads.
constexpr std::int64_t kChannels = 64;

/// Power sums of one channel over all tokens.
struct PowerSums { double first = 0, third = 0, fourth = 0; };

class GroupCollector {
public:
    GroupCollector(const InputGroup& group, bool oneWindow) : oneWindow_(oneWindow) {
        statistics.group = group.name;
        statistics.sites = group.sites;
        statistics.channelMax.assign(static_cast<std::size_t>(group.width), 0.0f);
        statistics.sumSquares.assign(static_cast<std::size_t>(group.width), 0.0);
        powers_.resize(static_cast<std::size_t>(group.width));
    }

    void add(std::int64_t window, MatrixView<const float> x, Device& device) {
        RangeHistogram& histogram = window % 2 == 0 ? statistics.fit : statistics.heldOut;
        if (x.stride == x.cols)
            histogram.add({x.data, static_cast<std::size_t>(x.size())}, device);
        else
            for (std::int64_t t = 0; t < x.rows; ++t)
                histogram.add(x.rowSpan(t), device);
        statistics.tokens += x.rows;
        const std::int64_t pieces = (x.cols + kChannels - 1) / kChannels;
        parallelFor(pieces, 1, [&](std::int64_t begin, std::int64_t end) {
            for (std::int64_t p = begin; p < end; ++p)
                addChannels(x, p * kChannels, std::min(x.cols, (p + 1) * kChannels));
        });
    }

    void finish(const CalibrateOptions& options) {
        if (oneWindow_)
            statistics.heldOut = statistics.fit;
        finishMoments();
        std::vector<float> sorted = statistics.channelMax;
        const auto middle = sorted.begin() + static_cast<std::ptrdiff_t>(sorted.size() / 2);
        std::nth_element(sorted.begin(), middle, sorted.end());
        for (const float m : statistics.channelMax)
            statistics.outlierChannels += *middle > 0 && static_cast<double>(m) > kOutlierChannel * static_cast<double>(*middle) ? 1 : 0;
        auto& ranges = statistics.ranges;
        ranges["minmax"] = rangeMinMax(statistics.fit);
        ranges["percentile"] = rangePercentile(statistics.fit, options.percentile);
        ranges["kl"] = rangeKl(statistics.fit, options.bits);
        ranges["mse"] = rangeMse(statistics.fit, options.bits);
        const double power = rangeError(statistics.heldOut, {0, 0}, options.bits);
        for (const auto& [name, range] : ranges)
            statistics.heldOutError[name] = power > 0 ? rangeError(statistics.heldOut, range, options.bits) / power : 0.0;
    }

    InputStatistics statistics;

private:
    void addChannels(MatrixView<const float> x, std::int64_t begin, std::int64_t end) {
        double first[kChannels] = {}, second[kChannels] = {}, third[kChannels] = {}, fourth[kChannels] = {};
        float largest[kChannels] = {};
        const std::int64_t n = end - begin;
        for (std::int64_t t = 0; t < x.rows; ++t) {
            const float* row = x.row(t) + begin;
            for (std::int64_t c = 0; c < n; ++c) {
                const auto v = static_cast<double>(row[c]);
                const double square = v * v;
                first[c] += v;
                second[c] += square;
                third[c] += square * v;
                fourth[c] += square * square;
                largest[c] = std::max(largest[c], std::abs(row[c]));
            }
        }
        for (std::int64_t c = 0; c < n; ++c) {
            const auto channel = static_cast<std::size_t>(begin + c);
            powers_[channel].first += first[c];
            powers_[channel].third += third[c];
            powers_[channel].fourth += fourth[c];
            statistics.sumSquares[channel] += second[c];
            statistics.channelMax[channel] = std::max(statistics.channelMax[channel], largest[c]);
        }
    }

    void finishMoments() {
        double s1 = 0, s2 = 0, s3 = 0, s4 = 0;
        for (std::size_t c = 0; c < powers_.size(); ++c) {
            s1 += powers_[c].first;
            s2 += statistics.sumSquares[c];
            s3 += powers_[c].third;
            s4 += powers_[c].fourth;
        }
        const double n = static_cast<double>(statistics.tokens) * static_cast<double>(powers_.size());
        if (n <= 0 || s2 <= 0)
            return;
        const double mean = s1 / n, variance = s2 / n - mean * mean;
        const double central = s4 / n - 4 * mean * s3 / n + 6 * mean * mean * s2 / n - 3 * mean * mean * mean * mean;
        statistics.kurtosis = variance > 0 ? central / (variance * variance) - 3.0 : 0.0;
        const double limit = kOutlierSigmas * std::sqrt(s2 / n);
        double beyond = massBeyond(statistics.fit, limit), total = static_cast<double>(statistics.fit.count());
        if (!oneWindow_) {
            beyond += massBeyond(statistics.heldOut, limit);
            total += static_cast<double>(statistics.heldOut.count());
        }
        statistics.outlierShare = total > 0 ? beyond / total : 0.0;
    }

    /// Values of magnitude past `limit`, those of the bins it cuts taken in proportion.
    static double massBeyond(const RangeHistogram& h, double limit) {
        const Histogram& bins = h.histogram();
        const double half = static_cast<double>(bins.bins.size()) / 2.0;
        const double edge = limit / static_cast<double>(bins.high) * half;
        double sum = 0;
        for (std::size_t i = 0; i < bins.bins.size(); ++i) {
            const double inner = static_cast<double>(i) >= half ? static_cast<double>(i) - half : half - 1.0 - static_cast<double>(i);
            sum += static_cast<double>(bins.bins[i]) * std::clamp(inner + 1.0 - edge, 0.0, 1.0);
        }
        return sum;
    }

    bool oneWindow_;
    std::vector<PowerSums> powers_;
};

/// One collector per input group; the walk hands over every window of every block.
class Collectors final : public WalkVisitor, public ActivationObserver {
public:
    Collectors(const Model& model, bool oneWindow) : model_(model) {
        for (const InputGroup& group : model.inputGroups())
            groups_.push_back(std::make_unique<GroupCollector>(group, oneWindow));
    }
    ActivationObserver* observer(BlockIndex) override { return this; }
    void onInput(int group, std::int64_t window, MatrixView<const float> x) override {
        groups_[static_cast<std::size_t>(group)]->add(window, x, model_.device());
    }
    std::vector<std::unique_ptr<GroupCollector>>& groups() { return groups_; }

private:
    const Model& model_;
    std::vector<std::unique_ptr<GroupCollector>> groups_;
};

/// The input of the output matrix: the final norm of the last states. The logits themselves are not needed.
void observeHead(const Model& model, const Windows& windows, MatrixView<const float> states, int group, Collectors& collectors,
                 JobContext& job) {
    Matrix x(windows.length, states.cols);
    for (std::int64_t w = 0; w < windows.count; ++w) {
        job.checkpoint();
        model.headInput(states.middleRows(w * windows.length, windows.length), x.view());
        collectors.onInput(group, w, x.view());
    }
}

} // namespace

std::vector<float> InputStatistics::importance() const {
    std::vector<float> mean(sumSquares.size());
    for (std::size_t c = 0; c < mean.size(); ++c)
        mean[c] = tokens > 0 ? static_cast<float>(sumSquares[c] / static_cast<double>(tokens)) : 0.0f;
    return mean;
}

const InputStatistics* CalibrationResult::forSite(SiteId site) const {
    for (const InputStatistics& input : inputs)
        if (std::find(input.sites.begin(), input.sites.end(), site) != input.sites.end())
            return &input;
    return nullptr;
}

CalibrationResult calibrate(const Model& model, const Windows& windows, const CalibrateOptions& options, JobContext& job) {
    Collectors collectors(model, windows.count == 1);
    const ScratchMatrix states = walkBlocks(model, windows, nullptr, &collectors, job, "calibrate");
    const auto& groups = model.inputGroups();
    if (options.includeHead)
        for (std::size_t g = 0; g < groups.size(); ++g)
            if (groups[g].name == "output_in")
                observeHead(model, windows, states.view(), static_cast<int>(g), collectors, job);
    job.beginStage("ranges", static_cast<std::int64_t>(groups.size()), "sites");
    auto& collected = collectors.groups();
    parallelFor(static_cast<std::int64_t>(collected.size()), 1, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t g = begin; g < end; ++g) {
            job.checkpoint();
            collected[static_cast<std::size_t>(g)]->finish(options);
            job.advance();
        }
    });
    CalibrationResult result;
    result.tokens = windows.tokens();
    result.warnings = calibrationWarnings(windows, {});
    for (auto& group : collected)
        if (group->statistics.tokens > 0)
            result.inputs.push_back(std::move(group->statistics));
    return result;
}

} // namespace bw
