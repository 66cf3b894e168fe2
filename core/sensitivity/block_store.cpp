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

BlockStore::BlockStore(const Model& model, std::uint64_t memory) : model_(model), blocks_(static_cast<std::size_t>(model.config().blocks)) {
    std::uint64_t bytes = 0;
    for (const Site& site : model.sites())
        if (site.block.value() >= 0)
            bytes += static_cast<std::uint64_t>(site.rows * site.cols) * sizeof(float);
    keepsAll_ = bytes <= memory;
}

BlockWeightsPtr BlockStore::block(BlockIndex index) {
    BlockWeightsPtr& wanted = blocks_[static_cast<std::size_t>(index.value())];
    if (wanted)
        return wanted;
    if (!keepsAll_)
        std::fill(blocks_.begin(), blocks_.end(), nullptr);
    wanted = model_.loadBlock(index);
    return wanted;
}

PatchedBlock::PatchedBlock(const Model& model, BlockWeightsPtr base, const Site& site, Matrix weight) : base_(std::move(base)) {
    patched_.block = base_->block;
    patched_.attnNorm = base_->attnNorm;
    patched_.ffnNorm = base_->ffnNorm;
    patched_.q = base_->q;
    patched_.k = base_->k;
    patched_.v = base_->v;
    patched_.output = base_->output;
    patched_.gate = base_->gate;
    patched_.up = base_->up;
    patched_.down = base_->down;
    patched_.bytes = base_->bytes;
    patched_.owned.push_back(std::move(weight));
    const DeviceWeightPtr prepared = model.device().prepare(std::as_const(patched_.owned.back()).view());
    switch (site.kind) {
    case SiteKind::attnQ: patched_.q = prepared; break;
    case SiteKind::attnK: patched_.k = prepared; break;
    case SiteKind::attnV: patched_.v = prepared; break;
    case SiteKind::attnOutput: patched_.output = prepared; break;
    case SiteKind::ffnGate: patched_.gate = prepared; break;
    case SiteKind::ffnUp: patched_.up = prepared; break;
    case SiteKind::ffnDown: patched_.down = prepared; break;
    default: break; // not part of a block
    }
}

} // namespace bw::detail
