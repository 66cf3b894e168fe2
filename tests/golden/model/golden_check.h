// SPDX-License-Identifier: GPL-3.0-or-later
// Compares a model's forward pass with stored reference values (golden.json and its .npy files; layout described in
// tests/data/golden/README.md) and reports the largest differences. Not for: deciding what difference is allowed.
#pragma once

#include "core/base/json.h"
#include "core/model/walk.h"

#include <string>

namespace bw::test {

struct GoldenReport {
    double logits = 0;         ///< largest |difference| over the last eight positions
    double logProbability = 0; ///< of each next token
    double hiddenNorm = 0;     ///< relative, per block and position
    double hiddenLast = 0;     ///< |difference| over the norm of the vector, last position of every block
    double topTenGap = 0; ///< by how much a stored top-10 id ranks wrongly, in logits; 0 when the order is the same
    std::int64_t topTenMoved = 0; ///< positions with another order
};

/// `prompt` is one entry of golden.json's "prompts"; `root` the folder above the model's.
GoldenReport checkPrompt(const Model& model, const Json& prompt, const std::string& root);

/// Sum of −log p over positions 1 … T−1 of every window.
std::vector<double> windowNll(const Model& model, const Windows& windows, const WeightSource* source = nullptr);

/// The first `count` windows of `length` ids; with bos ≥ 0 every window starts with it.
Windows cutWindows(const std::vector<TokenId>& ids, std::int64_t count, std::int64_t length, std::int64_t bos);

} // namespace bw::test
