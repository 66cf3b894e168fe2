// SPDX-License-Identifier: GPL-3.0-or-later
// Which format each tensor gets in which container, and why.
#include "core/quantize/layout.h"

#include "core/base/error.h"
#include "core/base/text.h"
#include "core/checkpoint/tensor_names.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

namespace bw {

namespace {

void addReason(std::string& why, const std::string& reason) {
    if (!reason.empty()) why += (why.empty() ? "" : "; ") + reason;
}

/// What some checkpoints store and a reader of the weights needs not.
bool isDerivedBuffer(const std::string& name) {
    for (const char* scale : {".input_scale", ".k_scale", ".v_scale"})
        if (name.ends_with(scale)) return true; // of how a server rounds, not of weights
    return name.ends_with("rotary_emb.inv_freq") || name.ends_with(".attn.masked_bias") || name.ends_with(".attn.bias");
}

/// Readers of GGUF take these in f32 only, beside all vectors: norms, positions, and the routers of experts.
bool staysF32(const TensorInfo& tensor) {
    const std::string_view name = tensor.canonical;
    return tensor.shape.size() < 2 || tensor.pieces || name == "position_embd.weight" || name.ends_with("ffn_gate_inp.weight") || name.ends_with("ffn_gate_inp_shexp.weight");
}

/// Site::tensor of the sites that lie in this tensor.
const std::string& keyOf(const TensorInfo& tensor) { return tensor.canonical.empty() ? tensor.name : tensor.canonical; }

std::string moduleOf(const TensorInfo& tensor) {
    constexpr std::string_view kSuffix = ".weight";
    return tensor.name.ends_with(kSuffix) ? tensor.name.substr(0, tensor.name.size() - kSuffix.size()) : tensor.name;
}

/// What config.json calls the type of unquantized weights; newer files leave out the "torch_".
std::string plainType(const Json& config) {
    for (const char* key : {"torch_dtype", "dtype"})
        if (config.is_object() && config.contains(key) && config.at(key).is_string())
            for (const char* known : {"float16", "bfloat16", "float32"})
                if (config.at(key) == known) return known;
    return "bfloat16";
}

/// config.json with its quantization_config, and quantize_config.json where loaders of the layout look for it.
void makeConfig(ExportLayout& layout, const Checkpoint& source, bool secondGeneration) {
    layout.config = source.configJson();
    layout.config.erase("quantization_config");
    const std::string name(layout.chosen.info->name);
    const Json section = quantizationConfig(name, layout.request, secondGeneration);
    if (section.is_null()) return;
    layout.config["quantization_config"] = section;
    if (name == "gptq") layout.furtherFiles["quantize_config.json"] = section.dump(2) + "\n";
}

/// Source tensors that become one tensor of the output.
struct Group {
    std::string name;
    std::vector<const TensorInfo*> members;
    bool fused = false; ///< slices of one tensor that goes out as it is
};

class LayoutBuilder {
public:
    LayoutBuilder(const Model& model, const ChosenLayout& chosen, const std::vector<SiteFormat>& formats, const std::string& target, const ExportOptions& options, const RuntimeScales* scales)
        : model_(model), source_(model.checkpoint()), target_(target), options_(options), scales_(scales) {
        layout_.kind = chosen.info->kind;
        layout_.chosen = chosen;
        formatOf_.resize(model.sites().size());
        for (const SiteFormat& f : formats) formatOf_[static_cast<std::size_t>(f.site.value())] = &f;
        for (const Site& site : model.sites()) sitesOf_[site.tensor].push_back(&site);
        layout_.request.computeType = plainType(source_.configJson());
    }

    ExportLayout build() {
        if (layout_.kind == ExportKind::safetensors && source_.kind() == CheckpointKind::gguf)
            throw Error(ErrorCode::unsupportedModel,
                        escapeForDisplay(source_.path()) + " is a GGUF file: it has no config.json and tokenizer files for a safetensors folder",
                        "write a .gguf, or start from the Hugging Face folder of this model");
        for (const Group& group : layout_.kind == ExportKind::gguf ? ggufGroups() : safetensorsGroups()) add(group);
        if (layout_.kind == ExportKind::gguf)
            for (ComputedTensor& tensor : ggufComputedTensors(source_)) addComputed(std::move(tensor));
        finish();
        return std::move(layout_);
    }

private:
    const SiteFormat* formatOf(SiteId site) const {
        const SiteFormat* format = site.value() < 0 ? nullptr : formatOf_[static_cast<std::size_t>(site.value())];
        return format && format->used ? format : nullptr;
    }

    /// Canonical names; experts that lie apart are stacked.
    std::vector<Group> ggufGroups() {
        std::vector<Group> groups;
        std::map<std::string, std::size_t> stackAt;
        for (const TensorInfo& tensor : source_.tensors()) {
            if (tensor.canonical.empty() && source_.kind() == CheckpointKind::safetensors) {
                if (!isDerivedBuffer(tensor.name))
                    throw Error(ErrorCode::unsupportedModel,
                                fmt::format("{}: GGUF has no name for tensor '{}'", escapeForDisplay(source_.path()), escapeForDisplay(tensor.name)),
                                "write a safetensors folder instead");
                layout_.leftOut.push_back(tensor.name);
                continue;
            }
            const auto expert = parseExpertName(tensor.canonical);
            if (!expert) {
                groups.push_back({tensor.canonical.empty() ? tensor.name : tensor.canonical, {&tensor}});
                continue;
            }
            const auto [at, isNew] = stackAt.try_emplace(expert->stack, groups.size());
            if (isNew) groups.push_back({expert->stack, {}});
            groups[at->second].members.push_back(&tensor);
        }
        for (const auto& [name, at] : stackAt) orderExperts(groups[at]);
        return groups;
    }

    void orderExperts(Group& group) const {
        const auto number = [](const TensorInfo* t) { return parseExpertName(t->canonical)->expert; };
        std::sort(group.members.begin(), group.members.end(), [&](const TensorInfo* a, const TensorInfo* b) { return number(a) < number(b); });
        for (std::size_t e = 0; e < group.members.size(); ++e)
            if (number(group.members[e]) != static_cast<std::int64_t>(e) || group.members[e]->shape != group.members.front()->shape)
                throw Error(ErrorCode::unsupportedModel,
                            fmt::format("{}: the experts of {} are not complete or not of one shape (expert {})", escapeForDisplay(source_.path()), group.name, e),
                            "the checkpoint is incomplete; fetch it again");
    }

    /// The file's own names; a fused stack goes out as it came unless one of its experts is quantized or changed.
    std::vector<Group> safetensorsGroups() const {
        std::set<std::string> divided;
        for (const TensorInfo& tensor : source_.tensors())
            if (const auto sites = sitesOf_.find(keyOf(tensor)); tensor.whole && (tensor.changed || (sites != sitesOf_.end() && formatOf(sites->second.front()->id))))
                divided.insert(tensor.whole->name);
        std::vector<Group> groups;
        for (const TensorInfo& tensor : source_.tensors()) {
            if (!tensor.whole || divided.contains(tensor.whole->name))
                groups.push_back({tensor.name, {&tensor}});
            else if (groups.empty() || groups.back().name != tensor.whole->name)
                groups.push_back({tensor.whole->name, {&tensor}, true});
            else
                groups.back().members.push_back(&tensor);
        }
        return groups;
    }

    void add(const Group& group) {
        ExportTensor out;
        out.planned.name = group.name;
        out.fused = group.fused;
        out.source = group.members.front();
        for (const TensorInfo* member : group.members) {
            addPieces(out, *member);
            out.elements += member->elements();
            out.sourceBytes += member->bytes;
        }
        for (const ExportPiece& piece : out.pieces)
            if (piece.site.value() >= 0) out.planned.sites.push_back(piece.site);
        if (!out.planned.sites.empty()) out.planned.site = out.planned.sites.front();
        if (!quantized(out)) kept(out);
        if (layout_.kind == ExportKind::gguf && ggufPermutesRows(source_, *out.source) &&
            !(out.copied && source_.kind() == CheckpointKind::gguf)) // a GGUF source has its bytes in that order already
            out.headDim = ggufPermutationHeadDim(source_, *out.source);
        for (const OutputTensor& part : out.parts) {
            std::uint64_t elements = 1;
            for (const std::int64_t d : part.shape) elements *= static_cast<std::uint64_t>(d);
            out.planned.bytes += storageBytes(part.type, 1, elements);
        }
        layout_.parameters += out.elements;
        layout_.tensors.push_back(std::move(out));
    }

    /// One piece per site of the tensor (a stack of experts has several), else the whole tensor.
    void addPieces(ExportTensor& out, const TensorInfo& tensor) const {
        const auto sites = sitesOf_.find(keyOf(tensor));
        if (sites == sitesOf_.end()) {
            out.pieces.push_back({&tensor, SiteId{-1}, 0, tensor.rows()});
            return;
        }
        for (const Site* site : sites->second) out.pieces.push_back({&tensor, site->id, site->firstRow, site->rows});
    }

    void addComputed(ComputedTensor tensor) {
        ExportTensor out;
        out.elements = static_cast<std::int64_t>(tensor.values.size());
        out.type = StorageType::f32;
        out.planned.name = tensor.name;
        out.planned.used = out.planned.asked = "f32";
        out.planned.bytes = tensor.values.size() * sizeof(float);
        out.parts = {{tensor.name, StorageType::f32, {out.elements}}};
        out.computed = std::move(tensor.values);
        layout_.tensors.push_back(std::move(out));
    }

    /// Format of every piece in this container; of a stack, whose pieces must have one, the largest that was asked.
    /// @return false when the tensor is kept.
    bool quantized(ExportTensor& out) const {
        std::set<std::string> asked, given;
        std::size_t kept = 0;
        for (const ExportPiece& piece : out.pieces) {
            const SiteFormat* format = formatOf(piece.site);
            if (!format) {
                ++kept;
                continue;
            }
            const Site& site = model_.site(piece.site);
            const HeldFormat held = holdIn(layout_.chosen, site, format->used, integerInputs(options_));
            asked.insert(format->asked);
            if (held.keep) {
                ++kept;
                out.planned.whyDiffers = held.why;
                continue;
            }
            if (!held.format) refuseProblems({{fmt::format("{} can't hold {} ({})", layout_.chosen.info->title, format->used->name(), held.why), {site.name}, "choose another format"}});
            std::string why = format->whyDiffers;
            addReason(why, held.why);
            given.insert(held.format->name());
            if (out.format && held.format->bytes(site.rows, site.cols) <= out.format->bytes(site.rows, site.cols)) continue;
            out.format = held.format;
            out.packing = held.packing;
            out.planned.whyDiffers = why;
        }
        out.planned.asked.clear();
        for (const std::string& name : asked) out.planned.asked += (out.planned.asked.empty() ? "" : ", ") + name;
        if (kept > 0) { // one of the stack keeps its type, and so must all
            if (!asked.empty() && out.pieces.size() > 1) out.planned.whyDiffers = "one tensor holds all experts, and some of them keep their type";
            out.format = nullptr;
            out.packing.reset();
        }
        if (!out.format) return false;
        if (given.size() > 1) addReason(out.planned.whyDiffers, "one tensor holds all experts; they get the largest format that was asked for any of them");
        out.planned.used = out.format->name();
        out.type = out.format->storage();
        const TensorInfo& tensor = *out.source;
        if (out.packing)
            out.parts = packedTensors(*out.packing, moduleOf(tensor), *out.format, tensor.rows(), tensor.cols(), layout_.request.computeType);
        else
            out.parts = {{out.planned.name, out.type, outputShape(out)}};
        return true;
    }

    std::vector<std::int64_t> outputShape(const ExportTensor& out) const {
        if (layout_.kind == ExportKind::safetensors) return out.fused ? out.source->whole->shape : out.source->fileShape();
        std::vector<std::int64_t> shape = out.source->shape;
        if (parseExpertName(out.source->canonical)) shape.insert(shape.begin(), out.elements / out.source->elements());
        return shape;
    }

    void kept(ExportTensor& out) const {
        const TensorInfo& tensor = *out.source;
        if (layout_.kind == ExportKind::gguf) out.offset = ggufValueOffset(source_, tensor);
        const bool oneType = std::all_of(out.pieces.begin(), out.pieces.end(), [&](const ExportPiece& p) { return p.source->type == tensor.type && !p.source->packed; });
        const bool changed = std::any_of(out.pieces.begin(), out.pieces.end(), [](const ExportPiece& p) { return p.source->changed; });
        if (changed) {
            out.type = StorageType::f32;
            addReason(out.planned.whyDiffers, "a transform changed its values, which only f32 holds as they are");
        } else if (tensor.packed || !oneType) {
            out.type = StorageType::f32;
            out.planned.whyDiffers = tensor.packed ? fmt::format("packed {} is not copied; its values are written out", tensor.packed->name()) : "its parts have different types";
        } else if (layout_.kind == ExportKind::safetensors || source_.kind() == CheckpointKind::gguf) {
            out.type = tensor.type;
            out.copied = true;
        } else if (staysF32(tensor)) {
            out.type = StorageType::f32;
            out.copied = tensor.type == StorageType::f32 && out.offset == 0 && !tensor.pieces;
        } else {
            const bool eight = tensor.type == StorageType::f8e4m3 || tensor.type == StorageType::f8e5m2;
            const bool plain = isPlainFloat(tensor.type);
            out.type = plain ? tensor.type : (eight ? StorageType::f16 : StorageType::f32);
            out.copied = plain && !tensor.transposed && out.offset == 0;
            if (!plain) addReason(out.planned.whyDiffers, fmt::format("GGUF weights are not {}", tensor.typeName));
        }
        out.planned.used = out.type == StorageType::unknown ? tensor.typeName : std::string(storageTypeInfo(out.type).name);
        if (out.planned.asked.empty()) {
            const SiteFormat* format = out.planned.site.value() < 0 ? nullptr : formatOf_[static_cast<std::size_t>(out.planned.site.value())];
            out.planned.asked = format ? format->asked : out.planned.used;
        }
        if (tensor.pieces && layout_.kind == ExportKind::safetensors) {
            for (const TensorInfo& part : *tensor.pieces) out.parts.push_back({part.name, out.copied ? part.type : out.type, part.shape});
            return;
        }
        out.parts = {{out.planned.name, out.type, outputShape(out)}};
    }

    void finish() {
        if (layout_.kind == ExportKind::gguf) {
            layout_.metadata = ggufMetadataFor(source_, fileType());
            layout_.parts = divideGguf(target_, layout_.metadata, layout_.outputs(), options_.partBytes);
            for (const GgufPartLayout& part : layout_.parts) layout_.fileBytes += part.bytes;
            return;
        }
        for (const ExportTensor& t : layout_.tensors) {
            if (t.source && (t.source->canonical.ends_with("ffn_gate_inp.weight") || t.source->canonical.ends_with("ffn_gate_inp_shexp.weight")))
                layout_.request.ignored.push_back(moduleOf(*t.source)); // routers of experts are linears too
            if (t.planned.site.value() < 0) continue;
            const Site& site = model_.site(t.planned.site);
            if (t.packing)
                layout_.request.modules.push_back({moduleOf(*t.source), t.format, *t.packing, site.rows, site.cols, site.inputGroup});
            else if (site.kind != SiteKind::tokenEmbedding)
                layout_.request.ignored.push_back(moduleOf(*t.source)); // leaf modules only: some loaders take an entry as a prefix
        }
        if (model_.config().tiedHead) layout_.request.ignored.emplace_back("lm_head");
        if (layout_.chosen.info->name == "compressed-tensors" && !layout_.request.modules.empty()) stateRounding();
        makeConfig(layout_, source_, false);
        layout_.fileBytes = SafetensorsFolderWriter::weightBytes(layout_.outputs(), shardBytes(options_));
    }

    /// How inputs and the cache are rounded, with their scales as tensors where these are static.
    void stateRounding() {
        layout_.request.inputs = statedInputs(options_.activations);
        layout_.request.cache = statedCache(options_.cache);
        const ServedInputs& inputs = layout_.request.inputs;
        const auto scaleAt = [](const std::vector<float>& scales, int at) { return at >= 0 && static_cast<std::size_t>(at) < scales.size() ? scales[static_cast<std::size_t>(at)] : 0.0f; };
        ExportProblem unseen{"no token of the calibration text reached these sites, so that their static scales are unknown", {}, "calibrate on more text, or use a scheme per token"};
        if (inputs.bits != 0 && !inputs.perToken)
            for (const PackedModule& module : layout_.request.modules) {
                const float scale = scales_ ? scaleAt(scales_->inputs, module.inputGroup) : 0.0f;
                if (scales_ && !(scale > 0)) unseen.sites.push_back(module.module);
                addComputed({module.module + ".input_scale", {scale}});
            }
        if (layout_.request.cache.fp8)
            for (const auto& [block, attention] : attentionModules()) {
                const bool fitted = layout_.request.cache.fitted;
                const float keys = fitted && scales_ ? scaleAt(scales_->keys, block) : 1.0f, values = fitted && scales_ ? scaleAt(scales_->values, block) : 1.0f;
                if (!(keys > 0) || !(values > 0)) unseen.sites.push_back(attention);
                addComputed({attention + ".k_scale", {keys}});
                addComputed({attention + ".v_scale", {values}});
            }
        if (!unseen.sites.empty()) refuseProblems({unseen});
    }

    /// "model.layers.3.self_attn" by block: what stands before the name of the key projection.
    std::map<int, std::string> attentionModules() const {
        std::map<int, std::string> modules;
        for (const Site& site : model_.sites()) {
            if (site.kind != SiteKind::attnK && site.kind != SiteKind::attnQkv) continue;
            const auto tensor = std::find_if(source_.tensors().begin(), source_.tensors().end(), [&](const TensorInfo& t) { return keyOf(t) == site.tensor; });
            if (tensor == source_.tensors().end()) continue;
            const std::string module = moduleOf(tensor->whole ? *tensor->whole : *tensor);
            if (const std::size_t dot = module.rfind('.'); dot != std::string::npos) modules[site.block.value()] = module.substr(0, dot);
        }
        return modules;
    }

    /// Of the mix that was asked for; of the source, where nothing is quantized; else by the types.
    std::int64_t fileType() const {
        if (options_.fileType >= 0) return options_.fileType;
        const bool kept = std::none_of(layout_.tensors.begin(), layout_.tensors.end(), [](const ExportTensor& t) { return t.format != nullptr; });
        const std::optional<std::int64_t> known = kept ? source_.metadata().integer("general.file_type") : std::nullopt;
        return known.value_or(ggufFileType(layout_.tensors));
    }

    const Model& model_;
    const Checkpoint& source_;
    const std::string& target_;
    const ExportOptions& options_;
    const RuntimeScales* scales_;
    std::vector<const SiteFormat*> formatOf_;                   ///< by site; nullptr where none was given
    std::map<std::string, std::vector<const Site*>> sitesOf_;   ///< by canonical tensor name, in the order of their rows
    ExportLayout layout_;
};

} // namespace

std::vector<OutputTensor> ExportLayout::outputs() const {
    std::vector<OutputTensor> all;
    for (const ExportTensor& t : tensors) all.insert(all.end(), t.parts.begin(), t.parts.end());
    return all;
}

std::uint64_t shardBytes(const ExportOptions& options) {
    constexpr std::uint64_t kUsual = 5ull << 30; // what Hugging Face's own writer made usual
    return options.partBytes > 0 ? options.partBytes : kUsual;
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

void useSecondGeneration(ExportLayout& layout, const Checkpoint& source) {
    for (ExportTensor& t : layout.tensors)
        if (t.packing == Packing::gptq) t.packing = Packing::gptqV2;
    makeConfig(layout, source, true);
}

HeldFormat holdIn(const ChosenLayout& layout, const Site& site, const FormatPtr& format, bool integerInputs) {
    HeldFormat held;
    const bool folder = layout.info->kind == ExportKind::safetensors;
    const auto packs = [&](const FormatPtr& candidate) {
        if (folder && isPlainFloat(candidate->storage())) return true;
        if (!folder) {
            const StorageType type = candidate->storage();
            held.why = "it has no such type";
            return type != StorageType::unknown && storageTypeInfo(type).ggmlId >= 0;
        }
        held.packing = packingIn(*layout.info, *candidate, integerInputs, site.rows, site.cols, held.why);
        return held.packing.has_value();
    };
    std::string shapeReason;
    held.format = fallbackFormat(format, site.rows, site.cols, &shapeReason);
    if (held.format == format) shapeReason.clear();
    if (folder && layout.asked && site.kind == SiteKind::tokenEmbedding && !isPlainFloat(held.format->storage())) {
        held.keep = true;
        held.why = fmt::format("{} keeps the embedding table as it is", layout.info->title);
        return held;
    }
    if (packs(held.format)) {
        held.why = shapeReason;
        return held;
    }
    if (layout.asked) {
        held.format = nullptr;
        return held;
    }
    const FormatPtr nearest = nearestIn(layout.info->kind, format);
    held.format = fallbackFormat(nearest, site.rows, site.cols, &shapeReason);
    if (!packs(held.format)) throw Error(ErrorCode::internal, held.format->name() + " is no format of " + std::string(layout.info->name));
    held.why = fmt::format("{} has no {}; {} is nearest", folder ? "packed safetensors" : "GGUF", format->name(), nearest->name());
    if (held.format != nearest) addReason(held.why, shapeReason);
    return held;
}

ExportLayout layOutExport(const Model& model, const std::vector<SiteFormat>& formats, const std::string& target, const ExportOptions& options, const RuntimeScales* scales) {
    return LayoutBuilder(model, chooseLayout(options, target, formats), formats, target, options, scales).build();
}

} // namespace bw
