// SPDX-License-Identifier: GPL-3.0-or-later
// An opened checkpoint: a tensor directory over memory-mapped files, the model's configuration, and where its tokenizer
// lies. Nothing is copied until a tensor is read. Start reading here.
#pragma once

#include "core/base/job.h"
#include "core/base/json.h"
#include "core/base/mapped_file.h"
#include "core/base/types.h"
#include "core/checkpoint/gguf_metadata.h"
#include "core/checkpoint/model_config.h"
#include "core/format/coded_rows.h"
#include "core/format/format.h"

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace bw {

enum class CheckpointKind { safetensors, gguf };

/// One tensor as it lies in a file. `shape` is outermost first (HF order): a linear weight is {O, I}.
struct TensorInfo {
    std::string name;      ///< as in the file
    std::string canonical; ///< GGUF-style name ("blk.3.attn_q.weight"); empty when the name is not known to the family
    StorageType type = StorageType::unknown;
    std::string typeName;  ///< file's own word for the type, also for unknown ones
    std::vector<std::int64_t> shape;
    int file = 0;          ///< index into Checkpoint::files()
    std::uint64_t offset = 0, bytes = 0; ///< in that file
    /// Set when the weight lies quantized in several tensors (see quantized_linear.h); shape is then the logical {O, I}.
    FormatPtr packed;
    /// The file holds {I, O} (GPT-2's Conv1D); `shape` and readRows() are the logical {O, I}, raw() is the file's order.
    bool transposed = false;
    /// A slice of a larger tensor of the file (one expert of a fused stack, see logical_tensors.h): that tensor.
    std::shared_ptr<const TensorInfo> whole;
    /// Made of several tensors of the file, rows one after the other (norms of single heads): these tensors.
    std::shared_ptr<const std::vector<TensorInfo>> pieces;
    /// Of a derived checkpoint (derived.h): readRows() gives other values than the file's bytes, which raw() therefore
    /// refuses; `type`, `packed`, `offset`, `bytes`, `whole` and `pieces` only tell of the original. Whoever writes the tensor
    /// converts what readRows() gives. An added output matrix is changed too and tells of the tensor it is made from.
    bool changed = false;
    /// Shape as it stands in the file.
    std::vector<std::int64_t> fileShape() const;
    std::int64_t elements() const;
    std::int64_t rows() const; ///< product of all but the last dimension (1 for a vector)
    std::int64_t cols() const; ///< last dimension (1 for a scalar)
};

class Checkpoint {
public:
    /// Opens a HF folder, one .safetensors (its config.json beside it), an index.json, or a .gguf.
    /// Checks every rule of the container and every bound before anything is trusted; memory ≤ a few times the header.
    /// @throws Error with one of the container, config and file codes; names file, tensor and value.
    static std::shared_ptr<const Checkpoint> open(const std::string& path);
    ~Checkpoint();

    CheckpointKind kind() const;
    const std::string& path() const;        ///< as given, made absolute
    std::string displayName() const;        ///< "SmolLM2-135M-Instruct"
    const ModelConfig& config() const;
    const std::vector<TensorInfo>& tensors() const;
    /// By canonical name first, then by the file's name; nullptr when absent.
    const TensorInfo* find(const std::string& name) const;
    const TensorInfo& require(const std::string& name) const; ///< @throws Error(tensorMissing)
    const std::vector<MappedFile>& files() const;
    std::uint64_t totalBytes() const;       ///< of all files
    std::int64_t parameters() const;
    double bitsPerWeight() const;           ///< tensor bytes·8 / parameters
    const std::vector<std::string>& warnings() const;

    /// The tensor's bytes in the file's own order. @throws Error(unsupportedType) for one in several parts or changed.
    std::span<const std::byte> raw(const TensorInfo& tensor) const;
    /// The bytes of rows [first, first+rows) where the file has them as readRows() would give them, only encoded; else empty.
    std::span<const std::byte> storedRows(const TensorInfo& tensor, std::int64_t first, std::int64_t rows) const;
    /// Rows [first, first+rows) of a tensor in several parts as its file codes them (CodedRows), where these are integers with a
    /// scale and a zero point per group; else nothing. @throws Error fileChanged.
    std::optional<CodedRows> codedRows(const TensorInfo& tensor, std::int64_t first, std::int64_t rows) const;
    /// Decodes rows [first, first+out.rows) of the tensor to f32, in parallel; GGUF's permuted Q/K rows (and biases) come
    /// back in HF order and Conv1D weights as {O, I}, so every reader sees one layout. @throws Error unsupportedType, fileChanged.
    void readRows(const TensorInfo& tensor, std::int64_t first, MatrixView<float> out) const;
    /// Whole tensor.
    void read(const TensorInfo& tensor, std::span<float> out) const;

    /// GGUF metadata (empty for safetensors).
    const GgufMetadata& metadata() const;
    /// config.json as read (null for GGUF).
    const Json& configJson() const;
    /// Folder that holds tokenizer.json and friends; empty for GGUF.
    const std::string& folder() const;
    /// What a derived checkpoint was made from; nullptr for one that lies in files as it is.
    const Checkpoint* derivedFrom() const;
    /// Equal for equal changes of equal files; empty for a checkpoint that is not derived.
    std::string derivation() const;

private:
    friend class CheckpointBuilder;
    friend std::shared_ptr<const Checkpoint> deriveCheckpoint(std::shared_ptr<const Checkpoint> base, struct Derivation derivation);
    Checkpoint();
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

/// Elements that are NaN or infinite in a tensor, for reports (all rows read once).
struct FiniteReport {
    std::int64_t nan = 0, infinite = 0, firstRow = -1, firstCol = -1;
    bool finite() const { return nan == 0 && infinite == 0; }
};
FiniteReport checkFinite(const Checkpoint& checkpoint, const TensorInfo& tensor, JobContext& job);

} // namespace bw
