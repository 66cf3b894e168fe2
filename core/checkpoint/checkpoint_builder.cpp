// SPDX-License-Identifier: GPL-3.0-or-later
// The rules between files: index against shards, config against tensors. Rules inside one file are the readers'.
#include "core/checkpoint/checkpoint_builder.h"

#include "core/base/error.h"
#include "core/base/text.h"
#include "core/checkpoint/checkpoint_impl.h"
#include "core/checkpoint/config_reader.h"
#include "core/checkpoint/expected_shapes.h"
#include "core/checkpoint/folder_files.h"
#include "core/checkpoint/logical_tensors.h"
#include "core/checkpoint/split_gguf.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>
#include <set>
#include <unordered_map>
#include <unordered_set>

namespace bw {
namespace fs = std::filesystem;

namespace {

constexpr std::size_t kMaximumShards = 10'000;
constexpr std::size_t kMaximumWarnings = 100; ///< the rest is counted, not listed

/// "a, b, c and 7 more"
template <class Names>
std::string listSome(const Names& names) {
    std::string text;
    std::size_t shown = 0;
    for (const auto& name : names) {
        if (shown == 5) return text + " and " + std::to_string(names.size() - shown) + " more";
        text += (shown++ == 0 ? "" : ", ") + escapeForDisplay(name, 80);
    }
    return text;
}

/// The shards that an index names, each name checked before anything is opened.
std::map<std::string, std::vector<std::string>> shardsOfIndex(const std::string& label, const Json& index) {
    std::map<std::string, std::vector<std::string>> shards;
    for (const auto& [tensor, shard] : index.at("weight_map").items()) {
        if (!shard.is_string())
            throw Error(ErrorCode::invalidHeader, label + ": the file of tensor '" + escapeForDisplay(tensor) + "' is not a name", "The index is damaged; fetch it again.");
        const auto& name = shard.get_ref<const std::string&>();
        if (!isPlainFileName(name))
            throw Error(ErrorCode::pathEscapes, label + ": tensor '" + escapeForDisplay(tensor) + "' is said to lie in '" + escapeForDisplay(name, 80) + "', which is no plain file name",
                        "An index may only name files of its own folder. Do not trust this checkpoint.");
        shards[name].push_back(tensor);
        if (shards.size() > kMaximumShards)
            throw Error(ErrorCode::headerTooLarge, label + ": more than " + std::to_string(kMaximumShards) + " shards");
    }
    return shards;
}

/// Real paths of all shards; one error lists every missing one.
std::vector<std::string> locateShards(const std::string& folder, const std::string& label, const std::map<std::string, std::vector<std::string>>& shards) {
    std::vector<std::string> paths, missing;
    for (const auto& [name, tensors] : shards) {
        try {
            paths.push_back(resolveInside(folder, name));
        } catch (const Error& error) {
            if (error.code() != ErrorCode::fileNotFound) throw;
            missing.push_back(name);
        }
    }
    if (!missing.empty())
        throw Error(ErrorCode::shardMissing, label + ": " + std::to_string(missing.size()) + " of " + std::to_string(shards.size()) + " files are missing: " + listSome(missing),
                    "The download is probably incomplete; fetch the missing files into the same folder.");
    return paths;
}

void checkTotalSize(const Json& index, std::uint64_t bytes, const std::string& label, std::vector<std::string>& warnings) {
    if (!index.contains("metadata") || !index.at("metadata").is_object()) return;
    const Json& metadata = index.at("metadata");
    if (!metadata.contains("total_size") || !metadata.at("total_size").is_number()) return;
    const double claimed = metadata.at("total_size").get<double>();
    if (claimed != static_cast<double>(bytes))
        warnings.push_back(label + ": total_size says " + std::to_string(static_cast<std::int64_t>(std::min(claimed, 9.0e18))) + " bytes, the tensors take " + std::to_string(bytes));
}

} // namespace

CheckpointBuilder::CheckpointBuilder(std::string path) : checkpoint_(new Checkpoint), impl_(*checkpoint_->impl_) {
    impl_.path = std::move(path);
}

void CheckpointBuilder::warn(std::string line) { impl_.warnings.push_back(std::move(line)); }

void CheckpointBuilder::setFolder(std::string folder, std::string displayName) {
    impl_.folder = std::move(folder);
    impl_.displayName = std::move(displayName);
}

void CheckpointBuilder::addSingleFile(MappedFile file, const std::string& folder, const std::string& name) {
    const std::string shown = escapeForDisplay(file.path());
    FileMagic magic = probeMagic(file);
    if (magic == FileMagic::pickle) refusePickle(file.path());
    if (magic == FileMagic::other || magic == FileMagic::json) {
        // The reader of the kind that the name promises says best what is wrong; other names are of no known kind.
        if (name.ends_with(".safetensors"))
            magic = FileMagic::safetensors;
        else if (name.ends_with(".gguf") && file.size() < 4)
            throw Error(ErrorCode::headerTooSmall, shown + ": " + std::to_string(file.size()) + " bytes are too few for a GGUF file", "The download is probably incomplete; fetch the file again.");
        else
            throw Error(ErrorCode::unknownFileType, shown + " is neither safetensors nor GGUF", "Open a model folder, a .safetensors, an index.json or a .gguf file.");
    }
    if (magic == FileMagic::gguf) {
        if (!name.ends_with(".gguf")) warn(shown + " is a GGUF file whatever its name says");
        impl_.folder.clear();
        GgufHeader header = readGgufHeader(file);
        std::vector<GgufPart> parts;
        if (isSplitPart(header))
            parts = openSplitParts({std::move(file), std::move(header)}, folder, name);
        else
            parts.push_back({std::move(file), std::move(header)});
        for (GgufPart& part : parts) {
            impl_.files.push_back(std::move(part.file));
            addGguf(std::move(part.header));
        }
        return;
    }
    if (!name.ends_with(".safetensors")) warn(shown + " is a safetensors file whatever its name says");
    if (name.find("-of-") != std::string::npos) warn(shown + " looks like one part of several; open the folder or the index to see all tensors");
    SafetensorsHeader header = readSafetensorsHeader(file);
    impl_.files.push_back(std::move(file));
    addSafetensors(std::move(header));
}

void CheckpointBuilder::addShards(const std::string& folder, const std::string& indexLabel, const Json& index) {
    const auto shards = shardsOfIndex(indexLabel, index);
    const auto paths = locateShards(folder, indexLabel, shards);
    std::unordered_map<std::string, std::string> shardOfTensor; // of all tensors in all shards, listed or not
    std::uint64_t listedBytes = 0;
    std::size_t next = 0;
    for (const auto& [name, listed] : shards) {
        MappedFile file(paths[next++]);
        const FileMagic magic = probeMagic(file);
        if (magic == FileMagic::pickle) refusePickle(file.path());
        if (magic == FileMagic::gguf)
            throw Error(ErrorCode::unknownFileType, escapeForDisplay(file.path()) + " is a GGUF file, but the index needs safetensors", "Open the GGUF file by itself.");
        SafetensorsHeader header = readSafetensorsHeader(file);
        std::unordered_set<std::string_view> wanted(listed.begin(), listed.end()), present;
        for (const auto& entry : header.entries) {
            present.insert(entry.name);
            const auto [other, fresh] = shardOfTensor.emplace(entry.name, name);
            if (!fresh)
                throw Error(ErrorCode::duplicateKey, indexLabel + ": tensor '" + escapeForDisplay(entry.name) + "' lies in '" + other->second + "' and in '" + name + "'",
                            "Files of two different downloads were mixed; fetch the checkpoint again.");
        }
        std::vector<std::string> absent, unlisted;
        for (const auto& tensor : listed)
            if (!present.contains(tensor)) absent.push_back(tensor);
        if (!absent.empty())
            throw Error(ErrorCode::tensorMissing, escapeForDisplay(file.path()) + " does not hold " + std::to_string(absent.size()) + " tensors that the index places there: " + listSome(absent),
                        "The file belongs to another download; fetch the checkpoint again.");
        for (const auto& entry : header.entries)
            if (!wanted.contains(entry.name)) unlisted.push_back(entry.name);
        if (!unlisted.empty()) warn(escapeForDisplay(file.path()) + " holds tensors that the index does not list; they are ignored: " + listSome(unlisted));
        std::erase_if(header.entries, [&](const auto& entry) { return !wanted.contains(entry.name); });
        for (const auto& entry : header.entries) listedBytes += entry.end - entry.begin;
        impl_.files.push_back(std::move(file));
        addSafetensors(std::move(header));
    }
    checkTotalSize(index, listedBytes, indexLabel, impl_.warnings);
}

void CheckpointBuilder::addSafetensors(SafetensorsHeader header) {
    const int file = static_cast<int>(impl_.files.size()) - 1;
    impl_.kind = CheckpointKind::safetensors;
    for (auto& line : header.warnings) warn(std::move(line));
    impl_.tensors.reserve(impl_.tensors.size() + header.entries.size());
    for (auto& entry : header.entries) {
        TensorInfo tensor;
        tensor.name = std::move(entry.name);
        tensor.type = entry.type;
        tensor.typeName = std::move(entry.dtype);
        tensor.shape = std::move(entry.shape);
        tensor.file = file;
        tensor.offset = header.dataStart + entry.begin;
        tensor.bytes = entry.end - entry.begin;
        impl_.tensors.push_back(std::move(tensor));
    }
}

void CheckpointBuilder::addGguf(GgufHeader header) {
    const int file = static_cast<int>(impl_.files.size()) - 1;
    impl_.kind = CheckpointKind::gguf;
    for (auto& line : header.warnings) warn(std::move(line));
    if (file == 0) impl_.metadata = std::move(header.metadata); // the first part of a split model speaks for all
    impl_.tensors.reserve(impl_.tensors.size() + header.tensors.size());
    for (const auto& entry : header.tensors) {
        TensorInfo tensor;
        tensor.name = tensor.canonical = entry.name;
        tensor.type = entry.type;
        tensor.typeName = entry.type == StorageType::unknown ? "type " + std::to_string(entry.typeId) : std::string(storageTypeInfo(entry.type).fileName);
        tensor.shape = entry.shape;
        // A single row, which some writers store as a vector: the gate of the shared expert is a linear to every reader.
        if (tensor.shape.size() == 1 && tensor.name.ends_with(".ffn_gate_inp_shexp.weight")) tensor.shape.insert(tensor.shape.begin(), 1);
        tensor.file = file;
        tensor.offset = entry.offset;
        tensor.bytes = entry.bytes;
        impl_.tensors.push_back(std::move(tensor));
    }
}

void CheckpointBuilder::readConfig() {
    ModelConfig& config = impl_.config;
    if (impl_.kind == CheckpointKind::gguf) {
        const auto isEmbedding = [](const TensorInfo& tensor) { return tensor.name == "token_embd.weight"; };
        const auto embedding = std::find_if(impl_.tensors.begin(), impl_.tensors.end(), isEmbedding);
        std::unordered_set<std::string_view> names;
        for (const TensorInfo& tensor : impl_.tensors) names.insert(tensor.name);
        const auto has = [&](const std::string& name) { return names.contains(name); };
        config = configFromGguf(impl_.metadata, embedding == impl_.tensors.end() ? 0 : embedding->rows(), has);
    } else {
        try {
            const std::string path = resolveInside(impl_.folder, "config.json");
            impl_.configJson = readJsonFile(path, {16ull << 20, 64});
            config = configFromHuggingFace(impl_.configJson);
        } catch (const Error& error) {
            // A link out of the folder is an attack or an accident that must not pass silently.
            if (error.code() == ErrorCode::pathEscapes) throw;
            config.forwardSupported = false;
            config.whyNot = error.code() == ErrorCode::fileNotFound ? "there is no config.json beside the weights" : error.message();
            impl_.configJson = nullptr;
        }
        config.addBos = tokenizerAddsBos(impl_.folder);
    }
    if (config.name.empty()) config.name = impl_.displayName;
}

/// The file decides whether there is an output matrix of its own; the config's flag only when it agrees.
void CheckpointBuilder::settleHead() {
    const bool hasHead = impl_.find("output.weight") != nullptr;
    if (impl_.kind == CheckpointKind::safetensors && impl_.config.forwardSupported && hasHead == impl_.config.tiedHead)
        warn(hasHead ? "config.json says the head is tied to the embedding, but the weights hold an lm_head of their own, which is used"
                     : "config.json says the head is not tied to the embedding, but there is no lm_head; the embedding is used");
    impl_.config.tiedHead = !hasHead;
}

/// GGUF keeps the divisors of the rotary frequencies as tensors: one list for all lengths (Llama 3), or one for texts
/// within the original context and one for longer ones (longrope).
void CheckpointBuilder::readRopeFactors() {
    RopeConfig& rope = impl_.config.ropes.front();
    const auto factors = [&](const char* name) {
        std::vector<double> values;
        const TensorInfo* tensor = impl_.find(name);
        if (!tensor) return values;
        if (tensor->elements() != rope.dims / 2)
            throw Error(ErrorCode::shapeMismatch, std::string(name) + " has " + std::to_string(tensor->elements()) + " factors for " + std::to_string(rope.dims) + " rotated channels");
        std::vector<float> floats(static_cast<std::size_t>(tensor->elements()));
        checkpoint_->read(*tensor, floats);
        for (const float value : floats)
            if (!(value > 0) || !std::isfinite(value)) throw Error(ErrorCode::invalidTensor, std::string(name) + " holds the factor " + std::to_string(value));
        values.assign(floats.begin(), floats.end());
        return values;
    };
    rope.factors = factors("rope_freqs.weight");
    if (auto shortFactors = factors("rope_factors_short.weight"); !shortFactors.empty()) rope.factors = std::move(shortFactors);
    rope.longFactors = factors("rope_factors_long.weight");
    if (!rope.longFactors.empty() && rope.scaling == RopeScaling::none) rope.scaling = RopeScaling::longrope;
}

void CheckpointBuilder::compareWithConfig() {
    ModelConfig& config = impl_.config;
    const auto refuse = [&](std::string why) {
        config.forwardSupported = false;
        if (config.whyNot.empty()) config.whyNot = std::move(why);
    };
    if (!config.forwardSupported) return;
    if (impl_.kind == CheckpointKind::gguf) {
        try {
            readRopeFactors();
        } catch (const Error& error) {
            return refuse(error.message());
        }
    }
    std::vector<std::string> missing;
    for (const auto& expected : expectedShapes(config, [&](const std::string& name) { return impl_.find(name) != nullptr; })) {
        const TensorInfo* tensor = impl_.find(expected.canonical);
        if (!tensor) {
            missing.push_back(expected.canonical);
            continue;
        }
        if (!sameShape(tensor->shape, expected.shape) && impl_.warnings.size() < kMaximumWarnings)
            warn("tensor '" + escapeForDisplay(tensor->name) + "' is " + shapeText(tensor->shape) + ", the configuration needs " + shapeText(expected.shape));
    }
    if (!missing.empty()) warn(std::to_string(missing.size()) + " tensors that the configuration needs are missing: " + listSome(missing));
}

std::shared_ptr<const Checkpoint> CheckpointBuilder::finish() {
    readConfig();
    if (impl_.kind == CheckpointKind::safetensors) {
        const QuantizationConfig quantization = readQuantizationConfig(impl_.configJson, impl_.folder);
        impl_.packed = joinQuantizedLinears(impl_.tensors, impl_.files, quantization, impl_.warnings);
        if (!quantization.whyNotDecoded.empty()) {
            warn(quantization.whyNotDecoded);
            if (impl_.config.forwardSupported) impl_.config.whyNot = quantization.whyNotDecoded;
            impl_.config.forwardSupported = false;
        }
        arrangeTensors(impl_.tensors, impl_.config.family);
    }
    impl_.buildIndex();
    settleHead();
    compareWithConfig();
    for (const auto& tensor : impl_.tensors)
        if (tensor.type == StorageType::unknown && !tensor.packed && impl_.warnings.size() < kMaximumWarnings)
            warn("tensor '" + escapeForDisplay(tensor.name) + "' has the unknown type " + escapeForDisplay(tensor.typeName, 40) + " and cannot be used");
    return checkpoint_;
}

} // namespace bw
