// SPDX-License-Identifier: GPL-3.0-or-later
// Number formats a linear layer can be quantized to: the registry and the format-string grammar.
//   "q4_0", "q8_0", "bf16" …            a storage type of GGUF or safetensors
//   "fp8_e4m3[:tensor|:channel|:block128|:gN]", "mxfp6_e2m3", "nvfp4" …   small floats with scales (float_format.h)
//   "nf4[:bN][:dq]"                     16 normal quantiles, blocks of N (default 64), magnitudes in 8 bits with dq (nf4.h)
//   "intB[:gN|:channel|:tensor][:sym|:asym]"   affine grids, B in 2…8 (defaults g128, asym)
// Every format encodes a whole O×I weight into bytes of a size known in advance and decodes rows of it back; the error
// of a quantization is always measured on what decode(encode(W)) gives.
#pragma once

#include "core/base/types.h"
#include "core/format/storage_type.h"

#include <memory>
#include <span>
#include <string>
#include <vector>

namespace bw {

struct EncodeOptions {
    /// Per input column, ≥ 0 (mean squared input); empty = all alike. Rounding minimises Σ_j importance_j·(w−ŵ)².
    std::span<const float> importance;
    /// Affine and float grids: try scales around the one that fits the range and keep the least (weighted) error.
    bool clipSearch = false;
    /// GGML blocks only: how scales are searched.
    BlockSearch search = BlockSearch::best;
};

class FixedGrid;

/// A number format; immutable, shared by all threads.
class Format {
public:
    virtual ~Format() = default;
    /// Canonical string that `parseFormat` gives back ("int4:g64:asym", "q4_0").
    const std::string& name() const { return name_; }
    /// Nominal bits of a code, for colours and ordering: 2…8, 16, 32.
    int codeBits() const { return codeBits_; }
    /// The storage type when a tensor of it is one run of GGML/plain blocks; unknown for affine grids.
    virtual StorageType storage() const { return StorageType::unknown; }
    /// Can an O×I weight be held? On false `why` (if given) says why not ("256 does not divide 576").
    virtual bool fits(std::int64_t rows, std::int64_t cols, std::string* why = nullptr) const = 0;
    /// Exact bytes of an O×I weight with scales, zero points and padding. Needs fits().
    virtual std::uint64_t bytes(std::int64_t rows, std::int64_t cols) const = 0;
    /// Encodes in parallel over rows; out.size() == bytes(). Non-finite weights: Error(nonFinite) naming row and column.
    virtual void encode(MatrixView<const float> weight, const EncodeOptions& options, std::span<std::byte> out) const = 0;
    /// Decodes rows [firstRow, firstRow+out.rows) of an O×I weight, `rows` = O.
    virtual void decodeRows(std::span<const std::byte> in, std::int64_t rows, std::int64_t firstRow,
                            MatrixView<float> out) const = 0;

    /// What fixGrid() (fixed_grid.h) gives; formats that are only read throw Error(usage).
    virtual std::unique_ptr<FixedGrid> fixedGrid(MatrixView<const float> weight, const EncodeOptions& options) const;

    double bitsPerWeight(std::int64_t rows, std::int64_t cols) const {
        return 8.0 * static_cast<double>(bytes(rows, cols)) / static_cast<double>(rows * cols);
    }
    /// All rows, in parallel.
    void decode(std::span<const std::byte> in, MatrixView<float> out) const;
    /// decode(encode(weight)) without keeping the bytes.
    void roundTrip(MatrixView<const float> weight, const EncodeOptions& options, MatrixView<float> out) const;

protected:
    Format(std::string name, int codeBits) : name_(std::move(name)), codeBits_(codeBits) {}

private:
    std::string name_;
    int codeBits_;
};

using FormatPtr = std::shared_ptr<const Format>;

/// @throws Error(invalidFormat) with the position, what was expected, and the nearest known name.
FormatPtr parseFormat(std::string_view text);
/// One line per known format family for `bitwright-cli formats`.
struct FormatSummary {
    std::string name, description;
    double bitsPerWeight; ///< at rows of 4096
};
std::vector<FormatSummary> knownFormats();
/// The types that tensors in files may have and that are decoded, but not written.
std::vector<FormatSummary> readOnlyFormats();

/// The next legal format for a shape that `wanted` does not fit, in ggml's order (q4_k → q5_0, q5_k → q5_1, q6_k → q8_0,
/// q3_k and q2_k → q4_0, iq4_xs → iq4_nl; block-32 types, MX and nvfp4 → f16; intB:gN, nf4:bN and floats in groups → the largest power-of-two group ≥ 16 that
/// divides I, else channel). Returns `wanted` itself when it fits.
FormatPtr fallbackFormat(const FormatPtr& wanted, std::int64_t rows, std::int64_t cols, std::string* why = nullptr);

} // namespace bw
