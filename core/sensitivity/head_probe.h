// SPDX-License-Identifier: GPL-3.0-or-later
// KL(base‖candidate) at a share of the scored positions: base logits kept, candidates' logits made in batches. Private
// to core/sensitivity.
#pragma once

#include "core/base/scratch.h"
#include "core/compute/lent.h"
#include "core/model/walk.h"
#include "core/sensitivity/near_block.h"

#include <optional>

namespace bw::detail {

/// Rows (window·T + position) of a share of the positions that predict a token inside their window, evenly spread over
/// all windows: at least two where there are two.
std::vector<std::int64_t> scoredRows(const Windows& windows, double share);

class HeadProbe {
public:
    HeadProbe(const Model& model, std::vector<std::int64_t> rows, JobContext& job);
    std::int64_t positions() const { return static_cast<std::int64_t>(rows_.size()); }
    /// The logits that everything is compared with. `states` are those of all windows.
    void setBase(const HeadWeights& head, MatrixView<const float> states);
    /// Candidates' states will lie near to these, with this head (whose weights must outlive the probe).
    void setBackground(const HeadWeights& head, MatrixView<const float> states);
    /// Nats at each scored position. @param head  null: the background's.
    std::vector<double> divergences(const HeadWeights* head, MatrixView<const float> states);

private:
    /// Calls use(first, count) for as many rows at a time as logits are kept for.
    void inBatches(const std::function<void(std::int64_t, std::int64_t)>& use);
    void gather(MatrixView<const float> states, std::int64_t first, MatrixView<float> to);

    const Model& model_;
    JobContext& job_;
    std::vector<std::int64_t> rows_;
    std::int64_t batch_ = 1;
    ScratchMatrix base_;
    std::optional<Lent> lentBase_;         ///< a device's copy, where there is room for one
    std::vector<double> baseNorms_;        ///< log Σ exp of each row
    Matrix states_, logits_;               ///< of one batch
    const HeadWeights* background_ = nullptr;
    NearWeight::Cursor cursor_;
    NearWeight::Inputs inputs_;
    HeadWeights near_;                     ///< the background's, which knows its logits; null where that is no gain
};

} // namespace bw::detail
