// SPDX-License-Identifier: GPL-3.0-or-later
// Anonymous memory below the limit, an unlinked mapped file above it. The file's blocks are reserved at once, so that a
// full disk is an error here and not a SIGBUS later.
#include "core/base/scratch.h"

#include "core/base/checked.h"
#include "core/base/text.h"

#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <mutex>
#include <sys/mman.h>
#include <unistd.h>
#include <utility>

namespace bw {

namespace {
std::mutex settingsMutex;
std::uint64_t memoryLimit = 2ull << 30;
std::string spillFolder;
std::atomic<std::uint64_t> inMemory{0};
} // namespace

void setScratchLimit(std::uint64_t bytes, std::string folder) {
    const std::lock_guard lock(settingsMutex);
    memoryLimit = bytes;
    spillFolder = std::move(folder);
}

ScratchMatrix::ScratchMatrix(std::int64_t rows, std::int64_t cols) : rows_(rows), cols_(cols) {
    bytes_ = checkedMul(checkedMul(static_cast<std::uint64_t>(rows), static_cast<std::uint64_t>(cols), "scratch matrix"),
                        sizeof(float), "scratch matrix");
    if (bytes_ == 0) return;
    std::uint64_t limit = 0;
    std::string folder;
    {
        const std::lock_guard lock(settingsMutex);
        limit = memoryLimit;
        folder = spillFolder;
    }
    if (folder.empty()) {
        const char* tmp = std::getenv("TMPDIR");
        folder = tmp != nullptr && *tmp != '\0' ? tmp : "/tmp";
    }
    int fd = -1;
    int flags = MAP_PRIVATE | MAP_ANONYMOUS;
    if (inMemory.fetch_add(bytes_) + bytes_ > limit) {
        inMemory.fetch_sub(bytes_);
        spilled_ = true;
        fd = ::open(folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
        if (fd < 0) {
            std::string name = folder + "/bitwright-scratch-XXXXXX";
            fd = ::mkstemp(name.data());
            if (fd >= 0) ::unlink(name.c_str());
        }
        const int err = fd < 0 ? errno : ::posix_fallocate(fd, 0, static_cast<off_t>(bytes_));
        if (err != 0) {
            if (fd >= 0) ::close(fd);
            throw Error(err == ENOSPC ? ErrorCode::diskFull : ErrorCode::writeFailed,
                        "cannot reserve " + formatBytes(bytes_) + " of scratch space in " + escapeForDisplay(folder) + ": " + std::strerror(err),
                        "free space there, choose another scratch folder, or allow more memory");
        }
        flags = MAP_SHARED;
    }
    void* mapped = ::mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, flags, fd, 0);
    if (fd >= 0) ::close(fd);
    if (mapped == MAP_FAILED) {
        if (!spilled_) inMemory.fetch_sub(bytes_);
        throw Error(ErrorCode::outOfMemory, "cannot map " + formatBytes(bytes_) + " of working memory",
                    "use fewer tokens or a smaller memory limit so that it spills to disk");
    }
    data_ = static_cast<float*>(mapped);
}

void ScratchMatrix::free() noexcept {
    if (data_ == nullptr) return;
    ::munmap(data_, bytes_);
    if (!spilled_) inMemory.fetch_sub(bytes_);
    data_ = nullptr;
}

ScratchMatrix::~ScratchMatrix() { free(); }

ScratchMatrix::ScratchMatrix(ScratchMatrix&& other) noexcept { *this = std::move(other); }

ScratchMatrix& ScratchMatrix::operator=(ScratchMatrix&& other) noexcept {
    if (this != &other) {
        free();
        data_ = std::exchange(other.data_, nullptr);
        rows_ = std::exchange(other.rows_, 0);
        cols_ = std::exchange(other.cols_, 0);
        bytes_ = std::exchange(other.bytes_, 0);
        spilled_ = other.spilled_;
    }
    return *this;
}

} // namespace bw
