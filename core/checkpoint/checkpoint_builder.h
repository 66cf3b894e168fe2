// SPDX-License-Identifier: GPL-3.0-or-later
// Puts a Checkpoint together: files → directories → one list of tensors with canonical names → config held against them.
#pragma once

#include "core/checkpoint/checkpoint.h"
#include "core/checkpoint/gguf_reader.h"
#include "core/checkpoint/safetensors_reader.h"

namespace bw {

class CheckpointBuilder {
public:
    explicit CheckpointBuilder(std::string path);
    /// @param folder where config.json and the tokenizer lie; empty for GGUF.
    void setFolder(std::string folder, std::string displayName);
    /// One file of whatever kind its magic says; of a split GGUF model all parts. @param folder, name: as the user knows
    /// the file, for the extension check and for finding the other parts.
    void addSingleFile(MappedFile file, const std::string& folder, const std::string& name);
    /// Something that the person should know about the opening itself.
    void warn(std::string line);
    /// Every shard that the index names, and the rules that index and shards must keep.
    /// @throws Error pathEscapes, shardMissing, duplicateKey, tensorMissing, invalidHeader, headerTooLarge …
    void addShards(const std::string& folder, const std::string& indexLabel, const Json& index);
    std::shared_ptr<const Checkpoint> finish();

private:
    void addGguf(GgufHeader header);
    void addSafetensors(SafetensorsHeader header);
    void readConfig();
    void settleHead();
    void readRopeFactors();
    void compareWithConfig();

    std::shared_ptr<Checkpoint> checkpoint_;
    Checkpoint::Impl& impl_;
};

} // namespace bw
