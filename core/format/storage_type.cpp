// SPDX-License-Identifier: GPL-3.0-or-later
// The table of storage types, look-ups in it, and the switch to the row kernels.
#include "core/format/storage_type.h"

#include "core/base/checked.h"
#include "core/base/error.h"
#include "core/format/block_encoders.h"
#include "core/format/kernels.h"
#include "core/format/plain.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <cstring>
#include <string>

namespace bw {

namespace {

using enum StorageType;

constexpr std::array kTypes{
    // type, name, in files, ggml id, safetensors, elements, bytes, decodes, encodes
    StorageTypeInfo{f64, "f64", "F64", 28, "F64", 1, 8, true, false},
    StorageTypeInfo{f32, "f32", "F32", 0, "F32", 1, 4, true, true},
    StorageTypeInfo{f16, "f16", "F16", 1, "F16", 1, 2, true, true},
    StorageTypeInfo{bf16, "bf16", "BF16", 30, "BF16", 1, 2, true, true},
    StorageTypeInfo{f8e4m3, "f8e4m3", "F8_E4M3", -1, "F8_E4M3", 1, 1, true, false},
    StorageTypeInfo{f8e5m2, "f8e5m2", "F8_E5M2", -1, "F8_E5M2", 1, 1, true, false},
    StorageTypeInfo{i64, "i64", "I64", 27, "I64", 1, 8, true, false},
    StorageTypeInfo{i32, "i32", "I32", 26, "I32", 1, 4, true, false},
    StorageTypeInfo{i16, "i16", "I16", 25, "I16", 1, 2, true, false},
    StorageTypeInfo{i8, "i8", "I8", 24, "I8", 1, 1, true, false},
    StorageTypeInfo{u64, "u64", "U64", -1, "U64", 1, 8, true, false},
    StorageTypeInfo{u32, "u32", "U32", -1, "U32", 1, 4, true, false},
    StorageTypeInfo{u16, "u16", "U16", -1, "U16", 1, 2, true, false},
    StorageTypeInfo{u8, "u8", "U8", -1, "U8", 1, 1, true, false},
    StorageTypeInfo{boolean, "bool", "BOOL", -1, "BOOL", 1, 1, true, false},
    StorageTypeInfo{q4_0, "q4_0", "Q4_0", 2, "", 32, 18, true, true},
    StorageTypeInfo{q4_1, "q4_1", "Q4_1", 3, "", 32, 20, true, true},
    StorageTypeInfo{q5_0, "q5_0", "Q5_0", 6, "", 32, 22, true, true},
    StorageTypeInfo{q5_1, "q5_1", "Q5_1", 7, "", 32, 24, true, true},
    StorageTypeInfo{q8_0, "q8_0", "Q8_0", 8, "", 32, 34, true, true},
    StorageTypeInfo{q8_1, "q8_1", "Q8_1", 9, "", 32, 36, true, false},
    StorageTypeInfo{q2_k, "q2_k", "Q2_K", 10, "", 256, 84, true, true},
    StorageTypeInfo{q3_k, "q3_k", "Q3_K", 11, "", 256, 110, true, true},
    StorageTypeInfo{q4_k, "q4_k", "Q4_K", 12, "", 256, 144, true, true},
    StorageTypeInfo{q5_k, "q5_k", "Q5_K", 13, "", 256, 176, true, true},
    StorageTypeInfo{q6_k, "q6_k", "Q6_K", 14, "", 256, 210, true, true},
    StorageTypeInfo{q8_k, "q8_k", "Q8_K", 15, "", 256, 292, true, false},
    StorageTypeInfo{iq2_xxs, "iq2_xxs", "IQ2_XXS", 16, "", 256, 66, true, false},
    StorageTypeInfo{iq2_xs, "iq2_xs", "IQ2_XS", 17, "", 256, 74, true, false},
    StorageTypeInfo{iq3_xxs, "iq3_xxs", "IQ3_XXS", 18, "", 256, 98, true, false},
    StorageTypeInfo{iq1_s, "iq1_s", "IQ1_S", 19, "", 256, 50, true, false},
    StorageTypeInfo{iq4_nl, "iq4_nl", "IQ4_NL", 20, "", 32, 18, true, true},
    StorageTypeInfo{iq3_s, "iq3_s", "IQ3_S", 21, "", 256, 110, true, false},
    StorageTypeInfo{iq2_s, "iq2_s", "IQ2_S", 22, "", 256, 82, true, false},
    StorageTypeInfo{iq4_xs, "iq4_xs", "IQ4_XS", 23, "", 256, 136, true, true},
    StorageTypeInfo{iq1_m, "iq1_m", "IQ1_M", 29, "", 256, 56, true, false},
    StorageTypeInfo{tq1_0, "tq1_0", "TQ1_0", 34, "", 256, 54, true, true},
    StorageTypeInfo{tq2_0, "tq2_0", "TQ2_0", 35, "", 256, 66, true, true},
    StorageTypeInfo{mxfp4, "mxfp4", "MXFP4", 39, "", 32, 17, true, true},
    StorageTypeInfo{nvfp4, "nvfp4", "NVFP4", 40, "", 64, 36, true, false},
    StorageTypeInfo{q1_0, "q1_0", "Q1_0", 41, "", 128, 18, true, true},
    StorageTypeInfo{q2_0, "q2_0", "Q2_0", 42, "", 64, 18, true, true},
    StorageTypeInfo{unknown, "unknown", "unknown", -1, "", 1, 1, false, false},
};

constexpr bool tableInEnumOrder() {
    for (std::size_t i = 0; i < kTypes.size(); ++i)
        if (static_cast<std::size_t>(kTypes[i].type) != i) return false;
    return kTypes.size() == static_cast<std::size_t>(unknown) + 1;
}
static_assert(tableInEnumOrder());

bool isRowKernelType(StorageType type) {
    return type == f16 || type == bf16 || (type >= q4_0 && type <= q8_0);
}

} // namespace

const StorageTypeInfo& storageTypeInfo(StorageType type) { return kTypes[static_cast<std::size_t>(type)]; }

std::span<const StorageTypeInfo> allStorageTypes() { return {kTypes.data(), kTypes.size() - 1}; }

std::optional<StorageType> storageTypeFromGgml(std::uint32_t id) {
    for (const StorageTypeInfo& info : allStorageTypes())
        if (info.ggmlId >= 0 && static_cast<std::uint32_t>(info.ggmlId) == id) return info.type;
    return std::nullopt;
}

std::optional<StorageType> storageTypeFromSafetensors(std::string_view dtype) {
    for (const StorageTypeInfo& info : allStorageTypes())
        if (!info.safetensors.empty() && info.safetensors == dtype) return info.type;
    return std::nullopt;
}

std::optional<StorageType> storageTypeFromName(std::string_view name) {
    for (const StorageTypeInfo& info : allStorageTypes())
        if (info.name == name) return info.type;
    return std::nullopt;
}

std::uint64_t storageBytes(StorageType type, std::uint64_t rows, std::uint64_t cols) {
    const StorageTypeInfo& info = storageTypeInfo(type);
    const auto blocks = cols / static_cast<std::uint64_t>(info.blockElements);
    const std::string what = "bytes of a tensor of type " + std::string(info.name);
    return checkedMul(checkedMul(rows, blocks, what.c_str()), static_cast<std::uint64_t>(info.blockBytes), what.c_str());
}

void decodeRow(StorageType type, const std::byte* in, std::span<float> out) {
    if (isRowKernelType(type)) return kernels::decodeBlocks(type, in, out.data(), out.size());
    if (decodePlain(type, in, out) || decodeCodebookBlocks(type, in, out) || decodeSuperBlocks(type, in, out)) return;
    throw Error(ErrorCode::unsupportedType,
                "values of type " + std::string(storageTypeInfo(type).fileName) + " are not decoded here",
                "convert the file to a type that is (f16, bf16, q8_0 …)");
}

void encodeRow(StorageType type, std::span<const float> in, std::span<const float> importance, std::byte* out, BlockSearch search) {
    assert(importance.empty() || importance.size() == in.size());
    const StorageTypeInfo& info = storageTypeInfo(type);
    if (!info.encodes)
        throw Error(ErrorCode::unsupportedType, "values of type " + std::string(info.fileName) + " are not written here");
    if (in.empty()) return;
    const float* weights = importance.empty() ? nullptr : importance.data();
    if (type == f32)
        std::memcpy(out, in.data(), in.size_bytes());
    else if (type == f16 || type == bf16)
        kernels::encodeBlocks(type, in.data(), out, in.size());
    else if (search == BlockSearch::reference)
        encodeReferenceBlocks(type, in.data(), weights, out, in.size());
    else
        encodeBestBlocks(type, in.data(), weights, out, in.size());
}

} // namespace bw
