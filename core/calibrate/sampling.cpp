// SPDX-License-Identifier: GPL-3.0-or-later
// Which windows of several texts make a calibration set: shares by weight, spread evenly or drawn by a seed, repeated
// passages left out. The same texts and sampling give the same windows on every machine.
#include "core/base/error.h"
#include "core/base/random.h"
#include "core/base/text.h"
#include "core/calibrate/dataset.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <unordered_set>

namespace bw {
namespace {

constexpr std::int64_t kLongestWindow = 1 << 20;
/// Of all 13-grams those whose hash is a multiple of this stand for the rest: an eighth of the memory, and a repeated window
/// of 256 tokens still has some 30 of them.
constexpr std::uint64_t kGramSample = 8;
constexpr double kRepeatedShare = 0.5;

using Slots = std::vector<std::int64_t>; ///< first tokens of a text's candidate windows, rising

Slots slotsOf(const TextData& text, std::int64_t length) {
    Slots out;
    for (std::int64_t start = 0; start + length <= static_cast<std::int64_t>(text.ids.size()); start += length)
        out.push_back(start);
    return out;
}

/// Leaves out windows most of whose 13-grams earlier windows held.
std::int64_t leaveOutRepeats(const std::vector<const TextData*>& texts, std::int64_t length, std::vector<Slots>& slots, JobContext& job) {
    std::unordered_set<std::uint64_t> known;
    std::int64_t gone = 0;
    std::vector<std::uint64_t> grams;
    for (std::size_t t = 0; t < texts.size(); ++t)
        gone += static_cast<std::int64_t>(std::erase_if(slots[t], [&](std::int64_t start) {
            job.checkpoint();
            grams.clear();
            std::int64_t repeated = 0;
            for (std::int64_t i = start; i + kGramTokens <= start + length; ++i)
                if (const std::uint64_t hash = gramHash(texts[t]->ids.data() + i); hash % kGramSample == 0) {
                    grams.push_back(hash);
                    repeated += known.contains(hash) ? 1 : 0;
                }
            if (static_cast<double>(repeated) > kRepeatedShare * static_cast<double>(grams.size()))
                return true;
            known.insert(grams.begin(), grams.end());
            return false;
        }));
    return gone;
}

/// Windows each text gives: its share of `samples`, at most what it has; what one lacks the others give by their weights.
std::vector<std::int64_t> quotas(const std::vector<Slots>& slots, const std::vector<double>& weights, std::int64_t samples) {
    std::vector<std::int64_t> out(slots.size(), 0);
    std::int64_t left = samples;
    while (left > 0) {
        double open = 0;
        for (std::size_t t = 0; t < slots.size(); ++t)
            open += out[t] < static_cast<std::int64_t>(slots[t].size()) ? weights[t] : 0.0;
        if (!(open > 0))
            break;
        std::vector<std::pair<double, std::size_t>> rests; // what rounding down took, the largest first
        std::int64_t given = 0;
        for (std::size_t t = 0; t < slots.size(); ++t) {
            const std::int64_t room = static_cast<std::int64_t>(slots[t].size()) - out[t];
            if (room <= 0 || !(weights[t] > 0))
                continue;
            const double share = static_cast<double>(left) * weights[t] / open;
            const std::int64_t whole = std::min(room, static_cast<std::int64_t>(share));
            out[t] += whole;
            given += whole;
            if (whole < room)
                rests.emplace_back(-(share - std::floor(share)), t);
        }
        left -= given;
        if (given > 0)
            continue;
        std::sort(rests.begin(), rests.end());
        for (std::size_t i = 0; i < rests.size() && left > 0; ++i, --left)
            ++out[rests[i].second];
    }
    return out;
}

/// `count` of the candidates, in their order.
Slots chosen(const Slots& slots, std::int64_t count, const Sampling& sampling, std::size_t text) {
    const auto all = static_cast<std::int64_t>(slots.size());
    Slots out;
    if (!sampling.random) {
        for (std::int64_t k = 0; k < count; ++k)
            out.push_back(slots[static_cast<std::size_t>(k * all / count)]);
        return out;
    }
    // The first `count` of a shuffle; texts draw from sequences of their own.
    Slots shuffled = slots;
    Random random(sampling.seed ^ (0x9e3779b97f4a7c15ull * (text + 1)));
    for (std::int64_t k = 0; k < count; ++k)
        std::swap(shuffled[static_cast<std::size_t>(k)], shuffled[static_cast<std::size_t>(k) + static_cast<std::size_t>(random.below(static_cast<std::uint64_t>(all - k)))]);
    out.assign(shuffled.begin(), shuffled.begin() + count);
    std::sort(out.begin(), out.end());
    return out;
}

void append(SampledWindows& out, const TextData& text, std::size_t number, const Slots& starts) {
    for (const std::int64_t start : starts) {
        const auto first = text.ids.begin() + start;
        out.windows.ids.insert(out.windows.ids.end(), first, first + out.windows.length);
        out.origins.push_back({number, start});
        ++out.windows.count;
    }
}

/// Evenly over the texts as if they were one.
void spreadOverAll(SampledWindows& out, const std::vector<const TextData*>& texts, const std::vector<Slots>& slots, const Sampling& sampling) {
    std::vector<WindowOrigin> all;
    for (std::size_t t = 0; t < slots.size(); ++t)
        for (const std::int64_t start : slots[t])
            all.push_back({t, start});
    Slots numbers(all.size());
    std::iota(numbers.begin(), numbers.end(), std::int64_t{0});
    for (const std::int64_t k : chosen(numbers, std::min(sampling.samples, static_cast<std::int64_t>(all.size())), sampling, 0))
        append(out, *texts[all[static_cast<std::size_t>(k)].text], all[static_cast<std::size_t>(k)].text, {all[static_cast<std::size_t>(k)].start});
}

void checkSampling(const std::vector<const TextData*>& texts, const Sampling& sampling) {
    if (sampling.samples < 1 || sampling.length < 1 || sampling.length > kLongestWindow)
        throw Error(ErrorCode::usage, std::to_string(sampling.samples) + " samples of " + std::to_string(sampling.length) + " tokens make no calibration set",
                    "ask for at least one sample of 1 to " + std::to_string(kLongestWindow) + " tokens");
    const bool bad = std::any_of(sampling.weights.begin(), sampling.weights.end(), [](double w) { return !std::isfinite(w) || w < 0; });
    if (bad || (!sampling.weights.empty() && sampling.weights.size() != texts.size()))
        throw Error(ErrorCode::usage, "every calibration text needs one weight of 0 or more", "write --text FILE=0.3");
}

} // namespace

SampledWindows sampleWindows(const std::vector<const TextData*>& texts, const Sampling& sampling, JobContext& job) {
    checkSampling(texts, sampling);
    SampledWindows out;
    out.windows.length = sampling.length;
    std::vector<Slots> slots;
    const TextData* longest = nullptr;
    for (const TextData* text : texts) {
        job.checkpoint();
        slots.push_back(slotsOf(*text, sampling.length));
        const std::string& name = text->name.empty() ? text->path : text->name;
        if (slots.back().empty())
            out.shortTexts.push_back(name);
        longest = !longest || text->ids.size() >= longest->ids.size() ? text : longest;
    }
    if (sampling.deduplicate)
        out.duplicates = leaveOutRepeats(texts, sampling.length, slots, job);
    if (sampling.weights.empty()) {
        spreadOverAll(out, texts, slots, sampling);
    } else {
        const std::vector<std::int64_t> counts = quotas(slots, sampling.weights, sampling.samples);
        for (std::size_t t = 0; t < texts.size(); ++t)
            append(out, *texts[t], t, chosen(slots[t], counts[t], sampling, t));
    }
    if (out.windows.count > 0)
        return out;
    const std::string name = !longest ? "the calibration text" : longest->name.empty() ? longest->path : longest->name;
    throw Error(ErrorCode::textTooShort, "'" + escapeForDisplay(name) + "' has " + std::to_string(longest ? longest->ids.size() : 0) + " tokens, fewer than one window of " +
                    std::to_string(sampling.length), "give more calibration text or shorter samples");
}

Windows calibrationWindows(const std::vector<TextData>& texts, std::int64_t samples, std::int64_t length) {
    std::vector<const TextData*> all;
    for (const TextData& text : texts)
        all.push_back(&text);
    Sampling sampling;
    sampling.samples = samples;
    sampling.length = length;
    JobContext job;
    return sampleWindows(all, sampling, job).windows;
}

} // namespace bw
