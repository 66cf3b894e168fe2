// SPDX-License-Identifier: GPL-3.0-or-later
// Fitting and joining a recipe's schemes, and the damage of a cache against what lies in it.
#include "core/experiment/runtime_schemes.h"

#include "core/quantize/outlier_split.h"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>

namespace bw {
namespace {

constexpr std::int64_t kFirstBucket = 32; ///< positions; each further bucket ends at twice as many

/// Statistics for static scales; those of a pass that importance has made already where they suffice.
CalibrationResult fittedOn(const Stage& stage, const Model& model, const ActivationScheme& scheme) {
    Recipe recipe = stage.recipe;
    recipe.importance.clear(); // an importance matrix holds no ranges
    const bool channels = scheme.scope == ActivationScheme::Scope::channel && scheme.calibrator != "minmax" && scheme.calibrator != "average";
    if (!channels)
        return stage.bench.calibrated(model, recipe, stage.job)->result;
    CalibrateOptions options;
    options.percentile = scheme.percentile;
    options.bits = scheme.bits;
    options.perChannel = true;
    options.includeHead = false;
    return calibrate(model, stage.bench.calibrationTexts(model, recipe, stage.job).windows, options, stage.job);
}

/// Keys and values of all blocks as 16-bit floats.
double f16BytesPerToken(const ModelConfig& config) { return 2.0 * 2.0 * static_cast<double>(config.blocks) * static_cast<double>(config.kvWidth()); }

/// Sums over the positions of a bucket, by window.
struct Bucket {
    std::int64_t tokens = 0;
    double nll = 0, kl = 0;
    std::vector<double> windowKl;
};

Bucket sumOf(const Evaluation& evaluation, std::int64_t windows, std::int64_t scored, std::int64_t from, std::int64_t to) {
    Bucket sum;
    for (std::int64_t w = 0; w < windows; ++w) {
        double kl = 0;
        for (std::int64_t t = from; t < to; ++t) {
            const TokenScore& score = evaluation.tokensScored[static_cast<std::size_t>(w * scored + t)];
            sum.nll += static_cast<double>(score.nll);
            kl += static_cast<double>(score.kl);
        }
        sum.kl += kl;
        sum.windowKl.push_back(kl / static_cast<double>(to - from));
        sum.tokens += to - from;
    }
    return sum;
}

/// σ/√n over windows; null for one.
Json errorOfMean(const std::vector<double>& values) {
    const auto n = static_cast<double>(values.size());
    if (values.size() < 2)
        return {};
    double mean = 0, squares = 0;
    for (const double v : values)
        mean += v / n;
    for (const double v : values)
        squares += (v - mean) * (v - mean);
    return std::sqrt(squares / (n - 1) / n);
}

Json byPosition(const Evaluation& evaluation, const Windows& windows, const ModelConfig& config, const CacheScheme& cache) {
    Json rows = Json::array();
    const std::int64_t scored = windows.count > 0 ? evaluation.tokens / windows.count : 0;
    if (scored < 1 || static_cast<std::int64_t>(evaluation.tokensScored.size()) != scored * windows.count)
        return rows;
    // The k-th scored token of a window is predicted from first + k tokens, which lie in the cache.
    const std::int64_t first = windows.length - scored;
    for (std::int64_t end = kFirstBucket, begin = 0; begin < windows.length; begin = end, end *= 2) {
        const std::int64_t from = std::max(begin, first), to = std::min(end, windows.length);
        if (from >= to)
            continue;
        const Bucket sum = sumOf(evaluation, windows.count, scored, from - first, to - first);
        const auto n = static_cast<double>(sum.tokens);
        rows.push_back({{"from", from},
                        {"to", to},
                        {"tokens", sum.tokens},
                        {"perplexity", std::exp(sum.nll / n)},
                        {"kl", evaluation.hasBase ? Json(sum.kl / n) : Json()},
                        {"kl_se", evaluation.hasBase ? errorOfMean(sum.windowKl) : Json()},
                        {"cache_bytes_per_token", cache.bytesPerToken(config, to)}});
    }
    return rows;
}

} // namespace

bool schemesReadText(const Recipe& recipe) {
    return outlierSplit(parseTransform(recipe.transform)).threshold > 0 || parseActivationScheme(recipe.activations).isStatic() || parseCacheScheme(recipe.kvCache).isStatic();
}

RuntimeSchemes runtimeSchemes(const Stage& stage, const Model& model) {
    if (schemesReadText(stage.recipe) && stage.recipe.calibration.files.empty())
        throw Error(ErrorCode::usage, fmt::format("static scales and outlier channels come from calibration text, and none is named (activations {}, cache {})", stage.recipe.activations, stage.recipe.kvCache),
                    stage.recipe.kind == "quantize" ? "add --text FILE (.txt or .jsonl)" : "add --calib-text FILE (.txt or .jsonl), or use a scale per token");
    RuntimeSchemes out;
    const ActivationScheme scheme = parseActivationScheme(stage.recipe.activations);
    const OutlierSplit split = outlierSplit(parseTransform(stage.recipe.transform));
    CalibrationResult statistics;
    if (scheme.isStatic() || split.threshold > 0)
        statistics = fittedOn(stage, model, scheme);
    if (split.threshold > 0)
        out.outlierColumns = outlierColumns(model, statistics, split.threshold);
    if (!scheme.empty()) {
        out.activations = ActivationRounding::fit(model, scheme, scheme.isStatic() ? &statistics : nullptr, out.outlierColumns);
        for (const std::string& note : out.activations->notes())
            stage.bench.warn(stage.job, note);
    }
    if (const CacheScheme cache = parseCacheScheme(stage.recipe.kvCache); !cache.empty()) {
        CacheRanges ranges;
        if (cache.isStatic())
            ranges = cacheRanges(model, stage.bench.calibrationTexts(model, stage.recipe, stage.job).windows, stage.job);
        out.cache = std::make_shared<CacheRounding>(model.config(), cache, std::move(ranges));
    }
    out.rounding = makeRuntimeRounding(out.activations, out.cache);
    return out;
}

std::shared_ptr<const RuntimeRounding> evaluationRounding(const Stage& stage, const Model& model, const RuntimeSchemes& schemes, const QuantizedModel* quantized) {
    switch (parseRuntimeProfile(stage.recipe.evaluation.runtime)) {
    case RuntimeProfile::ideal: return schemes.rounding;
    case RuntimeProfile::w8a8: return makeRuntimeRounding(ActivationRounding::fit(model, parseActivationScheme("a8:token"), nullptr), schemes.cache);
    case RuntimeProfile::llamaCppCpu: return llamaCppCpuRounding(model, weightTypes(model, quantized), schemes.cache);
    }
    return nullptr;
}

void addRuntime(const Stage& stage, const Evaluation& ideal, Json& out) {
    if (stage.recipe.evaluation.runtime == "ideal")
        return;
    out["runtime"] = stage.recipe.evaluation.runtime;
    out["ideal"] = {{"perplexity", ideal.perplexity}, {"perplexity_se", ideal.perplexityStandardError}, {"kl_mean", ideal.hasBase ? Json(ideal.klMean) : Json()}, {"kl_se", ideal.hasBase ? Json(ideal.klStandardError) : Json()}};
    std::vector<MetricRow> metrics{{"perplexity_ideal", ideal.perplexity, ideal.perplexityStandardError, ""}};
    if (ideal.hasBase)
        metrics.push_back({"kl_mean_ideal", ideal.klMean, ideal.klStandardError, "nats/token"});
    stage.log().addMetrics(stage.run, metrics);
}

void addSchemes(const Stage& stage, const Model& model, const Evaluation& evaluation, const Windows& windows, Json& out) {
    if (const ActivationScheme scheme = parseActivationScheme(stage.recipe.activations); !scheme.empty())
        out["activations"] = scheme.text();
    const CacheScheme cache = parseCacheScheme(stage.recipe.kvCache);
    if (cache.empty())
        return;
    out["kv_cache"] = cache.text();
    out["cache_bytes_per_token"] = cache.bytesPerToken(model.config());
    out["cache_bytes_per_token_f16"] = f16BytesPerToken(model.config());
    out["by_position"] = byPosition(evaluation, windows, model.config(), cache);
    std::vector<MetricRow> metrics{{"cache_bytes_per_token", cache.bytesPerToken(model.config()), std::nullopt, "bytes"}};
    for (const Json& row : out.at("by_position")) {
        const auto to = row.at("to").get<std::int64_t>();
        metrics.push_back({fmt::format("perplexity_below_{}", to), row.at("perplexity").get<double>(), std::nullopt, ""});
        if (row.at("kl").is_number())
            metrics.push_back({fmt::format("kl_below_{}", to), row.at("kl").get<double>(),
                               row.at("kl_se").is_number() ? std::optional(row.at("kl_se").get<double>()) : std::nullopt, "nats/token"});
    }
    stage.log().addMetrics(stage.run, metrics);
}

} // namespace bw
