// SPDX-License-Identifier: GPL-3.0-or-later
// A GGUF model in several files, "NAME-00001-of-00003.gguf": finding the other parts and checking that they belong
// together. Not for: what is in a part (gguf_reader.h).
#pragma once

#include "core/checkpoint/gguf_reader.h"

#include <optional>
#include <string>
#include <vector>

namespace bw {

constexpr std::int64_t kMostSplitParts = 10'000;

/// "NAME-00002-of-00003.gguf" in its parts.
struct SplitName {
    std::string prefix;             ///< "NAME"
    std::int64_t number = 0, count = 0; ///< from 1
    std::string name(std::int64_t other) const; ///< of another part
};
/// Empty when the name is not of that form or says something impossible (part 0, part 4 of 3).
std::optional<SplitName> parseSplitName(const std::string& name);

/// Does the header say that its file is one of several parts?
bool isSplitPart(const GgufHeader& header);

struct GgufPart {
    MappedFile file;
    GgufHeader header;
};

/// Opens every part of the model that `part` belongs to, in order, and holds them against each other: number and count
/// in name and metadata, the number of tensors in all, tensor names that appear twice, and the model's own keys where a
/// part repeats them. @param name of the part's file as seen in `folder` (its content may lie elsewhere in a cache).
/// @throws Error shardMissing (lists the parts), invalidHeader, duplicateKey, pathEscapes, and those of the reader.
std::vector<GgufPart> openSplitParts(GgufPart part, const std::string& folder, const std::string& name);

} // namespace bw
