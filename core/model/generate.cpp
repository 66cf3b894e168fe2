// SPDX-License-Identifier: GPL-3.0-or-later
// Text continuation: the prompt in chunks, then one token at a time; how the next token is chosen.
#include "core/model/generate.h"

#include "core/base/error.h"
#include "core/base/matrix.h"
#include "core/base/random.h"
#include "core/compute/cpu_device.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <fmt/format.h>
#include <numeric>

namespace bw {

struct Generator::Weights {
    std::shared_ptr<const Model::Embedding> embedding;
    HeadWeightsPtr head;
    std::vector<BlockWeightsPtr> blocks;
};

namespace {

TokenId mostLikely(std::span<const float> logits) {
    return static_cast<TokenId>(std::max_element(logits.begin(), logits.end()) - logits.begin());
}

/// Draws from softmax(logits / temperature) cut to the fewest most likely tokens whose probabilities reach topP.
TokenId sample(std::span<const float> logits, const GenerateOptions& options, Random& random) {
    const double peak = logits[static_cast<std::size_t>(mostLikely(logits))];
    std::vector<double> weight(logits.size());
    double total = 0;
    for (std::size_t i = 0; i < logits.size(); ++i)
        total += weight[i] = std::exp((static_cast<double>(logits[i]) - peak) / options.temperature);
    std::vector<std::size_t> order(logits.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return weight[a] > weight[b]; });
    double kept = 0;
    std::size_t count = 0;
    while (count < order.size() && (count == 0 || kept < options.topP * total)) kept += weight[order[count++]];
    double left = random.uniform() * kept;
    for (std::size_t i = 0; i + 1 < count; ++i) {
        left -= weight[order[i]];
        if (left < 0) return static_cast<TokenId>(order[i]);
    }
    return static_cast<TokenId>(order[count - 1]);
}

void checkRequest(const Model& model, std::span<const TokenId> prompt, const GenerateOptions& options) {
    if (prompt.empty()) throw Error(ErrorCode::usage, "the prompt is empty", "Give at least one token of text.");
    if (!(options.temperature >= 0) || !std::isfinite(options.temperature))
        throw Error(ErrorCode::usage, fmt::format("a temperature of {} makes no sense", options.temperature),
                    "Use 0 (greedy) or a positive number.");
    if (!(options.topP > 0 && options.topP <= 1))
        throw Error(ErrorCode::usage, fmt::format("top-p of {} lies outside (0, 1]", options.topP));
    const std::int64_t context = model.config().context;
    if (context > 0 && static_cast<std::int64_t>(prompt.size()) >= context)
        throw Error(
            ErrorCode::usage,
            fmt::format("the prompt of {} tokens leaves no room in the model's context of {}", prompt.size(), context),
            "Shorten the prompt.");
}

} // namespace

Generator::Generator(const Model& model, const WeightSource* source, JobContext& job) : model_(model), job_(job) {
    auto weights = std::make_unique<Weights>();
    weights->embedding = model.loadEmbedding(source);
    weights->head = model.loadHead(source);
    for (int b = 0; b < model.config().blocks; ++b) {
        job.checkpoint();
        weights->blocks.push_back(model.loadBlock(BlockIndex{b}, source));
    }
    weights_ = std::move(weights);
}

Generator::~Generator() = default;

GenerateResult Generator::run(std::span<const TokenId> prompt, const GenerateOptions& options,
                              const std::function<void(TokenId)>& onToken) const {
    checkRequest(model_, prompt, options);
    const auto promptLength = static_cast<std::int64_t>(prompt.size());
    std::int64_t limit = std::max<std::int64_t>(0, options.maxTokens);
    if (model_.config().context > 0) limit = std::min(limit, model_.config().context - promptLength);
    job_.beginStage("generate", limit, "tokens");
    GenerateResult result;
    if (limit == 0) return result;

    KvCache cache(model_.config().blocks, model_.config().kvHeads * model_.config().headDim, promptLength + limit, model_.devicePtr());
    Matrix row(1, model_.config().vocabulary);
    /// Appends tokens to the sequence; the logits after the last one.
    const auto feed = [&](std::span<const TokenId> ids) {
        constexpr std::size_t kChunk = 256; // tokens; keeps a stop request waiting well below a second
        for (std::size_t at = 0; at < ids.size(); at += kChunk) {
            const auto part = ids.subspan(at, std::min(kChunk, ids.size() - at));
            Matrix x(static_cast<std::int64_t>(part.size()), model_.config().width);
            model_.embed(*weights_->embedding, part, x.view(), cache.length());
            for (const auto& block : weights_->blocks) {
                job_.checkpoint();
                model_.runBlock(*block, x.view(), &cache, nullptr, 0);
            }
            cache.setLength(cache.length() + x.rows());
            if (at + part.size() == ids.size())
                model_.logits(*weights_->head, std::as_const(x).view().middleRows(x.rows() - 1, 1), row.view());
        }
        const auto values = std::as_const(row).view().rowSpan(0);
        if (!allFinite(values))
            throw Error(ErrorCode::nonFinite,
                        fmt::format("the logits after token {} hold NaN or infinity", cache.length() - 1),
                        "The weights hold NaN or infinities; a perplexity run names the block.");
        return values;
    };
    Random random(options.seed);
    std::span<const float> logits = feed(prompt);
    const auto started = std::chrono::steady_clock::now();
    while (true) {
        const TokenId next = options.temperature == 0 ? mostLikely(logits) : sample(logits, options, random);
        if (options.stopAtEos && next == model_.config().eosId) {
            result.hitEos = true;
            break;
        }
        result.ids.push_back(next);
        if (onToken) onToken(next);
        job_.advance();
        job_.checkpoint();
        if (static_cast<std::int64_t>(result.ids.size()) == limit) break;
        logits = feed({&next, 1});
    }
    // The first token costs no pass of its own: it comes from the prompt's.
    const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - started;
    const auto passes = static_cast<double>(result.ids.size()) - (result.hitEos ? 0.0 : 1.0);
    if (passes > 0 && elapsed.count() > 0) result.tokensPerSecond = passes / elapsed.count();
    return result;
}

GenerateResult generate(const Model& model, std::span<const TokenId> prompt, const GenerateOptions& options,
                        const WeightSource* source, JobContext& job, const std::function<void(TokenId)>& onToken) {
    checkRequest(model, prompt, options);
    const bool nothing = options.maxTokens <= 0;
    return nothing ? GenerateResult{} : Generator(model, source, job).run(prompt, options, onToken);
}

} // namespace bw
