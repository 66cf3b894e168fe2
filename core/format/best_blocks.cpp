// SPDX-License-Identifier: GPL-3.0-or-later
// Which search the default encoding of each GGML block type uses. The searches are in files of their own.
#include "core/format/block_encoders.h"
#include "core/format/plain.h"
#include "core/format/search_blocks.h"

namespace bw {

void encodeBestBlocks(StorageType type, const float* x, const float* importance, std::byte* out, std::size_t n) {
    if (isSearchedType(type))
        encodeSearchedBlocks(type, x, importance, out, n);
    else if (importance != nullptr && type >= StorageType::q4_0 && type <= StorageType::q8_0)
        encodeWeightedBlocks(type, x, importance, out, n);
    else
        encodeReferenceBlocks(type, x, importance, out, n);
}

} // namespace bw
