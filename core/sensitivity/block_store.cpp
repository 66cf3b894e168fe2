// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/sensitivity/block_store.h"

#include <algorithm>
#include <fstream>
#include <limits>
#include <string>

namespace bw::detail {
namespace {

/// A number in the first line of a file of the system; `fallback` when there is none ("max", no such file).
std::uint64_t numberIn(const char* path, std::uint64_t fallback) {
    std::ifstream file(path);
    std::uint64_t value = 0;
    return file >> value ? value : fallback;
}

std::uint64_t availableOfMachine() {
    std::ifstream file("/proc/meminfo");
    std::string key, unit;
    std::uint64_t value = 0;
    while (file >> key >> value >> unit)
        if (key == "MemAvailable:")
            return value * 1024;
    return 1ull << 30;
}

} // namespace

std::uint64_t availableMemory() {
    constexpr std::uint64_t kNoLimit = std::numeric_limits<std::uint64_t>::max();
    const std::uint64_t limit = numberIn("/sys/fs/cgroup/memory.max", kNoLimit);
    const std::uint64_t used = numberIn("/sys/fs/cgroup/memory.current", 0);
    const std::uint64_t group = limit == kNoLimit ? kNoLimit : limit - std::min(limit, used);
    return std::min(group, availableOfMachine());
}

BlockStore::BlockStore(const Model& model, std::uint64_t memory, const WeightSource* source, bool near,
                       std::int64_t tokens)
    : model_(model), source_(source), near_(near), blocks_(static_cast<std::size_t>(model.config().blocks)),
      nearBlocks_(blocks_.size()) {
    std::uint64_t weights = 0;
    for (const Site& site : model.sites())
        if (site.block.value() >= 0)
            weights += static_cast<std::uint64_t>(site.rows * site.cols);
    const std::uint64_t bytes = weights * (sizeof(float) + (near ? kNearBytesPerWeight : 0));
    keepsAll_ = bytes <= memory;
    keepsKnown_ = near && keepsAll_ &&
                  nearBytesPerToken(model) * static_cast<std::uint64_t>(tokens) * blocks_.size() <= memory - bytes;
}

BlockWeightsPtr BlockStore::block(BlockIndex index) {
    BlockWeightsPtr& wanted = blocks_[static_cast<std::size_t>(index.value())];
    if (wanted)
        return wanted;
    if (!keepsAll_) {
        for (std::unique_ptr<NearBlock>& other : nearBlocks_)
            other.reset();
        std::fill(blocks_.begin(), blocks_.end(), nullptr);
    }
    wanted = model_.loadBlock(index, source_);
    return wanted;
}

NearBlock& BlockStore::nearBlock(BlockIndex index) {
    const BlockWeightsPtr full = block(index);
    std::unique_ptr<NearBlock>& wanted = nearBlocks_[static_cast<std::size_t>(index.value())];
    if (!wanted)
        wanted = std::make_unique<NearBlock>(model_, full);
    return *wanted;
}

PatchedBlock::PatchedBlock(const Model& model, BlockWeightsPtr base, const Site& site, Matrix weight)
    : base_(std::move(base)) {
    patched_ = *base_;
    patched_.owned.push_back(std::make_shared<const Matrix>(std::move(weight)));
    patched_.linear(site).weight = model.device().prepare(patched_.owned.back()->view());
}

} // namespace bw::detail
