// SPDX-License-Identifier: GPL-3.0-or-later
// The text files below a folder, in the order of their names, within bounds that no tree can break. Private to core/calibrate.
#pragma once

#include "core/base/job.h"

#include <cstdint>
#include <string>
#include <vector>

namespace bw::detail {

/// More is refused: whoever means a whole disk has mistaken the folder.
inline constexpr std::int64_t kMostFiles = 20'000;
inline constexpr std::uint64_t kMostFolderBytes = 256ull << 20;
/// Source files are small; what is larger is data or generated.
inline constexpr std::uint64_t kLargestFile = 4ull << 20;

struct FolderFile {
    std::string path, below; ///< the whole path; the part below the folder, with '/'
    std::uint64_t bytes = 0;
};
struct FolderFiles {
    std::vector<FolderFile> files;    ///< by `below`, byte order
    std::vector<std::string> skipped; ///< too large, unreadable, with the reason
};

/// Does a path below the folder pass the globs? Those with "!" leave out; without any other, everything else passes.
bool passesGlobs(const std::string& below, const std::vector<std::string>& include);

/// Names only; nothing is opened. Hidden entries and links are passed over, empty files too.
/// @throws Error fileNotFound, permissionDenied (the folder itself), usage (too many files or bytes), cancelled.
FolderFiles listFolder(const std::string& folder, const std::vector<std::string>& include, JobContext& job);

} // namespace bw::detail
