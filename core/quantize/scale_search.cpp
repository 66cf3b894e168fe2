// SPDX-License-Identifier: GPL-3.0-or-later
// Statistics of one block's inputs, then a choice for each of its fold points, while the walk goes on.
#include "core/quantize/scale_search.h"

#include "core/calibrate/input_walk.h"
#include "core/quantize/fold.h"
#include "core/quantize/scale_grid.h"
#include "core/quantize/scale_trial.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <set>

namespace bw {
namespace {

constexpr double kMuch = 2;           ///< a channel counts as scaled when it is that far from its point's median …
constexpr double kScaledShare = 0.05; ///< … and more than these are worth a warning

class ScaleFitter {
public:
    ScaleFitter(const Model& model, const ScaleMethod& method, const std::map<std::string, FormatPtr>& formats, const TransformInputs& inputs,
                JobContext& job)
        : model_(model), method_(method), formats_(formats), inputs_(inputs), job_(job) {
        for (FoldPoint& point : foldPoints(model)) {
            if (!point.whyNot.empty())
                refused_[point.whyNot].push_back(point.name);
            else
                points_[blockOf(point)].push_back(std::move(point));
        }
    }

    std::set<int> groups() const {
        std::set<int> groups;
        for (const auto& [block, points] : points_)
            for (const FoldPoint& point : points) groups.insert(point.inputGroups.begin(), point.inputGroups.end());
        return groups;
    }
    GroupInput::Wanted wanted() const { return {searches(), searches() && inputs_.noise.bits > 0 && inputs_.noise.perToken}; }

    void fitBlock(BlockIndex block, const BlockInputs& inputs) {
        const auto points = points_.find(block.value());
        if (points == points_.end()) return;
        for (const FoldPoint& point : points->second) {
            job_.checkpoint();
            fitPoint(point, inputs);
        }
    }

    ScaleFit result() {
        for (const auto& [why, names] : refused_)
            fit_.notes.push_back(fmt::format("{} of {} points are left as they are ({}{}): {}", names.size(), names.size() + usable(), names.front(),
                                             names.size() > 1 ? " …" : "", why));
        if (unchanged_ > 0) fit_.notes.push_back(fmt::format("no scales lessen the error at {} points", unchanged_));
        const double share = channels_ > 0 ? static_cast<double>(scaledChannels_) / static_cast<double>(channels_) : 0;
        if (share > kScaledShare)
            fit_.warnings.push_back({"scaled-channels", fmt::format("{:.1f} % of the channels are scaled by more than {}× their input's median", 100 * share, kMuch),
                                     fmt::format("past {:.0f} % the other channels pay for it: they share their scales with what was made large", 100 * kScaledShare),
                                     "scale less (smooth:alpha=0.3), keep the large channels in 16 bits (outliers), or spread them over all (rotate), and compare by measured KL"});
        if (cutScales_ > 0)
            fit_.warnings.push_back({"extreme-scales", fmt::format("{} scales were cut to 2^±16", cutScales_), "the inputs or weights of these channels are extreme, and scaling reaches them only in part",
                                     "look at these channels in the calibration's statistics; keep their layers with --set SITE=keep"});
        return std::move(fit_);
    }

private:
    bool searches() const { return method_.kind != ScaleMethod::Kind::smooth; }
    int blockOf(const FoldPoint& point) const {
        return model_.inputGroups()[static_cast<std::size_t>(point.inputGroups.front())].block.value();
    }
    std::size_t usable() const {
        std::size_t count = 0;
        for (const auto& [block, points] : points_) count += points.size();
        return count;
    }

    /// Largest and mean size per channel over all groups of the point, equal for heads that share values.
    static GroupInput pooled(const FoldPoint& point, const BlockInputs& inputs) {
        GroupInput all;
        all.largest.assign(static_cast<std::size_t>(point.width), 0.0f);
        all.sum.assign(all.largest.size(), 0.0);
        for (const int g : point.inputGroups) {
            const GroupInput& input = inputs.at(g);
            all.tokens += input.tokens;
            for (std::size_t j = 0; j < all.largest.size(); ++j) {
                all.largest[j] = std::max(all.largest[j], input.largest[j]);
                all.sum[j] += input.sum[j];
            }
        }
        all.largest = expandOverHeads(point, largestOverHeads(point, all.largest));
        std::vector<float> mean(all.sum.begin(), all.sum.end());
        mean = expandOverHeads(point, largestOverHeads(point, mean));
        std::copy(mean.begin(), mean.end(), all.sum.begin());
        return all;
    }

    void fitPoint(const FoldPoint& point, const BlockInputs& inputs) {
        const GroupInput input = pooled(point, inputs);
        ScaleTrial trial(model_, point, formats_, inputs_);
        for (const int g : point.inputGroups) trial.add(g, inputs.at(g));
        std::vector<float> weightMax;
        if (method_.kind != ScaleMethod::Kind::awq) weightMax = expandOverHeads(point, largestOverHeads(point, trial.weightMaxima()));
        if (method_.kind == ScaleMethod::Kind::smooth) {
            fit_.points.push_back({point.name, "smooth", method_.alpha});
            return keep(point, smoothScales(input, weightMax, method_.alpha));
        }
        if (!trial.measures()) return;
        if (method_.kind == ScaleMethod::Kind::awq)
            search(point, trial, "awq", method_.grid - 1, [&](int i) { return awqScales(input, ratio(i)); }, [&](int i) { return ratio(i); });
        else
            search(point, trial, "smooth", kAlphas, [&](int i) { return smoothScales(input, weightMax, alpha(i)); }, [&](int i) { return alpha(i); });
    }

    static constexpr int kAlphas = 17; // 0.1, 0.15 … 0.9
    static double alpha(int i) { return 0.05 + 0.05 * i; }
    double ratio(int i) const { return static_cast<double>(i) / method_.grid; }

    /// Candidates 1 … count, and 0 for no scales at all.
    void search(const FoldPoint& point, const ScaleTrial& trial, const char* method, int count,
                const std::function<std::vector<float>(int)>& scalesOf, const std::function<double(int)>& choiceOf) {
        int best = 0, step = 1;
        const double before = trial.error(std::vector<float>(static_cast<std::size_t>(point.width), 1.0f), job_), power = trial.power(job_);
        double least = before;
        std::vector<float> found;
        const auto consider = [&](int i) {
            if (i < 1 || i > count) return;
            std::vector<float> scales = scalesOf(i);
            snapScales(scales);
            const double error = trial.error(scales, job_);
            if (!(error < least)) return;
            least = error;
            best = i;
            found = std::move(scales);
        };
        while (8 * step <= count) step *= 2;
        for (int i = step; i <= count; i += step) consider(i);
        for (step /= 2; step > 0; step /= 2) {
            const int middle = best;
            consider(middle - step);
            consider(middle + step);
        }
        const auto share = [&](double error) { return power > 0 ? error / power : 0.0; };
        fit_.points.push_back({point.name, method, best > 0 ? choiceOf(best) : 0.0, share(before), share(least)});
        if (best == 0)
            ++unchanged_;
        else
            keep(point, std::move(found));
    }

    /// Dead channels, which nothing enters or reads, keep a scale of 1.
    static std::vector<float> smoothScales(const GroupInput& input, const std::vector<float>& weightMax, double alpha) {
        std::vector<float> scales(weightMax.size(), 1.0f);
        for (std::size_t j = 0; j < scales.size(); ++j)
            if (input.largest[j] > 0 && weightMax[j] > 0)
                scales[j] = static_cast<float>(std::pow(static_cast<double>(input.largest[j]), alpha) / std::pow(static_cast<double>(weightMax[j]), 1 - alpha));
        return scales;
    }

    static std::vector<float> awqScales(const GroupInput& input, double power) {
        std::vector<double> raw(input.sum.size(), 0.0);
        double least = 0, most = 0;
        for (std::size_t j = 0; j < raw.size(); ++j) {
            if (!(input.sum[j] > 0)) continue;
            raw[j] = std::pow(input.sum[j] / static_cast<double>(input.tokens), power);
            least = least > 0 ? std::min(least, raw[j]) : raw[j];
            most = std::max(most, raw[j]);
        }
        const double middle = std::sqrt(least * most);
        std::vector<float> scales(raw.size(), 1.0f);
        for (std::size_t j = 0; j < raw.size(); ++j)
            if (raw[j] > 0) scales[j] = static_cast<float>(raw[j] / middle);
        return scales;
    }

    void keep(const FoldPoint& point, std::vector<float> scales) {
        for (float& scale : scales) {
            const double octaves = scale > 0 ? std::abs(std::log2(static_cast<double>(scale))) : 0;
            if (octaves > 16) ++cutScales_;
            scale = scaleOfStep(scaleStep(static_cast<double>(scale)));
        }
        if (method_.kind == ScaleMethod::Kind::awq) {
            std::vector<float> sorted = scales;
            std::nth_element(sorted.begin(), sorted.begin() + static_cast<std::ptrdiff_t>(sorted.size() / 2), sorted.end());
            const double median = static_cast<double>(sorted[sorted.size() / 2]);
            channels_ += point.width;
            for (const float scale : scales)
                if (static_cast<double>(scale) > kMuch * median || static_cast<double>(scale) * kMuch < median) ++scaledChannels_;
        }
        fit_.scales[point.name] = std::move(scales);
    }

    const Model& model_;
    const ScaleMethod& method_;
    const std::map<std::string, FormatPtr>& formats_;
    const TransformInputs& inputs_;
    JobContext& job_;
    std::map<int, std::vector<FoldPoint>> points_; ///< by block; −1 = the head's
    std::map<std::string, std::vector<std::string>> refused_;
    ScaleFit fit_;
    std::int64_t unchanged_ = 0, channels_ = 0, scaledChannels_ = 0, cutScales_ = 0;
};

} // namespace

std::vector<std::int64_t> searchedWindows(const Model& model, const Windows& windows) {
    constexpr std::int64_t kSearchTokens = 8192; ///< four times what AWQ's authors search on
    const bool experts = std::any_of(model.config().layers.begin(), model.config().layers.end(), [](const auto& layer) { return layer.experts; });
    const std::int64_t enough = windows.length > 0 ? (kSearchTokens + windows.length - 1) / windows.length : 0;
    const std::int64_t count = experts ? windows.count : std::min(windows.count, enough);
    std::vector<std::int64_t> some;
    for (std::int64_t i = 0; i < count; ++i) some.push_back(i * windows.count / count);
    return some;
}

ScaleFit fitScales(const Model& model, const ScaleMethod& method, const std::map<std::string, FormatPtr>& formats,
                   const TransformInputs& inputs, JobContext& job) {
    const bool awq = method.kind == ScaleMethod::Kind::awq;
    const Windows fewer = awq ? pickWindows(inputs.windows, searchedWindows(model, inputs.windows)) : Windows();
    const Windows& windows = awq ? fewer : inputs.windows;
    ScaleFitter fitter(model, method, formats, inputs, job);
    const InputUse fit = [&](BlockIndex block, const BlockInputs& found) { fitter.fitBlock(block, found); };
    walkInputs(model, windows, fitter.groups(), fitter.wanted(), inputs.store, awq ? "awq" : "smooth", fit, job);
    return fitter.result();
}

} // namespace bw
