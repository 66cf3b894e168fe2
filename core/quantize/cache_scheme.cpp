// SPDX-License-Identifier: GPL-3.0-or-later
// How keys and values lie in a cache: when a row leaves 16 bits, and what it becomes.
#include "core/quantize/cache_scheme.h"

#include "core/base/error.h"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <mutex>

namespace bw {
namespace {

RuntimeGrid gridOf(const CacheScheme::Part& part) {
    if (part.grid == CacheScheme::Grid::e4m3) return {RuntimeGrid::Kind::e4m3, 8, true};
    if (part.grid == CacheScheme::Grid::e5m2) return {RuntimeGrid::Kind::e5m2, 8, true};
    return {RuntimeGrid::Kind::integer, part.bits, part.symmetric};
}

/// Scale and minimum of one group, as stored.
struct GroupGrid { float scale = 0, minimum = 0; };

GroupGrid fitGroup(float low, float high, const RuntimeGrid& grid) {
    if (grid.symmetric) return {storedScale(std::max(std::abs(low), std::abs(high)) / grid.top()), 0};
    if (!std::isfinite(low) || !std::isfinite(high)) return {NAN, NAN};
    float minimum = low;
    roundToHalf({&minimum, 1});
    return {storedScale(std::max(0.0f, high - minimum) / grid.top()), minimum};
}

/// x̂ = minimum + scale·clamp(rne((x − minimum)/scale)); a group of equal values is its minimum.
float roundAbove(float value, const GroupGrid& group, float top) {
    if (std::isnan(value)) return value;
    if (!(group.scale > 0)) return group.minimum + group.scale; // NaN of damaged values shows
    return group.minimum + group.scale * std::clamp(std::nearbyint((value - group.minimum) / group.scale), 0.0f, top);
}

/// `low` and `high` of a group start from its first value, not from 0: keys of a channel may all lie far from it.
void stretch(float value, float& low, float& high) {
    low = value < low ? value : low;
    high = value > high ? value : high;
}

void roundGroup(std::span<float> x, const RuntimeGrid& grid) {
    float low = INFINITY, high = -INFINITY;
    for (const float value : x) stretch(value, low, high);
    if (!(low <= high)) return; // nothing, or NaN alone
    const GroupGrid group = fitGroup(low, high, grid);
    if (grid.symmetric) return roundSymmetric(x, group.scale, grid);
    for (float& value : x) value = roundAbove(value, group, grid.top());
}

/// Each column of these rows by itself.
void roundColumns(MatrixView<float> rows, const RuntimeGrid& grid) {
    std::vector<float> column(static_cast<std::size_t>(rows.rows));
    for (std::int64_t c = 0; c < rows.cols; ++c) {
        for (std::int64_t r = 0; r < rows.rows; ++r) column[static_cast<std::size_t>(r)] = rows(r, c);
        roundGroup(column, grid);
        for (std::int64_t r = 0; r < rows.rows; ++r) rows(r, c) = column[static_cast<std::size_t>(r)];
    }
}

void roundStored(std::span<float> row, StorageType type, std::vector<std::byte>& bytes) {
    if (std::any_of(row.begin(), row.end(), [](float v) { return !std::isfinite(v); })) {
        std::fill(row.begin(), row.end(), NAN); // blocks have no code for it; the walk names where it came from
        return;
    }
    bytes.resize(static_cast<std::size_t>(storageBytes(type, 1, row.size())));
    encodeRow(type, row, {}, bytes.data(), BlockSearch::reference);
    decodeRow(type, bytes.data(), row);
}

class Joined final : public RuntimeRounding {
public:
    Joined(std::shared_ptr<const ActivationRounding> activations, std::shared_ptr<const CacheRounding> cache)
        : activations_(std::move(activations)), cache_(std::move(cache)) {}
    bool roundsInput(int inputGroup) const override { return activations_ && activations_->roundsInput(inputGroup); }
    void roundInput(int inputGroup, MatrixView<float> x) const override { activations_->roundInput(inputGroup, x); }
    bool roundsToBytes(int inputGroup) const override { return activations_ && activations_->roundsToBytes(inputGroup); }
    bool roundsCache(BlockIndex) const override { return cache_ != nullptr; }
    std::int64_t cacheRun(BlockIndex, std::int64_t seen, std::int64_t most) const override { return cache_->run(seen, most); }
    void roundCache(BlockIndex block, MatrixView<float> keys, MatrixView<float> values, std::int64_t seen) const override {
        cache_->round(block, keys, values, seen);
    }

private:
    std::shared_ptr<const ActivationRounding> activations_;
    std::shared_ptr<const CacheRounding> cache_;
};

/// Changes nothing, and remembers how large keys and values were.
class RangeRecorder final : public RuntimeRounding {
public:
    explicit RangeRecorder(int blocks) {
        ranges_.keys.assign(static_cast<std::size_t>(blocks), 0.0f);
        ranges_.values = ranges_.keys;
    }
    bool roundsInput(int) const override { return false; }
    void roundInput(int, MatrixView<float>) const override {}
    bool roundsCache(BlockIndex) const override { return true; }
    std::int64_t cacheRun(BlockIndex, std::int64_t, std::int64_t most) const override { return most; }
    void roundCache(BlockIndex block, MatrixView<float> keys, MatrixView<float> values, std::int64_t seen) const override {
        const auto b = static_cast<std::size_t>(block.value());
        for (std::int64_t r = seen; r < keys.rows; ++r) {
            const float k = largestMagnitude(keys.rowSpan(r)), v = largestMagnitude(values.rowSpan(r));
            const std::lock_guard lock(mutex_);
            ranges_.keys[b] = std::max(ranges_.keys[b], k);
            ranges_.values[b] = std::max(ranges_.values[b], v);
        }
    }
    CacheRanges ranges() const { return ranges_; }

private:
    mutable std::mutex mutex_;
    mutable CacheRanges ranges_; // maxima: the same whoever comes first
};

} // namespace

CacheRanges cacheRanges(const Model& model, const Windows& windows, JobContext& job) {
    const auto recorder = std::make_shared<RangeRecorder>(model.config().blocks);
    const RoundedAtRunTime source(recorder);
    walkBlocks(model, windows, &source, nullptr, job);
    return recorder->ranges();
}

CacheRounding::CacheRounding(const ModelConfig& config, const CacheScheme& scheme, CacheRanges ranges) : scheme_(scheme), ranges_(std::move(ranges)) {
    for (CacheScheme::Part* part : {&scheme_.keys, &scheme_.values}) {
        if (part->grid == CacheScheme::Grid::stored) {
            const StorageTypeInfo& info = storageTypeInfo(part->type);
            if (config.kvWidth() % info.blockElements != 0)
                throw Error(ErrorCode::usage, fmt::format("cache type {}: blocks of {} do not divide the {} channels of this model's keys", info.name, info.blockElements, config.kvWidth()),
                            "Use a scheme with groups of its own, like kv8:token.");
        }
        if (part->scope == CacheScheme::Scope::token && part->group == 0) part->group = config.headDim;
    }
    const auto blocks = static_cast<std::size_t>(config.blocks);
    if (scheme_.isStatic() && (ranges_.keys.size() != blocks || ranges_.values.size() != blocks))
        throw Error(ErrorCode::usage, fmt::format("{} has a static scale, and no calibration says how large keys and values are", scheme.text()), "Calibrate on text, or use a scale per token.");
}

std::int64_t CacheRounding::settled(const CacheScheme::Part& part, std::int64_t length) const {
    if (part.grid == CacheScheme::Grid::none) return 0;
    const std::int64_t left = std::max<std::int64_t>(0, length - scheme_.recent), group = part.immediate() ? 1 : part.group;
    return left / group * group;
}

std::int64_t CacheRounding::run(std::int64_t seen, std::int64_t most) const {
    std::int64_t count = most;
    for (const CacheScheme::Part* part : {&scheme_.keys, &scheme_.values}) {
        // Rows that are rounded as they come are never read in another state.
        if (part->grid == CacheScheme::Grid::none || (part->immediate() && scheme_.recent == 0)) continue;
        const std::int64_t group = part->immediate() ? 1 : part->group;
        const std::int64_t next = settled(*part, seen + 1) + group + scheme_.recent; // length at which the next rows settle
        count = std::min(count, std::max<std::int64_t>(1, next - 1 - seen));
    }
    return count;
}

void CacheRounding::roundPart(const CacheScheme::Part& part, float largest, MatrixView<float> rows, std::int64_t seen) const {
    if (part.grid == CacheScheme::Grid::none) return;
    if (!part.immediate() || scheme_.recent > 0)
        for (std::int64_t r = seen; r < rows.rows; ++r) roundToHalf(rows.rowSpan(r));
    const std::int64_t from = settled(part, seen), to = settled(part, rows.rows);
    const RuntimeGrid grid = gridOf(part);
    if (part.scope == CacheScheme::Scope::channel && part.grid != CacheScheme::Grid::stored) {
        for (std::int64_t first = from; first < to; first += part.group) roundColumns(rows.middleRows(first, part.group), grid);
        return;
    }
    std::vector<std::byte> bytes;
    for (std::int64_t r = from; r < to; ++r) {
        const std::span<float> row = rows.rowSpan(r);
        if (part.grid == CacheScheme::Grid::stored) roundStored(row, part.type, bytes);
        else if (part.scope == CacheScheme::Scope::unit) roundSymmetric(row, 1.0f, grid);
        else if (part.scope == CacheScheme::Scope::tensor) roundSymmetric(row, largest / grid.top(), grid);
        else
            for (std::size_t first = 0; first < row.size(); first += static_cast<std::size_t>(part.group))
                roundGroup(row.subspan(first, std::min(static_cast<std::size_t>(part.group), row.size() - first)), grid);
    }
}

void CacheRounding::round(BlockIndex block, MatrixView<float> keys, MatrixView<float> values, std::int64_t seen) const {
    const auto b = static_cast<std::size_t>(block.value());
    roundPart(scheme_.keys, ranges_.keys.empty() ? 0.0f : ranges_.keys.at(b), keys, seen);
    roundPart(scheme_.values, ranges_.values.empty() ? 0.0f : ranges_.values.at(b), values, seen);
}

std::shared_ptr<const RuntimeRounding> makeRuntimeRounding(std::shared_ptr<const ActivationRounding> activations, std::shared_ptr<const CacheRounding> cache) {
    if (activations && activations->scheme().empty()) activations = nullptr;
    if (cache && cache->scheme().empty()) cache = nullptr;
    if (!activations && !cache) return nullptr;
    return std::make_shared<Joined>(std::move(activations), std::move(cache));
}

} // namespace bw
