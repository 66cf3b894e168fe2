// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/evaluate/text_metrics.h"

#include "core/base/text.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <map>
#include <set>

namespace bw {
namespace {

constexpr std::size_t kWordOrder = 4, kLetterOrder = 6;

bool isSpace(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\v' || c == '\f'; }
bool isDigit(char c) { return c >= '0' && c <= '9'; }

std::vector<std::string> splitAtSpace(const std::string& text) {
    std::vector<std::string> out;
    std::string word;
    for (const char c : text) {
        if (!isSpace(c)) {
            word += c;
        } else if (!word.empty()) {
            out.push_back(std::move(word));
            word.clear();
        }
    }
    if (!word.empty()) out.push_back(std::move(word));
    return out;
}

/// mteval-v13a: ASCII punctuation stands apart, but dots and commas inside numbers, and hyphens not behind a digit, stay.
std::vector<std::string> words(std::string_view text) {
    std::string spaced;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const char c = text[i], before = i > 0 ? text[i - 1] : ' ', after = i + 1 < text.size() ? text[i + 1] : ' ';
        const auto byte = static_cast<unsigned char>(c);
        const bool ascii = byte < 0x80;
        const bool symbol = ascii && !isSpace(c) && !isDigit(c) && !(byte >= 'A' && byte <= 'Z') && !(byte >= 'a' && byte <= 'z');
        bool apart = symbol && c != '.' && c != ',' && c != '-' && c != '\'' && byte >= 0x21 && byte < 0x7f;
        if (c == '.' || c == ',') apart = !isDigit(before) || !isDigit(after);
        if (c == '-') apart = isDigit(before);
        if (apart) {
            spaced += ' ';
            spaced += c;
            spaced += ' ';
        } else {
            spaced += c;
        }
    }
    return splitAtSpace(spaced);
}

/// Code points without white space; bytes that are no UTF-8 stand for themselves.
std::vector<std::string> letters(std::string_view text) {
    std::vector<std::string> out;
    while (!text.empty()) {
        const std::size_t length = std::max<std::size_t>(1, utf8SequenceLength(text));
        if (length > 1 || !isSpace(text.front())) out.emplace_back(text.substr(0, length));
        text.remove_prefix(length);
    }
    return out;
}

using Grams = std::map<std::vector<std::string>, std::int64_t>;
Grams grams(const std::vector<std::string>& units, std::size_t n) {
    Grams out;
    for (std::size_t i = 0; i + n <= units.size(); ++i)
        ++out[std::vector<std::string>(units.begin() + static_cast<std::ptrdiff_t>(i), units.begin() + static_cast<std::ptrdiff_t>(i + n))];
    return out;
}

std::int64_t shared(const Grams& a, const Grams& b) {
    std::int64_t sum = 0;
    for (const auto& [gram, count] : a)
        if (const auto found = b.find(gram); found != b.end()) sum += std::min(count, found->second);
    return sum;
}

std::int64_t total(const Grams& grams) {
    std::int64_t sum = 0;
    for (const auto& [gram, count] : grams) sum += count;
    return sum;
}

struct LetterCounts {
    std::array<std::int64_t, kLetterOrder> hypothesis{}, reference{}, both{};
};

LetterCounts letterCounts(const std::vector<std::string>& hypothesis, const std::vector<std::string>& reference) {
    LetterCounts out;
    for (std::size_t n = 1; n <= kLetterOrder; ++n) {
        const Grams h = grams(hypothesis, n), r = grams(reference, n);
        out.hypothesis[n - 1] = total(h);
        out.reference[n - 1] = total(r);
        out.both[n - 1] = shared(h, r);
    }
    return out;
}

double letterScore(const LetterCounts& counts) {
    constexpr double kBeta2 = 4;
    double precision = 0, recall = 0;
    int orders = 0;
    for (std::size_t n = 0; n < kLetterOrder; ++n) {
        if (counts.hypothesis[n] == 0 || counts.reference[n] == 0) continue;
        precision += static_cast<double>(counts.both[n]) / static_cast<double>(counts.hypothesis[n]);
        recall += static_cast<double>(counts.both[n]) / static_cast<double>(counts.reference[n]);
        ++orders;
    }
    if (orders == 0) return 0;
    precision /= orders;
    recall /= orders;
    return precision + recall > 0 ? 100 * (1 + kBeta2) * precision * recall / (kBeta2 * precision + recall) : 0;
}

} // namespace

double bleu(const std::vector<std::string>& hypotheses, const std::vector<std::vector<std::string>>& references) {
    std::array<std::int64_t, kWordOrder> right{}, all{};
    std::int64_t length = 0, wanted = 0;
    for (std::size_t i = 0; i < hypotheses.size(); ++i) {
        const std::vector<std::string> mine = words(hypotheses[i]);
        length += std::ssize(mine);
        std::int64_t closest = 0, gap = std::numeric_limits<std::int64_t>::max();
        std::array<Grams, kWordOrder> known;
        for (const std::string& text : references.at(i)) {
            const std::vector<std::string> theirs = words(text);
            const std::int64_t apart = std::abs(std::ssize(theirs) - std::ssize(mine));
            if (apart < gap || (apart == gap && std::ssize(theirs) < closest)) {
                gap = apart;
                closest = std::ssize(theirs);
            }
            for (std::size_t n = 0; n < kWordOrder; ++n)
                for (const auto& [gram, count] : grams(theirs, n + 1)) known[n][gram] = std::max(known[n][gram], count);
        }
        wanted += closest;
        for (std::size_t n = 0; n < kWordOrder; ++n) {
            const Grams h = grams(mine, n + 1);
            right[n] += shared(h, known[n]);
            all[n] += total(h);
        }
    }
    double logs = 0, smooth = 1;
    if (length == 0 || right[0] == 0) return 0;
    std::size_t orders = 0;
    for (std::size_t n = 0; n < kWordOrder && all[n] > 0; ++n, ++orders) {
        if (right[n] == 0) smooth *= 2;
        logs += std::log(right[n] > 0 ? static_cast<double>(right[n]) / static_cast<double>(all[n]) : 1 / (smooth * static_cast<double>(all[n])));
    }
    if (orders < kWordOrder) return 0; // as the reference program: no four words in a row anywhere
    const double brevity = length < wanted ? std::exp(1 - static_cast<double>(wanted) / static_cast<double>(length)) : 1;
    return 100 * brevity * std::exp(logs / static_cast<double>(kWordOrder));
}

double chrf(const std::vector<std::string>& hypotheses, const std::vector<std::vector<std::string>>& references) {
    LetterCounts sum;
    for (std::size_t i = 0; i < hypotheses.size(); ++i) {
        const std::vector<std::string> mine = letters(hypotheses[i]);
        LetterCounts best;
        double score = -1;
        for (const std::string& text : references.at(i)) {
            const LetterCounts counts = letterCounts(mine, letters(text));
            if (const double here = letterScore(counts); here > score) {
                score = here;
                best = counts;
            }
        }
        for (std::size_t n = 0; n < kLetterOrder; ++n) {
            sum.hypothesis[n] += best.hypothesis[n];
            sum.reference[n] += best.reference[n];
            sum.both[n] += best.both[n];
        }
    }
    return letterScore(sum);
}

std::int64_t editDistance(std::span<const std::int32_t> a, std::span<const std::int32_t> b) {
    std::vector<std::int64_t> row(b.size() + 1);
    for (std::size_t j = 0; j <= b.size(); ++j) row[j] = static_cast<std::int64_t>(j);
    for (std::size_t i = 0; i < a.size(); ++i) {
        std::int64_t corner = row[0];
        row[0] = static_cast<std::int64_t>(i + 1);
        for (std::size_t j = 0; j < b.size(); ++j) {
            const std::int64_t replaced = corner + (a[i] == b[j] ? 0 : 1);
            corner = row[j + 1];
            row[j + 1] = std::min({replaced, row[j] + 1, corner + 1});
        }
    }
    return row.back();
}

bool Collapse::collapsed() const { return tokens >= 16 && (2 * longestLoop > tokens || distinct2 < 0.2); }

Collapse collapse(std::span<const std::int32_t> ids) {
    Collapse out;
    out.tokens = std::ssize(ids);
    for (std::size_t period = 1; period <= 16; ++period) {
        std::size_t same = 0; // tokens in a row that equal the one a period before
        for (std::size_t i = period; i < ids.size(); ++i) {
            same = ids[i] == ids[i - period] ? same + 1 : 0;
            if (same >= 2 * period) out.longestLoop = std::max(out.longestLoop, static_cast<std::int64_t>(same + period));
        }
    }
    const auto distinct = [&](std::size_t n) {
        if (ids.size() < n) return 1.0;
        std::set<std::vector<std::int32_t>> seen;
        for (std::size_t i = 0; i + n <= ids.size(); ++i) seen.emplace(ids.begin() + static_cast<std::ptrdiff_t>(i), ids.begin() + static_cast<std::ptrdiff_t>(i + n));
        return static_cast<double>(seen.size()) / static_cast<double>(ids.size() - n + 1);
    };
    out.distinct1 = distinct(1);
    out.distinct2 = distinct(2);
    out.distinct3 = distinct(3);
    std::map<std::int32_t, std::int64_t> counts;
    for (const std::int32_t id : ids) ++counts[id];
    for (const auto& [id, count] : counts) {
        const double p = static_cast<double>(count) / static_cast<double>(ids.size());
        out.entropy -= p * std::log2(p);
    }
    return out;
}

std::string normalizedAnswer(std::string_view text) {
    std::string out;
    for (const char c : text) {
        if (isSpace(c)) {
            if (!out.empty() && out.back() != ' ') out += ' ';
        } else {
            out += c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
        }
    }
    const auto loose = [](char c) { return std::string_view(" .,;:!?\"'()[]").find(c) != std::string_view::npos; };
    while (!out.empty() && loose(out.back())) out.pop_back();
    std::size_t begin = 0;
    while (begin < out.size() && loose(out[begin])) ++begin;
    return out.substr(begin);
}

} // namespace bw
