// SPDX-License-Identifier: GPL-3.0-or-later
// The calibration walk: what enters each group goes into its pass, and a block's groups are finished as soon as all windows
// have gone through the block.
#include "core/calibrate/observers.h"

#include "core/base/parallel.h"
#include "core/calibrate/dataset.h"
#include "core/calibrate/input_walk.h"
#include "core/calibrate/pass.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace bw {
namespace {

/// Groups of a block that have histograms of their channels: those of more channels than this, as hundreds of experts
/// make, go without.
constexpr std::int64_t kMostChannels = 1 << 18;

/// One pass per input group; the walk hands over every window of every block.
class Collectors final : public WalkVisitor, public ActivationObserver {
public:
    /// @param finished called with the groups of a block when all windows have passed it; may be empty.
    Collectors(const Model& model, const CalibrateOptions& options, std::int64_t firstWindow, std::function<void(BlockIndex)> finished)
        : passes(), model_(model), recorders_(options.recorders), firstWindow_(firstWindow), finished_(std::move(finished)) {
        std::map<int, std::int64_t> channels;
        for (const InputGroup& group : model.inputGroups())
            channels[group.block.value()] += group.width;
        for (const InputGroup& group : model.inputGroups())
            passes.emplace_back(group, (options.perChannel || options.channelHistograms) && channels[group.block.value()] <= kMostChannels);
    }
    void beforeBlock(BlockIndex block, MatrixView<const float>) override { watch(block); }
    void afterBlock(BlockIndex block, MatrixView<const float>) override {
        for (InputRecorder* recorder : recorders_)
            recorder->endBlock();
        if (finished_)
            finished_(block);
    }
    ActivationObserver* observer(BlockIndex) override { return this; }
    bool readsOnDevice() const override { return true; }
    void onInput(int group, std::int64_t window, MatrixView<const float> x) override {
        if (added_ > 0 && shown_ != std::pair(group, window))
            added_ = 0;
        shown_ = {group, window};
        Device& device = model_.device();
        InputSums sums;
        device.inputSums(x, sums);
        if (added_ == 0) {
            passes[static_cast<std::size_t>(group)].add(firstWindow_ + window, x, sums, device);
            added_ = 1;
        }
        for (; added_ <= recorders_.size(); ++added_)
            recorders_[added_ - 1]->add(group, firstWindow_ + window, x, &sums);
        added_ = 0;
    }
    std::vector<int> groupsOf(BlockIndex block) const {
        std::vector<int> out;
        for (std::size_t g = 0; g < model_.inputGroups().size(); ++g)
            if (model_.inputGroups()[g].block.value() == block.value())
                out.push_back(static_cast<int>(g));
        return out;
    }
    void watch(BlockIndex block) {
        for (InputRecorder* recorder : recorders_)
            recorder->beginBlock(block);
    }
    std::vector<GroupPass> passes;

private:
    const Model& model_;
    std::vector<InputRecorder*> recorders_;
    std::int64_t firstWindow_;
    std::function<void(BlockIndex)> finished_;
    std::pair<int, std::int64_t> shown_{-1, -1};
    std::size_t added_ = 0; ///< of the pass and the recorders, how many have this input already: the device may fail in between
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

/// Walks all blocks and, if asked for, looks at the head's input.
void walkAll(const Model& model, const Windows& windows, bool head, Collectors& collectors, JobContext& job) {
    const ScratchMatrix states = walkBlocks(model, windows, nullptr, &collectors, job, "calibrate");
    const auto& groups = model.inputGroups();
    for (std::size_t g = 0; head && g < groups.size(); ++g)
        if (groups[g].name == "output_in") {
            collectors.watch(groups[g].block);
            observeHead(model, windows, states.view(), static_cast<int>(g), collectors, job);
            collectors.afterBlock(groups[g].block, states.view());
        }
}

/// Largest weight and sum of squares of every column, over the sites that read the input.
void addWeightFacts(const Model& model, InputStatistics& input) {
    input.weightMax.assign(input.channelMax.size(), 0.0f);
    input.weightSquares.assign(input.channelMax.size(), 0.0);
    for (const SiteId id : input.sites) {
        const Matrix weight = model.siteWeight(model.site(id));
        constexpr std::int64_t kColumns = 64;
        parallelFor((weight.cols() + kColumns - 1) / kColumns, 1, [&](std::int64_t begin, std::int64_t end) {
            for (std::int64_t r = 0; r < weight.rows(); ++r)
                for (std::int64_t c = begin * kColumns; c < std::min(weight.cols(), end * kColumns); ++c) {
                    const float w = weight.row(r)[c];
                    const auto at = static_cast<std::size_t>(c);
                    input.weightMax[at] = std::max(input.weightMax[at], std::abs(w));
                    input.weightSquares[at] += static_cast<double>(w) * static_cast<double>(w);
                }
        });
    }
}

/// Finishes groups in parallel; those without tokens stay out.
void finishGroups(const Model& model, const std::vector<GroupPass>& passes, const std::vector<int>& groups, const CalibrateOptions& options,
                  std::vector<InputStatistics>& out, JobContext& job) {
    std::vector<InputStatistics> made(groups.size());
    parallelFor(static_cast<std::int64_t>(groups.size()), 1, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t g = begin; g < end; ++g) {
            job.checkpoint();
            const GroupPass& pass = passes[static_cast<std::size_t>(groups[static_cast<std::size_t>(g)])];
            if (pass.tokens() > 0)
                made[static_cast<std::size_t>(g)] = pass.finish(options);
        }
    });
    for (std::size_t g = 0; g < groups.size(); ++g) {
        if (made[g].tokens == 0)
            continue;
        if (options.weightFacts)
            addWeightFacts(model, made[g]);
        out.push_back(std::move(made[g]));
    }
}

CalibrationResult resultOf(std::vector<InputStatistics> inputs, const Windows& windows) {
    CalibrationResult result;
    result.inputs = std::move(inputs);
    result.tokens = windows.tokens();
    result.warnings = calibrationWarnings(windows, {});
    return result;
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
    std::vector<InputStatistics> inputs;
    Collectors* all = nullptr;
    const auto finished = [&](BlockIndex block) {
        const std::vector<int> groups = all->groupsOf(block);
        std::size_t next = inputs.size();
        finishGroups(model, all->passes, groups, options, inputs, job);
        for (const int group : groups) {
            GroupPass& pass = all->passes[static_cast<std::size_t>(group)];
            if (pass.tokens() == 0)
                continue;
            if (options.onPass)
                options.onPass(pass, inputs[next]);
            if (options.onChannels)
                options.onChannels(inputs[next], pass.channels());
            pass.forgetChannels();
            ++next;
        }
    };
    Collectors collectors(model, options, 0, finished);
    all = &collectors;
    walkAll(model, windows, options.includeHead, collectors, job);
    for (InputRecorder* recorder : options.recorders)
        recorder->commit();
    return resultOf(std::move(inputs), windows);
}

std::vector<GroupPass> collectPass(const Model& model, const Windows& windows, const CalibrateOptions& options, std::int64_t firstWindow, JobContext& job) {
    CalibrateOptions sums = options;
    sums.recorders = {};
    Collectors collectors(model, sums, firstWindow, {});
    walkAll(model, windows, options.includeHead, collectors, job);
    return std::move(collectors.passes);
}

CalibrationResult finishPass(const Model& model, const std::vector<GroupPass>& passes, const CalibrateOptions& options, JobContext& job) {
    std::vector<int> all(passes.size());
    std::iota(all.begin(), all.end(), 0);
    CalibrationResult result;
    finishGroups(model, passes, all, options, result.inputs, job);
    return result;
}

} // namespace bw
