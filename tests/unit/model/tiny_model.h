// SPDX-License-Identifier: GPL-3.0-or-later
// A random Llama of a few thousand weights in a temporary folder, opened on the CPU.
#pragma once

#include "core/compute/cpu_device.h"
#include "core/model/walk.h"
#include "tests/support/random_llama.h"
#include "tests/support/temp_folder.h"

#include <algorithm>

namespace bw::test {

struct TinyModel {
    explicit TinyModel(const RandomLlama& shape = {}) {
        shape.write(folder.path());
        model = Model::open(Checkpoint::open(folder.path().string()), makeCpuDevice());
    }
    TempFolder folder;
    std::shared_ptr<const Model> model;
};

inline Windows randomWindows(std::int64_t count, std::int64_t length, std::int64_t vocabulary = 50) {
    Windows windows{count, length, {}};
    Random random(99);
    for (std::int64_t i = 0; i < count * length; ++i)
        windows.ids.push_back(static_cast<TokenId>(random.below(static_cast<std::uint64_t>(vocabulary))));
    return windows;
}

/// Logits of every position of every window.
inline std::vector<float> allLogits(const Model& model, const Windows& windows, const WeightSource* source = nullptr) {
    JobContext job;
    std::vector<float> all;
    const ScratchMatrix states = walkBlocks(model, windows, source, nullptr, job);
    walkHead(model, windows, states.view(), source, job, [&](std::int64_t, MatrixView<const float> logits) {
        for (std::int64_t t = 0; t < logits.rows; ++t) {
            const auto row = logits.rowSpan(t);
            all.insert(all.end(), row.begin(), row.end());
        }
    });
    return all;
}

inline float worstDifference(std::span<const float> a, std::span<const float> b) {
    float worst = a.size() == b.size() ? 0.0f : INFINITY;
    for (std::size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
        const float gap = std::abs(a[i] - b[i]);
        worst = std::isnan(gap) ? INFINITY : std::max(worst, gap);
    }
    return worst;
}

/// Logits of these models are of size 1 to 4 and pass some 20 operations of eps = 1.2e-7 each: another order of the
/// same sums moves them by about 1e-6; a wrong weight, position or mask by more than 1e-2.
constexpr float kRoundOff = 2e-5f;

} // namespace bw::test
