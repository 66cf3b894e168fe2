// SPDX-License-Identifier: GPL-3.0-or-later
// A Format that is one run of a storage type's blocks ("q4_0", "bf16"). Private to core/format.
#pragma once

#include "core/format/format.h"

namespace bw {

class StorageFormat final : public Format {
public:
    explicit StorageFormat(StorageType type);
    StorageType storage() const override { return type_; }
    bool fits(std::int64_t rows, std::int64_t cols, std::string* why) const override;
    std::uint64_t bytes(std::int64_t rows, std::int64_t cols) const override;
    void encode(MatrixView<const float> weight, const EncodeOptions& options, std::span<std::byte> out) const override;
    void decodeRows(std::span<const std::byte> in, std::int64_t rows, std::int64_t firstRow,
                    MatrixView<float> out) const override;
    std::unique_ptr<FixedGrid> fixedGrid(MatrixView<const float> weight, const EncodeOptions& options) const override;

private:
    static int nominalBits(StorageType type);
    StorageType type_;
};

} // namespace bw
