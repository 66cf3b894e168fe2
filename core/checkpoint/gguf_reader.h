// SPDX-License-Identifier: GPL-3.0-or-later
// Header, metadata and tensor directory of one GGUF v2/v3 file, every count and offset checked against the bytes that
// are there before it is used. Not for: tensor values, what the metadata mean.
#pragma once

#include "core/base/mapped_file.h"
#include "core/checkpoint/gguf_metadata.h"
#include "core/format/storage_type.h"

#include <cstdint>
#include <string>
#include <vector>

namespace bw {

struct GgufTensor {
    std::string name;
    std::vector<std::int64_t> shape; ///< outermost first
    std::uint32_t typeId = 0;
    StorageType type = StorageType::unknown;
    std::uint64_t offset = 0; ///< from the start of the file
    std::uint64_t bytes = 0;  ///< for unknown types: up to the next tensor or the end
};

struct GgufHeader {
    std::uint32_t version = 3;
    std::uint64_t alignment = 32;
    std::uint64_t dataStart = 0;
    GgufMetadata metadata;
    std::vector<GgufTensor> tensors; ///< in file order
    std::vector<std::string> warnings;
};

/// Caps on what a header may ask for; real files stay far below.
struct GgufLimits {
    std::uint64_t keys = 65'536, tensors = 1'000'000, keyBytes = 65'535, stringBytes = 64ull << 20;
    std::uint64_t arrayElements = 1ull << 24; ///< of all arrays together
    std::uint64_t nestedArrays = 65'536;
    int arrayDepth = 4;
    std::uint32_t dimensions = 8;
    std::uint64_t nameBytes = 63;             ///< ggml keeps 64 with the closing zero
};

/// @throws Error headerTooSmall, unknownFileType, unsupportedVersion, headerTooLarge, truncated, invalidHeader,
/// depthExceeded, duplicateKey, invalidConfig (alignment), invalidTensor, validationOverflow.
GgufHeader readGgufHeader(const MappedFile& file, const GgufLimits& limits = {});

/// Is `alignment` one that writers may use: a power of two and a multiple of 8?
constexpr bool isGgufAlignment(std::uint64_t alignment) {
    return alignment >= 8 && (alignment & (alignment - 1)) == 0;
}

} // namespace bw
