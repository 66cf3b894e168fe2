// SPDX-License-Identifier: GPL-3.0-or-later
// Names, sizes, ages and removal of cached files.
#include "core/base/disk_cache.h"

#include "core/base/error.h"
#include "core/base/io_ops.h"
#include "core/base/text.h"

#include <algorithm>
#include <array>
#include <fcntl.h>
#include <filesystem>
#include <fmt/format.h>
#include <sys/stat.h>
#include <tuple>
#include <unistd.h>

namespace bw {
namespace fs = std::filesystem;

namespace {

constexpr std::size_t kDigestChars = 64;

} // namespace

bool DiskCache::isId(std::string_view text) { return text.size() == kDigestChars && text.find_first_not_of("0123456789abcdef") == std::string_view::npos; }

bool DiskCache::isEntryName(std::string_view name) const {
    return name.size() == kDigestChars + kind_.suffix.size() && name.ends_with(kind_.suffix) && isId(name.substr(0, kDigestChars));
}

std::string DiskCache::pathOf(const std::string& id) const { return options_.folder + "/" + id.substr(0, 2) + "/" + id + kind_.suffix; }

bool DiskCache::has(const std::string& id) const {
    struct stat info {};
    return !off() && isId(id) && ::lstat(pathOf(id).c_str(), &info) == 0 && S_ISREG(info.st_mode);
}

void DiskCache::markUsed(const std::string& id) {
    const std::string path = pathOf(id);
    const std::array<timespec, 2> times{timespec{0, UTIME_OMIT}, timespec{0, UTIME_NOW}};
    ::utimensat(AT_FDCWD, path.c_str(), times.data(), AT_SYMLINK_NOFOLLOW);
    const std::lock_guard lock(mutex_);
    mine_.insert(path);
}

void DiskCache::remove(const std::string& id) {
    const std::string path = pathOf(id);
    ioOps().unlink(path);
    const std::lock_guard lock(mutex_);
    mine_.erase(path);
}

std::unique_ptr<AtomicFile> DiskCache::create(const std::string& id, std::uint64_t expectedBytes) const {
    const std::string path = pathOf(id);
    std::error_code ignored; // a folder that could not be made shows when the file is opened
    fs::create_directories(fs::path(path).parent_path(), ignored);
    return std::make_unique<AtomicFile>(path, AtomicFile::Replace::yes, expectedBytes, AtomicFile::AfterPowerCut::lost);
}

void DiskCache::commit(AtomicFile& file) {
    const std::uint64_t bytes = file.position();
    file.commit();
    if (used_) *used_ += bytes;
    const std::lock_guard lock(mutex_);
    mine_.insert(file.path());
}

std::vector<DiskCache::Entry> DiskCache::scan() const {
    std::vector<Entry> entries;
    std::error_code failure;
    for (int folder = 0; folder < 256; ++folder) {
        for (fs::directory_iterator it(options_.folder + fmt::format("/{:02x}", folder), failure), end; !failure && it != end; it.increment(failure)) {
            const std::string name = it->path().filename().string();
            struct stat info {};
            if (isEntryName(name) && ::lstat(it->path().c_str(), &info) == 0 && S_ISREG(info.st_mode))
                entries.push_back({it->path().string(), static_cast<std::uint64_t>(info.st_size), std::int64_t{info.st_mtim.tv_sec} * 1'000'000'000 + info.st_mtim.tv_nsec});
            else if (const auto dot = name.find(kind_.suffix); dot != std::string::npos && isEntryName(name.substr(0, dot + kind_.suffix.size())))
                removeLeftovers((it->path().parent_path() / name.substr(0, dot + kind_.suffix.size())).string()); // of killed writers
        }
    }
    std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) { return std::tie(a.used, a.path) < std::tie(b.used, b.path); });
    return entries;
}

std::uint64_t DiskCache::limitFor(std::uint64_t used) const {
    if (options_.limit) return *options_.limit;
    // The folder may not be there yet: the nearest one above it is on the same disk.
    fs::path folder = options_.folder;
    std::error_code ignored;
    while (!folder.empty() && !fs::is_directory(folder, ignored) && folder != folder.parent_path()) folder = folder.parent_path();
    const std::int64_t available = ioOps().freeBytes(folder.empty() ? "." : folder.string());
    return available < 0 ? kind_.defaultLimit : std::min(kind_.defaultLimit, (static_cast<std::uint64_t>(available) + used) / 10);
}

bool DiskCache::makeRoom(std::uint64_t bytes) {
    if (const std::int64_t available = ioOps().freeBytes(options_.folder); options_.keepFree > 0 && available >= 0 &&
                                                                           static_cast<std::uint64_t>(available) < options_.keepFree + bytes)
        throw Error(ErrorCode::diskFull, fmt::format("{} has {} free, and {} are needed for what is being made", escapeForDisplay(options_.folder),
                                                     formatBytes(static_cast<std::uint64_t>(available)), formatBytes(options_.keepFree)));
    const auto sum = [](const std::vector<Entry>& entries) {
        std::uint64_t total = 0;
        for (const Entry& entry : entries) total += entry.bytes;
        return total;
    };
    if (full_) return false;
    if (!used_) used_ = sum(scan());
    const std::uint64_t limit = limitFor(*used_);
    if (bytes > limit) return false;
    if (*used_ + bytes <= limit) return true;
    const std::vector<Entry> entries = scan(); // other processes write and remove too
    used_ = sum(entries);
    for (const Entry& entry : entries) {
        if (*used_ + bytes <= limit - limit / 10) break;
        const std::lock_guard lock(mutex_);
        if (!mine_.contains(entry.path) && ioOps().unlink(entry.path) == 0) *used_ -= entry.bytes;
    }
    full_ = *used_ + bytes > limit;
    return !full_;
}

DiskCache::Size DiskCache::size() const {
    Size size;
    for (const Entry& entry : scan()) {
        ++size.entries;
        size.bytes += entry.bytes;
    }
    size.limit = limitFor(size.bytes);
    return size;
}

std::int64_t DiskCache::clear() {
    std::int64_t removed = 0;
    for (const Entry& entry : scan()) removed += ioOps().unlink(entry.path) == 0 ? 1 : 0;
    used_.reset();
    return removed;
}

} // namespace bw
