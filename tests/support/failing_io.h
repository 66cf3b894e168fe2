// SPDX-License-Identifier: GPL-3.0-or-later
// An IoOps double that fails the k-th call that changes a disk, with a chosen errno. Use in a loop k = 1, 2, … until the
// operation under test succeeds: that visits every error path once.
#pragma once

#include "core/base/io_ops.h"

#include <cerrno>

namespace bw::test {

class FailingIo final : public IoOps {
public:
    explicit FailingIo(int failAt, int err = ENOSPC) : failAt_(failAt), err_(err) { setIoOps(this); }
    ~FailingIo() override { setIoOps(nullptr); }
    bool failed() const { return failed_; }

    int openForWrite(const std::string& path) override { return hit() ? -1 : IoOps::openForWrite(path); }
    ssize_t write(int fd, const void* data, std::size_t size) override { return hit() ? -1 : IoOps::write(fd, data, size); }
    ssize_t pwrite(int fd, const void* data, std::size_t size, off_t at) override { return hit() ? -1 : IoOps::pwrite(fd, data, size, at); }
    int fallocate(int fd, off_t size) override { return hit() ? -1 : IoOps::fallocate(fd, size); }
    int fsync(int fd) override { return hit() ? -1 : IoOps::fsync(fd); }
    int rename(const std::string& from, const std::string& to) override { return hit() ? -1 : IoOps::rename(from, to); }

private:
    bool hit() {
        if (++count_ != failAt_) return false;
        failed_ = true;
        errno = err_;
        return true;
    }
    int failAt_, err_, count_ = 0;
    bool failed_ = false;
};

} // namespace bw::test
