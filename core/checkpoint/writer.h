// SPDX-License-Identifier: GPL-3.0-or-later
// Writing checkpoints: a GGUF v3 file or a safetensors folder, streamed tensor by tensor. The size of every byte is
// known before the first is written; the result appears under its name only when whole.
#pragma once

#include "core/base/atomic_file.h"
#include "core/checkpoint/checkpoint.h"

#include <functional>
#include <map>

namespace bw {

/// One tensor to be written, in file order. `shape` outermost first.
struct OutputTensor {
    std::string name; ///< final name in the file
    StorageType type = StorageType::f32;
    std::vector<std::int64_t> shape;
};

/// GGUF v3. Use: construct with all tensors → writeTensor for each in order → finish() → audit → commit().
class GgufWriter {
public:
    GgufWriter(std::string path, GgufMetadata metadata, std::vector<OutputTensor> tensors, AtomicFile::Replace replace);
    /// Exact size of the finished file.
    std::uint64_t fileBytes() const;
    /// @param data in the tensor's type, exactly its bytes.
    void writeTensor(std::span<const std::byte> data);
    /// Streams a large tensor in pieces; the sum of pieces must be its bytes.
    void writeTensorPart(std::span<const std::byte> part);
    bool complete() const { return next_ == tensors_.size(); }
    void finish();                           ///< flushed, fsynced, still under temporaryPath()
    const std::string& temporaryPath() const;
    void commit();
    static std::uint64_t fileBytes(const GgufMetadata& metadata, const std::vector<OutputTensor>& tensors);

private:
    AtomicFile file_;
    std::vector<OutputTensor> tensors_;
    std::uint64_t fileBytes_ = 0, tensorWritten_ = 0, alignment_ = 32;
    std::size_t next_ = 0;
};

/// GGUF metadata for a checkpoint of any kind: general.*, {arch}.*, tokenizer.ggml.* complete enough for llama.cpp.
/// From GGUF: the input's own metadata with file_type and quantization_version brought up to date. From HF: made from
/// config.json, tokenizer.json, tokenizer_config.json (pre-tokenizer recognised by its rules).
/// @throws Error unsupportedModel (of an unknown architecture, or one that GGUF has no words for), unsupportedTokenizer:
/// the metadata would be a guess.
GgufMetadata ggufMetadataFor(const Checkpoint& source, std::int64_t fileType);

/// A tensor that GGUF holds and Hugging Face checkpoints leave to be computed from config.json; f32, one dimension.
struct ComputedTensor {
    std::string name;
    std::vector<float> values;
};
/// rope_freqs (Llama 3), rope_factors_long and rope_factors_short (longrope); empty for GGUF sources.
std::vector<ComputedTensor> ggufComputedTensors(const Checkpoint& source);
/// What GGUF adds to every value of this tensor: 1 for the norms of Gemma's Hugging Face checkpoints, else 0.
double ggufValueOffset(const Checkpoint& source, const TensorInfo& tensor);

/// Should rows of this tensor be permuted when it goes from HF to GGUF (Llama's q and k, their biases too)?
/// `readRows` always gives HF order, so a GGUF writer applies it: HF row (h, half, i) → GGUF row (h, i, half).
bool ggufPermutesRows(const Checkpoint& source, const TensorInfo& tensor);
/// Source row (in HF order) that stands at GGUF row `row`. D = rows/heads.
std::int64_t ggufPermutedRow(std::int64_t row, std::int64_t headDim);
/// Heads·D rows of this tensor use this head size for the permutation.
std::int64_t ggufPermutationHeadDim(const Checkpoint& source, const TensorInfo& tensor);

/// A safetensors folder: config.json (with `config` as given), every other non-weight file of the source folder copied,
/// one model.safetensors or shards of at most `shardBytes` with an index. The folder is written under a temporary name
/// and renamed at commit(). `furtherFiles` are written beside them, in place of the source's of that name.
class SafetensorsFolderWriter {
public:
    SafetensorsFolderWriter(std::string folder, const Checkpoint& source, Json config, std::vector<OutputTensor> tensors,
                            AtomicFile::Replace replace, std::uint64_t shardBytes = 5ull << 30,
                            const std::map<std::string, std::string>& furtherFiles = {});
    ~SafetensorsFolderWriter();
    std::uint64_t totalBytes() const; ///< of the weight files, exact
    /// The same before anything is created. @throws Error invalidTensor, duplicateKey.
    static std::uint64_t weightBytes(const std::vector<OutputTensor>& tensors, std::uint64_t shardBytes = 5ull << 30);
    void writeTensor(std::span<const std::byte> data);
    void finish();
    const std::string& temporaryPath() const;
    void commit();

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

} // namespace bw
