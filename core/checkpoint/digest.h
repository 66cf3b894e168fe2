// SPDX-License-Identifier: GPL-3.0-or-later
// SHA-256 of a checkpoint's weight files, remembered by path, size, time and inode so that gigabytes are read once.
#pragma once

#include "core/checkpoint/checkpoint.h"

#include <string>
#include <vector>

namespace bw {

struct FileDigest {
    std::string path, sha256;
    std::uint64_t bytes = 0;
    bool remembered = false; ///< from the cache, the file was not read
};

struct CheckpointDigest {
    /// Of one file its own, as sha256sum prints it. Of several: of the lines "DIGEST  NAME\n" sorted by name, as
    /// `sha256sum *.safetensors | sha256sum` prints it. Of a derived checkpoint: of that, a line end and derivation().
    std::string sha256;
    std::vector<FileDigest> files; ///< in the order of Checkpoint::files()
};

/// Files are hashed in parallel, each as a stream. Progress unit: bytes.
/// @param cacheFile JSON of earlier digests (defaultDigestCache()); empty = none. One that cannot be read or written is no
/// error. A file changed less than 2 s ago is not remembered: a later change could leave its time as it is.
/// @throws Error fileChanged, cancelled.
CheckpointDigest digestCheckpoint(const Checkpoint& checkpoint, const std::string& cacheFile, JobContext& job);

/// $XDG_CACHE_HOME/bitwright/digests.json, else ~/.cache/…; empty when there is no home.
std::string defaultDigestCache();

} // namespace bw
