// SPDX-License-Identifier: GPL-3.0-or-later
// Text continuation with a KV cache: greedy, temperature, top-p. All weights stay resident during a generation.
#pragma once

#include "core/model/model.h"

#include <functional>

namespace bw {

struct GenerateOptions {
    std::int64_t maxTokens = 64;
    double temperature = 0; ///< 0 = greedy (ties: lowest id)
    double topP = 1.0;
    std::uint64_t seed = 1234;
    bool stopAtEos = true;
};

struct GenerateResult {
    std::vector<TokenId> ids; ///< new tokens only, without the end-of-text token
    double tokensPerSecond = 0; ///< of new tokens, the prompt's pass excluded
    bool hitEos = false;
};

/// All weights of a model, resident, for one prompt after another. Memory: the whole model in f32.
class Generator {
public:
    /// @throws Error(cancelled). Loads every block. `model`, `source` and `job` must outlive it.
    Generator(const Model& model, const WeightSource* source, JobContext& job);
    ~Generator();
    /// As generate(). Prompts know nothing of each other.
    GenerateResult run(std::span<const TokenId> prompt, const GenerateOptions& options,
                       const std::function<void(TokenId)>& onToken = {}) const;

private:
    struct Weights;
    const Model& model_;
    JobContext& job_;
    std::unique_ptr<const Weights> weights_;
};

/// One prompt. `onToken` is called with every new token (may be empty). @throws Error(usage) for an empty prompt or one past context.
GenerateResult generate(const Model& model, std::span<const TokenId> prompt, const GenerateOptions& options,
                        const WeightSource* source, JobContext& job, const std::function<void(TokenId)>& onToken = {});

} // namespace bw
