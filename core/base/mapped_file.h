// SPDX-License-Identifier: GPL-3.0-or-later
// Read-only memory-mapped input. Opens regular files only (no FIFO, device or folder), never blocks, never writes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace bw {

class MappedFile {
public:
    MappedFile() = default;
    /// @throws Error fileNotFound, notRegularFile, permissionDenied, readFailed; names the path.
    explicit MappedFile(const std::string& path);
    ~MappedFile();
    MappedFile(MappedFile&& other) noexcept;
    MappedFile& operator=(MappedFile&& other) noexcept;

    std::span<const std::byte> bytes() const { return {data_, size_}; }
    std::uint64_t size() const { return size_; }
    const std::string& path() const { return path_; }
    std::int64_t modifiedNanoseconds() const { return mtime_; }
    /// Throws Error(fileChanged) when size, time or inode differ from what was opened. Call before each unit of work:
    /// touching a mapping past a truncation is a SIGBUS that nothing can catch.
    void checkUnchanged() const;
    /// Tells the system that a range will not be needed soon (streams larger than memory).
    void release(std::uint64_t offset, std::uint64_t length) const;

private:
    void close() noexcept;
    std::string path_;
    const std::byte* data_ = nullptr;
    std::uint64_t size_ = 0;
    std::int64_t mtime_ = 0;
    std::uint64_t inode_ = 0;
    int fd_ = -1;
};

/// Reads a whole text file of at most `limit` bytes. @throws as MappedFile, and Error(headerTooLarge) past the limit.
std::string readTextFile(const std::string& path, std::uint64_t limit);

} // namespace bw
