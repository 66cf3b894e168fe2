// SPDX-License-Identifier: GPL-3.0-or-later
// Dispatch of ggml's own rounding over the block types. The roundings are in files of their own.
#include "core/base/error.h"
#include "core/format/block_encoders.h"
#include "core/format/kernels.h"

#include <string>

namespace bw {

void encodeReferenceBlocks(StorageType type, const float* x, const float*, std::byte* out, std::size_t n) {
    if (type < StorageType::q4_0 || type > StorageType::q8_0)
        throw Error(ErrorCode::unsupportedType,
                    "values of type " + std::string(storageTypeInfo(type).fileName) + " have no reference rounding here");
    kernels::encodeBlocks(type, x, out, n);
}

} // namespace bw
