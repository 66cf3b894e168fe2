// SPDX-License-Identifier: GPL-3.0-or-later
// Integer codes of a checkpoint in the words that devices multiply from (WeightStorage::int4, int8). Private to core/model.
#pragma once

#include "core/compute/device.h"
#include "core/format/coded_rows.h"

namespace bw {

/// The smallest storage that holds codes of so many bits.
inline WeightStorage codedStorage(int bits) { return bits <= 4 ? WeightStorage::int4 : WeightStorage::int8; }

/// The weight itself, O×I.
Matrix decoded(const CodedRows& codes);

/// Words of all rows; cost about a nanosecond a code. codedStorage(codes.bits) says how they lie.
std::vector<std::uint32_t> codedWords(const CodedRows& codes);

} // namespace bw
