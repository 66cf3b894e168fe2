// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/report/words.h"

#include <algorithm>

namespace bw::report {

const std::vector<Word>& words() {
    static const std::vector<Word> kWords{
        {"bits_per_weight", "Bits per weight", "scales included"},
        {"bytes", "Size", "bytes of the file"},
        {"perplexity", "Perplexity", "exp of the mean negative log-likelihood; lower is better"},
        {"base_perplexity", "Perplexity of the full model", "on the same tokens"},
        {"kl_mean", "KL divergence, mean", "to the full model's predictions, nats per token; 0 = unchanged"},
        {"perplexity_ideal", "Perplexity in exact arithmetic", "the same weights, without what the runtime rounds besides them"},
        {"kl_mean_ideal", "KL in exact arithmetic", "the same weights, without what the runtime rounds besides them"},
        {"kl_median", "KL, median", "half of the tokens are below"},
        {"kl_p90", "KL, 90 %", "nine of ten tokens are below"},
        {"kl_p99", "KL, 99 %", "one of a hundred tokens is above"},
        {"kl_p999", "KL, 99.9 %", "one of a thousand tokens is above"},
        {"kl_max", "KL, worst token", "nats"},
        {"same_top1", "Same likeliest token", "share of tokens where both models prefer the same"},
        {"top10_overlap", "Top 10 shared", "share of the full model's ten likeliest that the model has too"},
        {"delta_p_mean", "Δp, mean", "change of the true token's probability; below 0: less likely"},
        {"delta_p_rms", "Δp, root mean square", ""},
        {"delta_p_p01", "Δp, 1 %", "the hundredth part that lost most lost more"},
        {"delta_p_p05", "Δp, 5 %", ""},
        {"delta_p_median", "Δp, median", ""},
        {"delta_p_p95", "Δp, 95 %", ""},
        {"delta_p_p99", "Δp, 99 %", ""},
        {"nll", "Negative log-likelihood", "nats per token"},
        {"top1", "Top-1 accuracy", "share of tokens that were the model's first choice"},
        {"ece", "Expected calibration error", "mean gap between confidence and accuracy, 15 groups of equal size"},
        {"brier", "Brier score", "mean squared gap of the first choice's probability"},
        {"evaluation_tokens", "Tokens scored", ""},
    };
    return kWords;
}

const Word* wordOf(std::string_view metric) {
    const auto found = std::find_if(words().begin(), words().end(), [&](const Word& word) { return word.metric == metric; });
    return found == words().end() ? nullptr : &*found;
}

} // namespace bw::report
