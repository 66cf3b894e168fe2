// SPDX-License-Identifier: GPL-3.0-or-later
// The header of one safetensors file, checked against every rule of the format before anything is believed: unique
// names, exact integers, no holes, no overlap, nothing after the last tensor. Not for: tensor values, shards, config.
#pragma once

#include "core/base/mapped_file.h"
#include "core/format/storage_type.h"

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace bw {

struct SafetensorsEntry {
    std::string name;
    std::string dtype;
    StorageType type = StorageType::unknown;
    std::vector<std::int64_t> shape;
    std::uint64_t begin = 0, end = 0; ///< relative to SafetensorsHeader::dataStart
};

struct SafetensorsHeader {
    std::vector<SafetensorsEntry> entries; ///< in the order of their data
    std::vector<std::pair<std::string, std::string>> metadata;
    std::uint64_t dataStart = 0;
    std::vector<std::string> warnings;
};

/// Longest header that is read, as in the reference implementation.
inline constexpr std::uint64_t kSafetensorsHeaderLimit = 100'000'000;

/// Cost: linear in the header; nothing is allocated before the length is checked.
/// @throws Error headerTooSmall, headerTooLarge, invalidHeaderLength, invalidHeader, depthExceeded, duplicateKey,
/// invalidTensor, validationOverflow, truncated.
SafetensorsHeader readSafetensorsHeader(const MappedFile& file);

/// Bits of one element of a safetensors dtype; 0 when the name is not known.
int safetensorsBits(std::string_view dtype);

} // namespace bw
