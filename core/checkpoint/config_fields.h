// SPDX-License-Identifier: GPL-3.0-or-later
// What the two config readers share: typed look-ups that remember the first thing wrong, and the checks of the result.
// Private to core/checkpoint.
#pragma once

#include "core/base/json.h"
#include "core/checkpoint/family.h"

#include <initializer_list>
#include <optional>
#include <string>

namespace bw {

/// "the architecture 'mamba' has no forward pass here; llama, mistral … have"
std::string unknownArchitecture(const std::string& name);

/// Clears forwardSupported; the first reason becomes whyNot.
void refuse(ModelConfig& config, const std::string& why);

/// Typed access to a JSON object that refuses the first value of a wrong type, naming key and value.
class JsonFields {
public:
    JsonFields(const Json& object, ModelConfig& config) : object_(object), config_(config) {}

    bool has(const char* key) const { return object_.contains(key) && !object_.at(key).is_null(); }
    const Json& at(const char* key) const { return object_.at(key); }
    std::optional<std::int64_t> integer(const char* key);
    std::optional<double> real(const char* key);
    std::optional<bool> flag(const char* key);
    std::optional<std::string> text(const char* key);
    /// An id, or the first of a list of ids (several end tokens); −1 when absent.
    std::int64_t id(const char* key);
    /// A list of positive finite numbers; empty when absent.
    std::vector<double> positives(const char* key);

private:
    void wrong(const char* key, const char* wanted);
    const Json& object_;
    ModelConfig& config_;
};

/// Keys under which one source keeps the numbers that checkConfig() judges.
struct ConfigKeys {
    std::string source; ///< "config.json", "GGUF metadata"
    std::string blocks, width, feedForward, heads, kvHeads, headDim, vocabulary, context, epsilon, theta, experts,
        expertsUsed, expertFeedForward, sharedFeedForward, window;
};

/// D = C/H where the file does not say; refuses heads that do not divide.
void deriveHeadDim(ModelConfig& config, const ConfigKeys& keys);

/// Refuses impossible numbers, naming key and values. Afterwards every dimension of a supported config lies in
/// [1, 2^24], so that products of two stay in 63 bits, and config.layers has one entry per block.
void checkConfig(ModelConfig& config, const ConfigKeys& keys);

/// Facts of the row that no file says.
void applyFamily(ModelConfig& config, const Family& family);

/// Windows of all blocks from the family's pattern. @param size of the window; @param first block of the upper pattern.
void layOutWindows(ModelConfig& config, WindowPattern pattern, std::int64_t size, std::int64_t first,
                   std::int64_t every);

} // namespace bw
