// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/checkpoint/config_fields.h"

#include "core/base/text.h"
#include "core/checkpoint/config_reader.h"

#include <fmt/format.h>

#include <cmath>

namespace bw {
namespace {

constexpr std::int64_t kMaximumDimension = std::int64_t{1} << 24; ///< of width, vocabulary …: far above real models
constexpr std::int64_t kMaximumHeads = 65536;
constexpr std::int64_t kMaximumExperts = 65536;
constexpr std::int64_t kMaximumExpertsOfAll = 1 << 18; ///< of all blocks together; the largest models have 25,000

void checkRope(ModelConfig& config, const RopeConfig& rope, const ConfigKeys& keys) {
    const auto positive = [&](double value, const char* what) {
        if (!(value > 0 && std::isfinite(value))) refuse(config, fmt::format("{}: {} is {}", keys.source, what, value));
    };
    positive(rope.theta, ("the rotary base (" + keys.theta + ")").c_str());
    if (rope.dims % 2 != 0 || rope.dims < 2 || rope.dims > config.headDim)
        refuse(config, fmt::format("{}: {} rotated channels of heads of {} are not possible (an even number up to the "
                                   "head size is)",
                                   keys.source, rope.dims, config.headDim));
    positive(rope.factor, "rope scaling's factor");
    positive(rope.attentionFactor, "rope scaling's attention_factor");
    const bool hasOriginal = rope.scaling == RopeScaling::llama3 || rope.scaling == RopeScaling::yarn ||
                             rope.scaling == RopeScaling::longrope;
    if (hasOriginal && rope.originalContext < 1)
        refuse(config, fmt::format("{}: rope scaling's original_max_position_embeddings is {}", keys.source,
                                   rope.originalContext));
    if (rope.scaling == RopeScaling::llama3) {
        positive(rope.lowFrequencyFactor, "rope scaling's low_freq_factor");
        if (!(rope.highFrequencyFactor > rope.lowFrequencyFactor && std::isfinite(rope.highFrequencyFactor)))
            refuse(config, fmt::format("{}: rope scaling's high_freq_factor {} is not above low_freq_factor {}",
                                       keys.source, rope.highFrequencyFactor, rope.lowFrequencyFactor));
    }
    if (rope.scaling == RopeScaling::yarn) {
        positive(rope.betaFast, "rope scaling's beta_fast");
        positive(rope.betaSlow, "rope scaling's beta_slow");
        if (rope.theta == 1.0) refuse(config, keys.source + ": YaRN with a rotary base of 1 is not possible");
    }
    for (const auto& [list, name] :
         {std::pair{&rope.factors, "short_factor"}, std::pair{&rope.longFactors, "long_factor"}})
        if (!list->empty() && static_cast<std::int64_t>(list->size()) != rope.dims / 2)
            refuse(config, fmt::format("{}: rope scaling's {} has {} numbers, but {} rotated channels need {}",
                                       keys.source, name, list->size(), rope.dims, rope.dims / 2));
}

void checkExperts(ModelConfig& config, const ConfigKeys& keys) {
    const auto within = [&](std::int64_t value, const std::string& key, std::int64_t low, std::int64_t high) {
        if (value < low || value > high)
            refuse(config, fmt::format("{}: {} is {}; {} to {} is possible", keys.source, key, value, low, high));
    };
    within(config.experts, "the number of experts (" + keys.experts + ")", 1, kMaximumExperts);
    if (config.experts > 0 && config.experts <= kMaximumExperts &&
        config.experts * config.blocks > kMaximumExpertsOfAll)
        refuse(config, fmt::format("{}: {} experts ({}) in each of {} blocks are more than {}", keys.source,
                                   config.experts, keys.experts, config.blocks, kMaximumExpertsOfAll));
    if (config.expertsUsed < 1 || config.expertsUsed > config.experts)
        refuse(config, fmt::format("{}: {} experts per token ({}) of {} ({}) are not possible", keys.source,
                                   config.expertsUsed, keys.expertsUsed, config.experts, keys.experts));
    within(config.expertFeedForward, "the experts' feed-forward size (" + keys.expertFeedForward + ")", 1,
           kMaximumDimension);
    within(config.sharedFeedForward, "the shared expert's feed-forward size (" + keys.sharedFeedForward + ")", 0,
           kMaximumDimension);
}

} // namespace

std::string unknownArchitecture(const std::string& name) {
    std::string known;
    for (const Family& family : families()) known += (known.empty() ? "" : ", ") + std::string(family.name);
    return "the architecture '" + escapeForDisplay(name, 60) + "' has no forward pass here; these have: " + known;
}

void refuse(ModelConfig& config, const std::string& why) {
    config.forwardSupported = false;
    if (config.whyNot.empty()) config.whyNot = why;
}

std::optional<std::int64_t> JsonFields::integer(const char* key) {
    if (!has(key)) return std::nullopt;
    const Json& value = object_.at(key);
    if (value.is_number_integer() &&
        !(value.is_number_unsigned() && value.get<std::uint64_t>() > static_cast<std::uint64_t>(INT64_MAX)))
        return value.get<std::int64_t>();
    wrong(key, "a whole number");
    return std::nullopt;
}

std::optional<double> JsonFields::real(const char* key) {
    if (!has(key)) return std::nullopt;
    if (object_.at(key).is_number()) return object_.at(key).get<double>();
    wrong(key, "a number");
    return std::nullopt;
}

std::optional<bool> JsonFields::flag(const char* key) {
    if (!has(key)) return std::nullopt;
    if (object_.at(key).is_boolean()) return object_.at(key).get<bool>();
    wrong(key, "true or false");
    return std::nullopt;
}

std::optional<std::string> JsonFields::text(const char* key) {
    if (!has(key)) return std::nullopt;
    if (object_.at(key).is_string()) return object_.at(key).get<std::string>();
    wrong(key, "a string");
    return std::nullopt;
}

std::int64_t JsonFields::id(const char* key) {
    if (has(key) && object_.at(key).is_array() && !object_.at(key).empty() && object_.at(key).at(0).is_number_integer())
        return object_.at(key).at(0).get<std::int64_t>();
    return integer(key).value_or(-1);
}

std::vector<double> JsonFields::positives(const char* key) {
    if (!has(key)) return {};
    const Json& list = object_.at(key);
    std::vector<double> values;
    if (list.is_array())
        for (const Json& value : list)
            if (value.is_number() && value.get<double>() > 0 && std::isfinite(value.get<double>()))
                values.push_back(value.get<double>());
    if (!list.is_array() || values.size() != list.size()) wrong(key, "a list of positive numbers");
    return values;
}

void JsonFields::wrong(const char* key, const char* wanted) {
    refuse(config_, std::string("config.json: ") + key + " is " + escapeForDisplay(object_.at(key).dump(), 40) +
                        ", not " + wanted);
}

void deriveHeadDim(ModelConfig& config, const ConfigKeys& keys) {
    if (config.headDim != 0 || config.heads <= 0) return;
    if (config.width % config.heads != 0)
        refuse(config, fmt::format("{}: {} heads do not divide the hidden size {} ({}, {})", keys.source, config.heads,
                                   config.width, keys.heads, keys.width));
    config.headDim = config.width / config.heads;
}

void checkConfig(ModelConfig& config, const ConfigKeys& keys) {
    const auto positive = [&](std::int64_t value, const char* what, const std::string& key, std::int64_t limit) {
        if (value < 1 || value > limit)
            refuse(config, fmt::format("{}: {} is {} ({}); 1 to {} is possible", keys.source, what, value, key, limit));
    };
    positive(config.blocks, "the number of blocks", keys.blocks, kMaximumBlocks);
    positive(config.width, "the hidden size", keys.width, kMaximumDimension);
    positive(config.heads, "the number of attention heads", keys.heads, kMaximumHeads);
    positive(config.kvHeads, "the number of key-value heads", keys.kvHeads, kMaximumHeads);
    positive(config.vocabulary, "the vocabulary size", keys.vocabulary, kMaximumDimension);
    positive(config.headDim, "the head size", keys.headDim, 65536);
    if (config.learnedPositions) positive(config.context, "the context", keys.context, kMaximumDimension);
    if (config.heads > 0 && config.kvHeads > 0 && config.heads % config.kvHeads != 0)
        refuse(config, fmt::format("{}: {} attention heads are no multiple of {} key-value heads ({}, {})", keys.source,
                                   config.heads, config.kvHeads, keys.heads, keys.kvHeads));
    if (config.headDim % 2 != 0)
        refuse(config, fmt::format("{}: the head size {} is odd", keys.source, config.headDim));
    if (!(config.normEpsilon >= 0 && config.normEpsilon < 1))
        refuse(config, fmt::format("{}: the norm's epsilon is {} ({})", keys.source, config.normEpsilon, keys.epsilon));
    for (const auto& [value, what] : {std::pair{config.attentionScale, "the attention's scale"},
                                      {config.attentionSoftCap, "the attention's soft cap"},
                                      {config.headSoftCap, "the logits' soft cap"}})
        if (!(value >= 0 && std::isfinite(value)))
            refuse(config, fmt::format("{}: {} is {}", keys.source, what, value));
    if (!config.learnedPositions)
        for (const RopeConfig& rope : config.ropes) checkRope(config, rope, keys);
    if (static_cast<std::int64_t>(config.layers.size()) != config.blocks)
        return refuse(config, keys.source + ": not every block is described"); // only after a refusal above
    bool experts = false, dense = false;
    for (const BlockConfig& layer : config.layers) (layer.experts ? experts : dense) = true;
    if (dense) positive(config.feedForward, "the feed-forward size", keys.feedForward, kMaximumDimension);
    if (experts) checkExperts(config, keys);
    for (const BlockConfig& layer : config.layers)
        if (layer.window < 0) refuse(config, fmt::format("{}: {} is {}", keys.source, keys.window, layer.window));
}

void applyFamily(ModelConfig& config, const Family& family) {
    config.family = family.name;
    config.norm = family.norm;
    config.activation = family.activation;
    config.gated = family.gated;
    config.fusedQkv = family.fusedQkv;
    config.fusedGateUp = family.fusedGateUp;
    config.postNorms = family.postNorms;
    config.learnedPositions = family.learnedPositions;
    config.qkNorm = family.qkNorm;
    config.renormalizeExperts = family.renormalizeExperts;
    if (family.scaledEmbedding && config.width > 0)
        config.embeddingScale = std::sqrt(static_cast<double>(config.width));
}

void layOutWindows(ModelConfig& config, WindowPattern pattern, std::int64_t size, std::int64_t first,
                   std::int64_t every) {
    for (std::size_t i = 0; i < config.layers.size(); ++i) {
        const auto block = static_cast<std::int64_t>(i);
        const bool slides = [&] {
            switch (pattern) {
            case WindowPattern::none:
                return false;
            case WindowPattern::all:
                return true;
            case WindowPattern::upper:
                return block >= first;
            case WindowPattern::alternating:
                return block % 2 == 0;
            case WindowPattern::fiveOfSix:
                return (block + 1) % every != 0;
            case WindowPattern::unrotated:
                return config.layers[i].rope < 0;
            }
            return false;
        }();
        config.layers[i].window = slides ? size : 0;
    }
}

} // namespace bw
