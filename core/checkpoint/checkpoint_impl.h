// SPDX-License-Identifier: GPL-3.0-or-later
// What a Checkpoint holds inside; shared by the files that build it and read from it. Not for: anything outside this folder.
#pragma once

#include "core/checkpoint/checkpoint.h"
#include "core/checkpoint/quantized_linear.h"

#include <string_view>
#include <unordered_map>

namespace bw {

class DerivedRows;

struct Checkpoint::Impl {
    CheckpointKind kind = CheckpointKind::safetensors;
    std::string path, folder, displayName;
    ModelConfig config;
    std::vector<MappedFile> files;
    std::vector<TensorInfo> tensors;
    GgufMetadata metadata;
    Json configJson;
    std::vector<std::string> warnings;
    /// Linears that lie in several tensors, by (logical) name.
    std::unordered_map<std::string, QuantizedLinearPtr> packed;
    /// Set for a derived checkpoint, which has no files and no packed linears of its own.
    std::shared_ptr<const DerivedRows> derived;
    /// Keys point into `tensors`, which does not change after opening.
    std::unordered_map<std::string_view, std::size_t> byCanonical, byName;

    void buildIndex();
    const TensorInfo* find(std::string_view name) const;
};

} // namespace bw
