// SPDX-License-Identifier: GPL-3.0-or-later
// Two walks, then both heads window by window: only what each position scores is kept, never logits.
#include "core/evaluate/evaluate.h"

#include "core/base/error.h"
#include "core/base/parallel.h"
#include "core/compute/cpu_device.h"
#include "core/evaluate/statistics.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <iterator>

namespace bw {
namespace {

/// Positions handed to a thread at once: a row of logits takes tens of microseconds or more.
constexpr std::int64_t kRows = 4;

/// Everything that is known of the scored positions, in window order.
struct Scores {
    std::vector<double> nll, baseNll, kl, deltaP, sameTop1, topOverlap;
    std::vector<detail::Prediction> predictions;

    Scores(std::size_t count, bool hasBase) : nll(count), predictions(count) {
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
double topOverlap(std::span<const float> base, std::span<const float> logits) {
    const std::vector<std::int64_t> a = detail::largest(base, kTopOverlap), b = detail::largest(logits, kTopOverlap);
    std::vector<std::int64_t> both;
    std::set_intersection(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(both));
    return static_cast<double>(both.size()) / static_cast<double>(a.size());
}

void scorePosition(std::span<const float> logits, std::span<const float> base, TokenId target, std::size_t index, Scores& scores) {
    const auto at = static_cast<std::size_t>(target);
    const double norm = logSumExp(logits);
    const std::int64_t top = detail::argmax(logits);
    scores.nll[index] = norm - static_cast<double>(logits[at]);
    scores.predictions[index] = {std::exp(static_cast<double>(logits[static_cast<std::size_t>(top)]) - norm), top == target};
    if (base.empty())
        return;
    const double baseNorm = logSumExp(base);
    scores.baseNll[index] = baseNorm - static_cast<double>(base[at]);
    scores.kl[index] = klDivergence(base, logits);
    scores.deltaP[index] = std::exp(-scores.nll[index]) - std::exp(-scores.baseNll[index]);
    scores.sameTop1[index] = detail::argmax(base) == top ? 1.0 : 0.0;
    scores.topOverlap[index] = topOverlap(base, logits);
}

void scoreWindow(const Windows& windows, const Protocol& protocol, std::int64_t window, MatrixView<const float> logits,
                 const MatrixView<const float>* base, Scores& scores) {
    const ScoredSpan span = scoredSpan(protocol, windows.length);
    const auto ids = windows.window(window);
    const std::int64_t offset = window * span.count;
    parallelFor(span.count, kRows, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t i = begin; i < end; ++i) {
            const std::int64_t position = span.first + i;
            const TokenId target = ids[static_cast<std::size_t>(position + 1)];
            scorePosition(logits.rowSpan(position), base ? base->rowSpan(position) : std::span<const float>{}, target,
                          static_cast<std::size_t>(offset + i), scores);
        }
    });
    for (std::int64_t i = 0; i < span.count; ++i) {
        const auto at = static_cast<std::size_t>(offset + i);
        if (!std::isfinite(scores.nll[at]) || (base && !(std::isfinite(scores.kl[at]) && std::isfinite(scores.baseNll[at]))))
            throw Error(ErrorCode::nonFinite, "the logits of window " + std::to_string(window) + ", position " + std::to_string(span.first + i) +
                        " give no finite score", "the model's output matrix or last states hold NaN, infinities or huge values");
    }
}

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
    if (options.keepTokens)
        for (std::size_t i = 0; i < scores.nll.size(); ++i)
            e.tokensScored.push_back({static_cast<float>(scores.nll[i]), hasBase ? static_cast<float>(scores.baseNll[i]) : 0.0f,
                                      hasBase ? static_cast<float>(scores.kl[i]) : 0.0f});
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
    Scores scores(scoredCount(windows, options), false);
    const ScratchMatrix states = walkBlocks(model, windows, source, nullptr, job, "evaluate");
    walkHead(model, windows, states.view(), source, job, [&](std::int64_t window, MatrixView<const float> logits) {
        scoreWindow(windows, options.protocol, window, logits, nullptr, scores);
    });
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
    Scores scores(scoredCount(windows, options), true);
    const ScratchMatrix baseStates = walkBlocks(base, windows, baseSource, nullptr, job, "evaluate baseline");
    const ScratchMatrix states = walkBlocks(model, windows, source, nullptr, job, "evaluate");
    job.beginStage("compare", windows.tokens(), "tokens");
    const HeadWeightsPtr baseHead = base.loadHead(baseSource), head = model.loadHead(source);
    Matrix baseLogits(windows.length, base.config().vocabulary), logits(windows.length, model.config().vocabulary);
    for (std::int64_t w = 0; w < windows.count; ++w) {
        job.checkpoint();
        base.logits(*baseHead, baseStates.view().middleRows(w * windows.length, windows.length), baseLogits.view());
        job.checkpoint();
        model.logits(*head, states.view().middleRows(w * windows.length, windows.length), logits.view());
        const MatrixView<const float> baseView = baseLogits.view();
        scoreWindow(windows, options.protocol, w, logits.view(), &baseView, scores);
        job.advance(windows.length);
    }
    Evaluation e = summarize(windows, options, scores, true);
    setSpeed(e, windows, watch);
    return e;
}

} // namespace bw
