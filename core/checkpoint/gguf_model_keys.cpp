// SPDX-License-Identifier: GPL-3.0-or-later
// Source of the keys: llama.cpp's converter and loader (PyPI `gguf`, constants.py). A key that only repeats the reader's
// default is left out where the converter leaves it out.
#include "core/checkpoint/gguf_model_keys.h"

#include "core/base/error.h"
#include "core/checkpoint/family.h"
#include "core/checkpoint/rope_frequencies.h"
#include "core/checkpoint/tensor_names.h"
#include "core/checkpoint/writer.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace bw {
namespace {

constexpr double kSame = 1e-6; ///< relative; GGUF holds f32

bool same(double a, double b) { return std::abs(a - b) <= kSame * std::max(std::abs(a), std::abs(b)); }

/// "2.8M", "135M", "1.2B": three figures at most, as in published file names.
std::string sizeLabel(std::int64_t parameters) {
    const auto count = static_cast<double>(parameters);
    struct Unit {
        double size;
        char letter;
    };
    for (const Unit unit : {Unit{1e12, 'T'}, Unit{1e9, 'B'}, Unit{1e6, 'M'}}) {
        if (count < unit.size * 0.99995) continue;
        const double scaled = count / unit.size;
        return scaled < 10 ? fmt::format("{:.1f}{}", scaled, unit.letter) : fmt::format("{:.0f}{}", scaled, unit.letter);
    }
    return fmt::format("{:.0f}K", count / 1e3);
}

/// "8x1.1M" for experts: how many, and what a model with one of them would have.
std::string modelSize(const Checkpoint& source) {
    const std::int64_t experts = source.config().experts;
    if (experts == 0) return sizeLabel(source.parameters());
    std::int64_t inExperts = 0;
    for (const TensorInfo& tensor : source.tensors())
        if (parseExpertName(tensor.canonical)) inExperts += tensor.elements();
    return fmt::format("{}x{}", experts, sizeLabel(source.parameters() - inExperts + inExperts / experts));
}

/// What transformers derives from YaRN's factor, and llama.cpp too.
double yarnAttentionFactor(double factor) { return factor > 1 ? 0.1 * std::log(factor) + 1 : 1; }

/// The window that llama.cpp gives block `b` of this architecture when the file names `window`.
std::int64_t impliedWindow(WindowPattern pattern, std::int64_t b, std::int64_t window) {
    switch (pattern) {
    case WindowPattern::all: return window;
    case WindowPattern::alternating: return b % 2 == 0 ? window : 0;
    case WindowPattern::fiveOfSix: return b % 6 != 5 ? window : 0;
    default: return 0;
    }
}

std::int64_t largestWindow(const ModelConfig& config) {
    std::int64_t window = 0;
    for (const BlockConfig& block : config.layers) window = std::max(window, block.window);
    return window;
}

/// The scale of attention scores that llama.cpp takes: of the query's heads, but of C/H in Gemma's 27B models.
double impliedAttentionScale(const ModelConfig& config) {
    const bool gemma27B = (config.family == "gemma2" && config.blocks == 46) || (config.family == "gemma3_text" && config.blocks == 62);
    return 1.0 / std::sqrt(static_cast<double>(gemma27B ? config.width / config.heads : config.headDim));
}

std::string layerObstacle(const ModelConfig& config, const Family& family) {
    const std::int64_t window = largestWindow(config);
    for (std::int64_t b = 0; b < static_cast<std::int64_t>(config.layers.size()); ++b) {
        const BlockConfig& block = config.layers[static_cast<std::size_t>(b)];
        if (block.window != impliedWindow(family.window, b, window))
            return fmt::format("block {} has a sliding window of {}, which GGUF cannot say for '{}'", b, block.window, family.ggufArchitecture);
        if (block.experts != (config.experts > 0)) return fmt::format("block {} {} experts while others {}, which GGUF cannot say for '{}'", b, block.experts ? "has" : "has no",
                                                                      block.experts ? "have none" : "have them", family.ggufArchitecture);
        const bool rotated = !(family.name == "smollm3" && b % 4 == 3);
        if (!config.learnedPositions && (block.rope >= 0) != rotated)
            return fmt::format("block {} {} rotary positions, which GGUF cannot say for '{}'", b, block.rope >= 0 ? "has" : "has no", family.ggufArchitecture);
    }
    return {};
}

class Keys {
public:
    Keys(GgufMetadata& metadata, const ModelConfig& config, const Family& family)
        : metadata_(metadata), config_(config), family_(family), arch_(std::string(family.ggufArchitecture) + ".") {}

    void add() {
        u32("block_count", config_.blocks);
        u32("context_length", config_.context);
        u32("embedding_length", config_.width);
        u32("feed_forward_length", config_.feedForward > 0 ? config_.feedForward : config_.expertFeedForward);
        u32("attention.head_count", config_.heads);
        if (!config_.learnedPositions) u32("attention.head_count_kv", config_.kvHeads);
        f32(config_.norm == NormKind::rms ? "attention.layer_norm_rms_epsilon" : "attention.layer_norm_epsilon", config_.normEpsilon);
        u32("attention.key_length", config_.headDim);
        u32("attention.value_length", config_.headDim);
        u32("vocab_size", config_.vocabulary);
        if (!config_.learnedPositions) rope();
        if (const std::int64_t window = largestWindow(config_); window > 0) u32("attention.sliding_window", window);
        if (config_.attentionSoftCap > 0) f32("attn_logit_softcapping", config_.attentionSoftCap);
        if (config_.headSoftCap > 0) f32("final_logit_softcapping", config_.headSoftCap);
        if (family_.name == "stablelm") metadata_.set(arch_ + "use_parallel_residual", {GgufType::boolean, config_.parallelResidual});
        if (config_.experts > 0) experts();
    }

private:
    void u32(const char* key, std::int64_t value) { metadata_.set(arch_ + key, {GgufType::u32, value}); }
    void f32(const char* key, double value) { metadata_.set(arch_ + key, {GgufType::f32, static_cast<double>(static_cast<float>(value))}); }
    void text(const char* key, std::string value) { metadata_.set(arch_ + key, {GgufType::string, std::move(value)}); }

    void rope() {
        const RopeConfig& main = config_.ropes.front();
        u32("rope.dimension_count", main.dims);
        f32("rope.freq_base", main.theta);
        if (config_.ropes.size() > 1) f32("rope.freq_base_swa", config_.ropes[1].theta);
        switch (main.scaling) {
        case RopeScaling::none:
        case RopeScaling::llama3: break; // the tensor rope_freqs says it all
        case RopeScaling::linear:
            text("rope.scaling.type", "linear");
            f32("rope.scaling.factor", main.factor);
            break;
        case RopeScaling::yarn:
            text("rope.scaling.type", "yarn");
            f32("rope.scaling.factor", main.factor);
            u32("rope.scaling.original_context_length", main.originalContext);
            if (!same(main.betaFast, 32)) f32("rope.scaling.yarn_beta_fast", main.betaFast);
            if (!same(main.betaSlow, 1)) f32("rope.scaling.yarn_beta_slow", main.betaSlow);
            break;
        case RopeScaling::longrope: // the tensors rope_factors_long and rope_factors_short hold the lists
            u32("rope.scaling.original_context_length", main.originalContext);
            f32("rope.scaling.attn_factor", main.attentionFactor);
            break;
        }
    }

    void experts() {
        u32("expert_count", config_.experts);
        u32("expert_used_count", config_.expertsUsed);
        if (family_.ggufArchitecture == "llama" || family_.ggufArchitecture == "olmoe") return; // their feed_forward_length is the experts'
        u32("expert_feed_forward_length", config_.expertFeedForward);
        if (config_.sharedFeedForward > 0) u32("expert_shared_feed_forward_length", config_.sharedFeedForward);
    }

    GgufMetadata& metadata_;
    const ModelConfig& config_;
    const Family& family_;
    std::string arch_;
};

} // namespace

std::string ggufObstacle(const ModelConfig& config) {
    if (!config.forwardSupported) return config.whyNot;
    const Family* family = familyNamed(config.family);
    if (family == nullptr) return "the architecture '" + config.family + "' is not known here";
    if (config.attentionScale > 0 && !same(config.attentionScale, impliedAttentionScale(config)))
        return fmt::format("attention scores are scaled by {:.6g}; GGUF has no key for it and its readers take {:.6g}", config.attentionScale, impliedAttentionScale(config));
    if (config.experts > 0 && config.renormalizeExperts != family->renormalizeExperts)
        return fmt::format("the chosen experts' weights are {}divided by their sum; GGUF has no key for it and its readers take the opposite for '{}'",
                           config.renormalizeExperts ? "" : "not ", family->ggufArchitecture);
    const RopeConfig& rope = config.ropes.front();
    if (rope.scaling == RopeScaling::yarn && (!rope.truncate || !same(rope.attentionFactor, yarnAttentionFactor(rope.factor))))
        return "YaRN with another attention factor or ramp than the usual one has no keys in GGUF that all readers take";
    if (rope.scaling == RopeScaling::longrope && family->ggufArchitecture != "phi3" && family->ggufArchitecture != "llama")
        return fmt::format("longrope has no place in a GGUF of architecture '{}'", family->ggufArchitecture);
    return layerObstacle(config, *family);
}

void addModelKeys(GgufMetadata& metadata, const Checkpoint& source) {
    const ModelConfig& config = source.config();
    const Family& family = *familyNamed(config.family);
    metadata.set("general.architecture", {GgufType::string, std::string(family.ggufArchitecture)});
    metadata.set("general.type", {GgufType::string, std::string("model")});
    metadata.set("general.name", {GgufType::string, source.displayName()});
    metadata.set("general.size_label", {GgufType::string, modelSize(source)});
    Keys(metadata, config, family).add();
}

std::vector<ComputedTensor> ggufComputedTensors(const Checkpoint& source) {
    const ModelConfig& config = source.config();
    if (source.kind() == CheckpointKind::gguf || config.learnedPositions) return {};
    const RopeConfig& rope = config.ropes.front();
    if (rope.scaling == RopeScaling::llama3) return {{"rope_freqs.weight", ropeDivisors(rope)}};
    if (rope.scaling != RopeScaling::longrope) return {};
    const auto floats = [](const std::vector<double>& values) { return std::vector<float>(values.begin(), values.end()); };
    return {{"rope_factors_long.weight", floats(rope.longFactors)}, {"rope_factors_short.weight", floats(rope.factors)}};
}

double ggufValueOffset(const Checkpoint& source, const TensorInfo& tensor) {
    const Family* family = familyNamed(source.config().family);
    const bool shifted = family != nullptr && family->gemmaNorms && source.kind() == CheckpointKind::safetensors;
    return shifted && tensor.canonical.ends_with("norm.weight") ? 1.0 : 0.0;
}

} // namespace bw
