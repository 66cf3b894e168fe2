// SPDX-License-Identifier: GPL-3.0-or-later
// Which format each tensor gets in which container, and why.
#include "core/quantize/layout.h"

#include "core/base/error.h"
#include "core/base/text.h"
#include "core/checkpoint/packed_affine.h"
#include "core/format/affine.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

namespace bw {

namespace {

bool isPlainFloat(StorageType type) { return type == StorageType::f32 || type == StorageType::f16 || type == StorageType::bf16; }

std::string affineName(int bits, bool symmetric) { return fmt::format("int{}:g32:{}", bits, symmetric ? "sym" : "asym"); }

/// The format itself, or the nearest one that the container holds.
FormatPtr nearestIn(ExportKind kind, const FormatPtr& format) {
    const auto* affine = dynamic_cast<const AffineFormat*>(format.get());
    if (kind == ExportKind::gguf) {
        if (!affine) return format;
        const bool symmetric = affine->grid().symmetric;
        if (affine->grid().bits <= 3) return parseFormat("q3_k");
        if (affine->grid().bits == 4) return parseFormat(symmetric ? "q4_0" : "q4_1");
        if (affine->grid().bits == 5) return parseFormat(symmetric ? "q5_0" : "q5_1");
        return parseFormat("q8_0");
    }
    if (affine || isPlainFloat(format->storage())) return format;
    switch (format->storage()) { // blocks of 32 with a scale alone are symmetric, with a minimum asymmetric
    case StorageType::q4_0: return parseFormat(affineName(4, true));
    case StorageType::q4_1: return parseFormat(affineName(4, false));
    case StorageType::q5_0: return parseFormat(affineName(5, true));
    case StorageType::q5_1: return parseFormat(affineName(5, false));
    case StorageType::q8_0: return parseFormat(affineName(8, true));
    case StorageType::iq4_nl: return parseFormat(affineName(4, true));
    case StorageType::q3_k: return parseFormat("int3:g16:sym"); // its sub-blocks have 16 weights
    default: return parseFormat("f16");
    }
}

void addReason(std::string& why, const std::string& reason) { why += (why.empty() ? "" : "; ") + reason; }

/// general.file_type of llama.cpp for the type that most weights have.
std::int64_t ggufFileType(const std::vector<ExportTensor>& tensors) {
    std::map<StorageType, std::int64_t> weights;
    for (const ExportTensor& t : tensors)
        if (t.source->shape.size() >= 2) weights[t.type] += t.source->elements();
    const auto most = std::max_element(weights.begin(), weights.end(), [](const auto& a, const auto& b) { return a.second < b.second; });
    if (most == weights.end()) return 0;
    switch (most->first) {
    case StorageType::f16: return 1;
    case StorageType::q4_0: return 2;
    case StorageType::q4_1: return 3;
    case StorageType::q8_0: return 7;
    case StorageType::q5_0: return 8;
    case StorageType::q5_1: return 9;
    case StorageType::bf16: return 32;
    case StorageType::q2_k: return 10; // kept tensors of a GGUF source; the "M" mixes are the usual ones
    case StorageType::q3_k: return 12;
    case StorageType::q4_k: return 15;
    case StorageType::q5_k: return 17;
    case StorageType::q6_k: return 18;
    case StorageType::iq4_nl: return 25;
    case StorageType::iq4_xs: return 30;
    default: return 0;
    }
}

/// Buffers that some checkpoints store and that every reader computes itself.
bool isDerivedBuffer(const std::string& name) {
    return name.ends_with("rotary_emb.inv_freq") || name.ends_with(".attn.masked_bias") || name.ends_with(".attn.bias");
}

std::string moduleOf(const TensorInfo& tensor) {
    constexpr std::string_view kSuffix = ".weight";
    return tensor.name.ends_with(kSuffix) ? tensor.name.substr(0, tensor.name.size() - kSuffix.size()) : tensor.name;
}

class LayoutBuilder {
public:
    LayoutBuilder(const Model& model, ExportKind kind) : model_(model), source_(model.checkpoint()) { layout_.kind = kind; }

    ExportLayout build(const std::vector<SiteFormat>& formats) {
        if (layout_.kind == ExportKind::safetensors && source_.kind() == CheckpointKind::gguf)
            throw Error(ErrorCode::unsupportedModel,
                        escapeForDisplay(source_.path()) + " is a GGUF file: it has no config.json and tokenizer files for a safetensors folder",
                        "write a .gguf, or start from the Hugging Face folder of this model");
        std::map<std::string, const SiteFormat*> ofTensor;
        for (const SiteFormat& f : formats) ofTensor[model_.site(f.site).tensor] = &f;
        std::map<std::string, SiteId> siteOfTensor;
        for (const Site& site : model_.sites()) siteOfTensor[site.tensor] = site.id;
        for (const TensorInfo& tensor : source_.tensors()) {
            if (layout_.kind == ExportKind::gguf && tensor.canonical.empty() && source_.kind() == CheckpointKind::safetensors) {
                if (!isDerivedBuffer(tensor.name))
                    throw Error(ErrorCode::unsupportedModel,
                                fmt::format("{}: GGUF has no name for tensor '{}'", escapeForDisplay(source_.path()), escapeForDisplay(tensor.name)),
                                "write a safetensors folder instead");
                layout_.leftOut.push_back(tensor.name);
                continue;
            }
            const auto site = siteOfTensor.find(tensor.canonical);
            const auto format = ofTensor.find(tensor.canonical);
            add(tensor, site == siteOfTensor.end() ? SiteId{-1} : site->second, format == ofTensor.end() ? nullptr : format->second);
        }
        finish();
        return std::move(layout_);
    }

private:
    void add(const TensorInfo& tensor, SiteId site, const SiteFormat* format) {
        ExportTensor out;
        out.source = &tensor;
        out.planned.name = layout_.kind == ExportKind::gguf && !tensor.canonical.empty() ? tensor.canonical : tensor.name;
        out.planned.site = site;
        if (format && format->used)
            quantized(out, *format);
        else
            kept(out, format);
        if (layout_.kind == ExportKind::gguf && ggufPermutesRows(source_, tensor) &&
            !(out.copied && source_.kind() == CheckpointKind::gguf)) // a GGUF source has its bytes in that order already
            out.headDim = ggufPermutationHeadDim(source_, tensor);
        for (const OutputTensor& part : out.parts) {
            std::uint64_t elements = 1;
            for (const std::int64_t d : part.shape) elements *= static_cast<std::uint64_t>(d);
            out.planned.bytes += storageBytes(part.type, 1, elements);
        }
        layout_.parameters += tensor.elements();
        layout_.tensors.push_back(std::move(out));
    }

    void quantized(ExportTensor& out, const SiteFormat& format) const {
        const Site& site = model_.site(format.site);
        const FormatPtr held = nearestIn(layout_.kind, format.used);
        out.planned.asked = format.asked;
        out.planned.whyDiffers = format.whyDiffers;
        if (held->name() != format.used->name())
            addReason(out.planned.whyDiffers, fmt::format("{} has no {}; {} is nearest",
                                                          layout_.kind == ExportKind::gguf ? "GGUF" : "packed safetensors",
                                                          format.used->name(), held->name()));
        std::string why;
        out.format = fallbackFormat(held, site.rows, site.cols, &why);
        if (out.format != held) addReason(out.planned.whyDiffers, why);
        out.planned.used = out.format->name();
        out.type = out.format->storage();
        if (const auto* affine = dynamic_cast<const AffineFormat*>(out.format.get()))
            out.parts = packedAffineTensors(moduleOf(*out.source), *affine, site.rows, site.cols);
        else
            out.parts = {{out.planned.name, out.type, out.source->shape}};
    }

    void kept(ExportTensor& out, const SiteFormat* format) const {
        const TensorInfo& tensor = *out.source;
        const bool vector = tensor.shape.size() < 2;
        if (tensor.packed) {
            out.type = StorageType::f32;
            out.planned.whyDiffers = fmt::format("packed {} is not copied; its values are written out", tensor.packed->name());
        } else if (layout_.kind == ExportKind::safetensors || source_.kind() == CheckpointKind::gguf) {
            out.type = tensor.type;
            out.copied = true;
        } else if (vector) {
            out.type = StorageType::f32; // readers of GGUF take norms and biases in f32 only
            out.copied = tensor.type == StorageType::f32;
        } else {
            const bool eight = tensor.type == StorageType::f8e4m3 || tensor.type == StorageType::f8e5m2;
            out.copied = isPlainFloat(tensor.type);
            out.type = out.copied ? tensor.type : (eight ? StorageType::f16 : StorageType::f32);
            if (!out.copied) out.planned.whyDiffers = fmt::format("GGUF weights are not {}", tensor.typeName);
        }
        out.planned.used = out.type == StorageType::unknown ? tensor.typeName : std::string(storageTypeInfo(out.type).name);
        out.planned.asked = format ? format->asked : out.planned.used;
        out.parts = {{out.planned.name, out.type, tensor.shape}};
    }

    void finish() {
        if (layout_.kind == ExportKind::gguf) {
            layout_.metadata = ggufMetadataFor(source_, ggufFileType(layout_.tensors));
            layout_.fileBytes = GgufWriter::fileBytes(layout_.metadata, layout_.outputs());
            return;
        }
        std::map<std::string, std::string> packed;
        std::vector<std::string> ignored;
        for (const ExportTensor& t : layout_.tensors) {
            if (t.planned.site.value() < 0) continue;
            if (dynamic_cast<const AffineFormat*>(t.format.get()))
                packed[moduleOf(*t.source)] = t.format->name();
            else if (model_.site(t.planned.site).kind != SiteKind::tokenEmbedding)
                ignored.push_back(moduleOf(*t.source)); // leaf modules only: some loaders take an entry as a prefix
        }
        if (model_.config().tiedHead) ignored.emplace_back("lm_head");
        layout_.config = source_.configJson();
        layout_.config.erase("quantization_config");
        if (!packed.empty()) layout_.config["quantization_config"] = packedAffineConfig(packed, ignored);
        layout_.fileBytes = SafetensorsFolderWriter::weightBytes(layout_.outputs());
    }

    const Model& model_;
    const Checkpoint& source_;
    ExportLayout layout_;
};

} // namespace

std::vector<OutputTensor> ExportLayout::outputs() const {
    std::vector<OutputTensor> all;
    for (const ExportTensor& t : tensors) all.insert(all.end(), t.parts.begin(), t.parts.end());
    return all;
}

ExportKind exportKind(const std::string& path) {
    std::string lower = path;
    std::transform(lower.begin(), lower.end(), lower.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
    if (lower.ends_with(".gguf")) return ExportKind::gguf;
    for (const char* suffix : {".safetensors", ".bin", ".pt", ".json"})
        if (lower.ends_with(suffix))
            throw Error(ErrorCode::usage, "the output " + escapeForDisplay(path) + " names neither a .gguf file nor a folder",
                        "a safetensors checkpoint is written as a folder: leave the ending away");
    if (path.empty()) throw Error(ErrorCode::usage, "the export has no output path", "name a .gguf file or a folder");
    return ExportKind::safetensors;
}

ExportLayout layOutExport(const Model& model, const std::vector<SiteFormat>& formats, ExportKind kind) {
    return LayoutBuilder(model, kind).build(formats);
}

} // namespace bw
