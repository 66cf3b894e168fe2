// SPDX-License-Identifier: GPL-3.0-or-later
// Nothing here follows a link before knowing where it leads.
#include "core/checkpoint/folder_files.h"

#include "core/base/error.h"
#include "core/base/text.h"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <memory>
#include <sys/stat.h>

namespace bw {
namespace fs = std::filesystem;

namespace {

std::string realPath(const std::string& path) {
    const std::unique_ptr<char, decltype(&std::free)> resolved(::realpath(path.c_str(), nullptr), &std::free);
    if (resolved) return resolved.get();
    const std::string shown = escapeForDisplay(path);
    switch (errno) {
    case ELOOP: throw Error(ErrorCode::notRegularFile, shown + " is a loop of symbolic links", "Replace the link by the file itself.");
    case EACCES: throw Error(ErrorCode::permissionDenied, "no permission to reach " + shown, "Check the mode of the file and its folders.");
    default: throw Error(ErrorCode::fileNotFound, shown + " is missing or a link that leads nowhere", "Fetch the file again.");
    }
}

/// Everything a link of `folder` may lead to: the folder, or the whole model when it is a snapshot of a cache.
std::string allowedRoot(const std::string& realFolder) {
    const fs::path folder(realFolder);
    const fs::path snapshots = folder.parent_path();
    if (snapshots.filename() == "snapshots" && snapshots.parent_path().filename().string().starts_with("models--")) return snapshots.parent_path().string();
    return realFolder;
}

} // namespace

FileMagic probeMagic(const MappedFile& file) {
    unsigned char head[16] = {};
    const std::size_t count = std::min<std::size_t>(sizeof head, file.bytes().size());
    if (count > 0) std::memcpy(head, file.bytes().data(), count);
    if (count >= 4 && std::memcmp(head, "GGUF", 4) == 0) return FileMagic::gguf;
    // The upper half of the header length is zero in every legal file, which no zip or pickle of use shares.
    if (count >= 9 && head[8] == '{' && head[4] == 0 && head[5] == 0 && head[6] == 0 && head[7] == 0) return FileMagic::safetensors;
    if (count >= 4 && head[0] == 'P' && head[1] == 'K' && (head[2] == 3 || head[2] == 5 || head[2] == 7)) return FileMagic::pickle;
    if (count >= 2 && head[0] == 0x80 && head[1] >= 2 && head[1] <= 5) return FileMagic::pickle;
    for (std::size_t i = 0; i < count; ++i) {
        if (head[i] == '{') return FileMagic::json;
        if (head[i] != ' ' && head[i] != '\n' && head[i] != '\t' && head[i] != '\r') break;
    }
    return FileMagic::other;
}

void refusePickle(const std::string& path) {
    throw Error(ErrorCode::pickleRefused, escapeForDisplay(path) + " is a pickle or zip file; opening one can run any code that it holds, so it is not opened",
                "Convert it to safetensors in a sandbox (transformers: save_pretrained with safe_serialization), or download the .safetensors or .gguf of this model.");
}

std::vector<std::string> listRegularNames(const std::string& folder, std::size_t limit) {
    std::error_code error;
    std::vector<std::string> names;
    std::size_t looked = 0;
    for (fs::directory_iterator it(folder, error), end; !error && it != end && looked < limit; it.increment(error), ++looked) {
        std::error_code ignored;
        if (it->symlink_status(ignored).type() != fs::file_type::directory) names.push_back(it->path().filename().string());
    }
    if (error)
        throw Error(error == std::errc::permission_denied ? ErrorCode::permissionDenied : ErrorCode::readFailed,
                    "cannot list " + escapeForDisplay(folder) + ": " + error.message(), "Check the folder's owner and mode.");
    std::sort(names.begin(), names.end());
    return names;
}

bool isPlainFileName(const std::string& name) {
    if (name.empty() || name.size() > 255 || name == "." || name == ".." || name.front() == '~') return false;
    return std::none_of(name.begin(), name.end(), [](char c) { return c == '/' || c == '\\' || c == ':' || static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
}

std::string resolveInside(const std::string& folder, const std::string& name) {
    const std::string path = (fs::path(folder) / name).string();
    struct stat info {};
    if (::lstat(path.c_str(), &info) != 0) return realPath(path); // words the error
    if (S_ISREG(info.st_mode)) return path;
    if (!S_ISLNK(info.st_mode))
        throw Error(ErrorCode::notRegularFile, escapeForDisplay(path) + " is not a regular file", "A folder, FIFO, socket or device stands where a file is needed.");
    const std::string real = realPath(path), root = allowedRoot(realPath(folder));
    if (!real.starts_with(root + "/"))
        throw Error(ErrorCode::pathEscapes, escapeForDisplay(path) + " is a link to " + escapeForDisplay(real) + ", outside of " + escapeForDisplay(root),
                    "Put the file itself into the folder, or open the file where it lies.");
    return real;
}

} // namespace bw
