// SPDX-License-Identifier: GPL-3.0-or-later
// What a Model is made of; private to core/model.
#pragma once

#include "core/model/buffer_pool.h"
#include "core/model/model.h"

#include <map>
#include <string>

namespace bw {

struct Model::Impl {
    std::shared_ptr<const Checkpoint> checkpoint;
    std::shared_ptr<Device> device;
    ModelConfig config; ///< tiedHead says what the forward pass does
    std::vector<Site> sites;
    std::vector<InputGroup> groups;
    std::map<std::string, SiteId, std::less<>> byName;
    mutable BufferPool buffers;

    std::int64_t queryWidth() const { return config.heads * config.headDim; }
    std::int64_t kvWidth() const { return config.kvHeads * config.headDim; }
    /// Index of the first of the four input groups of a block; the head's group follows the last block's.
    static int firstGroup(BlockIndex block) { return 4 * block.value(); }
    int headGroup() const { return static_cast<int>(4 * config.blocks); }
    /// The first of a block's seven sites (token_embd is site 0).
    static SiteId firstSite(BlockIndex block) { return SiteId{1 + 7 * block.value()}; }
    std::vector<float> vector(const std::string& tensor, std::int64_t length) const;
};

/// Fills sites, groups and byName from the configuration.
void layOutSites(const ModelConfig& config, std::vector<Site>& sites, std::vector<InputGroup>& groups);
/// Compares the checkpoint with its configuration. @throws Error unsupportedModel, tensorMissing, shapeMismatch.
void checkTensors(const Checkpoint& checkpoint, const ModelConfig& config, const std::vector<Site>& sites);

} // namespace bw
