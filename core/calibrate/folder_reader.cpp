// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/calibrate/folder_reader.h"

#include "core/base/error.h"
#include "core/base/text.h"

#include <algorithm>
#include <filesystem>
#include <fmt/format.h>

namespace bw::detail {
namespace {

namespace fs = std::filesystem;

/// Entries looked at, hidden ones and those left out included.
constexpr std::int64_t kMostEntries = 1'000'000;

[[noreturn]] void refuse(const std::string& folder, const std::string& why) {
    throw Error(ErrorCode::usage, "'" + escapeForDisplay(folder) + "' " + why, "name the folder of the texts themselves, or choose files with --include '*.py'");
}

} // namespace

bool passesGlobs(const std::string& below, const std::vector<std::string>& include) {
    const std::string name = below.substr(below.rfind('/') + 1);
    const auto matches = [&](std::string_view glob) { return globMatches(glob, glob.find('/') == std::string_view::npos ? name : below); };
    bool anyWanted = false, wanted = false;
    for (const std::string& glob : include) {
        if (glob.starts_with('!')) {
            if (matches(std::string_view(glob).substr(1)))
                return false;
        } else {
            anyWanted = true;
            wanted = wanted || matches(glob);
        }
    }
    return wanted || !anyWanted;
}

FolderFiles listFolder(const std::string& folder, const std::vector<std::string>& include, JobContext& job) {
    FolderFiles out;
    std::error_code failure;
    fs::recursive_directory_iterator at(folder, fs::directory_options::skip_permission_denied, failure);
    if (failure)
        throw Error(failure == std::errc::permission_denied ? ErrorCode::permissionDenied : ErrorCode::fileNotFound,
                    "the folder '" + escapeForDisplay(folder) + "' can't be read: " + failure.message(), "check the path and its permissions");
    std::int64_t seen = 0;
    std::uint64_t bytes = 0;
    for (const fs::recursive_directory_iterator end; at != end; at.increment(failure)) {
        if (failure)
            throw Error(ErrorCode::readFailed, "the folder '" + escapeForDisplay(folder) + "' can't be read: " + failure.message(), "check the disk, then try again");
        if (++seen % 256 == 0)
            job.checkpoint();
        if (seen > kMostEntries)
            refuse(folder, fmt::format("holds more than {} entries", kMostEntries));
        const bool hidden = at->path().filename().native().starts_with('.');
        if (hidden || at->is_symlink(failure)) {
            at.disable_recursion_pending();
            continue;
        }
        if (!at->is_regular_file(failure))
            continue;
        FolderFile file{at->path().string(), at->path().lexically_relative(folder).generic_string(), at->file_size(failure)};
        if (!passesGlobs(file.below, include) || (!failure && file.bytes == 0))
            continue;
        if (failure || file.bytes > kLargestFile) {
            out.skipped.push_back(file.below + (failure ? ": " + failure.message() : ": larger than 4 MiB"));
            continue;
        }
        bytes += file.bytes;
        out.files.push_back(std::move(file));
        if (static_cast<std::int64_t>(out.files.size()) > kMostFiles)
            refuse(folder, fmt::format("holds more than {} files", kMostFiles));
        if (bytes > kMostFolderBytes)
            refuse(folder, "holds more than 256 MiB of files");
    }
    std::sort(out.files.begin(), out.files.end(), [](const FolderFile& a, const FolderFile& b) { return a.below < b.below; });
    std::sort(out.skipped.begin(), out.skipped.end());
    return out;
}

} // namespace bw::detail
