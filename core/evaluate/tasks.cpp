// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/evaluate/tasks.h"

#include "core/base/error.h"
#include "core/evaluate/sequences.h"
#include "core/evaluate/statistics.h"
#include "core/evaluate/syntax.h"
#include "core/evaluate/text_metrics.h"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <memory>

namespace bw {
namespace {

/// Context and continuation as one sequence, cut where the context's own tokens end. A continuation that melts into the
/// context's last token is scored from that token on.
TokenSequence sequenceOf(const Tokenizer& tokenizer, const std::string& context, const std::string& continuation) {
    TokenSequence out;
    const std::vector<TokenId> before = tokenizer.encode(context, true);
    out.ids = tokenizer.encode(context + continuation, true);
    out.from = std::clamp<std::size_t>(before.size(), 1, std::max<std::size_t>(2, out.ids.size()) - 1);
    return out;
}

/// A space between question and choice unless one of them brings white space.
std::string joined(const std::string& context, const std::string& continuation) {
    const auto space = [](char c) { return c == ' ' || c == '\n' || c == '\t'; };
    return space(context.back()) || space(continuation.front()) ? continuation : " " + continuation;
}

/// White space at the end of a context belongs to the continuation, where tokenizers put it.
void moveSpace(std::string& context, std::string& continuation) {
    const std::size_t end = context.find_last_not_of(" \t\n");
    if (end == std::string::npos || end + 1 == context.size()) return;
    continuation = context.substr(end + 1) + continuation;
    context.resize(end + 1);
}

struct Sums {
    std::vector<double> values;
    void add(double value) { values.push_back(value); }
};

class Tasks {
public:
    Tasks(const Model& model, const WeightSource* source, const Tokenizer& tokenizer, const PromptSet& prompts, const TaskOptions& options, JobContext& job)
        : model_(model), source_(source), tokenizer_(tokenizer), prompts_(prompts), options_(options), job_(job) {
        for (const PromptItem& item : prompts.items) out_.rows.push_back({item.id, item.domain, item.kind, false, 0, 0, {}, {}});
    }
    TaskReport run() {
        scoreLikelihoods();
        generateAnswers();
        translations();
        for (const auto& [name, sum] : sums_) {
            const detail::MeanError mean = detail::meanOf(sum.values);
            out_.figures.push_back({name, mean.mean, mean.error, std::ssize(sum.values)});
        }
        std::stable_sort(out_.figures.begin(), out_.figures.end(), [](const TaskFigure& a, const TaskFigure& b) { return a.name < b.name; });
        if (unchecked_ > 0) out_.warnings.push_back(fmt::format("no python3 on this machine, or it took too long: {} programs were not checked", unchecked_));
        return std::move(out_);
    }

private:
    void note(const std::string& name, const PromptItem& item, double value) {
        sums_[name].add(value);
        if (!item.domain.empty()) sums_[name + "/" + item.domain].add(value);
    }

    void scoreLikelihoods() {
        struct Place { std::size_t item, choice; };
        std::vector<TokenSequence> sequences;
        std::vector<Place> places;
        for (std::size_t i = 0; i < prompts_.items.size(); ++i) {
            const PromptItem& item = prompts_.items[i];
            const std::vector<std::string> all = item.kind == TaskKind::choice ? item.choices : item.kind == TaskKind::cloze ? std::vector<std::string>{item.target} : std::vector<std::string>{};
            for (std::size_t c = 0; c < all.size(); ++c) {
                std::string context = item.prompt, continuation = joined(item.prompt, all[c]);
                moveSpace(context, continuation);
                sequences.push_back(sequenceOf(tokenizer_, context, continuation));
                places.push_back({i, c});
            }
        }
        if (sequences.empty()) return;
        const std::vector<SequenceScore> scores = scoreSequences(model_, source_, sequences, job_);
        for (std::size_t s = 0; s < places.size();) {
            const PromptItem& item = prompts_.items[places[s].item];
            TaskRow& row = out_.rows[places[s].item];
            if (item.kind == TaskKind::cloze) {
                row.right = scores[s].greedy;
                row.logProbability = scores[s].logProbability;
                note("cloze_accuracy", item, row.right ? 1 : 0);
                note("cloze_nll", item, -scores[s].logProbability / static_cast<double>(scores[s].tokens.size()));
                ++s;
                continue;
            }
            std::size_t best = 0, bestNorm = 0;
            const auto perByte = [&](std::size_t c) { return scores[s + c].logProbability / static_cast<double>(item.choices[c].size()); };
            for (std::size_t c = 1; c < item.choices.size(); ++c) {
                if (scores[s + c].logProbability > scores[s + best].logProbability) best = c;
                if (perByte(c) > perByte(bestNorm)) bestNorm = c;
            }
            row.chosen = best;
            row.right = best == item.answer;
            row.logProbability = scores[s + item.answer].logProbability;
            note("choice_accuracy", item, row.right ? 1 : 0);
            note("choice_accuracy_norm", item, bestNorm == item.answer ? 1 : 0);
            s += item.choices.size();
        }
    }

    void generateAnswers() {
        std::unique_ptr<Generator> generator;
        for (std::size_t i = 0; i < prompts_.items.size(); ++i) {
            const PromptItem& item = prompts_.items[i];
            if (item.kind == TaskKind::choice || item.kind == TaskKind::cloze || item.kind == TaskKind::open) continue;
            if (!generator) generator = std::make_unique<Generator>(model_, source_, job_);
            TaskRow& row = out_.rows[i];
            GenerateOptions greedy;
            greedy.maxTokens = options_.maxTokens;
            row.ids = generator->run(tokenizer_.encode(item.prompt, true), greedy).ids;
            row.text = tokenizer_.decode(row.ids, false);
            if (item.kind == TaskKind::exact) {
                const std::size_t start = row.text.find_first_not_of(" \t\n");
                const std::string line = start == std::string::npos ? std::string() : row.text.substr(start, row.text.find('\n', start) - start);
                row.right = normalizedAnswer(line).starts_with(normalizedAnswer(item.target));
                note("exact_match", item, row.right ? 1 : 0);
            } else if (item.kind == TaskKind::syntax && item.syntax == "json") {
                row.right = isJson(codeIn(row.text));
                note("json_valid", item, row.right ? 1 : 0);
            } else if (item.kind == TaskKind::syntax) {
                // A prompt that is the beginning of a program is part of it.
                const std::optional<bool> parses = isPython(row.text.find("```") == std::string::npos ? item.prompt + row.text : codeIn(row.text));
                row.right = parses.value_or(false);
                if (parses) note("python_valid", item, row.right ? 1 : 0);
                else ++unchecked_;
            }
        }
    }

    void translations() {
        std::vector<std::string> hypotheses;
        std::vector<std::vector<std::string>> references;
        for (std::size_t i = 0; i < prompts_.items.size(); ++i)
            if (prompts_.items[i].kind == TaskKind::references) {
                hypotheses.push_back(out_.rows[i].text);
                references.push_back(prompts_.items[i].references);
            }
        if (hypotheses.empty()) return;
        out_.figures.push_back({"bleu", bleu(hypotheses, references), std::nullopt, std::ssize(hypotheses)});
        out_.figures.push_back({"chrf", chrf(hypotheses, references), std::nullopt, std::ssize(hypotheses)});
    }

    const Model& model_;
    const WeightSource* source_;
    const Tokenizer& tokenizer_;
    const PromptSet& prompts_;
    const TaskOptions& options_;
    JobContext& job_;
    TaskReport out_;
    std::map<std::string, Sums> sums_;
    std::int64_t unchecked_ = 0;
};

} // namespace

TaskReport runTasks(const Model& model, const WeightSource* source, const Tokenizer& tokenizer, const PromptSet& prompts, const TaskOptions& options, JobContext& job) {
    return Tasks(model, source, tokenizer, prompts, options, job).run();
}

} // namespace bw
