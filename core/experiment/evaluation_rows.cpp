// SPDX-License-Identifier: GPL-3.0-or-later
// Names of evaluation figures, in one place.
#include "core/experiment/evaluation_rows.h"

#include <cmath>

namespace bw {

std::vector<MetricRow> evaluationMetrics(const Evaluation& e) {
    std::vector<MetricRow> rows{
        {"perplexity", e.perplexity, e.perplexityStandardError, ""},
        {"nll", e.nll, e.nllStandardError, "nats/token"},
        {"top1", e.top1, std::nullopt, "share"},
        {"ece", e.ece, std::nullopt, ""},
        {"brier", e.brier, std::nullopt, ""},
        {"evaluation_tokens", static_cast<double>(e.tokens), std::nullopt, "tokens"},
        {"evaluation_windows", static_cast<double>(e.windows), std::nullopt, "windows"},
        {"evaluation_seconds", e.seconds, std::nullopt, "s"},
        {"tokens_per_second", e.tokensPerSecond, std::nullopt, "tokens/s"},
    };
    if (!e.hasBase)
        return rows;
    rows.insert(rows.end(), {
                                {"base_perplexity", e.basePerplexity, std::nullopt, ""},
                                {"kl_mean", e.klMean, e.klStandardError, "nats/token"},
                                {"kl_median", e.klMedian, std::nullopt, "nats/token"},
                                {"kl_p90", e.klP90, std::nullopt, "nats/token"},
                                {"kl_p99", e.klP99, std::nullopt, "nats/token"},
                                {"kl_p999", e.klP999, std::nullopt, "nats/token"},
                                {"kl_max", e.klMax, std::nullopt, "nats/token"},
                                {"same_top1", e.sameTop1, e.sameTop1StandardError, "share"},
                                {"top10_overlap", e.topOverlap, e.topOverlapStandardError, "share"},
                                {"delta_p_mean", e.deltaPMean, std::nullopt, ""},
                                {"delta_p_rms", e.deltaPRms, std::nullopt, ""},
                                {"delta_p_p01", e.deltaPP01, std::nullopt, ""},
                                {"delta_p_p05", e.deltaPP05, std::nullopt, ""},
                                {"delta_p_median", e.deltaPMedian, std::nullopt, ""},
                                {"delta_p_p95", e.deltaPP95, std::nullopt, ""},
                                {"delta_p_p99", e.deltaPP99, std::nullopt, ""},
                            });
    return rows;
}

Json evaluationJson(const Evaluation& e) {
    Json out{{"protocol", e.protocol},     {"windows", e.windows}, {"tokens", e.tokens},   {"perplexity", e.perplexity},
             {"perplexity_se", e.perplexityStandardError}, {"nll", e.nll},         {"nll_se", e.nllStandardError}, {"ece", e.ece},
             {"brier", e.brier},           {"top1", e.top1},       {"seconds", e.seconds}, {"tokens_per_second", e.tokensPerSecond}};
    for (const ReliabilityBin& bin : e.reliability)
        out["reliability"].push_back({{"count", bin.count}, {"confidence", bin.confidence}, {"accuracy", bin.accuracy}, {"low", bin.low}, {"high", bin.high}});
    if (e.hasBase)
        out.update(Json{{"base_perplexity", e.basePerplexity},
                        {"kl_mean", e.klMean},
                        {"kl_se", e.klStandardError},
                        {"kl_median", e.klMedian},
                        {"kl_p90", e.klP90},
                        {"kl_p99", e.klP99},
                        {"kl_p999", e.klP999},
                        {"kl_max", e.klMax},
                        {"same_top1", e.sameTop1},
                        {"same_top1_se", e.sameTop1StandardError},
                        {"top10_overlap", e.topOverlap},
                        {"top10_overlap_se", e.topOverlapStandardError},
                        {"delta_p_mean", e.deltaPMean},
                        {"delta_p_rms", e.deltaPRms},
                        {"delta_p_p01", e.deltaPP01},
                        {"delta_p_p05", e.deltaPP05},
                        {"delta_p_median", e.deltaPMedian},
                        {"delta_p_p95", e.deltaPP95},
                        {"delta_p_p99", e.deltaPP99}});
    return out;
}

Json partsJson(const std::vector<PartFigures>& parts, bool hasBase) {
    Json out = Json::array();
    for (const PartFigures& part : parts) {
        Json& made = out.emplace_back(Json{{"name", part.name}, {"tokens", part.tokens}, {"nll", part.nll}, {"nll_se", part.nllStandardError}, {"perplexity", std::exp(part.nll)}, {"top1", part.top1}});
        if (hasBase)
            made.update(Json{{"kl_mean", part.klMean}, {"kl_se", part.klStandardError}, {"same_top1", part.sameTop1}});
    }
    return out;
}

void addParts(Json& out, const TokenScoreRow& row, std::int64_t windows) {
    const TokenFigures scores{row.nll, row.kl, row.marks};
    const Protocol protocol = parseProtocol(out.at("protocol").get<std::string>());
    out["by_text"] = partsJson(figuresByText(scores, row.texts, windows), !row.kl.empty());
    for (std::size_t i = 0; i < out["by_text"].size(); ++i) {
        out["by_text"][i]["documents"] = row.texts[i].documents.size();
        out["by_text"][i]["document"] = row.texts[i].unit;
    }
    out["positions"] = partsJson(figuresByPosition(scores, windows, firstScoredPosition(protocol, protocol.length)), !row.kl.empty());
}

TokenScoreRow tokenScoreRow(const Evaluation& evaluation, const Windows& windows, std::vector<ScoredText> texts) {
    TokenScoreRow row;
    row.texts = std::move(texts);
    row.topTokens = evaluation.topTokens;
    const std::int64_t scored = windows.count > 0 ? evaluation.tokens / windows.count : 0;
    for (std::int64_t w = 0; w < windows.count; ++w) {
        const std::span<const TokenId> ids = windows.window(w).last(static_cast<std::size_t>(scored));
        row.ids.insert(row.ids.end(), ids.begin(), ids.end());
    }
    for (const TokenScore& score : evaluation.tokensScored) {
        row.nll.push_back(score.nll);
        row.marks.push_back(score.marks);
        if (evaluation.hasBase)
            row.kl.push_back(score.kl);
    }
    return row;
}

} // namespace bw
