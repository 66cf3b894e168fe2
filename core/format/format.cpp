// SPDX-License-Identifier: GPL-3.0-or-later
// What all formats share, and the formats that are storage types. The list of formats is in known_formats.cpp, the string
// grammar in format_parse.cpp.
#include "core/format/format.h"

#include "core/base/error.h"
#include "core/base/parallel.h"
#include "core/format/checks.h"
#include "core/format/kernels.h"
#include "core/format/storage_format.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace bw {

std::int64_t rowGrain(std::int64_t cols) { return std::max<std::int64_t>(1, 65536 / std::max<std::int64_t>(1, cols)); }

const float* groupImportance(std::span<const float> importance, std::int64_t first, std::int64_t length) {
    if (importance.empty()) return nullptr;
    const auto part = importance.subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(length));
    return std::any_of(part.begin(), part.end(), [](float w) { return w > 0.0f; }) ? part.data() : nullptr;
}

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

} // namespace bw
