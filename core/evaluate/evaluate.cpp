// SPDX-License-Identifier: GPL-3.0-or-later
// Two walks, then both heads window by window: only what each position scores is kept, never logits.
#include "core/evaluate/evaluate.h"

#include "core/base/error.h"
#include "core/evaluate/statistics.h"
#include "core/evaluate/top_tokens.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <iterator>

namespace bw {
namespace {

/// Everything that is known of the scored positions, in window order.
struct Scores {
    std::vector<double> nll, baseNll, kl, deltaP, sameTop1, topOverlap;
    std::vector<detail::Prediction> predictions;
    std::vector<std::vector<std::uint8_t>> topTokens; ///< packed, by window; no windows when they are not kept

    Scores(std::size_t count, bool hasBase, std::int64_t windowsToKeep) : nll(count), predictions(count), topTokens(static_cast<std::size_t>(windowsToKeep)) {
        for (auto* list : {&baseNll, &kl, &deltaP, &sameTop1, &topOverlap})
            list->resize(hasBase ? count : 0);
    }
};

/// The first position of a window whose logits are scored, and how many follow it: position p predicts token p+1.
struct ScoredSpan { std::int64_t first = 0, count = 0; };
ScoredSpan scoredSpan(const Protocol& protocol, std::int64_t length) {
    const std::int64_t first = protocol.kind == Protocol::Kind::llamaCpp ? length / 2 : 0;
    return {first, length - 1 - first};
}

void checkRequest(const Windows& windows, const EvaluateOptions& options) {
    if (windows.count < 1 || windows.length < 2 || scoredSpan(options.protocol, windows.length).count < 1)
        throw Error(ErrorCode::textTooShort, std::to_string(windows.count) + " windows of " + std::to_string(windows.length) +
                    " tokens hold no position to score", "give more text or longer windows");
}

/// As many windows as maxTokens allows, at least one.
Windows limited(const Windows& windows, std::int64_t maxTokens) {
    Windows some = windows;
    if (maxTokens > 0 && windows.length > 0 && maxTokens < windows.tokens()) {
        some.count = std::max<std::int64_t>(1, maxTokens / windows.length);
        some.ids.resize(static_cast<std::size_t>(some.tokens()));
    }
    return some;
}

/// Share of the likeliest tokens of one that are among the likeliest of the other.
double topOverlap(const RowScore& base, const RowScore& other) {
    const auto known = [](const RowScore& score) {
        auto ids = score.largest;
        std::sort(ids.begin(), ids.end());
        return ids;
    };
    const auto a = known(base), b = known(other); // −1 stands first where the vocabulary is smaller
    const auto unknown = std::count(a.begin(), a.end(), -1);
    std::vector<std::int32_t> both;
    std::set_intersection(a.begin() + unknown, a.end(), b.begin() + unknown, b.end(), std::back_inserter(both));
    return static_cast<double>(both.size()) / static_cast<double>(static_cast<std::ptrdiff_t>(a.size()) - unknown);
}

/// Scores a window of logits where they lie: on the model's device, or on the host.
class WindowScorer {
public:
    WindowScorer(const Model& model, const Windows& windows, const Protocol& protocol, Scores& scores)
        : model_(model), windows_(windows), span_(scoredSpan(protocol, windows.length)), scores_(scores) {
        for (auto* rows : {&own_, &base_}) rows->resize(static_cast<std::size_t>(span_.count));
    }
    /// @param baseModel whose logits `base` are; null without a baseline.
    void score(std::int64_t window, MatrixView<const float> logits, const Model* baseModel = nullptr, MatrixView<const float> base = {}) {
        const std::span<const TokenId> targets = windows_.window(window).subspan(static_cast<std::size_t>(span_.first + 1));
        const auto offset = static_cast<std::size_t>(window * span_.count);
        model_.device().scoreRows(logits.middleRows(span_.first, span_.count), targets, own_);
        for (std::size_t i = 0; i < own_.size(); ++i) {
            const RowScore& own = own_[i];
            scores_.nll[offset + i] = own.logSumExp - static_cast<double>(own.target);
            scores_.predictions[offset + i] = {std::exp(static_cast<double>(own.top) - own.logSumExp), own.largest[0] == targets[i]};
        }
        if (baseModel != nullptr) compare(offset, targets, logits, *baseModel, base);
        requireFinite(window, offset, baseModel != nullptr);
        if (!scores_.topTokens.empty()) keepTopTokens(window, targets, logits, baseModel, base);
    }

private:
    /// Few logits of each row are wanted, and only these come from a device. A window that is scored twice is kept once.
    void keepTopTokens(std::int64_t window, std::span<const TokenId> targets, MatrixView<const float> logits, const Model* baseModel, MatrixView<const float> base) {
        std::vector<TokenId> ids;
        for (std::size_t i = 0; i < own_.size(); ++i) {
            const auto of = candidates(own_[i], baseModel != nullptr ? &base_[i] : nullptr, targets[i]);
            ids.insert(ids.end(), of.begin(), of.end());
        }
        Matrix own(span_.count, static_cast<std::int64_t>(kMostCandidates)), theirs(baseModel != nullptr ? span_.count : 0, own.cols());
        model_.device().valuesAt(logits.middleRows(span_.first, span_.count), ids, own.view());
        if (baseModel != nullptr) baseModel->device().valuesAt(base.middleRows(span_.first, span_.count), ids, theirs.view());
        std::vector<std::uint8_t>& packed = scores_.topTokens[static_cast<std::size_t>(window)];
        packed.clear();
        for (std::size_t i = 0; i < own_.size(); ++i) {
            const auto row = static_cast<std::int64_t>(i);
            const std::span<const TokenId> of(ids.data() + i * kMostCandidates, kMostCandidates);
            packTopTokens(baseModel != nullptr ? topTokens(of, own_[i], own.view().rowSpan(row), &base_[i], theirs.view().rowSpan(row)) : topTokens(of, own_[i], own.view().rowSpan(row)), packed);
        }
    }

    void compare(std::size_t offset, std::span<const TokenId> targets, MatrixView<const float> logits, const Model& baseModel, MatrixView<const float> base) {
        const MatrixView<const float> rows = base.middleRows(span_.first, span_.count);
        baseModel.device().scoreRows(rows, targets, base_);
        if (&baseModel.device() != &model_.device()) baseModel.device().toHost(rows);
        model_.device().divergeRows(rows, logits.middleRows(span_.first, span_.count), std::span(scores_.kl).subspan(offset, base_.size()));
        for (std::size_t i = 0; i < base_.size(); ++i) {
            const std::size_t at = offset + i;
            scores_.baseNll[at] = base_[i].logSumExp - static_cast<double>(base_[i].target);
            scores_.deltaP[at] = std::exp(-scores_.nll[at]) - std::exp(-scores_.baseNll[at]);
            scores_.sameTop1[at] = base_[i].largest[0] == own_[i].largest[0] ? 1.0 : 0.0;
            scores_.topOverlap[at] = topOverlap(base_[i], own_[i]);
        }
    }
    void requireFinite(std::int64_t window, std::size_t offset, bool compared) const {
        for (std::size_t i = 0; i < own_.size(); ++i) {
            const std::size_t at = offset + i;
            if (std::isfinite(scores_.nll[at]) && (!compared || (std::isfinite(scores_.kl[at]) && std::isfinite(scores_.baseNll[at])))) continue;
            throw Error(ErrorCode::nonFinite, "the logits of window " + std::to_string(window) + ", position " + std::to_string(span_.first + static_cast<std::int64_t>(i)) +
                        " give no finite score", "the model's output matrix or last states hold NaN, infinities or huge values");
        }
    }

    const Model& model_;
    const Windows& windows_;
    const ScoredSpan span_;
    Scores& scores_;
    std::vector<RowScore> own_, base_;
};

Evaluation summarize(const Windows& windows, const EvaluateOptions& options, const Scores& scores, bool hasBase) {
    Evaluation e;
    e.protocol = options.protocol.name();
    e.windows = windows.count;
    e.tokens = static_cast<std::int64_t>(scores.nll.size());
    const auto perWindow = static_cast<std::size_t>(e.tokens / e.windows);
    for (std::size_t w = 0; w < static_cast<std::size_t>(e.windows); ++w) {
        double sum = 0;
        for (std::size_t i = 0; i < perWindow; ++i)
            sum += scores.nll[w * perWindow + i];
        e.windowNll.push_back(sum);
    }
    const detail::MeanError nll = detail::groupedMean(scores.nll, e.windows);
    e.nll = nll.mean;
    e.nllStandardError = nll.error;
    e.perplexity = std::exp(nll.mean);
    e.perplexityStandardError = e.perplexity * nll.error;
    e.reliability = detail::reliability(scores.predictions);
    for (const ReliabilityBin& bin : e.reliability)
        e.top1 += bin.accuracy * static_cast<double>(bin.count) / static_cast<double>(e.tokens);
    e.ece = detail::calibrationError(scores.predictions);
    e.brier = detail::brierScore(scores.predictions);
    if (hasBase) {
        e.hasBase = true;
        e.basePerplexity = std::exp(detail::meanOf(scores.baseNll).mean);
        const detail::MeanError kl = detail::groupedMean(scores.kl, e.windows);
        e.klMean = kl.mean;
        e.klStandardError = kl.error;
        std::vector<double> sorted = scores.kl;
        std::sort(sorted.begin(), sorted.end());
        e.klMedian = detail::quantile(sorted, 0.5);
        e.klP90 = detail::quantile(sorted, 0.9);
        e.klP99 = detail::quantile(sorted, 0.99);
        e.klP999 = detail::quantile(sorted, 0.999);
        e.klMax = sorted.back();
        const detail::MeanError same = detail::groupedMean(scores.sameTop1, e.windows);
        e.sameTop1 = same.mean;
        e.sameTop1StandardError = same.error;
        const detail::MeanError overlap = detail::groupedMean(scores.topOverlap, e.windows);
        e.topOverlap = overlap.mean;
        e.topOverlapStandardError = overlap.error;
        e.deltaPMean = detail::meanOf(scores.deltaP).mean;
        sorted = scores.deltaP;
        std::sort(sorted.begin(), sorted.end());
        e.deltaPP01 = detail::quantile(sorted, 0.01);
        e.deltaPP05 = detail::quantile(sorted, 0.05);
        e.deltaPMedian = detail::quantile(sorted, 0.5);
        e.deltaPP95 = detail::quantile(sorted, 0.95);
        e.deltaPP99 = detail::quantile(sorted, 0.99);
        double squares = 0;
        for (const double d : scores.deltaP)
            squares += d * d;
        e.deltaPRms = std::sqrt(squares / static_cast<double>(e.tokens));
    }
    for (const std::vector<std::uint8_t>& window : scores.topTokens)
        e.topTokens.insert(e.topTokens.end(), window.begin(), window.end());
    if (options.keepTokens)
        for (std::size_t i = 0; i < scores.nll.size(); ++i)
            e.tokensScored.push_back({static_cast<float>(scores.nll[i]), hasBase ? static_cast<float>(scores.baseNll[i]) : 0.0f,
                                      hasBase ? static_cast<float>(scores.kl[i]) : 0.0f,
                                      static_cast<std::uint8_t>((scores.predictions[i].correct ? kTokenWasLikeliest : 0) | (hasBase && scores.sameTop1[i] > 0.5 ? kSameLikeliest : 0))});
    return e;
}

std::size_t scoredCount(const Windows& windows, const EvaluateOptions& options) {
    return static_cast<std::size_t>(windows.count * scoredSpan(options.protocol, windows.length).count);
}

/// Seconds since construction.
class Stopwatch {
public:
    double seconds() const { return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count(); }

private:
    std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

void setSpeed(Evaluation& e, const Windows& windows, const Stopwatch& watch) {
    e.seconds = watch.seconds();
    e.tokensPerSecond = e.seconds > 0 ? static_cast<double>(windows.tokens()) / e.seconds : 0.0;
}

} // namespace

Evaluation evaluatePerplexity(const Model& model, const WeightSource* source, const Windows& allWindows,
                              const EvaluateOptions& options, JobContext& job) {
    const Stopwatch watch;
    const Windows windows = limited(allWindows, options.maxTokens);
    checkRequest(windows, options);
    Scores scores(scoredCount(windows, options), false, options.keepTokens ? windows.count : 0);
    const ScratchMatrix states = walkBlocks(model, windows, source, nullptr, job, "evaluate");
    WindowScorer scorer(model, windows, options.protocol, scores);
    walkHeadOnDevice(model, windows, states.view(), source, job,
                     [&](std::int64_t window, MatrixView<const float> logits) { scorer.score(window, logits); });
    Evaluation e = summarize(windows, options, scores, false);
    setSpeed(e, windows, watch);
    return e;
}

Evaluation evaluateAgainstBase(const Model& model, const WeightSource* source, const Model& base, const WeightSource* baseSource,
                               const Windows& allWindows, const EvaluateOptions& options, JobContext& job) {
    const Stopwatch watch;
    const Windows windows = limited(allWindows, options.maxTokens);
    checkRequest(windows, options);
    if (model.config().vocabulary != base.config().vocabulary)
        throw Error(ErrorCode::vocabularyMismatch, "the model has " + std::to_string(model.config().vocabulary) + " tokens, its baseline " +
                    std::to_string(base.config().vocabulary), "compare models with the same tokenizer");
    Scores scores(scoredCount(windows, options), true, options.keepTokens ? windows.count : 0);
    const ScratchMatrix baseStates = options.baseStates ? options.baseStates(windows, job) : walkBlocks(base, windows, baseSource, nullptr, job, "evaluate baseline");
    const ScratchMatrix states = walkBlocks(model, windows, source, nullptr, job, "evaluate");
    job.beginStage("compare", windows.tokens(), "tokens");
    const HeadWeightsPtr baseHead = base.loadHead(baseSource), head = model.loadHead(source);
    WindowScorer scorer(model, windows, options.protocol, scores);
    Matrix baseLogits(windows.length, base.config().vocabulary), logits(windows.length, model.config().vocabulary);
    for (std::int64_t w = 0; w < windows.count; ++w) {
        job.checkpoint();
        base.withLogits(*baseHead, baseStates.view().middleRows(w * windows.length, windows.length), baseLogits.view(), [&] {
            job.checkpoint();
            model.withLogits(*head, states.view().middleRows(w * windows.length, windows.length), logits.view(),
                             [&] { scorer.score(w, logits.view(), &base, baseLogits.view()); });
        });
        job.advance(windows.length);
    }
    Evaluation e = summarize(windows, options, scores, true);
    setSpeed(e, windows, watch);
    return e;
}

} // namespace bw
