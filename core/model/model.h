// SPDX-License-Identifier: GPL-3.0-or-later
// A decoder-only transformer that is run block by block: weights of a block are materialised from the checkpoint when
// it is visited. Start reading here, then walk.h. Not for: whole-model memory, quantizing, text.
#pragma once

#include "core/base/job.h"
#include "core/base/matrix.h"
#include "core/checkpoint/checkpoint.h"
#include "core/compute/device.h"
#include "core/format/coded_rows.h"
#include "core/model/runtime_rounding.h"
#include "core/model/site.h"

#include <functional>
#include <memory>
#include <optional>
#include <vector>

namespace bw {

/// Replaces weights while they are materialised: a quantized model is the checkpoint plus one of these.
class WeightSource {
public:
    virtual ~WeightSource() = default;
    /// `weight` (O×I) holds the checkpoint's values; change it in place or leave it. Called from one thread per site.
    virtual void apply(const Site& site, MatrixView<float> weight) const = 0;
    /// False: apply() leaves this site as the checkpoint has it.
    virtual bool replaces(const Site&) const { return true; }
    /// What apply() makes of the site, as integer codes, where it has these: a device multiplies from them.
    virtual std::optional<CodedRows> codedRows(const Site&) const { return std::nullopt; }
    /// What is rounded besides weights; null = nothing. Blocks and heads loaded with this source are run with it.
    virtual std::shared_ptr<const RuntimeRounding> rounding() const { return nullptr; }
};

/// One linear of a block. `weight` is null where the family has none, `bias` empty.
struct Linear {
    DeviceWeightPtr weight;
    std::vector<float> bias;
    SiteId site{-1}; ///< that it was loaded for
};
/// A norm's f32 weights, ready to multiply (Gemma's 1 added); `weight` is empty where the family has none.
struct Norm {
    std::vector<float> weight, bias;
};
/// gate is null where `up` holds the gate's rows too, or where there is none.
struct FeedForwardWeights {
    Linear gate, up, down;
};

/// The f32 weights of one block, ready to multiply. Copies share the matrices.
struct BlockWeights {
    BlockIndex block;
    Norm attnNorm, postAttnNorm, ffnNorm, postFfnNorm, qNorm, kNorm;
    Linear qkv, q, k, v, output;             ///< qkv or q, k and v
    FeedForwardWeights feedForward;          ///< of a block without experts, or the expert that every token passes
    std::vector<FeedForwardWeights> experts;
    DeviceWeightPtr router;                  ///< E×C; null without experts
    std::vector<float> sharedGate;           ///< C; the shared expert's output is scaled by σ(sharedGate·x)
    std::vector<std::shared_ptr<const Matrix>> owned; ///< f32 values of all the above, sites in their order first
    std::uint64_t bytes = 0;
    std::shared_ptr<const RuntimeRounding> rounding; ///< of inputs and caches while the block runs; null = none
    /// The linear that a site of this block fills.
    Linear& linear(const Site& site);
};
using BlockWeightsPtr = std::shared_ptr<const BlockWeights>;

/// The output matrix (tied to the embedding or not).
struct HeadWeights {
    Matrix owned;
    DeviceWeightPtr output;
    std::shared_ptr<const RuntimeRounding> rounding; ///< of the head's input; null = none
};
using HeadWeightsPtr = std::shared_ptr<const HeadWeights>;

/// Keys and values of one sequence, all blocks, f32; grows up to `capacity` tokens.
class KvCache {
public:
    /// @param lentTo keeps keys and values of its own (Device::lend), those on the host being as new after every block.
    KvCache(std::int64_t blocks, std::int64_t kvWidth, std::int64_t capacity, std::shared_ptr<Device> lentTo = nullptr);
    ~KvCache();
    KvCache(KvCache&&) = default;
    KvCache& operator=(KvCache&&) = delete;
    /// Tokens in the cache; the next ones stand at this position.
    std::int64_t length() const { return length_; }
    std::int64_t capacity() const { return capacity_; }
    void setLength(std::int64_t length) { length_ = length; }
    MatrixView<float> keys(BlockIndex block, std::int64_t count);
    MatrixView<float> values(BlockIndex block, std::int64_t count);

private:
    std::int64_t kvWidth_, capacity_, length_ = 0;
    MatrixView<float> rowsOf(Matrix& matrix, std::int64_t count);
    std::vector<Matrix> keys_, values_;
    std::shared_ptr<Device> lentTo_;
};

/// Sees the activations that enter a group of sites, for every window, in block order. `x` is T×I, valid during the
/// call; the group of an expert sees the rows of the tokens routed to it, and no call for windows without any.
class ActivationObserver {
public:
    virtual ~ActivationObserver() = default;
    virtual void onInput(int inputGroup, std::int64_t window, MatrixView<const float> x) = 0;
    /// True: x may lie on the model's device alone, and onInput() asks for what it reads on the host (Device::toHost). When the
    /// device fails in its middle (DeviceLost), it is called again for the same group and window.
    virtual bool readsOnDevice() const { return false; }
    /// True: x may hold all windows of a pass below each other, `window` the first of them: one call in place of many. Not so
    /// of the groups of experts.
    virtual bool readsWholePasses() const { return false; }
};

/// Sites that read the same activations.
struct InputGroup {
    /// "blk.3.attn_in", "blk.3.attn_output_in", "blk.3.ffn_in", "blk.3.ffn_down_in", "output_in"; of expert 5
    /// "blk.3.ffn_in.e5" and "blk.3.ffn_down_in.e5"; "blk.3.ffn_down_shexp_in".
    std::string name;
    BlockIndex block{-1};
    std::int64_t width = 0;    ///< I
    std::vector<SiteId> sites;
};

/// What weights of sites count as that are NaN or infinite, as damaged block scales decode to: nothing in their favour, so
/// that whatever runs them ends in Error(nonFinite), or zero.
enum class NonFinite { refuse, zero };

class Model {
public:
    ~Model();
    /// @throws Error unsupportedModel, tensorMissing, shapeMismatch (names both shapes).
    static std::shared_ptr<const Model> open(std::shared_ptr<const Checkpoint> checkpoint, std::shared_ptr<Device> device,
                                             NonFinite nonFinite = NonFinite::refuse);

    /// Opens what cannot be run too: the sites are then all weight matrices, without input groups; rounding each on its
    /// own and exporting work, and whatever needs the forward pass throws requireForward()'s error.
    static std::shared_ptr<const Model> openWeights(std::shared_ptr<const Checkpoint> checkpoint,
                                                    std::shared_ptr<Device> device,
                                                    NonFinite nonFinite = NonFinite::refuse);
    /// @throws Error(unsupportedModel) with the reason when this model was opened for its weights only.
    void requireForward() const;

    const Checkpoint& checkpoint() const;
    std::shared_ptr<const Checkpoint> checkpointPtr() const;
    const ModelConfig& config() const;
    NonFinite nonFinite() const;
    Device& device() const;
    std::shared_ptr<Device> devicePtr() const; ///< for another model on the same device
    /// token_embd first, then blk.N.* in the order q k v attn_output gate up down (experts in order, the shared one
    /// last), `output` last when not tied. Routers and norms are no sites: they are small and decide much.
    const std::vector<Site>& sites() const;
    const std::vector<InputGroup>& inputGroups() const;
    std::span<const Site> blockSites(BlockIndex block) const;
    const Site& site(SiteId id) const;
    const Site* findSite(std::string_view name) const;
    /// f32 weight of a site (checkpoint's values, then `source` if any).
    Matrix siteWeight(const Site& site, const WeightSource* source = nullptr) const;
    /// The weight as the checkpoint stores it, or null: when a source may change it, or the device wants decoded values.
    DeviceWeightPtr prepareStored(const Site& site, const WeightSource* source) const;

    BlockWeightsPtr loadBlock(BlockIndex block, const WeightSource* source = nullptr) const;
    HeadWeightsPtr loadHead(const WeightSource* source = nullptr) const;
    /// Rows of token_embd for `ids` into x T×C; with `source` the embedding's replacement is used.
    /// An `Embedding` holds the (replaced) table once for many calls.
    class Embedding;
    std::shared_ptr<const Embedding> loadEmbedding(const WeightSource* source = nullptr) const;
    /// ids[0] stands at `position0`, which learned positions need.
    void embed(const Embedding& table, std::span<const TokenId> ids, MatrixView<float> x, std::int64_t position0 = 0) const;

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
    /// The final norm: x T×C → the input of `output`, T×C. Needs no head in memory.
    void headInput(MatrixView<const float> x, MatrixView<float> out) const;
    /// Final norm and head: x T×C → logits T×V. `observer` sees the input of `output` (group "output_in").
    void logits(const HeadWeights& head, MatrixView<const float> x, MatrixView<float> out,
                ActivationObserver* observer = nullptr, std::int64_t window = 0) const;
    /// As logits(), but they may lie on the device alone while `use` runs, which asks device() for what it reads on the host
    /// (Device::toHost). `use` runs again, with logits of the CPU, when the device fails in the middle.
    void withLogits(const HeadWeights& head, MatrixView<const float> x, MatrixView<float> out, const std::function<void()>& use,
                    ActivationObserver* observer = nullptr, std::int64_t window = 0) const;

    struct Impl; ///< for the files of core/model
    const Impl& impl() const { return *impl_; }

private:
    Model();
    std::unique_ptr<Impl> impl_;
};

class Model::Embedding {
public:
    Matrix table; ///< empty: rows are read from the checkpoint as needed
};

} // namespace bw
