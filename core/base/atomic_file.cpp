// SPDX-License-Identifier: GPL-3.0-or-later
// Temporary name in the same folder → write → fsync → rename → fsync of the folder. Every failure removes the temporary.
#include "core/base/atomic_file.h"

#include "core/base/error.h"
#include "core/base/io_ops.h"
#include "core/base/job.h"
#include "core/base/text.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

namespace bw {

namespace {

constexpr const char* kPartial = ".partial-"; // then the process id, '-', a counter

/// Is `name` a temporary of `stem`, and nothing a person named alike?
bool isPartialOf(const std::string& name, const std::string& stem) {
    if (!name.starts_with(stem + kPartial)) return false;
    const std::string rest = name.substr(stem.size() + std::strlen(kPartial));
    const auto dash = rest.find('-');
    const auto digits = [](const std::string& text) { return !text.empty() && text.find_first_not_of("0123456789") == std::string::npos; };
    return dash != std::string::npos && digits(rest.substr(0, dash)) && digits(rest.substr(dash + 1));
}

constexpr std::size_t kBufferBytes = 1 << 20; // one system call per MiB keeps the cost of small writes invisible

std::string folderOf(const std::string& path) {
    const auto slash = path.rfind('/');
    if (slash == std::string::npos) return ".";
    return slash == 0 ? "/" : path.substr(0, slash);
}

bool exists(const std::string& path) {
    struct stat info {};
    return ::lstat(path.c_str(), &info) == 0;
}

} // namespace

int removeLeftovers(const std::string& path) noexcept {
    namespace fs = std::filesystem;
    int removed = 0;
    try {
        std::error_code failure;
        const std::string stem = fs::path(path).filename().string();
        for (fs::directory_iterator it(folderOf(path), failure), end; !failure && it != end; it.increment(failure)) {
            const std::string name = it->path().filename().string();
            if (constexpr std::string_view kOld = ".old"; name.ends_with(kOld) && isPartialOf(name.substr(0, name.size() - kOld.size()), stem)) {
                // A folder that was moved aside for a new one: back in its place when the new one never came.
                std::error_code ignored;
                if (exists(path)) removed += fs::remove_all(it->path(), ignored) > 0 ? 1 : 0;
                else fs::rename(it->path(), path, ignored);
                continue;
            }
            if (!isPartialOf(name, stem)) continue;
            const int fd = ::open(it->path().c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
            if (fd < 0) continue;
            // The writer's lock went with its process, however that ended.
            std::error_code ignored;
            if (::flock(fd, LOCK_EX | LOCK_NB) == 0 && fs::remove_all(it->path(), ignored) > 0) ++removed;
            ::close(fd);
        }
    } catch (const std::exception&) { // no memory for a name: the leftovers stay, nothing else is wrong
    }
    return removed;
}

bool lockTemporary(int fd) {
    // Waits only for a cleaner that is just looking; file systems without locks fail at once, and cleaners fail there too.
    ::flock(fd, LOCK_EX);
    struct stat info {};
    return ::fstat(fd, &info) != 0 || info.st_nlink > 0;
}

AtomicFile::AtomicFile(std::string path, Replace replace, std::uint64_t expectedBytes, AfterPowerCut afterPowerCut)
    : path_(std::move(path)), replace_(replace), sync_(afterPowerCut == AfterPowerCut::kept) {
    if (replace_ == Replace::no && exists(path_))
        throw Error(ErrorCode::targetExists, escapeForDisplay(path_) + " is there already",
                    "choose another name or ask for it to be replaced");
    if (std::error_code ec; std::filesystem::is_directory(path_, ec))
        throw Error(ErrorCode::notRegularFile, escapeForDisplay(path_) + " is a folder; a file is to be written there", "choose another name");
    const std::string folder = folderOf(path_);
    if (expectedBytes > 0) {
        const std::int64_t available = ioOps().freeBytes(folder);
        if (available >= 0 && static_cast<std::uint64_t>(available) < expectedBytes)
            throw Error(ErrorCode::diskFull,
                        escapeForDisplay(folder) + " has " + formatBytes(static_cast<std::uint64_t>(available)) + " free; " +
                            formatBytes(expectedBytes) + " are needed for " + escapeForDisplay(path_),
                        "free space or choose another folder");
    }
    removeLeftovers(path_);
    static std::atomic<unsigned> counter{0};
    do {
        if (fd_ >= 0) ioOps().close(fd_);
        temporary_ = path_ + kPartial + std::to_string(::getpid()) + "-" + std::to_string(counter++);
        fd_ = ioOps().openForWrite(temporary_);
    } while (fd_ >= 0 && !lockTemporary(fd_));
    if (fd_ < 0) {
        const int err = errno;
        if (err == ENOENT || err == ENOTDIR)
            throw Error(ErrorCode::fileNotFound, "no such folder: " + escapeForDisplay(folder), "make the folder first");
        if (err == EACCES || err == EPERM || err == EROFS)
            throw Error(ErrorCode::permissionDenied, "cannot write into " + escapeForDisplay(folder) + ": " + std::strerror(err),
                        "choose a folder that you may write to");
        fail("create", err);
    }
    if (expectedBytes > 0 && ioOps().fallocate(fd_, static_cast<off_t>(expectedBytes)) != 0) {
        const int err = errno;
        if (err == ENOSPC || err == EFBIG || err == EDQUOT) {
            discard();
            fail("reserve space for", err);
        }
    }
    buffer_.reserve(kBufferBytes);
}

AtomicFile::~AtomicFile() {
    if (!committed_) discard();
}

void AtomicFile::discard() noexcept {
    if (fd_ >= 0) ioOps().close(fd_);
    fd_ = -1;
    if (!temporary_.empty()) ioOps().unlink(temporary_);
}

void AtomicFile::fail(const char* what, int err) const {
    const bool full = err == ENOSPC || err == EDQUOT || err == EFBIG;
    throw Error(full ? ErrorCode::diskFull : ErrorCode::writeFailed,
                std::string("cannot ") + what + " " + escapeForDisplay(path_) + " after " + formatBytes(position_) + ": " + std::strerror(err),
                full ? "free space or choose another folder; nothing was left behind"
                     : "check the disk; nothing was left behind");
}

void AtomicFile::flush() {
    if (JobContext* const job = JobScope::current()) job->throwIfStopped(); // a tensor may be gigabytes of these
    std::size_t sent = 0;
    while (sent < buffer_.size()) {
        const ssize_t n = ioOps().write(fd_, buffer_.data() + sent, buffer_.size() - sent);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) fail("write", n == 0 ? EIO : errno);
        sent += static_cast<std::size_t>(n);
    }
    buffer_.clear();
}

void AtomicFile::write(std::span<const std::byte> data) {
    position_ += data.size();
    const char* bytes = reinterpret_cast<const char*>(data.data());
    std::size_t left = data.size();
    while (left > 0) {
        const std::size_t take = std::min(left, kBufferBytes - buffer_.size());
        buffer_.append(bytes, take);
        bytes += take;
        left -= take;
        if (buffer_.size() == kBufferBytes) flush();
    }
}

void AtomicFile::write(std::string_view text) { write(std::as_bytes(std::span(text))); }

void AtomicFile::writeAt(std::uint64_t offset, std::span<const std::byte> data) {
    flush();
    std::size_t sent = 0;
    while (sent < data.size()) {
        const ssize_t n = ioOps().pwrite(fd_, data.data() + sent, data.size() - sent, static_cast<off_t>(offset + sent));
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) fail("write", n == 0 ? EIO : errno);
        sent += static_cast<std::size_t>(n);
    }
}

void AtomicFile::padTo(std::uint64_t alignment) {
    static constexpr std::array<std::byte, 64> kZeros{};
    std::uint64_t missing = (alignment - position_ % alignment) % alignment;
    while (missing > 0) {
        const std::uint64_t take = std::min<std::uint64_t>(missing, kZeros.size());
        write(std::span(kZeros).first(take));
        missing -= take;
    }
}

void AtomicFile::finish() {
    if (finished_) return;
    flush();
    if (sync_ && ioOps().fsync(fd_) != 0) fail("flush to disk", errno);
    finished_ = true;
}

void AtomicFile::commit() {
    finish();
    if (replace_ == Replace::no && exists(path_))
        throw Error(ErrorCode::targetExists, escapeForDisplay(path_) + " appeared while it was being written", "choose another name");
    // The lock must outlive the temporary name, or another writer of this path takes the name for a leftover. It belongs
    // to every descriptor of the open file, so that a copy keeps it while the file itself is closed and checked.
    const int lock = ::fcntl(fd_, F_DUPFD_CLOEXEC, 0);
    const int closed = ioOps().close(fd_);
    const int closeError = errno;
    fd_ = -1;
    const int renamed = closed == 0 ? ioOps().rename(temporary_, path_) : 0;
    const int renameError = errno;
    if (lock >= 0) ::close(lock);
    if (closed != 0) fail("close", closeError);
    if (renamed != 0) fail("rename", renameError);
    committed_ = true;
    if (!sync_) return;
    const int folder = ::open(folderOf(path_).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder >= 0) {
        ioOps().fsync(folder);
        ::close(folder);
    }
}

void writeFileAtomically(const std::string& path, std::string_view text, AtomicFile::Replace replace) {
    AtomicFile file(path, replace, text.size());
    file.write(text);
    file.commit();
}

} // namespace bw
