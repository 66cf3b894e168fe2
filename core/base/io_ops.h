// SPDX-License-Identifier: GPL-3.0-or-later
// The operating-system calls that output files depend on, behind one table so that tests can fail the k-th of them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <sys/types.h>

namespace bw {

/// Defaults call the system. Each returns what the system call returns and sets errno likewise.
class IoOps {
public:
    virtual ~IoOps() = default;
    virtual int openForWrite(const std::string& path);  ///< O_CREAT|O_EXCL|O_RDWR|O_CLOEXEC, 0644
    virtual ssize_t write(int fd, const void* data, std::size_t size);
    virtual ssize_t pwrite(int fd, const void* data, std::size_t size, off_t offset);
    virtual int fallocate(int fd, off_t size);          ///< reserves space; EOPNOTSUPP counts as done by the caller
    virtual int fsync(int fd);
    virtual int close(int fd);
    virtual int rename(const std::string& from, const std::string& to);
    virtual int unlink(const std::string& path);
    /// Bytes that may still be written into `folder`; −1 when the file system does not say.
    virtual std::int64_t freeBytes(const std::string& folder);
};

/// The table in use; tests swap it with `setIoOps` (nullptr restores the system's).
IoOps& ioOps();
void setIoOps(IoOps* ops);

} // namespace bw
