// SPDX-License-Identifier: GPL-3.0-or-later
// A folder beside the target in which an output of several files grows, and the errors of writing there. Not for: single
// files (core/base/atomic_file.h). Private to core/checkpoint.
#pragma once

#include <cstdint>
#include <string>

namespace bw {

/// "TARGET.partial-PID-N", locked while it lives so that cleaners leave it alone; removed with all that is in it unless
/// release() was called. Temporaries of writers that are gone are removed first.
class TemporaryFolder {
public:
    /// @throws Error fileNotFound, diskFull, permissionDenied, writeFailed.
    explicit TemporaryFolder(const std::string& target);
    ~TemporaryFolder();
    TemporaryFolder(const TemporaryFolder&) = delete;
    TemporaryFolder& operator=(const TemporaryFolder&) = delete;
    const std::string& path() const { return path_; }
    /// The folder has got its final name, or was moved aside: it stays.
    void release() { released_ = true; }

private:
    std::string path_;
    int lock_ = -1;
    bool released_ = false;
};

/// "cannot WHAT: why". @param error an errno.
[[noreturn]] void throwWriteError(const std::string& what, int error);
/// @throws Error(diskFull) when the file system of `folder` says that it has less than `bytes` left for `target`.
void requireSpace(const std::string& folder, std::uint64_t bytes, const std::string& target);
/// fsync of a folder, after which renames in it last. File systems that cannot are passed over.
void syncFolder(const std::string& folder);

} // namespace bw
