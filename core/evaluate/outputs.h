// SPDX-License-Identifier: GPL-3.0-or-later
// What two models write to the same prompts, and where they part: texts, probabilities of each text under both, first
// divergence with the candidates there, hidden states, signs of collapse.
#pragma once

#include "core/evaluate/prompts.h"
#include "core/evaluate/text_metrics.h"
#include "core/model/walk.h"
#include "core/tokenizer/tokenizer.h"

#include <string>
#include <vector>

namespace bw {

/// Below this similarity of last hidden states two models no longer read the same text.
inline constexpr double kAlertCosine = 0.95;

struct Candidate { TokenId id = 0; float logProbability = 0; };

/// One text: what it is and how likely each of its tokens is under both models (natural logarithms).
struct JudgedText {
    std::vector<TokenId> ids;
    std::string text;
    std::vector<float> underBase, underModel;
    Collapse collapse;
};

struct OutputPair {
    std::string id, domain, prompt;
    JudgedText base, model;
    std::int64_t divergence = -1;            ///< first new token that differs; −1: the same text (of the shorter's length, both ended)
    std::vector<Candidate> topBase, topModel; ///< the likeliest there, at most kTopCandidates; empty without a divergence
    double cosine = 1;                       ///< of the last hidden states over the base's text: mean; `lowest` over its tokens
    double lowestCosine = 1;
    std::int64_t editDistance = 0;           ///< between both texts' tokens
    bool alert() const { return cosine < kAlertCosine; }
};
inline constexpr std::int64_t kTopCandidates = 8;

struct OutputOptions {
    std::int64_t maxTokens = 64;
    double temperature = 0;                  ///< 0 = greedy
    double topP = 1;
    std::uint64_t seed = 1234;
};

/// One pair for each prompt, whatever its kind. An answer that is empty (its first token ended it) is judged as empty.
/// @throws Error(vocabularyMismatch); as generate() and scoreSequences(). Cost: a generation by each model, two walks of each over
/// all texts. Memory: one whole model in f32 at a time; the base's hidden states of 64 prompts' texts.
std::vector<OutputPair> compareOutputs(const Model& model, const WeightSource* source, const Model& base, const WeightSource* baseSource, const Tokenizer& tokenizer,
                                       const std::vector<PromptItem>& prompts, const OutputOptions& options, JobContext& job);

/// Over all pairs.
struct OutputSummary {
    std::int64_t prompts = 0, same = 0, alerts = 0, collapsed = 0; ///< collapsed: the model's text is, the base's is not
    double meanDivergence = 0;               ///< tokens before texts part, of those that do
    double meanCosine = 1;
    double logProbabilityGap = 0;            ///< mean over tokens of the base's text: log p(base) − log p(model)
};
OutputSummary summarize(const std::vector<OutputPair>& pairs);

} // namespace bw
