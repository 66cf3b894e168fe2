// SPDX-License-Identifier: GPL-3.0-or-later
// The system's own calls, and the switch that tests use to replace them.
#include "core/base/io_ops.h"

#include <atomic>
#include <cstdio>
#include <fcntl.h>
#include <limits>
#include <sys/statvfs.h>
#include <unistd.h>

namespace bw {

int IoOps::openForWrite(const std::string& path) { return ::open(path.c_str(), O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0644); }
ssize_t IoOps::write(int fd, const void* data, std::size_t size) { return ::write(fd, data, size); }
ssize_t IoOps::pwrite(int fd, const void* data, std::size_t size, off_t offset) { return ::pwrite(fd, data, size, offset); }
int IoOps::fallocate(int fd, off_t size) { return ::fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, size); }
int IoOps::fsync(int fd) { return ::fsync(fd); }
int IoOps::close(int fd) { return ::close(fd); }
int IoOps::rename(const std::string& from, const std::string& to) { return std::rename(from.c_str(), to.c_str()); }
int IoOps::unlink(const std::string& path) { return ::unlink(path.c_str()); }
std::int64_t IoOps::freeBytes(const std::string& folder) {
    struct statvfs space {};
    if (::statvfs(folder.c_str(), &space) != 0) return -1;
    std::uint64_t bytes = 0;
    constexpr auto kMost = std::numeric_limits<std::int64_t>::max();
    if (__builtin_mul_overflow(static_cast<std::uint64_t>(space.f_bavail), static_cast<std::uint64_t>(space.f_frsize), &bytes) || bytes > kMost) return kMost;
    return static_cast<std::int64_t>(bytes);
}

namespace {
std::atomic<IoOps*> current{nullptr};
}

IoOps& ioOps() {
    static IoOps system;
    IoOps* ops = current.load(std::memory_order_acquire);
    return ops != nullptr ? *ops : system;
}

void setIoOps(IoOps* ops) { current.store(ops, std::memory_order_release); }

} // namespace bw
