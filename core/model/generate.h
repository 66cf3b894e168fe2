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

/// `onToken` is called with every new token (may be empty). @throws Error(usage) for an empty prompt or one past context.
GenerateResult generate(const Model& model, std::span<const TokenId> prompt, const GenerateOptions& options,
                        const WeightSource* source, JobContext& job, const std::function<void(TokenId)>& onToken = {});

} // namespace bw
