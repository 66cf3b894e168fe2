// SPDX-License-Identifier: GPL-3.0-or-later
// What identifies a file or a folder of files that a run wrote.
#include "core/experiment/workbench.h"

#include "core/base/hash.h"

#include <algorithm>
#include <filesystem>

namespace bw {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kHashPiece = 1 << 20; ///< a few ms of hashing between two looks at the stop token

void hashFile(Sha256& hash, const fs::path& path, JobContext& job) {
    const MappedFile file(path.string());
    const std::span<const std::byte> bytes = file.bytes();
    for (std::uint64_t at = 0; at < bytes.size(); at += kHashPiece) {
        hash.update(bytes.subspan(at, std::min<std::uint64_t>(kHashPiece, bytes.size() - at)));
        job.checkpoint();
    }
}

} // namespace

std::pair<std::string, std::uint64_t> hashArtifact(const std::string& path, JobContext& job) {
    Sha256 hash;
    if (!fs::is_directory(path)) {
        hashFile(hash, path, job);
        return {hash.hex(), fs::file_size(path)};
    }
    std::vector<fs::path> files;
    for (const fs::directory_entry& entry : fs::directory_iterator(path))
        if (entry.is_regular_file())
            files.push_back(entry.path());
    std::sort(files.begin(), files.end());
    std::uint64_t total = 0;
    for (const fs::path& file : files) {
        const std::string name = file.filename().string();
        hash.update(std::as_bytes(std::span(name.data(), name.size())));
        hashFile(hash, file, job);
        total += fs::file_size(file);
    }
    return {hash.hex(), total};
}

} // namespace bw
