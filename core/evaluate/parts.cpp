// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/evaluate/parts.h"

#include "core/evaluate/statistics.h"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <map>
#include <numeric>

namespace bw {
namespace {

/// First tokens of what stands between blank lines. A line that holds only spaces counts as blank.
std::vector<std::int64_t> paragraphStarts(const std::vector<TokenId>& ids, std::int64_t upTo, const Tokenizer& tokenizer) {
    std::vector<std::int64_t> starts{0};
    std::map<TokenId, std::string> spelled;
    int newlines = 0; // since the last character that is no space
    for (std::int64_t i = 0; i < upTo; ++i) {
        const TokenId id = ids[static_cast<std::size_t>(i)];
        auto known = spelled.find(id);
        if (known == spelled.end())
            known = spelled.emplace(id, tokenizer.decode(std::span(&id, 1), false)).first;
        bool begins = false;
        for (const char c : known->second) {
            if (c == '\n') {
                ++newlines;
            } else if (c != ' ' && c != '\t' && c != '\r') {
                begins = begins || newlines >= 2;
                newlines = 0;
            }
        }
        // A token that holds the blank line and the next word belongs to the new paragraph: that word is what it predicts.
        if (begins && i > starts.back())
            starts.push_back(i);
    }
    return starts;
}

/// Mean with its error over groups of given sizes, at least eight of them, else over the values.
detail::MeanError meanOver(const std::vector<double>& values, const std::vector<std::size_t>& sizes) {
    detail::MeanError all = detail::meanOf(values);
    if (sizes.size() < 8)
        return all;
    // Ratio estimator: groups of different sizes, mean = Σ sums / Σ sizes.
    std::vector<double> residuals;
    std::size_t at = 0;
    for (const std::size_t size : sizes) {
        double sum = 0;
        for (std::size_t i = 0; i < size; ++i)
            sum += values[at + i] - all.mean;
        residuals.push_back(sum);
        at += size;
    }
    const double n = static_cast<double>(sizes.size()), size = static_cast<double>(values.size()) / n;
    double squares = 0;
    for (const double r : residuals)
        squares += r * r;
    all.error = std::sqrt(squares / (n - 1) / n) / size;
    return all;
}

/// Scores of chosen tokens, grouped.
struct Picked {
    std::vector<double> nll, kl;
    std::vector<std::size_t> groups;
    std::int64_t likeliest = 0, same = 0;

    void add(const TokenFigures& scores, std::size_t i) {
        nll.push_back(static_cast<double>(scores.nll[i]));
        if (!scores.kl.empty())
            kl.push_back(static_cast<double>(scores.kl[i]));
        if (!scores.marks.empty()) {
            likeliest += (scores.marks[i] & kTokenWasLikeliest) != 0;
            same += (scores.marks[i] & kSameLikeliest) != 0;
        }
        ++groups.back();
    }
    PartFigures figures(std::string name) const {
        PartFigures out;
        out.name = std::move(name);
        out.tokens = static_cast<std::int64_t>(nll.size());
        const detail::MeanError n = meanOver(nll, groups);
        out.nll = n.mean;
        out.nllStandardError = n.error;
        if (!kl.empty()) {
            const detail::MeanError k = meanOver(kl, groups);
            out.klMean = k.mean;
            out.klStandardError = k.error;
        }
        out.top1 = static_cast<double>(likeliest) / static_cast<double>(std::max<std::size_t>(1, nll.size()));
        out.sameTop1 = static_cast<double>(same) / static_cast<double>(std::max<std::size_t>(1, nll.size()));
        return out;
    }
};

} // namespace

std::int64_t ScoredText::tokens() const { return std::accumulate(documents.begin(), documents.end(), std::int64_t{0}); }

std::int64_t firstScoredPosition(const Protocol& protocol, std::int64_t windowLength) {
    return protocol.kind == Protocol::Kind::llamaCpp ? windowLength / 2 + 1 : 1;
}

std::vector<ScoredText> scoredTexts(const std::vector<TextData>& texts, const std::vector<std::int64_t>& counts, const Windows& windows, const Protocol& protocol,
                                    const Tokenizer& tokenizer) {
    std::vector<ScoredText> out;
    std::int64_t before = 0; // windows
    const std::int64_t first = firstScoredPosition(protocol, windows.length);
    for (std::size_t t = 0; t < texts.size() && t < counts.size(); ++t) {
        const TextData& text = texts[t];
        const std::int64_t most = std::min(static_cast<std::int64_t>(text.ids.size()), counts[t] * windows.length);
        ScoredText& made = out.emplace_back(ScoredText{text.name, text.documentUnit, {}});
        std::vector<std::int64_t> starts = text.documentStarts;
        if (starts.size() < 2) {
            starts = paragraphStarts(text.ids, most, tokenizer);
            made.unit = starts.size() < 2 ? "file" : "paragraph";
        }
        // The BOS that llama.cpp puts in front of a text moves its tokens by one.
        const bool bos = protocol.kind == Protocol::Kind::llamaCpp && before < windows.count && !text.ids.empty() && windows.window(before).front() == tokenizer.bos() &&
                         text.ids.front() != tokenizer.bos();
        std::size_t document = 0, last = starts.size();
        for (std::int64_t w = 0; w < counts[t]; ++w)
            for (std::int64_t p = first; p < windows.length; ++p) {
                const std::int64_t at = w * windows.length + p - (bos ? 1 : 0);
                while (document + 1 < starts.size() && starts[document + 1] <= at)
                    ++document;
                if (document != last)
                    made.documents.push_back(0);
                last = document;
                ++made.documents.back();
            }
        before += counts[t];
    }
    return out;
}

std::vector<PartFigures> figuresByText(const TokenFigures& scores, const std::vector<ScoredText>& texts, std::int64_t windows) {
    std::vector<PartFigures> out;
    const std::size_t perWindow = scores.nll.size() / static_cast<std::size_t>(std::max<std::int64_t>(1, windows));
    std::size_t at = 0;
    for (const ScoredText& text : texts) {
        Picked picked;
        const std::size_t end = std::min(scores.nll.size(), at + static_cast<std::size_t>(text.tokens()));
        for (std::size_t i = at; i < end; ++i) {
            if (i == at || i % perWindow == 0)
                picked.groups.push_back(0);
            picked.add(scores, i);
        }
        at = end;
        if (!picked.nll.empty())
            out.push_back(picked.figures(text.name));
    }
    return out;
}

std::vector<PartFigures> figuresByPosition(const TokenFigures& scores, std::int64_t windows, std::int64_t first) {
    std::vector<PartFigures> out;
    const auto count = static_cast<std::int64_t>(scores.nll.size()) / std::max<std::int64_t>(1, windows);
    const std::int64_t end = first + count; // past the last position
    for (std::int64_t low = 1, high = 16; low < end; low = high, high *= 2) {
        const std::int64_t from = std::max(low, first), to = std::min(high, end);
        if (from >= to)
            continue;
        Picked picked;
        for (std::int64_t w = 0; w < windows; ++w) {
            picked.groups.push_back(0);
            for (std::int64_t p = from; p < to; ++p)
                picked.add(scores, static_cast<std::size_t>(w * count + p - first));
        }
        out.push_back(picked.figures(fmt::format("{}–{}", from, to - 1)));
    }
    return out;
}

} // namespace bw
