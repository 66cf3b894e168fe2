// SPDX-License-Identifier: GPL-3.0-or-later
// How far a device's kernels are from the processor's, kernel by kernel: `bench_gpu --parity`.
#pragma once

#include "core/compute/device.h"

namespace bw {

/// Prints a row for every kernel: the largest difference as a share of the largest value, on ragged shapes.
void printParity(Device& device);

} // namespace bw
