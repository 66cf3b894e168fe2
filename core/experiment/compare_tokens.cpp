// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/experiment/compare_tokens.h"

#include "core/evaluate/parts.h"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <set>

namespace bw {
namespace {

using Values = std::vector<float>;

/// What both runs say of each token, under the metric's name.
struct TokenFigure { std::string name; Values a, b; };

Values marked(const std::vector<std::uint8_t>& marks, std::uint8_t bit) {
    Values out;
    for (const std::uint8_t mark : marks)
        out.push_back((mark & bit) != 0 ? 1.0f : 0.0f);
    return out;
}

std::vector<TokenFigure> tokenFigures(const TokenScoreRow& a, const TokenScoreRow& b) {
    std::vector<TokenFigure> out{{"nll", a.nll, b.nll}};
    const bool based = !a.kl.empty() && a.kl.size() == b.kl.size();
    if (based)
        out.push_back({"kl_mean", a.kl, b.kl});
    if (a.marks.empty() || a.marks.size() != b.marks.size())
        return out;
    out.push_back({"top1", marked(a.marks, kTokenWasLikeliest), marked(b.marks, kTokenWasLikeliest)});
    if (based)
        out.push_back({"same_top1", marked(a.marks, kSameLikeliest), marked(b.marks, kSameLikeliest)});
    return out;
}

std::int64_t windowsOf(const RunDetail& run) {
    for (const MetricRow& metric : run.summary.metrics)
        if (metric.name == "evaluation_windows")
            return std::max<std::int64_t>(1, static_cast<std::int64_t>(metric.value));
    return 1;
}

std::set<std::string> evaluationTexts(const RunDetail& run) {
    std::set<std::string> out;
    for (const DatasetRow& data : run.datasets)
        if (data.role == "evaluation")
            out.insert(data.sha256);
    return out;
}

std::string whyNotShared(const RunDetail& a, const RunDetail& b, const TokenScoreRow& left, const TokenScoreRow& right) {
    if (evaluationTexts(a) != evaluationTexts(b))
        return "they were scored on different texts";
    const Recipe x = Recipe::fromJson(a.recipe), y = Recipe::fromJson(b.recipe);
    if (x.evaluation.protocol != y.evaluation.protocol)
        return fmt::format("they were scored by different protocols, {} and {}", x.evaluation.protocol, y.evaluation.protocol);
    if (x.evaluation.tokens != y.evaluation.tokens)
        return fmt::format("they scored different shares of the text, {} and {} tokens", left.ids.size(), right.ids.size());
    return "their tokenizers cut the same text into different tokens: figures by token can't be compared, tasks can";
}

PairedFigure pairUp(const Values& a, const Values& b, std::int64_t windows, const std::vector<ScoredText>& texts) {
    PairedFigure out;
    out.windows = pairedDifference(a, b, windows);
    out.low = out.windows.low;
    out.high = out.windows.high;
    out.how = fmt::format("paired, {} {} of {} tokens", out.windows.blocks, out.windows.blocks == windows ? "windows" : "blocks", out.windows.blockTokens);
    std::vector<std::int64_t> lengths;
    std::set<std::string> units;
    for (const ScoredText& text : texts) {
        lengths.insert(lengths.end(), text.documents.begin(), text.documents.end());
        units.insert(text.unit);
    }
    if (static_cast<std::int64_t>(lengths.size()) < kLeastDocuments)
        return out;
    out.documents = pairedByBlocks(a, b, lengths);
    out.low = std::min(out.low, out.documents->low);
    out.high = std::max(out.high, out.documents->high);
    out.how += fmt::format("; {} {}", lengths.size(), units.size() == 1 ? *units.begin() + "s" : "documents");
    return out;
}

double meanOf(std::span<const float> values) {
    double sum = 0;
    for (const float v : values)
        sum += static_cast<double>(v);
    return values.empty() ? 0.0 : sum / static_cast<double>(values.size());
}

Json finiteOrNull(double value) { return std::isfinite(value) ? Json(value) : Json(); }

/// One part of the tokens: all its figures.
Json partJson(const std::string& name, const std::vector<TokenFigure>& figures, const std::vector<std::size_t>& tokens, std::int64_t windows) {
    Json out{{"name", name}, {"tokens", tokens.size()}, {"figures", Json::array()}};
    for (const TokenFigure& figure : figures) {
        Values a, b;
        for (const std::size_t i : tokens) {
            a.push_back(figure.a[i]);
            b.push_back(figure.b[i]);
        }
        const PairedDifference d = pairedDifference(a, b, windows);
        out["figures"].push_back({{"name", figure.name}, {"a", meanOf(a)}, {"b", meanOf(b)}, {"difference", d.difference}, {"ci_low", finiteOrNull(d.low)}, {"ci_high", finiteOrNull(d.high)},
                                  {"distinguishable", d.distinguishable()}});
    }
    return out;
}

void addTexts(const std::vector<TokenFigure>& figures, const std::vector<ScoredText>& texts, std::int64_t perWindow, Json& out) {
    std::size_t at = 0;
    for (const ScoredText& text : texts) {
        std::vector<std::size_t> tokens(static_cast<std::size_t>(text.tokens()));
        for (std::size_t& token : tokens)
            token = at++;
        out.push_back(partJson(text.name, figures, tokens, std::max<std::int64_t>(1, text.tokens() / perWindow)));
    }
}

void addPositions(const std::vector<TokenFigure>& figures, std::int64_t windows, std::int64_t perWindow, const Protocol& protocol, Json& out) {
    const TokenFigures all{figures.front().a, {}, {}};
    const std::int64_t first = firstScoredPosition(protocol, protocol.length);
    for (const PartFigures& part : figuresByPosition(all, windows, first)) {
        const std::int64_t count = part.tokens / windows;
        const std::int64_t from = std::stoll(part.name) - first;
        std::vector<std::size_t> tokens;
        for (std::int64_t w = 0; w < windows; ++w)
            for (std::int64_t p = from; p < from + count; ++p)
                tokens.push_back(static_cast<std::size_t>(w * perWindow + p));
        out.push_back(partJson(part.name, figures, tokens, windows));
    }
}

} // namespace

bool isOfTokens(const std::string& metric) {
    static const std::set<std::string> names{"nll", "perplexity", "base_perplexity", "top1", "ece", "brier", "same_top1", "top10_overlap"};
    return names.contains(metric) || metric.starts_with("kl_") || metric.starts_with("delta_p_");
}

Json TokenComparison::toJson() const {
    Json out{{"shared", shared}, {"why_not", whyNot}, {"figures", Json::array()}};
    for (const auto& [name, figure] : figures) {
        Json& made = out["figures"].emplace_back(Json{{"name", name}, {"difference", figure.windows.difference}, {"windows", figure.windows.blocks},
                                                      {"windows_low", finiteOrNull(figure.windows.low)}, {"windows_high", finiteOrNull(figure.windows.high)}, {"documents", nullptr}});
        if (figure.documents)
            made.update(Json{{"documents", figure.documents->blocks}, {"documents_low", figure.documents->low}, {"documents_high", figure.documents->high}});
    }
    return out;
}

TokenComparison compareTokens(const LogReader& log, const RunDetail& a, const RunDetail& b) {
    TokenComparison out;
    const std::optional<TokenScoreRow> left = log.tokenScores(a.summary.id), right = log.tokenScores(b.summary.id);
    if (!left || !right || left->nll.empty() || right->nll.empty())
        return out;
    if (left->ids != right->ids || left->nll.size() != right->nll.size()) {
        out.whyNot = whyNotShared(a, b, *left, *right);
        return out;
    }
    if (windowsOf(a) != windowsOf(b) || evaluationTexts(a) != evaluationTexts(b)) { // the same scored tokens behind other ones
        out.whyNot = whyNotShared(a, b, *left, *right);
        return out;
    }
    out.shared = true;
    const std::vector<TokenFigure> figures = tokenFigures(*left, *right);
    const auto count = static_cast<std::int64_t>(left->nll.size());
    std::int64_t windows = windowsOf(a);
    if (count % windows != 0)
        windows = 1;
    const std::vector<ScoredText>& texts = left->texts.empty() ? right->texts : left->texts;
    for (const TokenFigure& figure : figures)
        if (PairedFigure made = pairUp(figure.a, figure.b, windows, texts); made.windows.blocks >= 2)
            out.figures.emplace(figure.name, std::move(made));
    const Protocol protocol = parseProtocol(Recipe::fromJson(a.recipe).evaluation.protocol);
    const std::int64_t perWindow = count / windows;
    addTexts(figures, texts, perWindow, out.byText);
    if (perWindow == protocol.length - firstScoredPosition(protocol, protocol.length))
        addPositions(figures, windows, perWindow, protocol, out.byPosition);
    return out;
}

} // namespace bw
