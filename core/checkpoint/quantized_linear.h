// SPDX-License-Identifier: GPL-3.0-or-later
// One linear whose weight lies in several tensors of a safetensors file (codes, scales, zero points …), as GPTQ, AWQ,
// compressed-tensors, fp8 and bitsandbytes store it. Private to core/checkpoint; one quantized_*.cpp per family of layouts.
#pragma once

#include "core/base/error.h"
#include "core/base/text.h"
#include "core/checkpoint/checkpoint.h"
#include "core/checkpoint/quantized_config.h"
#include "core/format/coded_rows.h"

#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

namespace bw {

/// The name and width of a stored format that only this folder decodes ("awq int4:g128"). Never encodes.
class StoredFormat final : public Format {
public:
    StoredFormat(std::string name, int codeBits) : Format(std::move(name), codeBits) {}
    bool fits(std::int64_t rows, std::int64_t cols, std::string* why) const override;
    std::uint64_t bytes(std::int64_t rows, std::int64_t cols) const override;
    void encode(MatrixView<const float> weight, const EncodeOptions& options, std::span<std::byte> out) const override;
    void decodeRows(std::span<const std::byte> in, std::int64_t rows, std::int64_t firstRow, MatrixView<float> out) const override;
};

/// A weight O×I that is decoded from its parts. Immutable; thread safe.
class QuantizedLinear {
public:
    virtual ~QuantizedLinear() = default;
    /// Rows [first, first + out.rows), in parallel. @throws Error(fileChanged).
    virtual void readRows(const std::vector<MappedFile>& files, std::int64_t first, MatrixView<float> out) const = 0;
    /// Rows [first, first + count) as they are coded, in parallel; nothing where they aren't integers with equal groups of
    /// neighbouring inputs. scale·(code − zero) is readRows() to the bit. @throws Error(fileChanged).
    virtual std::optional<CodedRows> codedRows(const std::vector<MappedFile>& /*files*/, std::int64_t /*first*/, std::int64_t /*count*/) const { return std::nullopt; }

    std::int64_t rows = 0, cols = 0; ///< O, I
    FormatPtr format;                ///< for people, and for the audit of our own exports
    std::vector<std::string> parts;  ///< names of all tensors it is made of; the first one's place is the linear's
};
using QuantizedLinearPtr = std::unique_ptr<const QuantizedLinear>;

/// Integer codes with a scale and a zero point for each group of inputs.
class IntegerLinear : public QuantizedLinear {
public:
    void readRows(const std::vector<MappedFile>& files, std::int64_t first, MatrixView<float> out) const final;
    std::optional<CodedRows> codedRows(const std::vector<MappedFile>& files, std::int64_t first, std::int64_t count) const final;

protected:
    /// Some neighbouring rows. Of `count` rows: codes count×cols, scales and zeros count×groups.
    struct Piece {
        std::int64_t first = 0, count = 0;
        std::uint8_t* codes = nullptr;
        float *scales = nullptr, *zeros = nullptr;
    };
    virtual void readPiece(const std::vector<MappedFile>& files, const Piece& piece) const = 0;

public:
    int bits = 4;
    std::int64_t groups = 1, groupLength = 1; ///< of a row; the last may be shorter
    TensorInfo groupOf;                       ///< i32: the group of each input, where they are no neighbours
    bool hasOrder = false;
};

/// The tensors of a checkpoint by name while its quantized linears are put together.
class PartFinder {
public:
    /// @param module name without ".weight"; @param method for messages ("GPTQ").
    PartFinder(std::string module, const char* method, const std::unordered_map<std::string, const TensorInfo*>& byName, const std::vector<MappedFile>& files)
        : module_(std::move(module)), method_(method), byName_(byName), files_(files) {}

    /// Null when absent.
    const TensorInfo* find(const std::string& suffix) const;
    const TensorInfo& require(const std::string& suffix) const; ///< @throws Error(tensorMissing)
    /// @throws Error(shapeMismatch) naming tensor, its shape and the one needed.
    void requireShape(const TensorInfo& tensor, const std::vector<std::int64_t>& shape) const;
    void requireType(const TensorInfo& tensor, std::initializer_list<StorageType> types) const; ///< @throws Error(unsupportedType)
    const std::byte* data(const TensorInfo& tensor) const;
    /// A tensor of one number. @throws Error(shapeMismatch, nonFinite).
    float scalar(const TensorInfo& tensor) const;
    /// O and I that keep every product inside 63 bits. @throws Error(invalidTensor).
    void checkSize(std::int64_t rows, std::int64_t cols) const;
    [[noreturn]] void fail(ErrorCode code, const std::string& what) const;
    const std::string& module() const { return module_; }

private:
    std::string module_;
    const char* method_;
    const std::unordered_map<std::string, const TensorInfo*>& byName_;
    const std::vector<MappedFile>& files_;
};

/// A part's bytes where its file is mapped now. @throws Error(fileChanged).
const std::byte* partData(const TensorInfo& part, const std::vector<MappedFile>& files);
/// Calls body(first, count) over [0, rows) in pieces of about 64 k elements.
void forRowPieces(std::int64_t rows, std::int64_t cols, const std::function<void(std::int64_t, std::int64_t)>& body);
/// Bytes of a scale tensor decoded to f32 (f32, f16, bf16, f8).
std::vector<float> decodeScales(const TensorInfo& part, const std::vector<MappedFile>& files);
float powerOfTwo(std::byte exponent);
/// E8M0: each byte b stands for 2^(b−127); 255 is NaN.
std::vector<float> decodePowers(const TensorInfo& part, const std::vector<MappedFile>& files);
std::string shapeText(const std::vector<std::int64_t>& shape);

// One function per layout; each throws what PartFinder throws when the parts make no sense.
QuantizedLinearPtr openPackedAffine(const PartFinder& find);                                 ///< compressed-tensors pack-quantized
QuantizedLinearPtr openGptq(const PartFinder& find, const QuantizationConfig& config);
QuantizedLinearPtr openAwq(const PartFinder& find, const QuantizationConfig& config);
QuantizedLinearPtr openScaled(const PartFinder& find, const QuantizationConfig& config);     ///< int8 and fp8 with scales
QuantizedLinearPtr openLlmInt8(const PartFinder& find);                                      ///< bitsandbytes 8 bit
QuantizedLinearPtr openBitsAndBytes4(const PartFinder& find, const std::string& stateName);  ///< nf4 and fp4
QuantizedLinearPtr openFloat4(const PartFinder& find);                                       ///< nvfp4 and mxfp4

/// Replaces the parts of every quantized linear in `tensors` by one logical TensorInfo ("X.weight", shape {O, I}, `packed`
/// set, bytes of all parts) and returns the linears by that name.
/// @throws Error as above; each names the module.
std::unordered_map<std::string, QuantizedLinearPtr> joinQuantizedLinears(std::vector<TensorInfo>& tensors, const std::vector<MappedFile>& files,
                                                                         const QuantizationConfig& config, std::vector<std::string>& warnings);

} // namespace bw
