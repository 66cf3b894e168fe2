// SPDX-License-Identifier: GPL-3.0-or-later
// Which format lies in which layout, and the way from one to the other; the layouts themselves are in packed_*.cpp.
#include "core/checkpoint/packed_weights.h"

#include "core/base/error.h"
#include "core/checkpoint/packed_affine.h"
#include "core/checkpoint/packed_floats.h"
#include "core/checkpoint/packed_integers.h"
#include "core/checkpoint/packed_nf4.h"
#include "core/checkpoint/packed_words.h"

#include <fmt/format.h>

#include <algorithm>

namespace bw {
namespace {

const AffineFormat* asAffine(const Format& format) { return dynamic_cast<const AffineFormat*>(&format); }
const FloatFormat* asFloat(const Format& format) { return dynamic_cast<const FloatFormat*>(&format); }
const Nf4Format* asNf4(const Format& format) { return dynamic_cast<const Nf4Format*>(&format); }

std::string scopeName(const AffineGrid& grid, std::int64_t cols) {
    return grid.scope == AffineScope::tensor ? "tensor" : grid.scope == AffineScope::channel || grid.group == cols ? "channel" : fmt::format("g{}", grid.group);
}

std::string gptqRefuses(const AffineGrid& grid, std::int64_t rows, std::int64_t cols) {
    if (grid.bits != 2 && grid.bits != 3 && grid.bits != 4 && grid.bits != 8) return fmt::format("{} bits; GPTQ's layout has 2, 3, 4 or 8", grid.bits);
    if (grid.scope == AffineScope::tensor) return "one scale for the whole weight; GPTQ's layout has one per group or per output";
    if (cols % 32 != 0) return fmt::format("{} inputs are no multiple of 32, which GPTQ's words need", cols);
    if (rows % 32 != 0) return fmt::format("{} outputs are no multiple of 32, which GPTQ's words of zero points need", rows);
    return {};
}

std::string awqRefuses(const AffineGrid& grid, std::int64_t rows) {
    if (grid.bits != 4) return fmt::format("{} bits; AWQ's gemm layout has 4", grid.bits);
    if (grid.scope == AffineScope::tensor) return "one scale for the whole weight; AWQ's layout has one per group or per output";
    if (rows % 8 != 0) return fmt::format("{} outputs are no multiple of 8, which AWQ's words need", rows);
    return {};
}

std::string affineRefuses(Packing packing, const AffineGrid& grid, std::int64_t rows, std::int64_t cols) {
    switch (packing) {
    case Packing::gptq:
    case Packing::gptqV2: return gptqRefuses(grid, rows, cols);
    case Packing::awq: return awqRefuses(grid, rows);
    case Packing::packQuantized:
        return grid.scope == AffineScope::tensor && !grid.symmetric ? "compressed-tensors packs zero points per group or per output, not one for the whole weight" : "";
    case Packing::llmInt8:
        if (grid.bits != 8 || !grid.symmetric || grid.scope != AffineScope::channel) return "LLM.int8 is int8:channel:sym";
        return {};
    case Packing::intQuantized: return {};
    default: return "the layout holds floats, this is an integer format";
    }
}

// GGML's mxfp4 block: the exponent's byte, then 16 bytes with weights 0–15 in the low nibbles and 16–31 in the high ones.
constexpr std::int64_t kMxBlock = 32, kMxBytes = 17;

bool isMxfp4(Packing packing, const Format& format) { return packing == Packing::mxfp4 && format.storage() == StorageType::mxfp4; }

std::vector<std::vector<std::byte>> mxfp4Bytes(std::span<const std::byte> encoded, std::int64_t rows, std::int64_t cols) {
    const std::int64_t blocks = rows * cols / kMxBlock;
    std::vector<std::byte> codes(static_cast<std::size_t>(rows * cols / 2)), scales(static_cast<std::size_t>(blocks));
    for (std::int64_t b = 0; b < blocks; ++b) {
        const std::byte* block = encoded.data() + b * kMxBytes;
        scales[static_cast<std::size_t>(b)] = block[0];
        const auto code = [&](std::int64_t i) { return i < 16 ? block[1 + i] & std::byte{15} : block[1 + i - 16] >> 4; };
        for (std::int64_t i = 0; i < kMxBlock; i += 2) codes[static_cast<std::size_t>((b * kMxBlock + i) / 2)] = code(i) | code(i + 1) << 4;
    }
    return {std::move(codes), std::move(scales)};
}

} // namespace

std::string packingRefuses(Packing packing, const Format& format, std::int64_t rows, std::int64_t cols) {
    std::string why;
    if (!format.fits(rows, cols, &why)) return why;
    if (const AffineFormat* affine = asAffine(format)) return affineRefuses(packing, affine->grid(), rows, cols);
    if (const FloatFormat* small = asFloat(format)) return floatRefuses(packing, small->grid());
    if (const Nf4Format* normal = asNf4(format); normal && packing == Packing::nf4) return nf4Refuses(normal->grid());
    return isMxfp4(packing, format) ? std::string() : fmt::format("the layout has no {}", format.name());
}

std::vector<OutputTensor> packedTensors(Packing packing, const std::string& module, const Format& format, std::int64_t rows, std::int64_t cols, const std::string& dtype) {
    if (const AffineFormat* affine = asAffine(format)) {
        switch (packing) {
        case Packing::packQuantized: return packedAffineTensors(module, *affine, rows, cols);
        case Packing::gptq:
        case Packing::gptqV2: return gptqTensors(module, affine->grid(), rows, cols);
        case Packing::awq: return awqTensors(module, affine->grid(), rows, cols);
        case Packing::intQuantized: return integerTensors(module, affine->grid(), rows, cols);
        case Packing::llmInt8: return llmInt8Tensors(module, rows, cols);
        default: break;
        }
    }
    if (const FloatFormat* small = asFloat(format)) return floatTensors(packing, module, small->grid(), rows, cols);
    if (const Nf4Format* normal = asNf4(format)) return nf4Tensors(module, normal->grid(), rows, cols, dtype);
    if (isMxfp4(packing, format)) return {{module + ".weight_packed", StorageType::u8, {rows, cols / 2}}, {module + ".weight_scale", StorageType::u8, {rows, cols / kMxBlock}}};
    throw Error(ErrorCode::internal, "no layout for " + format.name() + " was chosen");
}

std::vector<std::vector<std::byte>> packedBytes(Packing packing, const Format& format, std::span<const std::byte> encoded, std::int64_t rows, std::int64_t cols, const std::string& dtype) {
    if (const AffineFormat* affine = asAffine(format)) {
        switch (packing) {
        case Packing::packQuantized: return packedAffineBytes(*affine, encoded, rows, cols);
        case Packing::gptq:
        case Packing::gptqV2: return gptqBytes(*affine, encoded, rows, cols, packing == Packing::gptq);
        case Packing::awq: return awqBytes(*affine, encoded, rows, cols);
        case Packing::intQuantized: return integerBytes(*affine, encoded, rows, cols);
        case Packing::llmInt8: return llmInt8Bytes(*affine, encoded, rows, cols);
        default: break;
        }
    }
    if (const FloatFormat* small = asFloat(format)) return floatBytes(packing, *small, encoded, rows, cols);
    if (const Nf4Format* normal = asNf4(format)) return nf4Bytes(*normal, encoded, rows, cols, dtype);
    if (isMxfp4(packing, format)) return mxfp4Bytes(encoded, rows, cols);
    throw Error(ErrorCode::internal, "no layout for " + format.name() + " was chosen");
}

std::string packedName(Packing packing, const Format& format, std::int64_t rows, std::int64_t cols) {
    if (const AffineFormat* affine = asAffine(format)) {
        const AffineGrid& grid = affine->grid();
        const std::string scope = scopeName(grid, cols);
        switch (packing) {
        case Packing::packQuantized: return fmt::format("int{}:{}:{}", grid.bits, rows == 1 && scope == "channel" ? "tensor" : scope, grid.symmetric ? "sym" : "asym");
        case Packing::gptq:
        case Packing::gptqV2: return fmt::format("gptq int{}:{}", grid.bits, scope);
        case Packing::awq: return fmt::format("awq int4:{}", scope);
        case Packing::intQuantized: return fmt::format("int8:{}:{}", rows == 1 && scope == "channel" ? "tensor" : scope, grid.symmetric ? "sym" : "asym");
        case Packing::llmInt8: return "int8:channel:sym (LLM.int8)";
        default: break;
        }
    }
    if (const FloatFormat* small = asFloat(format)) return floatName(*small, rows, cols);
    if (const Nf4Format* normal = asNf4(format)) return nf4Name(normal->grid());
    return format.name();
}

std::int64_t zerosOfZero(const Format& format, std::span<const std::byte> encoded, std::int64_t rows, std::int64_t cols) {
    const AffineFormat* affine = asAffine(format);
    if (!affine || affine->grid().symmetric) return 0;
    const AffineCodes codes = affine->unpack(encoded, rows, cols);
    return std::count(codes.zeros.begin(), codes.zeros.end(), std::uint8_t{0});
}

} // namespace bw
