// SPDX-License-Identifier: GPL-3.0-or-later
// What is done with every checkpoint that opens: everything a person would see of it, and every small tensor decoded.
#pragma once

#include "core/checkpoint/checkpoint.h"
#include "tests/fuzz/fuzz_file.h"

#include <vector>

namespace bw::fuzz {

/// Elements decoded of one tensor: damaged sizes are found by the bounds, not by the amount.
constexpr std::int64_t kMostElements = 1 << 14;

inline void useCheckpoint(const std::string& path) {
    const auto checkpoint = Checkpoint::open(path);
    (void)checkpoint->parameters();
    (void)checkpoint->bitsPerWeight();
    for (const TensorInfo& tensor : checkpoint->tensors()) {
        if (tensor.elements() <= 0 || tensor.cols() > kMostElements) continue;
        const std::int64_t rows = std::min(tensor.rows(), std::max<std::int64_t>(1, kMostElements / tensor.cols()));
        std::vector<float> values(static_cast<std::size_t>(rows * tensor.cols()));
        expectOnlyErrors([&] { checkpoint->readRows(tensor, tensor.rows() - rows, {values.data(), rows, tensor.cols()}); });
    }
}

} // namespace bw::fuzz
