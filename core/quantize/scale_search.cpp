// SPDX-License-Identifier: GPL-3.0-or-later
// Statistics of one block's inputs, then a choice for each of its fold points, while the walk goes on.
#include "core/quantize/scale_search.h"

#include "core/base/parallel.h"
#include "core/calibrate/gram.h"
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

/// Maxima, means and Gram matrices of the groups of one block.
class InputWatcher final : public ActivationObserver {
public:
    InputWatcher(const Model& model, bool grams, bool samples) : model_(model), grams_(model), wantsGrams_(grams), wantsSamples_(samples) {}

    void watch(const std::set<int>& groups) {
        inputs_.clear();
        for (const int g : groups) {
            const auto width = static_cast<std::size_t>(model_.inputGroups()[static_cast<std::size_t>(g)].width);
            inputs_[g].largest.assign(width, 0.0f);
            inputs_[g].sum.assign(width, 0.0);
        }
        if (wantsGrams_) grams_.watch({groups.begin(), groups.end()});
    }

    void onInput(int group, std::int64_t window, MatrixView<const float> x) override {
        const auto found = inputs_.find(group);
        if (found == inputs_.end()) return;
        ChannelInput& input = found->second;
        input.tokens += x.rows;
        parallelFor(x.cols, kColumns, [&](std::int64_t begin, std::int64_t end) {
            for (std::int64_t t = 0; t < x.rows; ++t)
                for (std::int64_t c = begin; c < end; ++c) {
                    const float size = std::abs(x(t, c));
                    float& largest = input.largest[static_cast<std::size_t>(c)];
                    largest = std::max(largest, size);
                    input.sum[static_cast<std::size_t>(c)] += static_cast<double>(size);
                }
        });
        if (wantsGrams_) grams_.onInput(group, window, x);
        for (std::int64_t t = 0; wantsSamples_ && t < x.rows; t += kSampleStep)
            if (input.sampleRows < kSamples) {
                input.samples.insert(input.samples.end(), x.row(t), x.row(t) + x.cols);
                ++input.sampleRows;
            }
    }

    const ChannelInput& of(int group) const { return inputs_.at(group); }
    const Gram* gram(int group) const { return wantsGrams_ ? &grams_.of(group) : nullptr; }

private:
    static constexpr std::int64_t kColumns = 256, kSamples = 256, kSampleStep = 16;
    const Model& model_;
    GramObserver grams_;
    bool wantsGrams_, wantsSamples_;
    std::map<int, ChannelInput> inputs_;
};

class ScaleFitter final : public WalkVisitor {
public:
    ScaleFitter(const Model& model, const ScaleMethod& method, const std::map<std::string, FormatPtr>& formats, const TransformInputs& inputs,
                JobContext& job)
        : model_(model), method_(method), formats_(formats), inputs_(inputs), job_(job),
          watcher_(model, searches(), searches() && inputs.noise.bits > 0 && inputs.noise.perToken) {
        for (FoldPoint& point : foldPoints(model)) {
            if (!point.whyNot.empty())
                refused_[point.whyNot].push_back(point.name);
            else
                points_[blockOf(point)].push_back(std::move(point));
        }
    }

    ActivationObserver* observer(BlockIndex block) override {
        watch(block.value());
        return &watcher_;
    }

    void afterBlock(BlockIndex block, MatrixView<const float>) override { fitPoints(block.value()); }

    /// What enters the head, which the walk over blocks doesn't see.
    void fitHead(MatrixView<const float> states) {
        if (points_[-1].empty()) return;
        watch(-1);
        const int group = points_[-1].front().inputGroups.front();
        Matrix normed(inputs_.windows.length, model_.config().width);
        for (std::int64_t w = 0; w < inputs_.windows.count; ++w) {
            job_.checkpoint();
            model_.headInput(states.middleRows(w * inputs_.windows.length, inputs_.windows.length), normed.view());
            watcher_.onInput(group, w, normed.view());
        }
        fitPoints(-1);
    }

    ScaleFit result() {
        for (const auto& [why, names] : refused_)
            fit_.notes.push_back(fmt::format("{} of {} points are left as they are ({}{}): {}", names.size(), names.size() + usable(), names.front(),
                                             names.size() > 1 ? " …" : "", why));
        if (unchanged_ > 0) fit_.notes.push_back(fmt::format("no scales lessen the error at {} points", unchanged_));
        const double share = channels_ > 0 ? static_cast<double>(scaledChannels_) / static_cast<double>(channels_) : 0;
        if (share > kScaledShare)
            fit_.warnings.push_back(fmt::format("{:.1f} % of the channels are scaled by more than {}× their input's median; past {:.0f} % the other channels pay for it",
                                                100 * share, kMuch, 100 * kScaledShare));
        if (cutScales_ > 0) fit_.warnings.push_back(fmt::format("{} scales were cut to 2^±16: the inputs or weights of these channels are extreme", cutScales_));
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

    void watch(int block) {
        std::set<int> groups;
        for (const FoldPoint& point : points_[block]) groups.insert(point.inputGroups.begin(), point.inputGroups.end());
        watcher_.watch(groups);
    }

    void fitPoints(int block) {
        for (const FoldPoint& point : points_[block]) {
            job_.checkpoint();
            fitPoint(point);
        }
    }

    /// Largest and mean size per channel over all groups of the point, equal for heads that share values.
    ChannelInput pooled(const FoldPoint& point) const {
        ChannelInput all;
        all.largest.assign(static_cast<std::size_t>(point.width), 0.0f);
        all.sum.assign(all.largest.size(), 0.0);
        for (const int g : point.inputGroups) {
            const ChannelInput& input = watcher_.of(g);
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

    void fitPoint(const FoldPoint& point) {
        const ChannelInput input = pooled(point);
        ScaleTrial trial(model_, point, formats_, inputs_);
        for (const int g : point.inputGroups) trial.add(g, watcher_.of(g), watcher_.gram(g));
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
    static std::vector<float> smoothScales(const ChannelInput& input, const std::vector<float>& weightMax, double alpha) {
        std::vector<float> scales(weightMax.size(), 1.0f);
        for (std::size_t j = 0; j < scales.size(); ++j)
            if (input.largest[j] > 0 && weightMax[j] > 0)
                scales[j] = static_cast<float>(std::pow(static_cast<double>(input.largest[j]), alpha) / std::pow(static_cast<double>(weightMax[j]), 1 - alpha));
        return scales;
    }

    static std::vector<float> awqScales(const ChannelInput& input, double power) {
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
    InputWatcher watcher_;
    std::map<int, std::vector<FoldPoint>> points_; ///< by block; −1 = the head's
    std::map<std::string, std::vector<std::string>> refused_;
    ScaleFit fit_;
    std::int64_t unchanged_ = 0, channels_ = 0, scaledChannels_ = 0, cutScales_ = 0;
};

/// Enough windows for kSearchTokens, spread over all.
Windows spread(const Windows& windows) {
    constexpr std::int64_t kSearchTokens = 8192; ///< four times what AWQ's authors search on
    const std::int64_t count = windows.length > 0 ? std::min(windows.count, (kSearchTokens + windows.length - 1) / windows.length) : 0;
    Windows some{count, windows.length, {}};
    for (std::int64_t i = 0; i < count; ++i) {
        const auto window = windows.window(i * windows.count / count);
        some.ids.insert(some.ids.end(), window.begin(), window.end());
    }
    return some;
}

} // namespace

ScaleFit fitScales(const Model& model, const ScaleMethod& method, const std::map<std::string, FormatPtr>& formats,
                   const TransformInputs& inputs, JobContext& job) {
    const bool experts = std::any_of(model.config().layers.begin(), model.config().layers.end(), [](const auto& layer) { return layer.experts; });
    const Windows fewer = method.kind == ScaleMethod::Kind::awq && !experts ? spread(inputs.windows) : inputs.windows;
    const TransformInputs looked{fewer, inputs.formats, inputs.rounder, inputs.seed, inputs.noise};
    ScaleFitter fitter(model, method, formats, looked, job);
    const ScratchMatrix states = walkBlocks(model, fewer, nullptr, &fitter, job, method.kind == ScaleMethod::Kind::awq ? "awq" : "smooth");
    fitter.fitHead(states.view());
    return fitter.result();
}

} // namespace bw
