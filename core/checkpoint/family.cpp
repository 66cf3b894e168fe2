// SPDX-License-Identifier: GPL-3.0-or-later
// The table. Defaults of keys are those of transformers' configuration classes; GGUF facts are llama.cpp's.
#include "core/checkpoint/family.h"

#include <algorithm>
#include <array>

namespace bw {
namespace {

using enum NormKind;

constexpr std::array kFamilies{
    Family{.name = "llama", .ggufArchitecture = "llama", .permutesQk = true},
    Family{.name = "mistral", .ggufArchitecture = "llama", .permutesQk = true, .window = WindowPattern::all,
           .kvHeads = 8, .windowSize = 4096},
    Family{.name = "mixtral", .ggufArchitecture = "llama", .permutesQk = true, .window = WindowPattern::all,
           .experts = true, .renormalizeExperts = true, .epsilon = 1e-5, .theta = 1e6, .kvHeads = 8},
    Family{.name = "qwen2", .ggufArchitecture = "qwen2", .qkvBias = Bias::required, .window = WindowPattern::upper,
           .switchedWindow = true, .windowSize = 4096},
    Family{.name = "qwen2_moe", .ggufArchitecture = "qwen2moe", .qkvBias = Bias::required,
           .window = WindowPattern::upper, .switchedWindow = true, .experts = true, .sharedExpert = true,
           .windowSize = 4096},
    Family{.name = "qwen3", .ggufArchitecture = "qwen3", .qkNorm = QkNorm::head, .window = WindowPattern::upper,
           .switchedWindow = true, .headDim = 128, .windowSize = 4096},
    Family{.name = "qwen3_moe", .ggufArchitecture = "qwen3moe", .qkNorm = QkNorm::head, .window = WindowPattern::all,
           .switchedWindow = true, .experts = true, .renormalizeExperts = true, .windowSize = 4096},
    Family{.name = "olmoe", .ggufArchitecture = "olmoe", .qkNorm = QkNorm::width, .experts = true, .epsilon = 1e-5},
    Family{.name = "phi3", .ggufArchitecture = "phi3", .fusedQkv = true, .fusedGateUp = true,
           .window = WindowPattern::all, .epsilon = 1e-5},
    Family{.name = "gemma", .ggufArchitecture = "gemma", .gemmaNorms = true, .activation = Activation::geluTanh,
           .scaledEmbedding = true, .headDim = 256, .tiedHead = true},
    Family{.name = "gemma2", .ggufArchitecture = "gemma2", .gemmaNorms = true, .activation = Activation::geluTanh,
           .postNorms = true, .scaledEmbedding = true, .window = WindowPattern::alternating, .headDim = 256,
           .windowSize = 4096, .attentionSoftCap = 50, .headSoftCap = 30, .queryScalar = 256, .tiedHead = true},
    Family{.name = "gemma3_text", .otherModelType = "gemma3", .ggufArchitecture = "gemma3", .gemmaNorms = true,
           .activation = Activation::geluTanh, .postNorms = true, .scaledEmbedding = true, .qkNorm = QkNorm::head,
           .window = WindowPattern::fiveOfSix, .theta = 1e6, .headDim = 256, .heads = 8, .kvHeads = 4,
           .vocabulary = 262208, .context = 131072, .windowSize = 4096, .queryScalar = 256, .tiedHead = true},
    Family{.name = "gpt2", .ggufArchitecture = "gpt2", .conv1d = true, .norm = layer,
           .activation = Activation::geluTanh, .gated = false, .fusedQkv = true, .learnedPositions = true,
           .qkvBias = Bias::required, .outputBias = Bias::required, .feedForwardBias = Bias::required,
           .epsilonKey = "layer_norm_epsilon", .epsilon = 1e-5, .context = 1024, .tiedHead = true},
    Family{.name = "smollm3", .ggufArchitecture = "smollm3", .permutesQk = true, .window = WindowPattern::unrotated,
           .switchedWindow = true, .theta = 2e6, .kvHeads = 4, .tiedHead = true},
    Family{.name = "stablelm", .ggufArchitecture = "stablelm", .norm = layer, .variants = true,
           .epsilonKey = "layer_norm_eps", .epsilon = 1e-5, .rotaryPart = 0.25},
};

template <class Matches>
const Family* firstThat(Matches matches) {
    const auto* found = std::find_if(kFamilies.begin(), kFamilies.end(), matches);
    return found == kFamilies.end() ? nullptr : found;
}

} // namespace

std::span<const Family> families() {
    return kFamilies;
}

const Family* familyOfModelType(std::string_view modelType) {
    if (modelType.empty()) return nullptr;
    return firstThat([&](const Family& f) { return f.name == modelType || f.otherModelType == modelType; });
}

const Family* familyOfGguf(std::string_view architecture, bool experts) {
    if (architecture == "llama" && experts) return familyNamed("mixtral");
    return firstThat([&](const Family& f) { return f.ggufArchitecture == architecture; });
}

const Family* familyNamed(std::string_view name) {
    return firstThat([&](const Family& f) { return f.name == name; });
}

} // namespace bw
