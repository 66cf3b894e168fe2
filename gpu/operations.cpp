// SPDX-License-Identifier: GPL-3.0-or-later
#include "gpu/operations.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace bw::vk {
namespace {

constexpr std::uint32_t kMostGroups = 65535; ///< that every device can do

std::uint32_t u32(std::int64_t value) { return static_cast<std::uint32_t>(value); }

template <class Push>
std::span<const std::byte> bytesOf(const Push& push) {
    return std::as_bytes(std::span(&push, 1));
}

std::uint32_t groupsFor(std::int64_t threads, std::int64_t inGroup) {
    return static_cast<std::uint32_t>(std::clamp<std::int64_t>((threads + inGroup - 1) / inGroup, 1, kMostGroups));
}

/// Operations that transcendental functions count for in a submit's work.
constexpr double kPerValue = 20;

/// Rows that one submit should make at most, and a binding can hold; 0: not even one.
std::int64_t rowsAtOnce(const Stream& work, std::int64_t inBinding, double rowWork) {
    const auto affordable = static_cast<std::int64_t>(std::clamp(work.affordable() / std::max(1.0, rowWork), 1.0, 1e9));
    return std::min(inBinding, affordable);
}

} // namespace

Map mapOf(Activation f) {
    switch (f) {
    case Activation::silu: return Map::silu;
    case Activation::geluTanh: return Map::geluTanh;
    case Activation::geluErf: return Map::geluErf;
    }
    return Map::silu;
}

const Kernel& Operations::kernel(ShaderName name, std::uint32_t constant) {
    auto& kernel = kernels_[{name, constant}];
    if (!kernel) kernel = std::make_unique<Kernel>(context_, shaderCode(name), std::vector<std::uint32_t>{constant});
    return *kernel;
}

VkResult Operations::norm(const Located& x, std::span<const float> weight, std::span<const float> bias, bool layer, float epsilon,
                          const Located& y) {
    struct Push {
        std::uint32_t rows, cols, xAt, xStride, yAt, yStride, wAt, bAt, layer, hasBias;
        float epsilon;
    };
    const Kernel& shader = kernel(ShaderName::norm);
    const std::int64_t atOnce = rowsAtOnce(work_, std::min(rowsInBinding(context_, x), rowsInBinding(context_, y)), kPerValue * static_cast<double>(x.cols));
    std::vector<float> both(weight.begin(), weight.end());
    both.insert(both.end(), bias.begin(), bias.end());
    if (atOnce == 0) return VK_ERROR_OUT_OF_DEVICE_MEMORY;
    for (std::int64_t row = 0; row < x.rows; row += atOnce) {
        const Located from = x.middleRows(row, std::min(atOnce, x.rows - row)), to = y.middleRows(row, from.rows);
        Slice constants;
        if (const VkResult result = work_.constants(both, constants); result != VK_SUCCESS) return result;
        const Bound a = bound(context_, from), b = bound(context_, to);
        const Push push{u32(from.rows), u32(x.cols), a.at, u32(x.stride), b.at, u32(y.stride), 0, u32(x.cols), layer ? 1u : 0u,
                        bias.empty() ? 0u : 1u, epsilon};
        const std::array<Slice, 3> bindings{a.slice, constants, b.slice};
        const VkResult result = work_.dispatch(shader, bindings, bytesOf(push), groupsFor(from.rows, 1), 1,
                                               kPerValue * static_cast<double>(from.rows * from.cols));
        if (result != VK_SUCCESS) return result;
    }
    return VK_SUCCESS;
}

VkResult Operations::ropeTable(const RopeShape& shape, std::int64_t positions, const RopeTable*& table) {
    constexpr std::size_t kKept = 8; // a model has at most two; comparisons mix models
    const auto known = std::find_if(ropes_.begin(), ropes_.end(), [&](const auto& t) {
        return t->scale == shape.scale && std::ranges::equal(t->frequencies, shape.frequencies);
    });
    if (known != ropes_.end() && (*known)->positions >= positions) {
        table = known->get();
        return VK_SUCCESS;
    }
    // Grown by doubling, so that a generation does not compute a table for every token.
    const std::int64_t wanted = known != ropes_.end() ? std::max(positions, 2 * (*known)->positions) : std::max<std::int64_t>(positions, 512);
    if (known != ropes_.end() || ropes_.size() == kKept) {
        if (const VkResult result = work_.finish(); result != VK_SUCCESS) return result; // it may be in use
        ropes_.erase(known != ropes_.end() ? known : ropes_.begin());
    }
    auto made = std::make_unique<RopeTable>();
    made->frequencies.assign(shape.frequencies.begin(), shape.frequencies.end());
    made->scale = shape.scale;
    made->positions = wanted;
    std::vector<float> turns;
    turns.reserve(static_cast<std::size_t>(wanted) * shape.frequencies.size() * 2);
    for (std::int64_t p = 0; p < wanted; ++p)
        for (const float frequency : shape.frequencies) {
            // Rounded as on the CPU: the angle to f32, its sine and cosine from f64.
            const auto angle = static_cast<double>(static_cast<float>(p) * frequency);
            turns.push_back(static_cast<float>(std::cos(angle)) * shape.scale);
            turns.push_back(static_cast<float>(std::sin(angle)) * shape.scale);
        }
    const auto bytes = std::as_bytes(std::span<const float>(turns));
    if (bytes.size() > context_.bindingBytes()) return VK_ERROR_OUT_OF_DEVICE_MEMORY;
    VkResult result = made->buffer.create(context_, bytes.size(), Placement::device);
    if (result == VK_SUCCESS) result = work_.upload(bytes, {made->buffer.handle(), 0, bytes.size()});
    ropes_.push_back(std::move(made));
    table = ropes_.back().get();
    if (result != VK_SUCCESS) ropes_.back()->positions = 0; // not to be used
    return result;
}

VkResult Operations::rope(const Located& x, const RopeShape& shape, std::int64_t position0) {
    struct Push { std::uint32_t rows, heads, headDim, pairs, xAt, xStride, position0; };
    const auto pairs = static_cast<std::int64_t>(shape.frequencies.size());
    const std::int64_t heads = x.cols / shape.headDim, atOnce = rowsAtOnce(work_, rowsInBinding(context_, x), kPerValue * static_cast<double>(heads * pairs));
    if (atOnce == 0) return VK_ERROR_OUT_OF_DEVICE_MEMORY;
    if (pairs == 0) return VK_SUCCESS;
    const Kernel& shader = kernel(ShaderName::rope);
    const RopeTable* table = nullptr;
    if (const VkResult result = ropeTable(shape, position0 + x.rows, table); result != VK_SUCCESS) return result;
    for (std::int64_t row = 0; row < x.rows; row += atOnce) {
        const Located part = x.middleRows(row, std::min(atOnce, x.rows - row));
        const Bound a = bound(context_, part);
        const Push push{u32(part.rows), u32(heads), u32(shape.headDim), u32(pairs), a.at, u32(x.stride), u32(position0 + row)};
        const std::array<Slice, 2> bindings{a.slice, Slice{table->buffer.handle(), 0, table->buffer.bytes()}};
        const std::int64_t threads = part.rows * heads * pairs;
        if (const VkResult result = work_.dispatch(shader, bindings, bytesOf(push), groupsFor(threads, 64), 1, kPerValue * static_cast<double>(threads));
            result != VK_SUCCESS)
            return result;
    }
    return VK_SUCCESS;
}

VkResult Operations::mapRows(Map f, const Located& x, const Slice& other, std::uint32_t yAt, std::uint32_t yStride, bool multiplies, float value) {
    struct Push {
        std::uint32_t rows, cols, xAt, xStride, yAt, yStride, multiplies;
        float value;
    };
    const Bound a = bound(context_, x);
    const Push push{u32(x.rows), u32(x.cols), a.at, u32(x.stride), yAt, yStride, multiplies ? 1u : 0u, value};
    const std::array<Slice, 2> bindings{a.slice, other.buffer ? other : a.slice};
    const std::int64_t values = x.rows * x.cols;
    return work_.dispatch(kernel(ShaderName::map, static_cast<std::uint32_t>(f)), bindings, bytesOf(push), groupsFor(values, 128), 1,
                          kPerValue * static_cast<double>(values));
}

VkResult Operations::map(Map f, const Located& x, const Located* y, float value) {
    const std::int64_t inBinding = std::min(rowsInBinding(context_, x), y ? rowsInBinding(context_, *y) : x.rows);
    const std::int64_t atOnce = rowsAtOnce(work_, inBinding, kPerValue * static_cast<double>(x.cols));
    if (atOnce == 0) return VK_ERROR_OUT_OF_DEVICE_MEMORY;
    for (std::int64_t row = 0; row < x.rows; row += atOnce) {
        const std::int64_t rows = std::min(atOnce, x.rows - row);
        const Bound b = y ? bound(context_, y->middleRows(row, rows)) : Bound{};
        const VkResult result = mapRows(f, x.middleRows(row, rows), b.slice, b.at, y ? u32(y->stride) : 0, y != nullptr, value);
        if (result != VK_SUCCESS) return result;
    }
    return VK_SUCCESS;
}

VkResult Operations::addRow(const Located& x, std::span<const float> row) {
    const std::int64_t atOnce = rowsAtOnce(work_, rowsInBinding(context_, x), kPerValue * static_cast<double>(x.cols));
    if (atOnce == 0) return VK_ERROR_OUT_OF_DEVICE_MEMORY;
    for (std::int64_t first = 0; first < x.rows; first += atOnce) {
        Slice constants;
        VkResult result = work_.constants(row, constants);
        if (result == VK_SUCCESS) result = mapRows(Map::add, x.middleRows(first, std::min(atOnce, x.rows - first)), constants, 0, 0, false, 0);
        if (result != VK_SUCCESS) return result;
    }
    return VK_SUCCESS;
}

VkResult Operations::score(const Located& logits, const Slice& targets, const Slice& words) {
    struct Push { std::uint32_t rows, cols, xAt, xStride, row0; };
    const Kernel& shader = kernel(ShaderName::score);
    const std::int64_t atOnce = rowsInBinding(context_, logits);
    if (atOnce == 0) return VK_ERROR_OUT_OF_DEVICE_MEMORY;
    // Ten looks for the largest and one for the sum.
    const double rowWork = (RowScore::kLargest + kPerValue) * static_cast<double>(logits.cols);
    for (std::int64_t row = 0; row < logits.rows;) {
        const auto affordable = static_cast<std::int64_t>(std::max(1.0, work_.affordable() / rowWork));
        const Located part = logits.middleRows(row, std::min({atOnce, affordable, logits.rows - row}));
        const Bound a = bound(context_, part);
        const Push push{u32(part.rows), u32(part.cols), a.at, u32(part.stride), u32(row)};
        const std::array<Slice, 3> bindings{a.slice, targets, words};
        if (const VkResult result = work_.dispatch(shader, bindings, bytesOf(push), groupsFor(part.rows, 1), 1, rowWork * static_cast<double>(part.rows));
            result != VK_SUCCESS)
            return result;
        row += part.rows;
    }
    return VK_SUCCESS;
}

VkResult Operations::pick(const Located& x, std::int64_t each, const Slice& columns, const Slice& values) {
    struct Push { std::uint32_t rows, cols, xAt, xStride, row0, each; };
    const Kernel& shader = kernel(ShaderName::pick);
    const std::int64_t atOnce = rowsAtOnce(work_, rowsInBinding(context_, x), static_cast<double>(each));
    if (atOnce == 0) return VK_ERROR_OUT_OF_DEVICE_MEMORY;
    for (std::int64_t row = 0; row < x.rows; row += atOnce) {
        const Located part = x.middleRows(row, std::min(atOnce, x.rows - row));
        const Bound a = bound(context_, part);
        const Push push{u32(part.rows), u32(part.cols), a.at, u32(part.stride), u32(row), u32(each)};
        const VkResult result = work_.dispatch(shader, std::array{a.slice, columns, values}, bytesOf(push), groupsFor(part.rows * each, 64), 1, static_cast<double>(part.rows * each));
        if (result != VK_SUCCESS) return result;
    }
    return VK_SUCCESS;
}

VkResult Operations::divergence(const Located& base, const Located& other, const Slice& sums) {
    struct Push { std::uint32_t rows, cols, aAt, aStride, bAt, bStride, row0; };
    const Kernel& shader = kernel(ShaderName::divergence);
    const std::int64_t atOnce = std::min(rowsInBinding(context_, base), rowsInBinding(context_, other));
    if (atOnce == 0) return VK_ERROR_OUT_OF_DEVICE_MEMORY;
    const double rowWork = 2 * kPerValue * static_cast<double>(base.cols);
    for (std::int64_t row = 0; row < base.rows;) {
        const auto affordable = static_cast<std::int64_t>(std::max(1.0, work_.affordable() / rowWork));
        const std::int64_t rows = std::min({atOnce, affordable, base.rows - row});
        const Bound a = bound(context_, base.middleRows(row, rows)), b = bound(context_, other.middleRows(row, rows));
        const Push push{u32(rows), u32(base.cols), a.at, u32(base.stride), b.at, u32(other.stride), u32(row)};
        const std::array<Slice, 3> bindings{a.slice, b.slice, sums};
        if (const VkResult result = work_.dispatch(shader, bindings, bytesOf(push), groupsFor(rows, 1), 1, rowWork * static_cast<double>(rows));
            result != VK_SUCCESS)
            return result;
        row += rows;
    }
    return VK_SUCCESS;
}

VkResult Operations::gram(const Located& x, const Located& g) {
    struct Push { std::uint32_t tokens, channels, xAt, xStride, gAt, gStride, gRow0, colBegin, rowBegin, rowEnd; };
    constexpr std::int64_t kTile = 64;
    const std::int64_t inBinding = rowsInBinding(context_, g) / kTile * kTile;
    if (rowsInBinding(context_, x) < x.rows || inBinding == 0) return VK_ERROR_OUT_OF_DEVICE_MEMORY;
    const Kernel& shader = kernel(ShaderName::gram);
    const Bound a = bound(context_, x);
    const double tileWork = 2.0 * kTile * kTile * static_cast<double>(x.rows);
    const auto tiles = [](std::int64_t count) { return (count + kTile - 1) / kTile; };
    for (std::int64_t first = 0; first < g.rows; first += inBinding) {
        const Located part = g.middleRows(first, std::min(inBinding, g.rows - first));
        const Bound b = bound(context_, part);
        const std::array<Slice, 2> bindings{a.slice, b.slice};
        const std::int64_t columnTiles = tiles(std::min(first + part.rows, g.cols)); // that are not all above the diagonal
        for (std::int64_t row = 0, rowTiles = 1; row < part.rows; row += rowTiles * kTile) {
            for (std::int64_t column = 0; column < columnTiles;) {
                const std::int64_t affordable = std::min<std::int64_t>(kMostGroups, rowsAtOnce(work_, tiles(g.cols) * tiles(g.rows), tileWork));
                const std::int64_t columns = std::min(affordable, columnTiles - column);
                // Rows are taken together only when all of their columns fit one submit.
                if (column == 0) rowTiles = columns == columnTiles ? std::clamp<std::int64_t>(affordable / columns, 1, tiles(part.rows - row)) : 1;
                const std::int64_t last = std::min(row + rowTiles * kTile, part.rows);
                const Push push{u32(x.rows), u32(x.cols), a.at, u32(x.stride), b.at, u32(g.stride), u32(first), u32(column * kTile), u32(first + row), u32(first + last)};
                const VkResult result = work_.dispatch(shader, bindings, bytesOf(push), u32(columns), u32(rowTiles), tileWork * static_cast<double>(columns * rowTiles));
                if (result != VK_SUCCESS) return result;
                column += columns;
            }
        }
    }
    return VK_SUCCESS;
}

VkResult Operations::attention(const Located& q, const Located& k, const Located& v, const AttentionShape& shape, const Located& out) {
    struct Push {
        std::uint32_t tokens, firstQuery, position0, headsPerKv, headDim, window;
        float scale, softCap;
        std::uint32_t firstHead, qAt, qStride, kAt, kStride, vAt, vStride, oAt, oStride;
    };
    const auto fits = [&](const Located& m) { return rowsInBinding(context_, m) >= m.rows; };
    if (shape.headDim > kMostChannels || !fits(q) || !fits(k) || !fits(v) || !fits(out)) return VK_ERROR_OUT_OF_DEVICE_MEMORY;
    const Kernel& shader = kernel(ShaderName::attention);
    constexpr std::int64_t kQueries = 8;
    const Bound a = bound(context_, q), b = bound(context_, k), c = bound(context_, v), d = bound(context_, out);
    const std::array<Slice, 4> bindings{a.slice, b.slice, c.slice, d.slice};
    const float scale = shape.scale > 0 ? shape.scale : 1.0f / std::sqrt(static_cast<float>(shape.headDim));
    const auto tileWork = [&](std::int64_t query) { // of a head: later queries see more keys
        std::int64_t keys = shape.position0 + std::min(query + kQueries, q.rows);
        if (shape.window > 0) keys = std::min(keys, shape.window + kQueries);
        return 4.0 * static_cast<double>(kQueries * keys * shape.headDim);
    };
    for (std::int64_t first = 0, tiles = 1; first < q.rows; first += tiles * kQueries) {
        const std::int64_t heads = std::min(shape.heads, rowsAtOnce(work_, kMostGroups, tileWork(first)));
        const auto share = static_cast<double>(heads);
        double made = tileWork(first) * share;
        // Tiles are taken together only when all of their heads fit one submit.
        for (tiles = 1; heads == shape.heads && first + tiles * kQueries < q.rows && tiles < kMostGroups; ++tiles) {
            const double more = tileWork(first + tiles * kQueries) * share;
            if (made + more > work_.affordable()) break;
            made += more;
        }
        for (std::int64_t head = 0; head < shape.heads; head += heads) {
            const Push push{u32(q.rows), u32(first), u32(shape.position0), u32(shape.heads / shape.kvHeads), u32(shape.headDim), u32(shape.window),
                            scale, shape.softCap, u32(head), a.at, u32(q.stride), b.at, u32(k.stride), c.at, u32(v.stride), d.at, u32(out.stride)};
            const VkResult result = work_.dispatch(shader, bindings, bytesOf(push), u32(tiles), u32(std::min(heads, shape.heads - head)), made);
            if (result != VK_SUCCESS) return result;
        }
    }
    return VK_SUCCESS;
}

} // namespace bw::vk
