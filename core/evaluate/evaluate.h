// SPDX-License-Identifier: GPL-3.0-or-later
// Perplexity with its protocol, and KL divergence and companions against a baseline on the same tokens.
#pragma once

#include "core/calibrate/dataset.h"
#include "core/evaluate/parts.h"
#include "core/evaluate/reliability.h"
#include "core/model/walk.h"

#include <functional>
#include <string>
#include <vector>

namespace bw {

/// How many likeliest tokens topOverlap compares.
inline constexpr std::int64_t kTopOverlap = 10;

struct EvaluateOptions {
    Protocol protocol;
    std::int64_t maxTokens = 0; ///< 0 = whole text
    bool keepTokens = false;    ///< also per-token values (nll, KL, marks, likeliest tokens) for plots and comparisons
    /// The baseline's final states over these windows, where they may be known already; empty: it is walked.
    std::function<ScratchMatrix(const Windows&, JobContext&)> baseStates = {};
};

/// One scored position.
struct TokenScore { float nll = 0, baseNll = 0, kl = 0; std::uint8_t marks = 0; }; ///< marks: kTokenWasLikeliest, kSameLikeliest

struct Evaluation {
    std::string protocol;
    std::int64_t windows = 0, tokens = 0;          ///< tokens = scored positions
    double nll = 0, nllStandardError = 0;          ///< mean nats per token; error over windows when ≥ 8 of them, else over tokens
    double perplexity = 0, perplexityStandardError = 0;
    double top1 = 0;                               ///< share of positions whose most likely token came
    std::vector<ReliabilityBin> reliability;     ///< 15 bins of equal mass, ascending in confidence
    double ece = 0, brier = 0;                     ///< top-1 confidence: 15 equal-mass bins; Brier of the top-1 event
    bool hasBase = false;
    double basePerplexity = 0;
    double klMean = 0, klStandardError = 0, klMedian = 0, klP90 = 0, klP99 = 0, klP999 = 0, klMax = 0;
    double sameTop1 = 0, sameTop1StandardError = 0;
    double topOverlap = 0, topOverlapStandardError = 0; ///< share of the baseline's kTopOverlap likeliest tokens that are among the model's
    double deltaPMean = 0, deltaPRms = 0;
    double deltaPP01 = 0, deltaPP05 = 0, deltaPMedian = 0, deltaPP95 = 0, deltaPP99 = 0; ///< percentiles of p(token) − base p(token)
    std::vector<double> windowNll;                 ///< sum per window
    std::vector<TokenScore> tokensScored;          ///< when keepTokens
    std::vector<std::uint8_t> topTokens;           ///< when keepTokens: packTopTokens of each scored position in turn
    double seconds = 0, tokensPerSecond = 0;
};

/// Perplexity of a model (with `source`, of its quantized form). @param windows cut by the protocol named in `options`;
/// with options.maxTokens only the first of them. @throws Error(textTooShort), Error(nonFinite) naming window and position,
/// Error(cancelled). Cost: one walk and the head at every position; memory: the states and one window of logits.
Evaluation evaluatePerplexity(const Model& model, const WeightSource* source, const Windows& windows,
                              const EvaluateOptions& options, JobContext& job);
/// The same plus KL(base‖model). Both are walked block by block; their heads run side by side window by window, so no
/// logits are stored. @throws Error(vocabularyMismatch) when the vocabularies differ.
Evaluation evaluateAgainstBase(const Model& model, const WeightSource* source, const Model& base, const WeightSource* baseSource,
                               const Windows& windows, const EvaluateOptions& options, JobContext& job);

} // namespace bw
