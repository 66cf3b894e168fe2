// SPDX-License-Identifier: GPL-3.0-or-later
// GGUF metadata → ModelConfig, by llama.cpp's keys and by its rules for what the keys leave out.
#include "core/base/error.h"
#include "core/base/text.h"
#include "core/checkpoint/config_fields.h"
#include "core/checkpoint/config_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace bw {
namespace {

using Has = std::function<bool(const std::string&)>;

class GgufConfigReader {
public:
    GgufConfigReader(const GgufMetadata& metadata, const Has& has, ModelConfig& config)
        : metadata_(metadata), has_(has), config_(config) {}

    void read(std::int64_t embeddingRows) {
        const std::string architecture = metadata_.text("general.architecture").value_or("");
        arch_ = architecture + ".";
        config_.family = architecture;
        config_.name = metadata_.text("general.name").value_or("");
        readSizes();
        const Family* family = familyOfGguf(architecture, metadata_.integer(arch_ + "expert_count").value_or(0) > 0);
        if (family == nullptr)
            refuse(config_,
                   architecture.empty() ? "the GGUF metadata name no architecture" : unknownArchitecture(architecture));
        readTokens(embeddingRows);
        if (family == nullptr) return;
        applyFamily(config_, *family);
        readNumbers();
        deriveHeadDim(config_, keys_);
        if (const auto length = metadata_.integer(arch_ + "attention.value_length").value_or(config_.headDim);
            length != config_.headDim)
            refuse(config_,
                   fmt::format("keys of {} and values of {} channels are not implemented", config_.headDim, length));
        if (config_.blocks >= 1 && config_.blocks <= kMaximumBlocks) {
            config_.layers.resize(static_cast<std::size_t>(config_.blocks));
            readExperts(*family);
            readRotation(*family);
            readWindows(*family);
        }
        readRope(*family);
        checkConfig(config_, keys_);
    }

private:
    /// One number for all blocks: lists with differing entries have no forward pass here.
    std::int64_t uniform(const std::string& key, std::int64_t fallback) {
        const GgufValue* value = metadata_.find(key);
        if (!value) return fallback;
        const auto* array = std::get_if<GgufArray>(&value->value);
        if (!array) return metadata_.integer(key).value_or(fallback);
        if (array->integers.empty()) {
            refuse(config_, "GGUF metadata: " + key + " is a list without numbers");
            return fallback;
        }
        if (std::any_of(array->integers.begin(), array->integers.end(),
                        [&](std::int64_t entry) { return entry != array->integers.front(); }))
            refuse(config_, "blocks of different shape (" + key + ") are not implemented");
        return array->integers.front();
    }

    void readSizes() {
        keys_.source = "GGUF metadata";
        keys_.blocks = arch_ + "block_count";
        keys_.width = arch_ + "embedding_length";
        keys_.feedForward = arch_ + "feed_forward_length";
        keys_.heads = arch_ + "attention.head_count";
        keys_.kvHeads = arch_ + "attention.head_count_kv";
        keys_.headDim = arch_ + "attention.key_length";
        keys_.vocabulary = arch_ + "vocab_size";
        keys_.context = arch_ + "context_length";
        config_.blocks = metadata_.integer(keys_.blocks).value_or(0);
        config_.width = metadata_.integer(keys_.width).value_or(0);
        config_.feedForward = uniform(keys_.feedForward, 0);
        config_.heads = uniform(keys_.heads, 0);
        config_.kvHeads = uniform(keys_.kvHeads, config_.heads);
        config_.headDim = metadata_.integer(keys_.headDim).value_or(0);
        config_.context = metadata_.integer(keys_.context).value_or(2048);
        config_.vocabulary = metadata_.integer(keys_.vocabulary).value_or(0);
    }

    void readNumbers() {
        keys_.epsilon = arch_ + (config_.norm == NormKind::rms ? "attention.layer_norm_rms_epsilon"
                                                               : "attention.layer_norm_epsilon");
        const auto epsilon = metadata_.real(keys_.epsilon);
        if (!epsilon) refuse(config_, "GGUF metadata: " + keys_.epsilon + " is missing");
        config_.normEpsilon = epsilon.value_or(1e-5);
        config_.qkvBias = config_.outputBias = config_.feedForwardBias = Bias::asStored;
        const Family* family = familyNamed(config_.family);
        config_.attentionSoftCap = metadata_.real(arch_ + "attn_logit_softcapping").value_or(family->attentionSoftCap);
        config_.headSoftCap = metadata_.real(arch_ + "final_logit_softcapping").value_or(family->headSoftCap);
        // The 27B models of Gemma 2 and 3, known by their depth, scale by C/H; no key says so in most files.
        const bool wide = (config_.family == "gemma2" && config_.blocks == 46) ||
                          (config_.family == "gemma3_text" && config_.blocks == 62);
        if (const auto scale = metadata_.real(arch_ + "attention.scale"); scale && *scale != 0)
            config_.attentionScale = *scale;
        else if (wide && config_.heads > 0 && config_.width > 0)
            config_.attentionScale =
                1 / std::sqrt(static_cast<double>(config_.width) / static_cast<double>(config_.heads));
        if (!family->variants) return;
        // llama.cpp looks at the tensors; the key is the converter's.
        config_.parallelResidual =
            metadata_.flag(arch_ + "use_parallel_residual").value_or(!has_("blk.0.ffn_norm.weight"));
        if (has_("blk.0.attn_q_norm.weight")) config_.qkNorm = QkNorm::perHead;
    }

    void readExperts(const Family& family) {
        if (!family.experts) {
            if (metadata_.integer(arch_ + "expert_count").value_or(0) > 0)
                refuse(config_, "the architecture '" + config_.family + "' with experts is not implemented");
            return;
        }
        keys_.experts = arch_ + "expert_count";
        keys_.expertsUsed = arch_ + "expert_used_count";
        keys_.expertFeedForward = arch_ + "expert_feed_forward_length";
        keys_.sharedFeedForward = arch_ + "expert_shared_feed_forward_length";
        config_.experts = metadata_.integer(keys_.experts).value_or(0);
        config_.expertsUsed = metadata_.integer(keys_.expertsUsed).value_or(0);
        config_.expertFeedForward = metadata_.integer(keys_.expertFeedForward).value_or(config_.feedForward);
        if (family.sharedExpert)
            config_.sharedFeedForward = metadata_.integer(keys_.sharedFeedForward).value_or(config_.feedForward);
        config_.renormalizeExperts = metadata_.flag(arch_ + "expert_weights_norm").value_or(family.renormalizeExperts);
        for (std::size_t i = 0; i < config_.layers.size(); ++i)
            config_.layers[i].experts = has_("blk." + std::to_string(i) + ".ffn_gate_inp.weight");
    }

    void readRotation(const Family& family) {
        for (std::size_t i = 0; i < config_.layers.size(); ++i)
            if (family.learnedPositions || (family.window == WindowPattern::unrotated && (i + 1) % 4 == 0))
                config_.layers[i].rope = -1;
    }

    void readWindows(const Family& family) {
        keys_.window = arch_ + "attention.sliding_window";
        const auto window = metadata_.integer(keys_.window);
        if (!window) return;
        if (*window < 1)
            return refuse(config_,
                          fmt::format("GGUF metadata: {} is {}; at least 1 is possible", keys_.window, *window));
        const std::string patternKey = keys_.window + "_pattern";
        if (const GgufValue* given = metadata_.find(patternKey);
            given && std::holds_alternative<GgufArray>(given->value)) {
            const auto& pattern = std::get<GgufArray>(given->value).integers;
            if (pattern.size() != config_.layers.size())
                return refuse(config_, fmt::format("GGUF metadata: {} has {} entries for {} blocks", patternKey,
                                                   pattern.size(), config_.blocks));
            for (std::size_t i = 0; i < pattern.size(); ++i) config_.layers[i].window = pattern[i] != 0 ? *window : 0;
            return;
        }
        const auto every = metadata_.integer(patternKey);
        if (every && *every < 1) return refuse(config_, fmt::format("GGUF metadata: {} is {}", patternKey, *every));
        WindowPattern pattern = every ? WindowPattern::fiveOfSix : family.window;
        // llama.cpp has no key for Mistral's window in files of the architecture llama: where one stands, it is meant.
        if (pattern == WindowPattern::none || pattern == WindowPattern::upper) pattern = WindowPattern::all;
        layOutWindows(config_, pattern, *window, 0, every.value_or(6));
    }

    void readRope(const Family& family) {
        keys_.theta = arch_ + "rope.freq_base";
        RopeConfig& main = config_.ropes.front();
        main.theta = metadata_.real(keys_.theta).value_or(10000.0);
        main.dims = metadata_.integer(arch_ + "rope.dimension_count").value_or(config_.headDim);
        RopeConfig local = main;
        local.theta = metadata_.real(arch_ + "rope.freq_base_swa").value_or(10000.0);
        readScaling(main);
        if (family.window != WindowPattern::fiveOfSix) return;
        config_.ropes.push_back(local);
        for (BlockConfig& layer : config_.layers) layer.rope = layer.window > 0 ? 1 : 0;
    }

    void readScaling(RopeConfig& rope) {
        const std::string scaling = arch_ + "rope.scaling.";
        const auto factor = metadata_.real(scaling + "factor");
        rope.factor = factor ? *factor : metadata_.real(arch_ + "rope.scale_linear").value_or(1.0);
        if (rope.factor == 0) rope.factor = 1; // llama.cpp's "no scaling"
        rope.originalContext = metadata_.integer(scaling + "original_context_length").value_or(config_.context);
        // Where no type is named, llama.cpp takes a factor for linear scaling.
        const std::string type = metadata_.text(scaling + "type").value_or("linear");
        const double attention = metadata_.real(scaling + "attn_factor").value_or(1.0);
        if (type == "none") {
            rope.factor = 1;
            rope.attentionFactor = attention;
        } else if (type == "linear") {
            if (rope.factor != 1) rope.scaling = RopeScaling::linear;
            rope.attentionFactor = attention;
        } else if (type == "longrope") {
            rope.scaling = RopeScaling::longrope;
            rope.attentionFactor = attention;
        } else if (type == "yarn") {
            rope.scaling = RopeScaling::yarn;
            rope.betaFast = metadata_.real(scaling + "yarn_beta_fast").value_or(32.0);
            rope.betaSlow = metadata_.real(scaling + "yarn_beta_slow").value_or(1.0);
            const double grown = rope.factor > 1 ? 0.1 * std::log(rope.factor) + 1 : 1.0;
            rope.attentionFactor = attention * metadata_.real(scaling + "yarn_attn_factor").value_or(1.0) * grown;
        } else {
            refuse(config_, "rotary embedding of type '" + escapeForDisplay(type, 40) + "' is not implemented");
        }
    }

    void readTokens(std::int64_t embeddingRows) {
        if (config_.vocabulary == 0) config_.vocabulary = embeddingRows;
        if (config_.vocabulary == 0)
            if (const GgufArray* tokens = metadata_.array("tokenizer.ggml.tokens"))
                config_.vocabulary = static_cast<std::int64_t>(tokens->size());
        config_.bosId = metadata_.integer("tokenizer.ggml.bos_token_id").value_or(-1);
        config_.eosId = metadata_.integer("tokenizer.ggml.eos_token_id").value_or(-1);
        config_.padId = metadata_.integer("tokenizer.ggml.padding_token_id").value_or(-1);
        // Where the key is missing llama.cpp adds a BOS for SentencePiece vocabularies and for Llama 3's.
        const std::string model = metadata_.text("tokenizer.ggml.model").value_or(""),
                          pre = metadata_.text("tokenizer.ggml.pre").value_or("");
        const bool usual = model == "llama" || pre == "llama-bpe" || pre == "llama3" || pre == "llama-v3";
        config_.addBos = metadata_.flag("tokenizer.ggml.add_bos_token").value_or(usual);
    }

    const GgufMetadata& metadata_;
    const Has& has_;
    ModelConfig& config_;
    ConfigKeys keys_;
    std::string arch_;
};

} // namespace

ModelConfig configFromGguf(const GgufMetadata& metadata, std::int64_t embeddingRows, const Has& has) {
    ModelConfig config;
    config.forwardSupported = true;
    try {
        GgufConfigReader(metadata, has, config).read(embeddingRows);
    } catch (const Error& error) {
        refuse(config, error.message());
    }
    return config;
}

} // namespace bw
