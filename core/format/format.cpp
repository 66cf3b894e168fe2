// SPDX-License-Identifier: GPL-3.0-or-later
// What all formats share, the formats that are storage types, and the registry. The string grammar is in format_parse.cpp.
#include "core/format/format.h"

#include "core/base/error.h"
#include "core/base/parallel.h"
#include "core/format/affine.h"
#include "core/format/checks.h"
#include "core/format/kernels.h"
#include "core/format/storage_format.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>

namespace bw {

std::int64_t rowGrain(std::int64_t cols) { return std::max<std::int64_t>(1, 65536 / std::max<std::int64_t>(1, cols)); }

namespace {

void checkFinite(MatrixView<const float> weight) {
    const std::int64_t grain = rowGrain(weight.cols);
    std::vector<std::int64_t> bad(static_cast<std::size_t>((weight.rows + grain - 1) / grain), -1);
    parallelFor(weight.rows, grain, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t r = begin; r < end; ++r)
            if (kernels::firstNonFinite(weight.row(r), static_cast<std::size_t>(weight.cols)) != static_cast<std::size_t>(weight.cols)) {
                bad[static_cast<std::size_t>(r / grain)] = r;
                return;
            }
    });
    const auto found = std::find_if(bad.begin(), bad.end(), [](std::int64_t r) { return r >= 0; });
    if (found == bad.end()) return;
    const std::int64_t row = *found;
    const auto col = static_cast<std::int64_t>(kernels::firstNonFinite(weight.row(row), static_cast<std::size_t>(weight.cols)));
    throw Error(ErrorCode::nonFinite, fmt::format("weight at row {}, column {} is {}", row, col, weight(row, col)),
                "keep this tensor as it is, or repair the checkpoint");
}

} // namespace

void checkEncodeArguments(const Format& format, MatrixView<const float> weight, const EncodeOptions& options,
                          std::size_t outBytes) {
    std::string why;
    if (!format.fits(weight.rows, weight.cols, &why))
        throw Error(ErrorCode::formatDoesNotFit,
                    fmt::format("{} cannot hold a {}×{} weight: {}", format.name(), weight.rows, weight.cols, why));
    if (const std::uint64_t need = format.bytes(weight.rows, weight.cols); need != outBytes)
        throw Error(ErrorCode::shapeMismatch,
                    fmt::format("{} of a {}×{} weight takes {} bytes, not {}", format.name(), weight.rows, weight.cols, need, outBytes));
    if (!options.importance.empty()) {
        if (options.importance.size() != static_cast<std::size_t>(weight.cols))
            throw Error(ErrorCode::shapeMismatch, fmt::format("{} importance values for a weight of {} columns",
                                                              options.importance.size(), weight.cols));
        for (std::size_t j = 0; j < options.importance.size(); ++j)
            if (!(options.importance[j] >= 0.0f) || !std::isfinite(options.importance[j]))
                throw Error(ErrorCode::nonFinite, fmt::format("importance of column {} is {}", j, options.importance[j]),
                            "importance values are mean squares: zero or more");
    }
    checkFinite(weight);
}

void Format::decode(std::span<const std::byte> in, MatrixView<float> out) const {
    parallelFor(out.rows, rowGrain(out.cols), [&](std::int64_t begin, std::int64_t end) {
        decodeRows(in, out.rows, begin, out.middleRows(begin, end - begin));
    });
}

void Format::roundTrip(MatrixView<const float> weight, const EncodeOptions& options, MatrixView<float> out) const {
    std::vector<std::byte> bytes_(bytes(weight.rows, weight.cols));
    encode(weight, options, bytes_);
    decode(bytes_, out);
}

StorageFormat::StorageFormat(StorageType type)
    : Format(std::string(storageTypeInfo(type).name), nominalBits(type)), type_(type) {}

int StorageFormat::nominalBits(StorageType type) {
    const StorageTypeInfo& info = storageTypeInfo(type);
    // "q5_1", "iq4_nl": the first digit is the width of a code.
    return info.blockElements == 1 ? 8 * info.blockBytes : info.name[info.name.find_first_of("123456789")] - '0';
}

bool StorageFormat::fits(std::int64_t rows, std::int64_t cols, std::string* why) const {
    const int block = storageTypeInfo(type_).blockElements;
    if (rows < 1 || cols < 1) {
        if (why) *why = "a weight has at least one row and one column";
        return false;
    }
    if (cols % block != 0) {
        if (why) *why = fmt::format("{} does not divide {}", block, cols);
        return false;
    }
    return true;
}

std::uint64_t StorageFormat::bytes(std::int64_t rows, std::int64_t cols) const {
    return storageBytes(type_, static_cast<std::uint64_t>(rows), static_cast<std::uint64_t>(cols));
}

void StorageFormat::encode(MatrixView<const float> weight, const EncodeOptions& options, std::span<std::byte> out) const {
    checkEncodeArguments(*this, weight, options, out.size());
    const std::uint64_t rowBytes = bytes(1, weight.cols);
    parallelFor(weight.rows, rowGrain(weight.cols), [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t r = begin; r < end; ++r)
            encodeRow(type_, weight.rowSpan(r), options.importance, out.data() + static_cast<std::uint64_t>(r) * rowBytes,
                      options.search);
    });
}

void StorageFormat::decodeRows(std::span<const std::byte> in, std::int64_t rows, std::int64_t firstRow, MatrixView<float> out) const {
    if (in.size() != bytes(rows, out.cols) || firstRow < 0 || firstRow + out.rows > rows)
        throw Error(ErrorCode::shapeMismatch, fmt::format("{} bytes are no {}×{} weight of {} (rows {} to {})", in.size(), rows,
                                                          out.cols, name(), firstRow, firstRow + out.rows));
    const std::uint64_t rowBytes = bytes(1, out.cols);
    for (std::int64_t r = 0; r < out.rows; ++r)
        decodeRow(type_, in.data() + static_cast<std::uint64_t>(firstRow + r) * rowBytes, out.rowSpan(r));
}

std::vector<FormatSummary> knownFormats() {
    std::vector<FormatSummary> all;
    const auto addStorage = [&](StorageType type, const char* description) {
        const StorageFormat format(type);
        all.push_back({format.name(), description, format.bitsPerWeight(4096, 4096)});
    };
    addStorage(StorageType::f32, "32-bit floats");
    addStorage(StorageType::f16, "16-bit floats, 5 exponent and 10 mantissa bits");
    addStorage(StorageType::bf16, "16-bit floats, 8 exponent and 7 mantissa bits");
    addStorage(StorageType::q8_0, "GGML blocks of 32: 8-bit codes, one f16 scale");
    addStorage(StorageType::q5_1, "GGML blocks of 32: 5-bit codes, f16 scale and minimum");
    addStorage(StorageType::q5_0, "GGML blocks of 32: 5-bit codes, one f16 scale");
    addStorage(StorageType::q4_1, "GGML blocks of 32: 4-bit codes, f16 scale and minimum");
    addStorage(StorageType::q4_0, "GGML blocks of 32: 4-bit codes, one f16 scale");
    addStorage(StorageType::iq4_nl, "GGML blocks of 32: 16 uneven levels, one f16 scale, searched");
    addStorage(StorageType::q3_k, "GGML blocks of 256: 3-bit codes, 16 scales of 6 bits, searched");
    for (int bits = 8; bits >= 2; --bits) {
        const AffineFormat format({bits, AffineScope::group, 128, false});
        all.push_back({fmt::format("int{}[:gN|:channel|:tensor][:sym|:asym]", bits),
                       fmt::format("affine grid of {}-bit codes, f16 scale per group; figure for g128:asym", bits),
                       format.bitsPerWeight(4096, 4096)});
    }
    return all;
}

FormatPtr fallbackFormat(const FormatPtr& wanted, std::int64_t rows, std::int64_t cols, std::string* why) {
    if (wanted->fits(rows, cols, why)) return wanted;
    if (const auto* affine = dynamic_cast<const AffineFormat*>(wanted.get())) {
        AffineGrid grid = affine->grid();
        auto group = static_cast<std::int64_t>(std::bit_floor(static_cast<std::uint64_t>(grid.group)));
        while (group >= 16 && cols % group != 0) group /= 2;
        if (group >= 16)
            grid.group = group;
        else
            grid.scope = AffineScope::channel;
        return std::make_shared<AffineFormat>(grid);
    }
    switch (wanted->storage()) { // 256-weight blocks fall to 32-weight ones before f16, in ggml's order
    case StorageType::q4_k: return fallbackFormat(std::make_shared<StorageFormat>(StorageType::q5_0), rows, cols);
    case StorageType::q5_k: return fallbackFormat(std::make_shared<StorageFormat>(StorageType::q5_1), rows, cols);
    case StorageType::q6_k: return fallbackFormat(std::make_shared<StorageFormat>(StorageType::q8_0), rows, cols);
    case StorageType::tq1_0:
    case StorageType::tq2_0:
    case StorageType::q2_k:
    case StorageType::q3_k: return fallbackFormat(std::make_shared<StorageFormat>(StorageType::q4_0), rows, cols);
    case StorageType::iq4_xs: return fallbackFormat(std::make_shared<StorageFormat>(StorageType::iq4_nl), rows, cols);
    default: return std::make_shared<StorageFormat>(StorageType::f16);
    }
}

} // namespace bw
