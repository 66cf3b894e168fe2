// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/evaluate/outputs.h"

#include "core/base/error.h"
#include "core/compute/cpu_device.h"
#include "core/evaluate/sequences.h"
#include "core/evaluate/statistics.h"
#include "core/model/generate.h"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>

namespace bw {
namespace {

constexpr std::size_t kBatch = 64; ///< prompts judged together

std::vector<Candidate> likeliest(std::span<const float> logits) {
    const double norm = logSumExp(logits);
    std::vector<Candidate> out;
    for (const std::int64_t id : detail::largest(logits, kTopCandidates)) out.push_back({static_cast<TokenId>(id), static_cast<float>(static_cast<double>(logits[static_cast<std::size_t>(id)]) - norm)});
    std::stable_sort(out.begin(), out.end(), [](const Candidate& a, const Candidate& b) { return a.logProbability > b.logProbability; });
    return out;
}

double cosine(std::span<const float> a, std::span<const float> b) {
    double dot = 0, x = 0, y = 0;
    for (std::size_t i = 0; i < a.size(); ++i) {
        dot += static_cast<double>(a[i]) * static_cast<double>(b[i]);
        x += static_cast<double>(a[i]) * static_cast<double>(a[i]);
        y += static_cast<double>(b[i]) * static_cast<double>(b[i]);
    }
    return x > 0 && y > 0 ? dot / std::sqrt(x * y) : 1.0;
}

/// First token that differs; where one text is the beginning of the other, its end, unless both are equal.
std::int64_t firstDifference(const std::vector<TokenId>& a, const std::vector<TokenId>& b) {
    const auto parts = std::mismatch(a.begin(), a.end(), b.begin(), b.end());
    return parts.first == a.end() && parts.second == b.end() ? -1 : parts.first - a.begin();
}

class Comparison {
public:
    Comparison(const Model& model, const WeightSource* source, const Model& base, const WeightSource* baseSource, const Tokenizer& tokenizer, const OutputOptions& options, JobContext& job)
        : model_(model), source_(source), base_(base), baseSource_(baseSource), tokenizer_(tokenizer), options_(options), job_(job) {}

    std::vector<OutputPair> run(const std::vector<PromptItem>& prompts) {
        for (const PromptItem& item : prompts) {
            OutputPair& pair = out_.emplace_back();
            pair.id = item.id;
            pair.domain = item.domain;
            pair.prompt = item.prompt;
            starts_.push_back(tokenizer_.encode(item.prompt, true));
        }
        write(base_, baseSource_, &OutputPair::base);
        write(model_, source_, &OutputPair::model);
        for (OutputPair& pair : out_) {
            pair.divergence = firstDifference(pair.base.ids, pair.model.ids);
            pair.editDistance = editDistance(pair.base.ids, pair.model.ids);
        }
        for (std::size_t first = 0; first < out_.size(); first += kBatch) judge(first, std::min(out_.size(), first + kBatch));
        return std::move(out_);
    }

private:
    void write(const Model& model, const WeightSource* source, JudgedText OutputPair::* side) {
        const Generator generator(model, source, job_);
        for (std::size_t i = 0; i < out_.size(); ++i) {
            JudgedText& text = out_[i].*side;
            text.ids = generator.run(starts_[i], {options_.maxTokens, options_.temperature, options_.topP, options_.seed, true}).ids;
            text.text = tokenizer_.decode(text.ids, false);
            text.collapse = collapse(text.ids);
        }
    }

    /// Both texts of some prompts under both models. The candidates at a divergence follow the tokens that both texts share.
    void judge(std::size_t first, std::size_t last) {
        struct Place { std::size_t pair; JudgedText OutputPair::* side; bool candidates; };
        std::vector<TokenSequence> sequences;
        std::vector<Place> places;
        const auto add = [&](std::size_t i, const std::vector<TokenId>& ids, JudgedText OutputPair::* side, bool candidates) {
            TokenSequence sequence{starts_[i], starts_[i].size()};
            sequence.ids.insert(sequence.ids.end(), ids.begin(), ids.end());
            sequences.push_back(std::move(sequence));
            places.push_back({i, side, candidates});
        };
        for (std::size_t i = first; i < last; ++i) {
            OutputPair& pair = out_[i];
            if (!pair.base.ids.empty()) add(i, pair.base.ids, &OutputPair::base, true);
            if (!pair.model.ids.empty()) add(i, pair.model.ids, &OutputPair::model, static_cast<std::size_t>(std::max<std::int64_t>(0, pair.divergence)) >= pair.base.ids.size());
        }
        if (sequences.empty()) return;
        std::vector<std::vector<float>> states(sequences.size()); // the base's, over its own texts
        const auto width = static_cast<std::size_t>(base_.config().width);
        const auto atDivergence = [&](std::size_t s, std::size_t index) { return places[s].candidates && static_cast<std::int64_t>(index) == out_[places[s].pair].divergence; };
        const std::vector<SequenceScore> byBase = scoreSequences(base_, baseSource_, sequences, job_, [&](std::size_t s, std::size_t index, std::span<const float> logits, std::span<const float> state) {
            if (atDivergence(s, index)) out_[places[s].pair].topBase = likeliest(logits);
            if (places[s].side == &OutputPair::base) states[s].insert(states[s].end(), state.begin(), state.end());
        });
        std::vector<double> sums(sequences.size(), 0.0);
        const std::vector<SequenceScore> byModel = scoreSequences(model_, source_, sequences, job_, [&](std::size_t s, std::size_t index, std::span<const float> logits, std::span<const float> state) {
            OutputPair& pair = out_[places[s].pair];
            if (atDivergence(s, index)) pair.topModel = likeliest(logits);
            if (places[s].side != &OutputPair::base || state.size() != width) return;
            const double here = cosine(state, std::span<const float>(states[s]).subspan(index * width, width));
            sums[s] += here;
            pair.lowestCosine = std::min(pair.lowestCosine, here);
        });
        for (std::size_t s = 0; s < places.size(); ++s) {
            OutputPair& pair = out_[places[s].pair];
            (pair.*places[s].side).underBase = byBase[s].tokens;
            (pair.*places[s].side).underModel = byModel[s].tokens;
            if (places[s].side == &OutputPair::base) pair.cosine = sums[s] / static_cast<double>(byBase[s].tokens.size());
        }
    }

    const Model& model_;
    const WeightSource* source_;
    const Model& base_;
    const WeightSource* baseSource_;
    const Tokenizer& tokenizer_;
    const OutputOptions& options_;
    JobContext& job_;
    std::vector<OutputPair> out_;
    std::vector<std::vector<TokenId>> starts_;
};

} // namespace

std::vector<OutputPair> compareOutputs(const Model& model, const WeightSource* source, const Model& base, const WeightSource* baseSource, const Tokenizer& tokenizer,
                                       const std::vector<PromptItem>& prompts, const OutputOptions& options, JobContext& job) {
    if (model.config().vocabulary != base.config().vocabulary)
        throw Error(ErrorCode::vocabularyMismatch, fmt::format("the model has {} tokens, its baseline {}", model.config().vocabulary, base.config().vocabulary), "compare models with the same tokenizer");
    return Comparison(model, source, base, baseSource, tokenizer, options, job).run(prompts);
}

OutputSummary summarize(const std::vector<OutputPair>& pairs) {
    OutputSummary out;
    out.prompts = std::ssize(pairs);
    double cosines = 0, parts = 0, gap = 0;
    std::int64_t tokens = 0;
    for (const OutputPair& pair : pairs) {
        out.same += pair.divergence < 0 ? 1 : 0;
        out.alerts += pair.alert() ? 1 : 0;
        out.collapsed += pair.model.collapse.collapsed() && !pair.base.collapse.collapsed() ? 1 : 0;
        parts += static_cast<double>(std::max<std::int64_t>(0, pair.divergence));
        cosines += pair.cosine;
        for (std::size_t i = 0; i < pair.base.underBase.size(); ++i) gap += static_cast<double>(pair.base.underBase[i]) - static_cast<double>(pair.base.underModel[i]);
        tokens += std::ssize(pair.base.underBase);
    }
    if (out.prompts > 0) out.meanCosine = cosines / static_cast<double>(out.prompts);
    if (out.prompts > out.same) out.meanDivergence = parts / static_cast<double>(out.prompts - out.same);
    if (tokens > 0) out.logProbabilityGap = gap / static_cast<double>(tokens);
    return out;
}

} // namespace bw
