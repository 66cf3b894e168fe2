// SPDX-License-Identifier: GPL-3.0-or-later
// Files that must be refused, made in code: one function per kind of fault, named by its id in the list of faults
// (S: safetensors, X: index and folders, G: GGUF). Each case says what error it must give.
#pragma once

#include "core/base/error.h"
#include "tests/support/temp_folder.h"

#include <string>
#include <vector>

namespace bw::test {

struct BadFile {
    std::string label;    ///< for messages of a failing test
    std::string path;
    ErrorCode expected;
    std::string mentions; ///< must stand in the message or the hint; empty = anything
};
using BadFiles = std::vector<BadFile>;

BadFiles s01TooShort(const TempFolder& folder);
BadFiles s02HugeHeaderLength(const TempFolder& folder);
BadFiles s03HeaderPastEnd(const TempFolder& folder);
BadFiles s04HeaderNoJson(const TempFolder& folder);
BadFiles s06DeepJson(const TempFolder& folder);
BadFiles s07DuplicateTensor(const TempFolder& folder);
BadFiles s08BadOffsets(const TempFolder& folder);
BadFiles s09OverlapAndHole(const TempFolder& folder);
BadFiles s10EndOfFile(const TempFolder& folder);
BadFiles s11ShapeOverflow(const TempFolder& folder);
BadFiles s12OddSubByte(const TempFolder& folder);
BadFiles s13BadMetadata(const TempFolder& folder);

BadFiles x01EscapingNames(const TempFolder& folder);
BadFiles x02LinkOutside(const TempFolder& folder);
BadFiles x03NoRegularFile(const TempFolder& folder);
BadFiles x04ShardsDisagree(const TempFolder& folder);
BadFiles x12Pickle(const TempFolder& folder);

BadFiles g01MagicAndVersion(const TempFolder& folder);
BadFiles g02HugeCounts(const TempFolder& folder);
BadFiles g03BadKeys(const TempFolder& folder);
BadFiles g04BadValues(const TempFolder& folder);
BadFiles g05DeepArrays(const TempFolder& folder);
BadFiles g06BadNames(const TempFolder& folder);
BadFiles g07BadAlignment(const TempFolder& folder);
BadFiles g08BadDimensions(const TempFolder& folder);
BadFiles g10RowNoMultiple(const TempFolder& folder);
BadFiles g11BadOffsets(const TempFolder& folder);
BadFiles g14Split(const TempFolder& folder);

/// A config.json of the Llama family with these numbers; every other field is usual.
std::string llamaConfig(int width = 32, int feedForward = 64, int blocks = 2, int heads = 4, int kvHeads = 2, int vocabulary = 48, bool tied = true);

/// A folder with config.json and a small, right Llama checkpoint in f32 with random weights. Same seed, same bytes.
/// @param withHead holds an lm_head of its own.
std::string writeTinyLlama(const TempFolder& folder, const std::string& name, const std::string& config, bool withHead = false, unsigned seed = 1);

} // namespace bw::test
