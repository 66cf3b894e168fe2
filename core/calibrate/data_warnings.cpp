// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/calibrate/data_warnings.h"

#include "core/base/text.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <fmt/format.h>
#include <unordered_set>

namespace bw {
namespace {

// Fewer samples than these make ranges and importances depend visibly on the draw.
constexpr std::int64_t kGoodSamples = 128, kFewSamples = 64, kGoodLength = 512;
constexpr std::size_t kPassageBytes = 200;
/// Trigrams are counted in this many cells by hash; the text looked at is bounded, so that the cost is.
constexpr std::size_t kCells = 1 << 14, kMostText = 1 << 20;
/// Two stretches of this length alternate when a text is held against itself.
constexpr std::size_t kStretch = 64;
/// Below this a text shows its subject more than its domain: two Python modules of 8 kB differ by 0.41.
constexpr std::size_t kJudgedText = 16 << 10;

using Cells = std::vector<double>;

std::size_t cellOf(const char* at) {
    const auto byte = [&](int i) { return static_cast<std::uint32_t>(static_cast<unsigned char>(at[i])); };
    const std::uint32_t h = byte(0) * 0x9e3779b1u + byte(1) * 0x85ebca6bu + byte(2) * 0xc2b2ae35u;
    return (h ^ (h >> 15)) % kCells;
}

/// Trigrams of the even stretches, of the odd ones, and of all.
std::array<Cells, 3> trigrams(std::string_view text) {
    std::array<Cells, 3> out{Cells(kCells), Cells(kCells), Cells(kCells)};
    for (std::size_t i = 0; i + 3 <= text.size(); ++i) {
        const std::size_t cell = cellOf(text.data() + i);
        ++out[i / kStretch % 2][cell];
        ++out[2][cell];
    }
    return out;
}

double jensenShannon(const Cells& a, const Cells& b) {
    double n = 0, m = 0, sum = 0;
    for (std::size_t i = 0; i < kCells; ++i) {
        n += a[i];
        m += b[i];
    }
    if (n <= 0 || m <= 0)
        return 0;
    for (std::size_t i = 0; i < kCells; ++i) {
        const double p = a[i] / n, q = b[i] / m, middle = (p + q) / 2;
        sum += (p > 0 ? p * std::log2(p / middle) : 0.0) + (q > 0 ? q * std::log2(q / middle) : 0.0);
    }
    return sum / 2;
}

std::string percent(double share) { return fmt::format("{:.2g} %", 100.0 * share); }

void addOverlap(const Windows& calibration, std::span<const TokenId> evaluation, const Tokenizer* tokenizer, std::vector<DataWarning>& out) {
    const Overlap overlap = findOverlap(calibration, evaluation, tokenizer);
    if (overlap.share <= 0)
        return;
    DataWarning& made = out.emplace_back(DataWarning{"overlap", "calibration and evaluation text share " + percent(overlap.share) + " of their 13-token sequences",
                                                     "figures on this evaluation text flatter", "evaluate on text that shares no passage with the calibration text"});
    for (const SharedPassage& passage : overlap.longest)
        made.details.push_back(fmt::format("{} tokens in window {}{}", passage.tokens, passage.window, passage.text.empty() ? "" : ": " + passage.text));
}

void addDomain(const Windows& calibration, std::span<const TokenId> evaluation, const Tokenizer& tokenizer, std::vector<DataWarning>& out) {
    // No token stands for fewer than a fraction of a byte: this many are enough for all the text that is looked at.
    const auto head = [&](std::span<const TokenId> ids) { return tokenizer.decode(ids.first(std::min(ids.size(), kMostText / 2))); };
    const std::string a = head(calibration.ids), b = head(evaluation);
    if (std::min(a.size(), b.size()) < kJudgedText)
        return;
    const double divergence = domainDivergence(a, b);
    if (divergence > kOtherDomain)
        out.push_back({"domain", fmt::format("calibration and evaluation text differ by {:.2f} bit in their letter sequences (up to {:.2f} within one domain)", divergence, kOtherDomain),
                       "what is fitted to one kind of text serves another badly: prose-calibrated weights lose most on code",
                       "calibrate on text like that which the model will see", {}});
}

} // namespace

std::string DataWarning::text() const { return why.empty() ? seen : seen + ": " + why; }

Overlap findOverlap(const Windows& calibration, std::span<const TokenId> evaluation, const Tokenizer* tokenizer, std::size_t limit) {
    std::unordered_set<std::uint64_t> known;
    const auto n = static_cast<std::int64_t>(evaluation.size());
    known.reserve(evaluation.size());
    for (std::int64_t i = 0; i + kGramTokens <= n; ++i)
        known.insert(gramHash(evaluation.data() + i));
    Overlap out;
    std::int64_t grams = 0, shared = 0;
    struct Run { std::int64_t window, begin, length; };
    std::vector<Run> runs;
    for (std::int64_t w = 0; w < calibration.count; ++w) {
        const auto window = calibration.window(w);
        std::int64_t begin = -1;
        for (std::int64_t i = 0; i + kGramTokens <= calibration.length; ++i) {
            const bool hit = known.contains(gramHash(window.data() + i));
            ++grams;
            shared += hit ? 1 : 0;
            if (hit && begin < 0)
                begin = i;
            const bool last = i + kGramTokens == calibration.length;
            if (begin >= 0 && (!hit || last)) {
                runs.push_back({w, begin, (hit ? i + 1 : i) - begin + kGramTokens - 1});
                begin = -1;
            }
        }
    }
    out.share = grams == 0 ? 0.0 : static_cast<double>(shared) / static_cast<double>(grams);
    std::stable_sort(runs.begin(), runs.end(), [](const Run& a, const Run& b) { return a.length > b.length; });
    for (const Run& run : runs) {
        if (out.longest.size() == limit)
            break;
        SharedPassage& made = out.longest.emplace_back(SharedPassage{run.window, run.length, {}});
        if (!tokenizer)
            continue;
        const auto ids = calibration.window(run.window).subspan(static_cast<std::size_t>(run.begin), static_cast<std::size_t>(run.length));
        // A token has at least one byte of text or is none: a few hundred make a line, and the rest would be cut anyway.
        made.text = escapeForDisplay(tokenizer->decode(ids.first(std::min<std::size_t>(ids.size(), kPassageBytes))));
        if (made.text.size() > kPassageBytes) {
            std::size_t cut = kPassageBytes;
            while (cut > 0 && (static_cast<unsigned char>(made.text[cut]) & 0xc0) == 0x80)
                --cut;
            made.text = made.text.substr(0, cut) + "…";
        }
    }
    return out;
}

double domainDivergence(std::string_view a, std::string_view b) {
    const auto first = trigrams(a.substr(0, kMostText)), second = trigrams(b.substr(0, kMostText));
    // What sampling alone adds goes with 1/n: halves of one text against each other show four times its part.
    const double sampling = (jensenShannon(first[0], first[1]) + jensenShannon(second[0], second[1])) / 4;
    return std::max(0.0, jensenShannon(first[2], second[2]) - sampling);
}

std::vector<DataWarning> checkReading(const std::vector<const TextData*>& texts, const SampledWindows& sampled) {
    std::vector<DataWarning> out;
    DataWarning skipped{"skipped-files", {}, "they take no part in the calibration", "name text files, or choose files with --include", {}};
    std::int64_t files = 0, left = 0;
    for (const TextData* text : texts) {
        files += text->files;
        left += text->skippedFiles;
        skipped.details.insert(skipped.details.end(), text->skipped.begin(), text->skipped.end());
    }
    if (left > 0) {
        skipped.seen = fmt::format("{} of {} files were left out", left, files + left);
        out.push_back(std::move(skipped));
    }
    if (!sampled.shortTexts.empty())
        out.push_back({"short-texts", fmt::format("{} of {} texts are shorter than one sample of {} tokens", sampled.shortTexts.size(), texts.size(), sampled.windows.length),
                       "they take no part in the calibration", "use shorter samples or longer texts", sampled.shortTexts});
    std::unordered_set<std::uint64_t> known;
    std::int64_t repeated = 0;
    const std::int64_t last = sampled.windows.length - kGramTokens;
    for (std::int64_t w = 0; last >= 0 && w < sampled.windows.count; ++w)
        repeated += known.insert(gramHash(sampled.windows.window(w).data() + last / 2)).second ? 0 : 1;
    if (repeated > 0)
        out.push_back({"duplicates", fmt::format("{} of {} calibration samples repeat passages of others", repeated, sampled.windows.count),
                       "what is said twice counts twice, and the set is smaller than it looks", "add --deduplicate", {}});
    return out;
}

std::vector<DataWarning> checkCalibration(const Windows& calibration, std::span<const TokenId> evaluation, const Tokenizer* tokenizer) {
    std::vector<DataWarning> out;
    const std::string count = std::to_string(calibration.count);
    if (calibration.count < kFewSamples)
        out.push_back({"few-samples", "only " + count + " calibration samples",
                       "with fewer than " + std::to_string(kFewSamples) + ", ranges and importances change from draw to draw",
                       "give more text, or shorter samples where the text is short", {}});
    else if (calibration.count < kGoodSamples)
        out.push_back({"few-samples", count + " calibration samples", std::to_string(kGoodSamples) + " or more are usual", "give more text", {}});
    if (calibration.length < kGoodLength)
        out.push_back({"short-samples", "calibration samples of " + std::to_string(calibration.length) + " tokens",
                       "activations late in long texts are not seen (" + std::to_string(kGoodLength) + " or more are usual)", "use longer samples", {}});
    if (!evaluation.empty()) {
        addOverlap(calibration, evaluation, tokenizer, out);
        if (tokenizer)
            addDomain(calibration, evaluation, *tokenizer, out);
    }
    return out;
}

} // namespace bw
