// SPDX-License-Identifier: GPL-3.0-or-later
// Looks for the resources folder; what is asked for by name wins over what is installed, and that over the source tree.
#include "app/common/resources.h"

#include "core/base/error.h"

#include <cstdlib>
#include <filesystem>
#include <system_error>
#include <vector>

namespace bw {
namespace fs = std::filesystem;

namespace {

bool looksRight(const fs::path& folder) {
    std::error_code ignored;
    return fs::is_directory(folder / "demo", ignored) && fs::is_directory(folder / "texts", ignored);
}

} // namespace

std::string executableFolder() {
    std::error_code failure;
    const fs::path program = fs::read_symlink("/proc/self/exe", failure);
    return failure ? std::string() : program.parent_path().string();
}

std::string resourcesFolder() {
    std::vector<fs::path> places;
    if (const char* named = std::getenv("BITWRIGHT_RESOURCES"); named && *named)
        places.emplace_back(named);
    if (const std::string beside = executableFolder(); !beside.empty())
        places.push_back(fs::path(beside).parent_path() / "share" / "bitwright");
    places.emplace_back(BW_SOURCE_RESOURCES);
    std::string looked;
    for (const fs::path& place : places) {
        if (looksRight(place))
            return place.string();
        looked += (looked.empty() ? "" : ", ") + place.string();
    }
    throw Error(ErrorCode::fileNotFound, "the demo checkpoint and texts were found in none of: " + looked,
                "set BITWRIGHT_RESOURCES to a folder that holds demo/ and texts/");
}

} // namespace bw
