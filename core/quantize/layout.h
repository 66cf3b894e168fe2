// SPDX-License-Identifier: GPL-3.0-or-later
// What an export will hold, tensor by tensor: the common ground of the plan, the writer and the audit, so that they
// cannot disagree. Private to core/quantize.
#pragma once

#include "core/checkpoint/split_gguf_writer.h"
#include "core/quantize/export_layouts.h"
#include "core/quantize/layout_config.h"

namespace bw {

/// A run of rows of one source tensor on its way out: a whole tensor as a rule, an expert of a stack.
struct ExportPiece {
    const TensorInfo* source = nullptr; ///< owned by the model's checkpoint
    SiteId site{-1};                    ///< −1 when it is no site
    std::int64_t firstRow = 0, rows = 0; ///< of the source seen as rows×cols
};

/// One tensor of the output (for packed codes and norms of single heads: one logical tensor in several parts).
struct ExportTensor {
    std::vector<ExportPiece> pieces;    ///< rows one after the other; empty: `computed` holds the values
    std::vector<float> computed;
    const TensorInfo* source = nullptr; ///< of the first piece; nullptr for computed ones
    std::int64_t elements = 0;
    std::uint64_t sourceBytes = 0;      ///< what the same weights take in the source
    FormatPtr format;                   ///< quantized: encoded bytes come from the QuantizedModel; nullptr = copied or converted
    std::optional<Packing> packing;     ///< safetensors: the parts that codes, scales … lie in
    StorageType type = StorageType::unknown; ///< in the file, when it is one run of bytes (unknown: packed)
    bool copied = false;                ///< bytes as the source has them
    bool fused = false;                 ///< the pieces are the slices of one tensor of the source, copied in one
    double offset = 0;                  ///< added to every value (not when copied or quantized)
    std::int64_t headDim = 0;           ///< > 0: rows go from HF order to GGUF's interleaved order
    std::vector<OutputTensor> parts;    ///< one, or the parts of packed codes or of joined norms
    PlannedTensor planned;
};

struct ExportLayout {
    ExportKind kind = ExportKind::gguf;
    ChosenLayout chosen;
    std::vector<ExportTensor> tensors;
    std::vector<std::string> leftOut; ///< names of tensors that the container's readers don't want
    GgufMetadata metadata;            ///< GGUF only
    std::vector<GgufPartLayout> parts; ///< GGUF only: one, or the parts of a split model
    ConfigRequest request;            ///< safetensors only: what quantization_config is made from
    Json config;                      ///< safetensors only
    std::map<std::string, std::string> furtherFiles; ///< safetensors only: quantize_config.json
    std::uint64_t fileBytes = 0;
    std::int64_t parameters = 0;
    std::vector<OutputTensor> outputs() const;
};

/// Most tensor bytes of one file of a folder.
std::uint64_t shardBytes(const ExportOptions& options);

/// @throws Error(usage) for a path that names neither a .gguf file nor a folder.
ExportKind exportKind(const std::string& path);
/// @param formats per site; sites not named are kept. @throws Error unsupportedModel, unsupportedTokenizer, invalidTensor.
/// @param target absolute path of the output, which parts of a GGUF are named after.
/// @param scales values of the tensors that state static schemes; null while planning, when only their sizes matter.
ExportLayout layOutExport(const Model& model, const std::vector<SiteFormat>& formats, const std::string& target, const ExportOptions& options, const RuntimeScales* scales = nullptr);

/// GPTQ's second generation from here on, which holds zero points of 0.
void useSecondGeneration(ExportLayout& layout, const Checkpoint& source);

/// What a compressed-tensors file says of inputs that are rounded so: symmetric integers of 8 or 4 bits or E4M3, with a scale for each
/// token, 128 channels of it, or a fitted one for all. Else 0 bits. @throws Error(usage) for what is no scheme.
ServedInputs statedInputs(const std::string& activations);
/// Likewise of the cache. Not fp8 where the file can't say it.
ServedCache statedCache(const std::string& cache);
bool statesInputs(const ExportOptions& options);
bool integerInputs(const ExportOptions& options);

/// A site's format as a layout holds it.
struct HeldFormat {
    FormatPtr format;               ///< nullptr: it can't be held, and the layout was asked for
    std::optional<Packing> packing; ///< safetensors, unless the format is a plain float
    bool keep = false;              ///< the layout keeps this site as the checkpoint has it
    std::string why;                ///< it differs from what was asked, or can't be held
};
HeldFormat holdIn(const ChosenLayout& layout, const Site& site, const FormatPtr& format, bool integerInputs);
/// @throws Error(formatDoesNotFit) with all of them, when there are any.
void refuseProblems(const std::vector<ExportProblem>& problems);

/// The format itself, or the nearest one that the container holds.
FormatPtr nearestIn(ExportKind kind, const FormatPtr& format);
/// general.file_type of llama.cpp for the type that most weights have.
std::int64_t ggufFileType(const std::vector<ExportTensor>& tensors);

} // namespace bw
