// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/quantize/int8_linear.h"

#include "core/base/error.h"
#include "core/compute/cpu_device.h"
#include "core/format/affine.h"

#include <algorithm>
#include <fmt/format.h>

namespace bw {
namespace {

Int8Panels panelsOf(const QuantizedTensor& tensor, std::int64_t rows, std::int64_t cols) {
    const auto* format = dynamic_cast<const AffineFormat*>(tensor.format.get());
    if (format == nullptr || !(format->grid() == AffineGrid{8, AffineScope::channel, format->grid().group, true}))
        throw Error(ErrorCode::usage, fmt::format("{} weights are not multiplied as integers", tensor.format->name()), "Use int8:channel:sym.");
    if (!tensor.kept.values.empty() || cols > kMostInt8Columns)
        throw Error(ErrorCode::usage, fmt::format("a weight with {} single kept values and {} inputs is not multiplied as integers", tensor.kept.values.size(), cols),
                    fmt::format("Keep whole columns, and at most {} inputs.", kMostInt8Columns));
    const AffineCodes unpacked = format->unpack(tensor.bytes, rows, cols);
    std::vector<std::int8_t> codes(unpacked.codes.size());
    std::transform(unpacked.codes.begin(), unpacked.codes.end(), codes.begin(), [](std::uint8_t code) { return static_cast<std::int8_t>(code - 128); });
    for (std::int64_t r = 0; r < rows; ++r) // kept columns replace what the grid decodes to
        for (const std::int32_t column : tensor.kept.columns) codes[static_cast<std::size_t>(r * cols + column)] = 0;
    std::vector<float> scales;
    for (const std::uint16_t scale : unpacked.scales) scales.push_back(halfToFloat(scale));
    return {codes, rows, cols, std::move(scales)};
}

} // namespace

Int8Linear::Int8Linear(const QuantizedTensor& tensor, std::int64_t rows, std::int64_t cols)
    : panels_(panelsOf(tensor, rows, cols)), columns_(tensor.kept.columns), kept_(rows, static_cast<std::int64_t>(tensor.kept.columns.size())) {
    std::transform(tensor.kept.columnValues.begin(), tensor.kept.columnValues.end(), kept_.data(), halfToFloat);
}

void Int8Linear::multiply(MatrixView<const float> x, MatrixView<float> y) const {
    if (columns_.empty()) return multiplyInt8(Int8Rows(x), panels_, y);
    Matrix rest(x.rows, x.cols), outliers(x.rows, kept_.cols());
    for (std::int64_t r = 0; r < x.rows; ++r) {
        std::copy_n(x.row(r), x.cols, rest.row(r));
        for (std::size_t k = 0; k < columns_.size(); ++k) outliers.row(r)[k] = std::exchange(rest.row(r)[columns_[k]], 0.0f);
    }
    gemmTransposed(std::as_const(outliers).view(), kept_.view(), y);
    multiplyInt8(Int8Rows(std::as_const(rest).view()), panels_, y, true);
}

} // namespace bw
