// SPDX-License-Identifier: GPL-3.0-or-later
// config.json in the spellings of transformers 4 and 5. What is wrong is collected; the first reason becomes whyNot.
#include "core/checkpoint/config_reader.h"

#include "core/base/error.h"
#include "core/base/mapped_file.h"
#include "core/base/text.h"
#include "core/checkpoint/config_fields.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>

namespace bw {
namespace {

/// One config.json on its way to a ModelConfig.
class HuggingFaceReader {
public:
    HuggingFaceReader(const Json& json, const Family& family, ModelConfig& config)
        : json_(json), family_(family), config_(config), fields_(json, config) {}

    void read() {
        readSizes();
        applyFamily(config_, family_);
        if (family_.gemmaNorms) config_.normOffset = 1.0;
        readNumbers();
        deriveHeadDim(config_, keys_);
        if (config_.blocks >= 1 && config_.blocks <= kMaximumBlocks) {
            config_.layers.resize(static_cast<std::size_t>(config_.blocks));
            readExperts();
            readRotation();
            readWindows();
        }
        readRope();
        checkConfig(config_, keys_);
    }

private:
    /// The first of several spellings that is there.
    std::int64_t size(std::initializer_list<const char*> keys, std::string& used, std::int64_t fallback) {
        used = *keys.begin();
        for (const char* key : keys) {
            if (!fields_.has(key)) continue;
            used = key;
            return fields_.integer(key).value_or(0);
        }
        return fallback;
    }

    void readSizes() {
        keys_.source = "config.json";
        config_.blocks = size({"num_hidden_layers", "n_layer"}, keys_.blocks, 0);
        config_.width = size({"hidden_size", "n_embd"}, keys_.width, 0);
        config_.heads = size({"num_attention_heads", "n_head"}, keys_.heads, family_.heads);
        const bool listed = json_.contains("num_key_value_heads"); // null means one per head
        config_.kvHeads = size({"num_key_value_heads"}, keys_.kvHeads,
                               listed || family_.kvHeads == 0 ? config_.heads : family_.kvHeads);
        config_.headDim = size({"head_dim"}, keys_.headDim, json_.contains("head_dim") ? 0 : family_.headDim);
        config_.vocabulary = size({"vocab_size"}, keys_.vocabulary, family_.vocabulary);
        config_.context = size({"max_position_embeddings", "n_positions", "n_ctx"}, keys_.context, family_.context);
        // GPT-2 leaves n_inner out: four times the width.
        config_.feedForward = size({"intermediate_size", "n_inner"}, keys_.feedForward,
                                   family_.learnedPositions ? 4 * std::min<std::int64_t>(config_.width, 1 << 24) : 0);
    }

    void readNumbers() {
        keys_.epsilon = family_.epsilonKey;
        config_.normEpsilon = fields_.real(keys_.epsilon.c_str()).value_or(family_.epsilon);
        config_.tiedHead = fields_.flag("tie_word_embeddings").value_or(family_.tiedHead);
        config_.bosId = fields_.id("bos_token_id");
        config_.eosId = fields_.id("eos_token_id");
        config_.padId = fields_.id("pad_token_id");
        readActivation();
        readBiases();
        if (family_.variants) {
            config_.parallelResidual = fields_.flag("use_parallel_residual").value_or(false);
            config_.qkNorm = fields_.flag("qk_layernorm").value_or(false) ? QkNorm::perHead : QkNorm::none;
        }
        config_.attentionSoftCap = cap("attn_logit_softcapping", family_.attentionSoftCap);
        config_.headSoftCap = cap("final_logit_softcapping", family_.headSoftCap);
        if (const auto scalar = fields_.real("query_pre_attn_scalar").value_or(family_.queryScalar); scalar != 0) {
            if (scalar < 0) refuse(config_, fmt::format("config.json: query_pre_attn_scalar is {}", scalar));
            config_.attentionScale = 1 / std::sqrt(std::abs(scalar));
        }
        if (!fields_.flag("scale_attn_weights").value_or(true)) config_.attentionScale = 1.0;
        for (const char* key :
             {"scale_attn_by_inverse_layer_idx", "use_bidirectional_attention", "add_cross_attention"})
            if (fields_.flag(key).value_or(false))
                refuse(config_, fmt::format("config.json: {} is true, which is not implemented", key));
        if (fields_.has("clip_qkv"))
            refuse(config_, "config.json: clip_qkv is " + escapeForDisplay(json_.at("clip_qkv").dump(), 40) +
                                "; clipped queries and keys are not implemented");
    }

    /// A key that is there and null switches a soft cap off.
    double cap(const char* key, double fallback) {
        if (!json_.contains(key)) return fallback;
        const auto value = fields_.real(key);
        if (value && !(*value > 0)) refuse(config_, fmt::format("config.json: {} is {}", key, *value));
        return value.value_or(0.0);
    }

    void readActivation() {
        for (const char* key : {"hidden_activation", "hidden_act", "activation_function"}) {
            const auto name = fields_.text(key);
            if (!name) continue;
            // Gemma's first checkpoints say "gelu" and mean its tanh form.
            const bool tanhForm = *name == "gelu_pytorch_tanh" || *name == "gelu_new" || *name == "gelu_fast" ||
                                  (*name == "gelu" && family_.gemmaNorms);
            if (*name == "silu" || *name == "swish")
                config_.activation = Activation::silu;
            else if (tanhForm)
                config_.activation = Activation::geluTanh;
            else if (*name == "gelu")
                config_.activation = Activation::geluErf;
            else
                refuse(config_,
                       fmt::format("config.json: the activation '{}' ({}) is not implemented; silu and gelu are",
                                   escapeForDisplay(*name, 40), key));
            return;
        }
    }

    void readBiases() {
        const auto rule = [](bool wanted) { return wanted ? Bias::required : Bias::none; };
        const bool attention = fields_.flag("attention_bias").value_or(false);
        config_.qkvBias = rule(attention || fields_.flag("use_qkv_bias").value_or(false) ||
                               fields_.flag("qkv_bias").value_or(family_.qkvBias == Bias::required));
        config_.outputBias = rule(attention || family_.outputBias == Bias::required);
        config_.feedForwardBias = rule(fields_.flag("mlp_bias").value_or(family_.feedForwardBias == Bias::required));
    }

    void readExperts() {
        if (!family_.experts) return;
        config_.experts = size({"num_local_experts", "num_experts"}, keys_.experts, 0);
        config_.expertsUsed = size({"num_experts_per_tok"}, keys_.expertsUsed, 0);
        config_.expertFeedForward = size({"moe_intermediate_size", "intermediate_size"}, keys_.expertFeedForward, 0);
        if (family_.sharedExpert)
            config_.sharedFeedForward = size({"shared_expert_intermediate_size"}, keys_.sharedFeedForward, 0);
        config_.renormalizeExperts = fields_.flag("norm_topk_prob").value_or(family_.renormalizeExperts);
        const std::int64_t step = fields_.integer("decoder_sparse_step").value_or(1);
        if (step < 1) return refuse(config_, fmt::format("config.json: decoder_sparse_step is {}", step));
        for (std::size_t i = 0; i < config_.layers.size(); ++i)
            config_.layers[i].experts = (static_cast<std::int64_t>(i) + 1) % step == 0;
        if (!fields_.has("mlp_only_layers")) return;
        for (const Json& dense : json_.at("mlp_only_layers"))
            if (dense.is_number_integer() && dense.get<std::int64_t>() >= 0 &&
                dense.get<std::int64_t>() < config_.blocks)
                config_.layers[dense.get<std::size_t>()].experts = false;
    }

    /// Which blocks rotate at all.
    void readRotation() {
        if (family_.learnedPositions)
            for (BlockConfig& layer : config_.layers) layer.rope = -1;
        if (family_.window != WindowPattern::unrotated) return;
        if (fields_.has("no_rope_layers")) {
            const Json& rotated = json_.at("no_rope_layers"); // 1 where there is a rotation, whatever the name says
            if (!rotated.is_array() || rotated.size() < config_.layers.size())
                return refuse(config_, fmt::format("config.json: no_rope_layers has {} entries for {} blocks",
                                                   rotated.is_array() ? rotated.size() : 0, config_.blocks));
            for (std::size_t i = 0; i < config_.layers.size(); ++i)
                config_.layers[i].rope = rotated[i].is_number_integer() && rotated[i].get<std::int64_t>() != 0 ? 0 : -1;
            return;
        }
        const std::int64_t every = fields_.integer("no_rope_layer_interval").value_or(4);
        if (every < 1) return refuse(config_, fmt::format("config.json: no_rope_layer_interval is {}", every));
        for (std::size_t i = 0; i < config_.layers.size(); ++i)
            if ((static_cast<std::int64_t>(i) + 1) % every == 0) config_.layers[i].rope = -1;
    }

    void readWindows() {
        keys_.window = "sliding_window";
        if (family_.window == WindowPattern::none) return;
        if (family_.switchedWindow && !fields_.flag("use_sliding_window").value_or(false)) return;
        std::int64_t window = family_.windowSize;
        if (json_.contains("sliding_window")) window = fields_.integer("sliding_window").value_or(0);
        const bool off = json_.contains("sliding_window") ? json_.at("sliding_window").is_null() : window == 0;
        if (readLayerTypes(off ? 0 : window)) return;
        if (off) return;
        if (window < 1)
            return refuse(config_, fmt::format("config.json: sliding_window is {}; at least 1 is possible", window));
        const std::int64_t first = fields_.integer("max_window_layers").value_or(28);
        std::int64_t every = 6;
        for (const char* key : {"sliding_window_pattern", "_sliding_window_pattern"})
            if (const auto given = fields_.integer(key)) every = *given;
        if (every < 1) return refuse(config_, fmt::format("config.json: sliding_window_pattern is {}", every));
        layOutWindows(config_, family_.window, window, first, every);
    }

    /// transformers 5 lists the kind of every block. Families whose blocks are all alike do not look at the list.
    bool readLayerTypes(std::int64_t window) {
        if (!fields_.has("layer_types") || family_.window == WindowPattern::all) return false;
        const Json& types = json_.at("layer_types");
        if (!types.is_array() || types.size() != config_.layers.size()) {
            refuse(config_, fmt::format("config.json: layer_types has {} entries for {} blocks",
                                        types.is_array() ? types.size() : 0, config_.blocks));
            return true;
        }
        for (std::size_t i = 0; i < types.size(); ++i) {
            if (types[i] == "full_attention") continue;
            if (types[i] != "sliding_attention")
                refuse(config_, fmt::format("config.json: blocks of the kind {} (layer_types) are not implemented",
                                            escapeForDisplay(types[i].dump(), 40)));
            else if (window < 1)
                refuse(config_,
                       fmt::format("config.json: sliding_window is {}, but layer_types names sliding_attention",
                                   escapeForDisplay(json_.value("sliding_window", Json()).dump(), 40)));
            config_.layers[i].window = window;
        }
        return true;
    }

    void readRope() {
        keys_.theta = "rope_theta";
        RopeConfig& main = config_.ropes.front();
        main.theta = fields_.real("rope_theta").value_or(family_.theta);
        main.dims = rotated(fields_.real("partial_rotary_factor").value_or(family_.rotaryPart));
        RopeConfig local = main;
        local.theta = fields_.real("rope_local_base_freq").value_or(10000.0);
        for (const char* key : {"rope_parameters", "rope_scaling"}) {
            if (!fields_.has(key)) continue;
            const Json& rope = json_.at(key);
            if (!rope.is_object()) {
                refuse(config_, std::string("config.json: ") + key + " is no object");
                continue;
            }
            if (!rope.contains("full_attention") && !rope.contains("sliding_attention")) {
                readRopeObject(rope, main);
                continue;
            }
            for (const auto& [kind, into] :
                 {std::pair{"full_attention", &main}, std::pair{"sliding_attention", &local}})
                if (rope.contains(kind) && rope.at(kind).is_object()) readRopeObject(rope.at(kind), *into);
        }
        // Gemma 3 rotates the blocks with a window in another way.
        if (family_.window != WindowPattern::fiveOfSix) return;
        config_.ropes.push_back(local);
        for (BlockConfig& layer : config_.layers) layer.rope = layer.window > 0 ? 1 : 0;
    }

    std::int64_t rotated(double part) {
        if (!(part > 0 && part <= 1)) refuse(config_, fmt::format("config.json: partial_rotary_factor is {}", part));
        return static_cast<std::int64_t>(static_cast<double>(config_.headDim) * std::clamp(part, 0.0, 1.0));
    }

    void readRopeObject(const Json& json, RopeConfig& rope) {
        JsonFields fields(json, config_);
        if (const auto theta = fields.real("rope_theta")) rope.theta = *theta;
        if (const auto part = fields.real("partial_rotary_factor")) rope.dims = rotated(*part);
        std::string type = fields.text(fields.has("rope_type") ? "rope_type" : "type").value_or("default");
        // Phi-3's first checkpoints call longrope "su" or "yarn".
        if (type == "su" || (type == "yarn" && family_.fusedGateUp)) type = "longrope";
        rope.originalContext =
            fields_.integer("original_max_position_embeddings")
                .value_or(fields.integer("original_max_position_embeddings").value_or(config_.context));
        const double ratio = rope.originalContext > 0
                                 ? static_cast<double>(config_.context) / static_cast<double>(rope.originalContext)
                                 : 1.0;
        if (type == "default") return;
        const auto needed = [&](const char* key) {
            if (!fields.has(key))
                refuse(config_,
                       fmt::format("config.json: rope scaling of type '{}' needs {}, which is missing", type, key));
            return fields.real(key).value_or(1.0);
        };
        if (type == "linear") {
            rope.scaling = RopeScaling::linear;
            rope.factor = needed("factor");
        } else if (type == "llama3") {
            rope.scaling = RopeScaling::llama3;
            rope.factor = needed("factor");
            rope.lowFrequencyFactor = needed("low_freq_factor");
            rope.highFrequencyFactor = needed("high_freq_factor");
        } else if (type == "yarn") {
            rope.scaling = RopeScaling::yarn;
            rope.factor = needed("factor");
            readYarn(fields, rope);
        } else if (type == "longrope") {
            rope.scaling = RopeScaling::longrope;
            rope.factor = fields.real("factor").value_or(ratio);
            rope.factors = fields.positives("short_factor");
            rope.longFactors = fields.positives("long_factor");
            for (const char* key : {"short_factor", "long_factor"})
                if (!fields.has(key))
                    refuse(config_,
                           fmt::format("config.json: rope scaling of type 'longrope' needs {}, which is missing", key));
            const double grown =
                rope.factor > 1
                    ? std::sqrt(1 + std::log(rope.factor) / std::log(static_cast<double>(rope.originalContext)))
                    : 1.0;
            rope.attentionFactor = fields.real("attention_factor").value_or(grown);
        } else {
            refuse(config_, "rotary embedding of type '" + escapeForDisplay(type, 40) + "' is not implemented");
        }
    }

    void readYarn(JsonFields& fields, RopeConfig& rope) {
        rope.betaFast = fields.real("beta_fast").value_or(32.0);
        rope.betaSlow = fields.real("beta_slow").value_or(1.0);
        rope.truncate = fields.flag("truncate").value_or(true);
        const auto scale = [&](double weight) {
            return rope.factor > 1 ? 0.1 * weight * std::log(rope.factor) + 1 : 1.0;
        };
        const double mscale = fields.real("mscale").value_or(0.0), all = fields.real("mscale_all_dim").value_or(0.0);
        const double derived = mscale != 0 && all != 0 ? scale(mscale) / scale(all) : scale(1.0);
        rope.attentionFactor = fields.real("attention_factor").value_or(derived);
    }

    const Json& json_;
    const Family& family_;
    ModelConfig& config_;
    JsonFields fields_;
    ConfigKeys keys_;
};

/// Sizes of a checkpoint whose family is not known, for people.
void readUnknown(const Json& json, ModelConfig& config) {
    JsonFields fields(json, config);
    config.blocks = fields.integer("num_hidden_layers").value_or(0);
    config.width = fields.integer("hidden_size").value_or(0);
    config.feedForward = fields.integer("intermediate_size").value_or(0);
    config.heads = fields.integer("num_attention_heads").value_or(0);
    config.kvHeads = fields.integer("num_key_value_heads").value_or(config.heads);
    config.headDim = fields.integer("head_dim").value_or(0);
    config.vocabulary = fields.integer("vocab_size").value_or(0);
    config.context = fields.integer("max_position_embeddings").value_or(0);
    config.tiedHead = fields.flag("tie_word_embeddings").value_or(false);
    config.bosId = fields.id("bos_token_id");
    config.eosId = fields.id("eos_token_id");
    config.padId = fields.id("pad_token_id");
}

} // namespace

ModelConfig configFromHuggingFace(const Json& json) {
    ModelConfig config;
    config.forwardSupported = true;
    if (!json.is_object()) {
        refuse(config, "config.json is no object");
        return config;
    }
    // Models that also see pictures keep the language part's numbers in an object of their own.
    Json merged = json;
    if (json.contains("text_config") && json.at("text_config").is_object()) merged.update(json.at("text_config"));
    config.family = JsonFields(merged, config).text("model_type").value_or("");
    if (const Family* family = familyOfModelType(config.family)) {
        HuggingFaceReader(merged, *family, config).read();
    } else {
        refuse(config, config.family.empty() ? "config.json names no model_type" : unknownArchitecture(config.family));
        readUnknown(merged, config);
    }
    return config;
}

bool tokenizerAddsBos(const std::string& folder) {
    if (folder.empty()) return false;
    const std::filesystem::path base(folder);
    try {
        if (std::filesystem::is_regular_file(base / "tokenizer_config.json")) {
            const Json json = readJsonFile((base / "tokenizer_config.json").string());
            if (json.is_object() && json.contains("add_bos_token") && json.at("add_bos_token").is_boolean())
                return json.at("add_bos_token").get<bool>();
        }
        if (!std::filesystem::is_regular_file(base / "tokenizer.json")) return false;
        // Only a template can add a token; looking for its name first saves parsing megabytes of vocabulary.
        const std::string text = readTextFile((base / "tokenizer.json").string(), 256ull << 20);
        if (text.find("\"TemplateProcessing\"") == std::string::npos) return false;
        const Json json = parseJson(text, "tokenizer.json");
        const Json& post = json.at("post_processor");
        const auto startsWithSpecial = [](const Json& processor) {
            return processor.is_object() && processor.value("type", "") == "TemplateProcessing" &&
                   processor.at("single").is_array() && !processor.at("single").empty() &&
                   processor.at("single").at(0).contains("SpecialToken");
        };
        if (startsWithSpecial(post)) return true;
        if (post.is_object() && post.contains("processors"))
            for (const Json& processor : post.at("processors"))
                if (startsWithSpecial(processor)) return true;
    } catch (const Error&) {
    } catch (const nlohmann::json::exception&) {
    } catch (const std::filesystem::filesystem_error&) {
    }
    return false;
}

} // namespace bw
