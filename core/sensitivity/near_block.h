// SPDX-License-Identifier: GPL-3.0-or-later
// A block that remembers what its linears made of one run's states, so that runs which differ little from it multiply
// their differences only (core/compute/half_product.h). Private to core/sensitivity.
#pragma once

#include "core/compute/half_product.h"
#include "core/model/model.h"

namespace bw::detail {

/// Whether differences are worth it on this device: a CPU with bf16 products.
bool canUseNearBlocks(const Model& model);
/// Bytes that a block keeps of each token it has learned, and of each of its weights beside the f32 values.
std::uint64_t nearBytesPerToken(const Model& model);
inline constexpr std::uint64_t kNearBytesPerWeight = 2;

/// One linear that knows its product with some inputs. Where nothing is known, the product is the plain one.
class NearWeight final : public HostWeight {
public:
    /// Which input the next product is near to, and whether it is to be remembered as that. `run` counts up with every
    /// run of other states: within one, linears that read the same input share its difference.
    struct Cursor { std::size_t group = 0; bool learning = false; std::int64_t run = 0; };
    struct Inputs {
        std::vector<Matrix> x; ///< by group
        HalfDifference difference;
        std::int64_t run = -1; ///< that `difference` is of
    };

    /// @param exact  the weight as prepared by `device`, whose numbers outlive this.
    /// @param first  the first of the linears that read `inputs`: it keeps them.
    NearWeight(Device& device, DeviceWeightPtr exact, const Cursor& cursor, Inputs& inputs, bool first);
    void multiply(MatrixView<const float> x, MatrixView<float> y, bool add) const override;
    bool knows(std::size_t group) const { return group < known_.size() && known_[group].size() > 0; }
    void forget() { known_.clear(); }

private:
    void learn(MatrixView<const float> x, MatrixView<float> y, bool add) const;

    Device& device_;
    DeviceWeightPtr exact_;
    HalfPanels panels_;
    const Cursor& cursor_;
    Inputs& inputs_;
    bool first_;
    mutable std::vector<Matrix> known_; ///< by group
};

/// Not for several threads at once: it knows which group is being run.
class NearBlock {
public:
    /// Experts stay plain: which tokens they see differs from run to run.
    NearBlock(const Model& model, BlockWeightsPtr full);
    NearBlock(const NearBlock&) = delete;
    NearBlock& operator=(const NearBlock&) = delete;

    BlockWeightsPtr weights() const { return {full_, &near_}; }
    /// Runs whole windows in f32 and remembers them as `group`; x becomes the block's output.
    void learn(std::size_t group, MatrixView<float> x, std::int64_t windowLength, JobContext& job);
    bool knows(std::size_t group) const;
    /// The next run, one call of runBlockWindows(), is near to `group`.
    void use(std::size_t group) { cursor_ = {group, false, cursor_.run + 1}; }
    void forget();

private:
    const Model& model_;
    BlockWeightsPtr full_;
    BlockWeights near_;
    NearWeight::Cursor cursor_;
    std::vector<std::unique_ptr<NearWeight::Inputs>> inputs_;
    std::vector<std::shared_ptr<NearWeight>> linears_;
};

} // namespace bw::detail
