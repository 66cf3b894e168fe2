// SPDX-License-Identifier: GPL-3.0-or-later
// A bin of a reliability diagram: was the model as often right as it was sure?
#pragma once

#include <cstdint>

namespace bw {

/// `count` predictions of neighbouring confidence, their mean confidence and the share that came true, with the 95 % Wilson
/// interval of that share.
struct ReliabilityBin { std::int64_t count = 0; double confidence = 0, accuracy = 0, low = 0, high = 0; };

} // namespace bw
