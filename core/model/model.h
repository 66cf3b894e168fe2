// SPDX-License-Identifier: GPL-3.0-or-later
// A decoder-only transformer that is run block by block: weights of a block are materialised from the checkpoint when
// it is visited. Start reading here, then walk.h. Not for: whole-model memory, quantizing, text.
#pragma once

#include "core/base/job.h"
#include "core/base/matrix.h"
#include "core/checkpoint/checkpoint.h"
#include "core/compute/device.h"
#include "core/model/site.h"

#include <functional>
#include <memory>
#include <vector>

namespace bw {

/// Replaces weights while they are materialised: a quantized model is the checkpoint plus one of these.
class WeightSource {
public:
    virtual ~WeightSource() = default;
    /// `weight` (O×I) holds the checkpoint's values; change it in place or leave it. Called from one thread per site.
    virtual void apply(const Site& site, MatrixView<float> weight) const = 0;
};

/// The f32 weights of one block, ready to multiply.
struct BlockWeights {
    BlockIndex block;
    std::vector<float> attnNorm, ffnNorm;
    std::vector<Matrix> owned;               ///< f32 values, in the order q k v output gate up down
    DeviceWeightPtr q, k, v, output, gate, up, down;
    std::uint64_t bytes = 0;
};
using BlockWeightsPtr = std::shared_ptr<const BlockWeights>;

/// Final norm and output matrix (tied to the embedding or not).
struct HeadWeights {
    std::vector<float> norm;
    Matrix owned;
    DeviceWeightPtr output;
};
using HeadWeightsPtr = std::shared_ptr<const HeadWeights>;

/// Keys and values of one sequence, all blocks, f32; grows up to `capacity` tokens.
class KvCache {
public:
    KvCache(std::int64_t blocks, std::int64_t kvWidth, std::int64_t capacity);
    std::int64_t length() const { return length_; }
    std::int64_t capacity() const { return capacity_; }
    void setLength(std::int64_t length) { length_ = length; }
    MatrixView<float> keys(BlockIndex block, std::int64_t count);
    MatrixView<float> values(BlockIndex block, std::int64_t count);

private:
    std::int64_t kvWidth_, capacity_, length_ = 0;
    std::vector<Matrix> keys_, values_;
};

/// Sees the activations that enter a group of sites, for every window, in block order. `x` is T×I, valid during the call.
class ActivationObserver {
public:
    virtual ~ActivationObserver() = default;
    virtual void onInput(int inputGroup, std::int64_t window, MatrixView<const float> x) = 0;
};

/// Sites that read the same activations.
struct InputGroup {
    std::string name;          ///< "blk.3.attn_in", "blk.3.attn_output_in", "blk.3.ffn_in", "blk.3.ffn_down_in", "output_in"
    BlockIndex block{-1};
    std::int64_t width = 0;    ///< I
    std::vector<SiteId> sites;
};

class Model {
public:
    ~Model();
    /// @throws Error unsupportedModel, tensorMissing, shapeMismatch (names both shapes).
    static std::shared_ptr<const Model> open(std::shared_ptr<const Checkpoint> checkpoint, std::shared_ptr<Device> device);

    const Checkpoint& checkpoint() const;
    std::shared_ptr<const Checkpoint> checkpointPtr() const;
    const ModelConfig& config() const;
    Device& device() const;
    /// token_embd first, then blk.N.* in the order q k v attn_output gate up down, `output` last when not tied.
    const std::vector<Site>& sites() const;
    const std::vector<InputGroup>& inputGroups() const;
    const Site& site(SiteId id) const;
    const Site* findSite(std::string_view name) const;
    /// f32 weight of a site (checkpoint's values, then `source` if any).
    Matrix siteWeight(const Site& site, const WeightSource* source = nullptr) const;

    BlockWeightsPtr loadBlock(BlockIndex block, const WeightSource* source = nullptr) const;
    HeadWeightsPtr loadHead(const WeightSource* source = nullptr) const;
    /// Rows of token_embd for `ids` into x T×C; with `source` the embedding's replacement is used.
    /// An `Embedding` holds the (replaced) table once for many calls.
    class Embedding;
    std::shared_ptr<const Embedding> loadEmbedding(const WeightSource* source = nullptr) const;
    void embed(const Embedding& table, std::span<const TokenId> ids, MatrixView<float> x) const;

    /// Runs one block in place over the T×C hidden states of one window (`cache` null) or of the next T tokens of a
    /// sequence (`cache` given: position0 = cache->length(), its length is advanced by the caller after the last block).
    void runBlock(const BlockWeights& weights, MatrixView<float> x, KvCache* cache, ActivationObserver* observer,
                  std::int64_t window) const;
    /// Runs one block in place over several whole windows at once: x holds (B·T)×C, T = `windowLength`. The linears see
    /// all rows in one product, which pays for reading the weights; attention stays inside each window. Results equal
    /// those of runBlock() window by window up to f32 rounding. `observer` is called per window, numbered from
    /// `firstWindow`; `job` (may be null) is asked for a stop between the products.
    void runBlockWindows(const BlockWeights& weights, MatrixView<float> x, std::int64_t windowLength,
                         ActivationObserver* observer, std::int64_t firstWindow, JobContext* job = nullptr) const;
    /// How many windows of this length runBlockWindows() should be given: few enough that activations take ≤ 64 MiB.
    std::int64_t batchWindows(std::int64_t windowLength) const;
    /// Final norm and head: x T×C → logits T×V. `observer` sees the input of `output` (group "output_in").
    void logits(const HeadWeights& head, MatrixView<const float> x, MatrixView<float> out,
                ActivationObserver* observer = nullptr, std::int64_t window = 0) const;

private:
    Model();
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

class Model::Embedding {
public:
    Matrix table; ///< empty: rows are read from the checkpoint as needed
};

} // namespace bw
