// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/evaluate/sequences.h"

#include "core/base/error.h"
#include "core/base/matrix.h"
#include "core/compute/cpu_device.h"
#include "core/evaluate/statistics.h"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <numeric>

namespace bw {
namespace {

constexpr std::int64_t kGroupTokens = 16384;
/// The longest of a group is at most so many times the shortest: padding costs as much as tokens.
constexpr double kGroupSpread = 1.3;
/// Rows of logits at once.
constexpr std::int64_t kRows = 64;

struct Trimmed { std::size_t begin = 0, from = 0, end = 0; };

/// What of a sequence fits the context, counted in the sequence's own indices.
Trimmed trimmed(const TokenSequence& sequence, std::size_t number, std::int64_t context) {
    const std::size_t size = sequence.ids.size();
    if (sequence.from < 1 || sequence.from >= size)
        throw Error(ErrorCode::usage, fmt::format("sequence {} of {} tokens has nothing to score behind token {}", number, size, sequence.from), "give it a beginning and a continuation");
    const std::size_t most = context > 0 ? static_cast<std::size_t>(context) : size;
    if (size - sequence.from >= most)
        throw Error(ErrorCode::usage, fmt::format("the {} scored tokens of sequence {} leave no room in the model's context of {}", size - sequence.from, number, context), "shorten the continuation");
    return {size > most ? size - most : 0, sequence.from, size};
}

} // namespace

std::vector<SequenceScore> scoreSequences(const Model& model, const WeightSource* source, const std::vector<TokenSequence>& sequences, JobContext& job, const LogitsVisitor& visit) {
    std::vector<Trimmed> parts;
    for (std::size_t i = 0; i < sequences.size(); ++i) parts.push_back(trimmed(sequences[i], i, model.config().context));
    const auto length = [&](std::size_t i) { return static_cast<std::int64_t>(parts[i].end - parts[i].begin); };
    std::vector<std::size_t> order(sequences.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return length(a) < length(b); });

    std::vector<SequenceScore> out(sequences.size());
    const HeadWeightsPtr head = sequences.empty() ? nullptr : model.loadHead(source);
    Matrix logits(kRows, model.config().vocabulary);
    for (std::size_t first = 0; first < order.size();) {
        const std::int64_t shortest = length(order[first]);
        std::size_t last = first;
        while (last < order.size() && (last == first || (static_cast<double>(length(order[last])) <= kGroupSpread * static_cast<double>(shortest) &&
                                                         length(order[last]) * static_cast<std::int64_t>(last - first + 1) <= kGroupTokens)))
            ++last;
        Windows windows;
        windows.count = static_cast<std::int64_t>(last - first);
        windows.length = length(order[last - 1]);
        for (std::size_t i = first; i < last; ++i) {
            const TokenSequence& sequence = sequences[order[i]];
            windows.ids.insert(windows.ids.end(), sequence.ids.begin() + static_cast<std::ptrdiff_t>(parts[order[i]].begin), sequence.ids.end());
            windows.ids.resize((i - first + 1) * static_cast<std::size_t>(windows.length), sequence.ids.back());
        }
        const ScratchMatrix states = walkBlocks(model, windows, source, nullptr, job, "score");
        for (std::size_t i = first; i < last; ++i) {
            const Trimmed& part = parts[order[i]];
            const TokenSequence& sequence = sequences[order[i]];
            SequenceScore& score = out[order[i]];
            const auto scored = static_cast<std::int64_t>(part.end - part.from);
            // The logits at a position predict the token behind it.
            const std::int64_t row = static_cast<std::int64_t>(i - first) * windows.length + static_cast<std::int64_t>(part.from - part.begin) - 1;
            for (std::int64_t at = 0; at < scored; at += kRows) {
                job.checkpoint();
                const std::int64_t count = std::min(kRows, scored - at);
                model.logits(*head, states.view().middleRows(row + at, count), logits.view().middleRows(0, count));
                for (std::int64_t r = 0; r < count; ++r) {
                    const std::span<const float> values = std::as_const(logits).view().rowSpan(r);
                    const auto index = static_cast<std::size_t>(at + r);
                    const auto target = static_cast<std::size_t>(sequence.ids[part.from + index]);
                    const double log = static_cast<double>(values[target]) - logSumExp(values);
                    if (!std::isfinite(log))
                        throw Error(ErrorCode::nonFinite, fmt::format("token {} of sequence {} has no finite probability", part.from + index, order[i]), "the model's weights hold NaN, infinities or huge values");
                    score.logProbability += log;
                    score.tokens.push_back(static_cast<float>(log));
                    score.greedy = score.greedy && detail::argmax(values) == static_cast<std::int64_t>(target);
                    if (visit) visit(order[i], index, values, states.view().rowSpan(row + at + r));
                }
            }
        }
        first = last;
    }
    return out;
}

} // namespace bw
