// SPDX-License-Identifier: GPL-3.0-or-later
// Causal grouped-query attention on the CPU; private to core/compute.
#pragma once

#include "core/compute/device.h"

namespace bw {

/// See Device::attention. Parallel over heads and blocks of queries.
void attentionCpu(MatrixView<const float> q, MatrixView<const float> k, MatrixView<const float> v,
                  const AttentionShape& shape, MatrixView<float> out);

} // namespace bw
