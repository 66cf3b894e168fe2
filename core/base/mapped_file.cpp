// SPDX-License-Identifier: GPL-3.0-or-later
// open(O_NONBLOCK) + fstat before mmap, so that a FIFO or device dropped on the window can neither hang nor be read.
#include "core/base/mapped_file.h"

#include "core/base/error.h"
#include "core/base/text.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

namespace bw {

namespace {

std::int64_t modifiedNs(const struct stat& s) { return s.st_mtim.tv_sec * 1'000'000'000ll + s.st_mtim.tv_nsec; }

/// Opens a regular file for reading or throws; never blocks.
int openRegular(const std::string& path, struct stat& info) {
    const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    const std::string shown = escapeForDisplay(path);
    if (fd < 0) {
        const int err = errno;
        if (err == ENOENT || err == ENOTDIR)
            throw Error(ErrorCode::fileNotFound, "no such file: " + shown, "check the path");
        if (err == EACCES || err == EPERM)
            throw Error(ErrorCode::permissionDenied, "no permission to read " + shown, "check the file's owner and mode");
        if (err == ELOOP)
            throw Error(ErrorCode::notRegularFile, shown + " is a loop of symbolic links", "point it at a real file");
        if (err == ENXIO || err == ENODEV)
            throw Error(ErrorCode::notRegularFile, shown + " is not a regular file", "give a file, not a device or socket");
        throw Error(ErrorCode::readFailed, "cannot open " + shown + ": " + std::strerror(err), "");
    }
    if (::fstat(fd, &info) != 0 || !S_ISREG(info.st_mode)) {
        ::close(fd);
        throw Error(ErrorCode::notRegularFile, shown + " is not a regular file", "give a file, not a folder, FIFO or device");
    }
    return fd;
}

} // namespace

MappedFile::MappedFile(const std::string& path) : path_(path) {
    struct stat info {};
    fd_ = openRegular(path, info);
    size_ = static_cast<std::uint64_t>(info.st_size);
    mtime_ = modifiedNs(info);
    inode_ = static_cast<std::uint64_t>(info.st_ino);
    if (size_ == 0) return;
    void* mapped = ::mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, fd_, 0);
    if (mapped == MAP_FAILED) {
        const int err = errno;
        close();
        throw Error(ErrorCode::readFailed, "cannot map " + escapeForDisplay(path) + ": " + std::strerror(err),
                    "free memory or copy the file to a local disk");
    }
    data_ = static_cast<const std::byte*>(mapped);
}

MappedFile::~MappedFile() { close(); }

MappedFile::MappedFile(MappedFile&& other) noexcept { *this = std::move(other); }

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
    if (this != &other) {
        close();
        path_ = std::move(other.path_);
        data_ = std::exchange(other.data_, nullptr);
        size_ = std::exchange(other.size_, 0);
        mtime_ = other.mtime_;
        inode_ = other.inode_;
        fd_ = std::exchange(other.fd_, -1);
    }
    return *this;
}

void MappedFile::close() noexcept {
    if (data_ != nullptr) ::munmap(const_cast<std::byte*>(data_), size_);
    if (fd_ >= 0) ::close(fd_);
    data_ = nullptr;
    fd_ = -1;
}

void MappedFile::checkUnchanged() const {
    if (fd_ < 0) return;
    struct stat now {};
    if (::fstat(fd_, &now) != 0 || static_cast<std::uint64_t>(now.st_size) != size_ || modifiedNs(now) != mtime_ ||
        static_cast<std::uint64_t>(now.st_ino) != inode_)
        throw Error(ErrorCode::fileChanged, escapeForDisplay(path_) + " changed while it was open",
                    "open it again; do not write to a checkpoint in use");
}

void MappedFile::release(std::uint64_t offset, std::uint64_t length) const {
    if (data_ == nullptr || offset >= size_) return;
    const std::uint64_t page = 4096;
    const std::uint64_t begin = (offset + page - 1) / page * page;
    const std::uint64_t end = std::min(size_, offset + length) / page * page;
    if (begin < end) ::madvise(const_cast<std::byte*>(data_) + begin, end - begin, MADV_DONTNEED);
}

std::string readTextFile(const std::string& path, std::uint64_t limit) {
    struct stat info {};
    const int fd = openRegular(path, info);
    const auto size = static_cast<std::uint64_t>(info.st_size);
    if (size > limit) {
        ::close(fd);
        throw Error(ErrorCode::headerTooLarge,
                    escapeForDisplay(path) + " has " + std::to_string(size) + " bytes; at most " + std::to_string(limit) + " are read",
                    "this is not the kind of file expected here");
    }
    std::string text(size, '\0');
    std::uint64_t got = 0;
    while (got < size) {
        const ssize_t n = ::read(fd, text.data() + got, size - got);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) {
            const int err = errno;
            ::close(fd);
            throw Error(ErrorCode::readFailed, "cannot read " + escapeForDisplay(path) + ": " + std::strerror(err));
        }
        if (n == 0) break;
        got += static_cast<std::uint64_t>(n);
    }
    ::close(fd);
    text.resize(got);
    return text;
}

} // namespace bw
