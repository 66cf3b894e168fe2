// SPDX-License-Identifier: GPL-3.0-or-later
// A file that appears under its name only when it is whole: written to a temporary name in the same folder, fsynced,
// renamed. If `commit` is never reached the temporary is removed and an existing target is untouched.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace bw {

class AtomicFile {
public:
    enum class Replace { no, yes };
    /// lost: no fsync. After a power cut the file may be missing or torn, for content that is checked when it is read and
    /// can be made again.
    enum class AfterPowerCut { kept, lost };

    /// @param expectedBytes reserved in advance when > 0, so that a full disk is noticed before work is done.
    /// @throws Error targetExists, permissionDenied, diskFull, writeFailed; names the path.
    AtomicFile(std::string path, Replace replace, std::uint64_t expectedBytes = 0, AfterPowerCut afterPowerCut = AfterPowerCut::kept);
    ~AtomicFile();
    AtomicFile(const AtomicFile&) = delete;
    AtomicFile& operator=(const AtomicFile&) = delete;

    void write(std::span<const std::byte> data);
    void write(std::string_view text);
    /// Overwrites bytes already written (headers known only at the end).
    void writeAt(std::uint64_t offset, std::span<const std::byte> data);
    /// Zero bytes up to the next multiple of `alignment`.
    void padTo(std::uint64_t alignment);
    std::uint64_t position() const { return position_; }
    const std::string& temporaryPath() const { return temporary_; }
    const std::string& path() const { return path_; }

    /// Flushes and fsyncs but keeps the temporary name: the file can be re-opened and checked before `commit`.
    void finish();
    /// finish() if not done, rename, fsync of the folder. After it the file is there.
    void commit();

private:
    void discard() noexcept;
    void flush();
    [[noreturn]] void fail(const char* what, int err) const;
    std::string path_, temporary_;
    Replace replace_;
    bool sync_;
    int fd_ = -1;
    std::uint64_t position_ = 0;
    std::string buffer_;
    bool finished_ = false, committed_ = false;
};

/// Removes temporaries of `path` (files, or folders of a folder export) whose writer is gone; those of a living one are
/// locked and stay. A folder that was moved aside when its replacement's writer died comes back. An AtomicFile does this for its own path. Never throws; returns how many were removed.
int removeLeftovers(const std::string& path) noexcept;
/// Marks an open temporary (file or folder) as being written by this process. False when a cleaner was faster and the name
/// is gone: make another.
bool lockTemporary(int fd);

/// Whole small file from text, the same way.
void writeFileAtomically(const std::string& path, std::string_view text, AtomicFile::Replace replace);

} // namespace bw
