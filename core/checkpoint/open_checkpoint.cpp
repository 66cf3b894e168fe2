// SPDX-License-Identifier: GPL-3.0-or-later
// Opening: what is at the path, which files belong to it, and how their directories become one. Nothing outside the
// checkpoint's own folder is opened, whatever an index or a link says.
#include "core/base/error.h"
#include "core/base/text.h"
#include "core/checkpoint/checkpoint_builder.h"
#include "core/checkpoint/folder_files.h"
#include "core/checkpoint/hub_cache.h"
#include "core/checkpoint/split_gguf.h"

#include <algorithm>
#include <filesystem>

namespace bw {
namespace fs = std::filesystem;

namespace {

constexpr const char* kIndexSuffix = ".safetensors.index.json";

bool isPickleName(const std::string& name) {
    for (const char* suffix : {".bin", ".pt", ".pth", ".ckpt", ".pkl"})
        if (name.ends_with(suffix)) return true;
    return false;
}

/// "SmolLM2" of …/models--ORG--SmolLM2/snapshots/REV, else the folder's own name.
std::string folderDisplayName(const fs::path& folder) {
    if (folder.parent_path().filename() == "snapshots") {
        const std::string cache = folder.parent_path().parent_path().filename().string();
        if (const auto cut = cache.rfind("--"); cache.starts_with("models--") && cut > 6) return cache.substr(cut + 2);
    }
    return folder.filename().string();
}

/// Picks what to open in a folder: the single file, the index, or the only weight file there is.
std::string chooseWeights(const fs::path& folder) {
    const auto names = listRegularNames(folder.string(), 100'000);
    const auto has = [&](const char* name) { return std::find(names.begin(), names.end(), name) != names.end(); };
    for (const char* usual : {"model.safetensors", "model.safetensors.index.json"})
        if (has(usual)) return usual;
    for (const char* suffix : {kIndexSuffix, ".safetensors", ".gguf"}) {
        std::vector<std::string> found;
        for (const auto& name : names)
            if (const auto split = parseSplitName(name); name.ends_with(suffix) && (!split || split->number == 1)) found.push_back(name);
        // Of a split model without its first part, any other part says what is missing.
        for (const auto& name : names)
            if (found.empty() && name.ends_with(suffix)) found.push_back(name);
        if (found.size() == 1) return found.front();
        if (found.size() > 1)
            throw Error(ErrorCode::fileNotFound, escapeForDisplay(folder.string()) + " holds " + std::to_string(found.size()) + " '" + suffix + "' files and no index that joins them",
                        "Open one of the files, for instance " + escapeForDisplay(found.front()) + ".");
    }
    for (const auto& name : names)
        if (isPickleName(name)) refusePickle((folder / name).string());
    throw Error(ErrorCode::fileNotFound, escapeForDisplay(folder.string()) + " holds no model.safetensors, no index and no .gguf file",
                "Open the folder that holds the weights, or the weight file itself.");
}

/// @param index as named; @param realPath where its text lies (a link inside a cache).
void openIndex(CheckpointBuilder& builder, const fs::path& index, const std::string& realPath) {
    const std::string label = escapeForDisplay(index.string());
    const Json json = parseJson(readTextFile(realPath, 100'000'000), label);
    if (!json.is_object() || !json.contains("weight_map") || !json.at("weight_map").is_object())
        throw Error(ErrorCode::unknownFileType, label + ": no 'weight_map' in this JSON file, so it is no index of weight files", "Open a model folder, a .safetensors or a .gguf file.");
    builder.addShards(index.parent_path().string(), label, json);
}

/// @param revision of a model in a cache; empty = its current one.
void openFolder(CheckpointBuilder& builder, const fs::path& folder, const std::string& revision = {}) {
    if (isHubModelFolder(folder.string())) {
        HubChoice choice = chooseSnapshot(folder.string(), revision);
        for (auto& line : choice.warnings) builder.warn(std::move(line));
        return openFolder(builder, choice.folder);
    }
    builder.setFolder(folder.string(), folderDisplayName(folder));
    const std::string name = chooseWeights(folder);
    const std::string real = resolveInside(folder.string(), name);
    if (name.ends_with(".json")) {
        openIndex(builder, folder / name, real);
    } else {
        builder.addSingleFile(MappedFile(real), folder.string(), name);
    }
}

void openFile(CheckpointBuilder& builder, const fs::path& path) {
    const std::string name = path.filename().string();
    if (name == "config.json") return openFolder(builder, path.parent_path());
    MappedFile file(path.string());
    const FileMagic magic = probeMagic(file);
    const std::string folder = path.parent_path().string();
    if (magic == FileMagic::json && name.ends_with(".json")) {
        builder.setFolder(folder, folderDisplayName(path.parent_path()));
        return openIndex(builder, path, path.string());
    }
    const bool generic = name.starts_with("model.") || name.starts_with("model-");
    if (magic == FileMagic::gguf) {
        const auto split = parseSplitName(name);
        builder.setFolder("", split ? split->prefix : path.stem().string());
    }
    else
        builder.setFolder(folder, generic ? folderDisplayName(path.parent_path()) : path.stem().string());
    builder.addSingleFile(std::move(file), folder, name);
}

} // namespace

std::shared_ptr<const Checkpoint> Checkpoint::open(const std::string& path) {
    if (path.empty() || path.find('\0') != std::string::npos)
        throw Error(ErrorCode::fileNotFound, "the path '" + escapeForDisplay(path) + "' names no file", "Give a model folder, a .safetensors or a .gguf file.");
    std::error_code error;
    fs::path absolute = fs::absolute(path, error).lexically_normal();
    if (error) throw Error(ErrorCode::fileNotFound, "the folder that '" + escapeForDisplay(path) + "' starts from is gone", "Give an absolute path.");
    if (!absolute.has_filename()) absolute = absolute.parent_path();
    CheckpointBuilder builder(absolute.string());
    if (fs::is_directory(absolute, error)) {
        openFolder(builder, absolute);
        return builder.finish();
    }
    // "models--ORG--NAME@REVISION" names one revision in a cache.
    const std::string whole = absolute.string();
    if (const auto at = whole.find('@', whole.rfind("models--") == std::string::npos ? 0 : whole.rfind("models--"));
        at != std::string::npos && !fs::exists(absolute, error) && isHubModelFolder(whole.substr(0, at)))
        openFolder(builder, whole.substr(0, at), whole.substr(at + 1));
    else
        openFile(builder, absolute);
    return builder.finish();
}

} // namespace bw
