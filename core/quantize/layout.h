// SPDX-License-Identifier: GPL-3.0-or-later
// What an export will hold, tensor by tensor: the common ground of the plan, the writer and the audit, so that they
// cannot disagree. Private to core/quantize.
#pragma once

#include "core/checkpoint/writer.h"
#include "core/quantize/export.h"

namespace bw {

/// One tensor of the source on its way out.
struct ExportTensor {
    const TensorInfo* source = nullptr; ///< owned by the model's checkpoint
    FormatPtr format;                   ///< quantized: encoded bytes come from the QuantizedModel; nullptr = copied or converted
    StorageType type = StorageType::unknown; ///< in the file, when it is one run of bytes (unknown: packed affine parts)
    bool copied = false;                ///< bytes as the source has them
    std::int64_t headDim = 0;           ///< > 0: rows go from HF order to GGUF's interleaved order
    std::vector<OutputTensor> parts;    ///< one, or the parts of packed affine codes
    PlannedTensor planned;
};

struct ExportLayout {
    ExportKind kind = ExportKind::gguf;
    std::vector<ExportTensor> tensors;
    std::vector<std::string> leftOut; ///< names of tensors that the container's readers don't want
    GgufMetadata metadata;            ///< GGUF only
    Json config;                      ///< safetensors only
    std::uint64_t fileBytes = 0;
    std::int64_t parameters = 0;
    std::vector<OutputTensor> outputs() const;
};

/// @throws Error(usage) for a path that names neither a .gguf file nor a folder.
ExportKind exportKind(const std::string& path);
/// @param formats per site; sites not named are kept. @throws Error unsupportedModel, unsupportedTokenizer, invalidTensor.
ExportLayout layOutExport(const Model& model, const std::vector<SiteFormat>& formats, ExportKind kind);

} // namespace bw
