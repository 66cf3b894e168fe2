// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/checkpoint/temporary_folder.h"

#include "core/base/atomic_file.h"
#include "core/base/error.h"
#include "core/base/io_ops.h"
#include "core/base/text.h"

#include <atomic>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <sys/stat.h>
#include <unistd.h>

namespace bw {
namespace fs = std::filesystem;

void throwWriteError(const std::string& what, int error) {
    const bool full = error == ENOSPC || error == EDQUOT || error == EFBIG;
    const bool denied = error == EACCES || error == EPERM || error == EROFS;
    throw Error(full ? ErrorCode::diskFull : denied ? ErrorCode::permissionDenied : ErrorCode::writeFailed, "cannot " + what + ": " + std::strerror(error),
                full ? "Free space or choose another folder; nothing was left behind." : denied ? "Choose a folder that you may write to." : "Check the disk; nothing was left behind.");
}

void requireSpace(const std::string& folder, std::uint64_t bytes, const std::string& target) {
    const std::int64_t space = ioOps().freeBytes(folder);
    if (space < 0 || static_cast<std::uint64_t>(space) >= bytes) return;
    throw Error(ErrorCode::diskFull, escapeForDisplay(target) + " needs " + formatBytes(bytes) + "; " + formatBytes(static_cast<std::uint64_t>(space)) + " are free",
                "Free space or choose another folder.");
}

void syncFolder(const std::string& folder) {
    const int fd = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return;
    ioOps().fsync(fd);
    ::close(fd);
}

TemporaryFolder::TemporaryFolder(const std::string& target) {
    removeLeftovers(target);
    static std::atomic<unsigned> counter{0};
    do {
        if (lock_ >= 0) ::close(lock_); // a cleaner was faster and took the folder away
        path_ = target + ".partial-" + std::to_string(::getpid()) + "-" + std::to_string(counter++);
        if (::mkdir(path_.c_str(), 0755) != 0) {
            const int error = errno;
            if (error == ENOENT || error == ENOTDIR)
                throw Error(ErrorCode::fileNotFound, "no such folder: " + escapeForDisplay(fs::path(target).parent_path().string()), "Make the folder first.");
            throwWriteError("make the folder " + escapeForDisplay(path_), error);
        }
        lock_ = ::open(path_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    } while (lock_ >= 0 && !lockTemporary(lock_));
}

TemporaryFolder::~TemporaryFolder() {
    std::error_code ignored;
    if (!released_) fs::remove_all(path_, ignored);
    if (lock_ >= 0) ::close(lock_);
}

} // namespace bw
