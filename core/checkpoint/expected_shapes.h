// SPDX-License-Identifier: GPL-3.0-or-later
// The tensors that a configuration asks for: what opening a checkpoint compares and what the forward pass insists on.
#pragma once

#include "core/checkpoint/model_config.h"

#include <functional>
#include <string>
#include <vector>

namespace bw {

struct ExpectedShape {
    std::string canonical;
    std::vector<std::int64_t> shape;
};

/// All tensors of the forward pass. @param has whether the checkpoint holds a tensor of this canonical name: decides
/// between stacked experts ("blk.3.ffn_up_exps.weight" {E, O, I}), stacks of gate and up together
/// ("blk.3.ffn_gate_up_exps.weight" {E, 2·O, I}) and one tensor per expert ("blk.3.ffn_up.e5.weight"), and whether
/// optional biases and the head count.
std::vector<ExpectedShape> expectedShapes(const ModelConfig& config, const std::function<bool(const std::string&)>& has);

/// Equal but for leading dimensions of 1: {1, C} and {C} hold the same.
bool sameShape(const std::vector<std::int64_t>& a, const std::vector<std::int64_t>& b);

} // namespace bw
