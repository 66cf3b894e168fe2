// SPDX-License-Identifier: GPL-3.0-or-later
// Scoring a model on prompt sets: questions by likelihood, cloze tests, answers, translations, programs.
#pragma once

#include "core/evaluate/prompts.h"
#include "core/model/generate.h"
#include "core/model/walk.h"
#include "core/tokenizer/tokenizer.h"

#include <map>
#include <optional>
#include <string>
#include <vector>

namespace bw {

struct TaskOptions {
    std::int64_t maxTokens = 64; ///< of generated answers
};

/// What became of one prompt.
struct TaskRow {
    std::string id, domain;
    TaskKind kind = TaskKind::open;
    bool right = false;              ///< choice, cloze, exact, syntax
    std::size_t chosen = 0;          ///< choice: by plain likelihood
    double logProbability = 0;       ///< choice: of the right one; cloze: of the target
    std::string text;                ///< generated
    std::vector<TokenId> ids;
};

/// A figure over items: of a kind, or of a kind in a domain ("choice_accuracy/history").
struct TaskFigure {
    std::string name;                ///< choice_accuracy, choice_accuracy_norm, cloze_accuracy, cloze_nll, exact_match, bleu, chrf, python_valid, json_valid
    double value = 0;
    std::optional<double> standardError; ///< binomial, or over items; none for BLEU and chrF
    std::int64_t items = 0;
};

struct TaskReport {
    std::vector<TaskFigure> figures;
    std::vector<TaskRow> rows;       ///< in the order of the prompts
    std::vector<std::string> warnings; ///< "no python3 on this machine: 12 programs were not checked"
};

/// choice: the choice with the largest log-probability as a continuation of "question␣", and the same per byte of the choice
/// (choice_accuracy_norm); tokens of question and choice are cut apart where the encoding of both together says (as
/// lm-evaluation-harness does). cloze: right when every token of the target is the likeliest. exact: the first line of a greedy
/// continuation, normalized (text_metrics.h), begins with the answer. Ties go to the first choice.
/// @throws as scoreSequences() and generate(). Cost: one walk over all questions times choices; a generation for each prompt
/// that needs one, the whole model in memory then.
TaskReport runTasks(const Model& model, const WeightSource* source, const Tokenizer& tokenizer, const PromptSet& prompts, const TaskOptions& options, JobContext& job);

/// "<= 0.05", ">=0.4", "< 60", "> 0": what a figure must fulfil. @throws Error(usage).
struct Threshold {
    bool below = true, orEqual = true;
    double limit = 0;
    bool holds(double value) const { return below ? (orEqual ? value <= limit : value < limit) : (orEqual ? value >= limit : value > limit); }
    std::string text() const;
};
Threshold parseThreshold(const std::string& text);

/// A named regression suite: prompt files and what their figures must fulfil.
struct Suite {
    std::string name;
    std::vector<std::string> prompts;             ///< absolute, or relative to the suite's file
    std::vector<std::string> texts;               ///< evaluation texts for perplexity and KL
    std::int64_t maxTokens = 64;
    std::map<std::string, std::string> thresholds;
};
/// {"name", "prompts": […], "texts": […], "max_tokens", "thresholds": {"choice_accuracy": ">= 0.35"}}.
/// @throws Error fileNotFound, invalidHeader naming the key that is wrong or unknown; usage for a suite that measures nothing.
Suite loadSuite(const std::string& path);

} // namespace bw
