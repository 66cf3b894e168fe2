// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/experiment/result_warnings.h"

#include "core/base/text.h"
#include "core/evaluate/paired.h"
#include "core/experiment/diagnose_job.h"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <fmt/ranges.h>

namespace bw {
namespace {

/// Past this a block is not the model's any more (METHODS, Evaluation).
constexpr double kBlockError = 0.1;
constexpr std::int64_t kTraceTokens = 512, kInversionTokens = 2048;
constexpr std::size_t kTokenizerSample = 4096, kMostListed = 64;

/// Every site rounded to the nearest when it is asked for: no second copy of the weights.
class NearestSource final : public WeightSource {
public:
    explicit NearestSource(const std::vector<SiteFormat>& formats) {
        for (const SiteFormat& format : formats)
            if (format.used)
                formats_[format.site.value()] = format.used;
        options_.clipSearch = false;
        options_.search = BlockSearch::reference;
    }
    void apply(const Site& site, MatrixView<float> weight) const override {
        if (const auto found = formats_.find(site.id.value()); found != formats_.end())
            quantizeSite(site, weight, found->second, {}, options_).decode(weight);
    }

private:
    std::map<int, FormatPtr> formats_;
    RounderOptions options_;
};

/// GPTQ's own measure of what it brought on the calibration text; 0 when nothing was rounded by it.
double calibrationRatio(const std::vector<GptqSite>& report) {
    double sum = 0;
    std::int64_t count = 0;
    for (const GptqSite& site : report)
        if (site.nearestError > 0 && site.error > 0) {
            sum += std::log(site.error / site.nearestError);
            ++count;
        }
    return count > 0 ? std::exp(sum / static_cast<double>(count)) : 0;
}

} // namespace

void addResultWarnings(const Stage& stage, const std::vector<DataWarning>& warnings, Json& out) {
    if (warnings.empty())
        return;
    stage.log().addWarnings(stage.run, warnings);
    for (const DataWarning& warning : warnings) {
        stage.bench.warn(stage.job, warning.text());
        out["warnings"].push_back(warning.text());
    }
}

std::optional<DataWarning> tokenizerWarning(const Stage& stage, const Model& base, const TextSet& texts) {
    const auto mine = stage.bench.tokenizer(stage.model), theirs = stage.bench.tokenizer(base);
    for (const TextData& text : texts.texts) {
        const std::vector<TokenId> sample(text.ids.begin(), text.ids.begin() + static_cast<std::ptrdiff_t>(std::min(kTokenizerSample, text.ids.size())));
        const std::string words = mine->decode(sample, false);
        if (!isValidUtf8(words))
            continue;
        const std::vector<TokenId> a = mine->encode(words, false), b = theirs->encode(words, false);
        if (a == b)
            continue;
        const auto parted = std::mismatch(a.begin(), a.end(), b.begin(), b.end()).first - a.begin();
        return DataWarning{"tokenizer", fmt::format("the model and its baseline read '{}' as different tokens, from token {} on", text.name, parted),
                           "a KL between different tokens means nothing", "copy the baseline's tokenizer files beside the model; perplexity and tasks can be measured without a baseline", {}};
    }
    return std::nullopt;
}

std::optional<DataWarning> chanceWarning(const Model& model, double nll) {
    const double chance = std::log(static_cast<double>(std::max<std::int64_t>(2, model.config().vocabulary)));
    if (!(nll > chance))
        return std::nullopt;
    return DataWarning{"worse-than-chance", fmt::format("the model finds the text less likely than guessing: {:.3g} nats per token, {:.3g} for even odds on {} tokens", nll, chance, model.config().vocabulary),
                       "its weights and its tokens do not belong together, or it is destroyed", "check that the tokenizer is the one it was trained with; compare with the original by --base", {}};
}

std::optional<DataWarning> blockWarning(const std::vector<BlockDivergence>& trace) {
    std::vector<BlockDivergence> far;
    std::copy_if(trace.begin(), trace.end(), std::back_inserter(far), [](const BlockDivergence& b) { return b.own > kBlockError; });
    if (far.empty())
        return std::nullopt;
    std::stable_sort(far.begin(), far.end(), [](const auto& a, const auto& b) { return a.own > b.own; });
    DataWarning out{"block-error", fmt::format("{} of {} blocks are more than 10 % off by themselves, block {} by {:.0f} %", far.size(), trace.size(), far.front().block.value(), 100 * far.front().own),
                    "what follows such a block works on other states than it was trained for; perplexity shows that late", "give the sites of these blocks larger formats; 'diagnose' says which of them cost most", {}};
    for (const BlockDivergence& block : far)
        out.details.push_back(fmt::format("block {}: {:.3g} of its output's size by itself, {:.3g} with what came before", block.block.value(), block.own, block.relative));
    return out;
}

std::optional<DataWarning> checkBlocks(const ChangedModel& changed, const TextSet& texts, JobContext& job) {
    try {
        requireSameSites(changed);
    } catch (const Error& e) {
        if (e.code() != ErrorCode::shapeMismatch)
            throw;
        return std::nullopt; // an evaluation may compare models of different shapes
    }
    Windows some;
    some.length = std::min<std::int64_t>(texts.windows.length, kTraceTokens);
    some.count = std::clamp<std::int64_t>(kTraceTokens / some.length, 1, texts.windows.count);
    for (std::int64_t i = 0; i < some.count; ++i) {
        const std::span<const TokenId> ids = texts.windows.window(i * texts.windows.count / some.count).first(static_cast<std::size_t>(some.length));
        some.ids.insert(some.ids.end(), ids.begin(), ids.end());
    }
    return blockWarning(divergenceTrace(changed, some, job));
}

DataWarning nonFiniteWarning(const std::vector<NonFiniteTensor>& tensors, const std::string& met) {
    DataWarning out{"non-finite", met, "one number that is none spoils every figure behind it", "", {}};
    if (tensors.empty()) {
        out.remedy = "no weight is damaged: look for huge weights there, or for activations that a format can't hold";
        return out;
    }
    out.seen = tensors.front().text() + (tensors.size() > 1 ? fmt::format(", and {} more tensors", tensors.size() - 1) : "");
    out.remedy = "get the file again, or go on with --non-finite zero, which takes such weights as zero";
    for (std::size_t i = 0; i < std::min(tensors.size(), kMostListed); ++i)
        out.details.push_back(tensors[i].text());
    if (!met.empty())
        out.details.push_back("met as: " + met);
    return out;
}

DataWarning stackWarning(RunId since, const std::vector<std::string>& changes, bool agrees) {
    return {"stack", fmt::format("the stack is not that of run {}; its figures {}", since.value(), agrees ? "come out again" : "do not come out again"),
            agrees ? "other programs and processors may round in another order" : "figures from before and after can't be compared",
            agrees ? "nothing to do" : "revalidate the runs you rely on, and compare only runs of one stack", changes};
}

std::optional<DataWarning> inversionWarning(const Stage& stage, const std::vector<SiteFormat>& formats, const std::vector<GptqSite>& report, const TextSet& evaluation, const TokenScoreRow& scores) {
    const Recipe& recipe = stage.recipe;
    const bool plain = report.empty() && (recipe.transform == "none" || recipe.calibration.files.empty());
    if (plain || recipe.evaluation.runtime != "ideal" || recipe.activations != "none" || recipe.kvCache != "none" || !recipe.base.empty() || scores.kl.empty())
        return std::nullopt;
    const Windows& all = evaluation.windows;
    EvaluateOptions options;
    options.protocol = parseProtocol(recipe.evaluation.protocol);
    options.keepTokens = true;
    const std::size_t scored = scores.kl.size() / static_cast<std::size_t>(all.count);
    Windows some;
    some.length = all.length;
    some.count = std::clamp<std::int64_t>(kInversionTokens / all.length, 1, all.count);
    std::vector<float> fitted;
    for (std::int64_t i = 0; i < some.count; ++i) {
        const std::int64_t w = i * all.count / some.count;
        const std::span<const TokenId> ids = all.window(w);
        some.ids.insert(some.ids.end(), ids.begin(), ids.end());
        const auto first = scores.kl.begin() + static_cast<std::ptrdiff_t>(static_cast<std::size_t>(w) * scored);
        fitted.insert(fitted.end(), first, first + static_cast<std::ptrdiff_t>(scored));
    }
    const NearestSource nearest(formats);
    const Evaluation judged = evaluateAgainstBase(stage.model, &nearest, stage.model, nullptr, some, options, stage.job);
    std::vector<float> rounded;
    for (const TokenScore& token : judged.tokensScored)
        rounded.push_back(token.kl);
    const PairedDifference d = pairedDifference(rounded, fitted, some.count);
    if (!(d.low > 0))
        return std::nullopt;
    const double ratio = calibrationRatio(report);
    return DataWarning{"inversion",
                       fmt::format("on the evaluation text the KL is {:.3g}, {:.3g} by plain nearest rounding (difference {:.2g} … {:.2g})", judged.klMean + d.difference, judged.klMean, d.low, d.high) +
                           (ratio > 0 ? fmt::format(", although the error on the calibration text is {:.0f} % of nearest's", 100 * ratio) : std::string()),
                       "the weights were fitted to the calibration text, not to the model's use: more of that fitting makes it worse",
                       "calibrate on more text, and on text like that which the model will see; raise --damping, lower --sweeps, or use plain rounding", {}};
}

} // namespace bw
