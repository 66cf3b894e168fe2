// SPDX-License-Identifier: GPL-3.0-or-later
// Reading, checking, writing and pruning of cached tensors. Several processes may work on one folder: files appear whole
// by rename, and a file that another process removed is just a miss.
#include "core/quantize/tensor_cache.h"

#include "core/base/atomic_file.h"
#include "core/base/error.h"
#include "core/base/hash.h"
#include "core/base/io_ops.h"
#include "core/base/text.h"
#include "core/format/float_format.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

namespace bw {
namespace fs = std::filesystem;

namespace {

constexpr std::string_view kMagic = "BWTENSOR", kSuffix = ".tensor";
constexpr std::size_t kHeaderBytes = 40, kDigestChars = 64;
constexpr std::uint64_t kDefaultLimit = 4ull << 30; ///< a 7B model in 4 bits
constexpr std::size_t kPiece = 4u << 20;            ///< a few ms of reading and hashing between two looks at the stop token

struct Header {
    std::array<char, 8> magic{};
    std::uint64_t keyBytes = 0, tensorBytes = 0;
    double relativeError = 0, uniformNoise = 0;
};
static_assert(sizeof(Header) == kHeaderBytes);

thread_local bool withoutCache = false;

TensorCacheOptions& processOptions() {
    static TensorCacheOptions options;
    return options;
}

bool isHex(std::string_view text) { return text.find_first_not_of("0123456789abcdef") == std::string_view::npos; }

/// "4c1f….tensor" with 64 hex digits; anything else in the folder is not ours.
bool isEntryName(std::string_view name) {
    return name.size() == kDigestChars + kSuffix.size() && name.ends_with(kSuffix) && isHex(name.substr(0, kDigestChars));
}

class File {
public:
    explicit File(const std::string& path) : fd_(::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)) {}
    ~File() {
        if (fd_ >= 0) ::close(fd_);
    }
    File(const File&) = delete;
    File& operator=(const File&) = delete;
    int fd() const { return fd_; }
    /// All of `out`, hashed on the way; false when the file ends before or the disk fails.
    bool read(std::span<std::byte> out, Sha256* hash) {
        while (!out.empty()) {
            if (JobContext* const job = JobScope::current()) job->throwIfStopped();
            const ssize_t got = ::read(fd_, out.data(), std::min(out.size(), kPiece));
            if (got < 0 && errno == EINTR) continue;
            if (got <= 0) return false;
            if (hash) hash->update(out.first(static_cast<std::size_t>(got)));
            out = out.subspan(static_cast<std::size_t>(got));
        }
        return true;
    }

private:
    int fd_;
};

std::span<std::byte> bytesOf(Header& header) { return std::as_writable_bytes(std::span(&header, 1)); }
std::span<const std::byte> bytesOf(std::string_view text) { return std::as_bytes(std::span(text.data(), text.size())); }

/// What the file holds when it is whole and is what the key says; sizes are compared before anything is allocated.
std::optional<QuantizedTensor> readEntry(File& file, const std::string& key, const Site& site, const FormatPtr& format) {
    const std::uint64_t tensorBytes = format->bytes(site.rows, site.cols);
    struct stat info {};
    if (::fstat(file.fd(), &info) != 0 || !S_ISREG(info.st_mode) ||
        static_cast<std::uint64_t>(info.st_size) != kHeaderBytes + key.size() + tensorBytes + kDigestChars)
        return {};
    Sha256 hash;
    Header header;
    if (!file.read(bytesOf(header), &hash) || std::string_view(header.magic.data(), header.magic.size()) != kMagic ||
        header.keyBytes != key.size() || header.tensorBytes != tensorBytes || !std::isfinite(header.relativeError) || !std::isfinite(header.uniformNoise))
        return {};
    std::string storedKey(key.size(), '\0'), digest(kDigestChars, '\0');
    QuantizedTensor tensor{site.id, format, std::vector<std::byte>(tensorBytes), header.relativeError, header.uniformNoise};
    if (!file.read(std::as_writable_bytes(std::span(storedKey)), &hash) || storedKey != key || !file.read(tensor.bytes, &hash) ||
        !file.read(std::as_writable_bytes(std::span(digest)), nullptr) || digest != hash.hex())
        return {};
    return tensor;
}

} // namespace

std::string defaultTensorCache() {
    if (const char* own = std::getenv("BITWRIGHT_CACHE"); own && *own) return own;
    if (const char* cache = std::getenv("XDG_CACHE_HOME"); cache && *cache == '/') return std::string(cache) + "/bitwright/tensors";
    const char* home = std::getenv("HOME");
    return home && *home ? std::string(home) + "/.cache/bitwright/tensors" : std::string();
}

void setTensorCache(TensorCacheOptions options) { processOptions() = std::move(options); }
TensorCacheOptions tensorCache() { return withoutCache ? TensorCacheOptions{} : processOptions(); }

WithoutTensorCache::WithoutTensorCache() : outer_(withoutCache) { withoutCache = true; }
WithoutTensorCache::~WithoutTensorCache() { withoutCache = outer_; }

struct TensorCache::Entry {
    fs::path path;
    std::uint64_t bytes = 0;
    std::int64_t used = 0; ///< ns since 1970
};

TensorCache::TensorCache(TensorCacheOptions options, std::string checkpoint, std::string program)
    : options_(std::move(options)), checkpoint_(std::move(checkpoint)), program_(std::move(program)) {}

std::string TensorCache::key(const Site& site, const FormatPtr& format, std::span<const float> importance, const RounderOptions& rounder) const {
    const auto& [weighted, clipSearch, search, stochastic, seed] = rounder; // a new option does not compile until it is part of the key
    std::string columns = "-", scale;
    if (weighted && !importance.empty()) {
        Sha256 hash;
        hash.update(std::as_bytes(importance));
        columns = hash.hex();
    }
    if (const auto* small = dynamic_cast<const FloatFormat*>(format.get()); small && small->grid().globalScale > 0)
        scale = fmt::format(" under {:a}", small->grid().globalScale); // its name does not tell
    return fmt::format("bitwright tensor 1\nprogram {}\ncheckpoint {}\nsite {}\nshape {} {}\nformat {}{}\nweighted {}\nclip {}\nsearch {}\nstochastic {}\nimportance {}\n", program_,
                       checkpoint_, site.name, site.rows, site.cols, format->name(), scale, weighted ? 1 : 0, clipSearch ? 1 : 0, static_cast<int>(search),
                       stochastic ? fmt::format("{}", seed) : "-", columns);
}

std::string TensorCache::pathOf(const std::string& key) const {
    const std::string name = sha256Hex(key);
    return options_.folder + "/" + name.substr(0, 2) + "/" + name + std::string(kSuffix);
}

std::optional<QuantizedTensor> TensorCache::find(const std::string& key, const Site& site, const FormatPtr& format) {
    if (options_.folder.empty()) return {};
    const std::string path = pathOf(key);
    File file(path);
    const bool there = file.fd() >= 0 || errno == ELOOP; // a link is none of ours
    std::optional<QuantizedTensor> tensor;
    if (file.fd() >= 0) tensor = readEntry(file, key, site, format);
    if (tensor) {
        const std::array<timespec, 2> times{timespec{0, UTIME_OMIT}, timespec{0, UTIME_NOW}};
        ::futimens(file.fd(), times.data()); // in a folder of another user: stays as it is
    } else if (there) {
        ::unlink(path.c_str());
    }
    const std::lock_guard lock(mutex_);
    if (tensor) mine_.insert(path);
    ++(tensor ? counts_.taken : counts_.missed);
    counts_.damaged += !tensor && there ? 1 : 0;
    return tensor;
}

void TensorCache::keep(const std::string& key, const Site& site, const QuantizedTensor& tensor) {
    if (options_.folder.empty() || !problem_.empty() || full_) return;
    const std::uint64_t bytes = kHeaderBytes + key.size() + tensor.bytes.size() + kDigestChars;
    try {
        if (!makeRoom(bytes)) return;
        const std::string path = pathOf(key);
        std::error_code ignored; // a folder that could not be made shows when the file is opened
        fs::create_directories(fs::path(path).parent_path(), ignored);
        write(path, key, tensor);
        *used_ += bytes;
        const std::lock_guard lock(mutex_);
        mine_.insert(path);
        ++counts_.kept;
    } catch (const Error& e) {
        if (e.code() == ErrorCode::cancelled) throw;
        problem_ = fmt::format("rounded tensors are not kept for the next mix from {} on: {}", site.name, e.message());
    }
}

void TensorCache::write(const std::string& path, const std::string& key, const QuantizedTensor& tensor) {
    AtomicFile file(path, AtomicFile::Replace::yes, kHeaderBytes + key.size() + tensor.bytes.size() + kDigestChars, AtomicFile::AfterPowerCut::lost);
    Sha256 hash;
    const auto put = [&](std::span<const std::byte> data) {
        hash.update(data);
        file.write(data);
    };
    Header header{{}, key.size(), tensor.bytes.size(), tensor.relativeError, tensor.uniformNoise};
    std::copy(kMagic.begin(), kMagic.end(), header.magic.begin());
    put(bytesOf(header));
    put(bytesOf(key));
    for (std::span<const std::byte> rest = tensor.bytes; !rest.empty(); rest = rest.subspan(std::min(rest.size(), kPiece))) put(rest.first(std::min(rest.size(), kPiece)));
    file.write(hash.hex());
    file.commit();
}

std::vector<TensorCache::Entry> TensorCache::scan() const {
    std::vector<Entry> entries;
    std::error_code failure;
    for (int folder = 0; folder < 256; ++folder) {
        for (fs::directory_iterator it(options_.folder + fmt::format("/{:02x}", folder), failure), end; !failure && it != end; it.increment(failure)) {
            const std::string name = it->path().filename().string();
            struct stat info {};
            if (isEntryName(name) && ::lstat(it->path().c_str(), &info) == 0 && S_ISREG(info.st_mode))
                entries.push_back({it->path(), static_cast<std::uint64_t>(info.st_size), std::int64_t{info.st_mtim.tv_sec} * 1'000'000'000 + info.st_mtim.tv_nsec});
            else if (const auto dot = name.find(kSuffix); dot != std::string::npos && isEntryName(name.substr(0, dot + kSuffix.size())))
                removeLeftovers((it->path().parent_path() / name.substr(0, dot + kSuffix.size())).string()); // of killed writers
        }
    }
    std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) { return std::tie(a.used, a.path) < std::tie(b.used, b.path); });
    return entries;
}

std::uint64_t TensorCache::limitFor(std::uint64_t used) const {
    if (options_.limit) return *options_.limit;
    // The folder may not be there yet: the nearest one above it is on the same disk.
    fs::path folder = options_.folder;
    std::error_code ignored;
    while (!folder.empty() && !fs::is_directory(folder, ignored) && folder != folder.parent_path()) folder = folder.parent_path();
    const std::int64_t available = ioOps().freeBytes(folder.empty() ? "." : folder.string());
    return available < 0 ? kDefaultLimit : std::min(kDefaultLimit, (static_cast<std::uint64_t>(available) + used) / 10);
}

/// Whether `bytes` more may be written. Prunes to nine tenths, so that not every tensor has to look for room.
bool TensorCache::makeRoom(std::uint64_t bytes) {
    if (const std::int64_t available = ioOps().freeBytes(options_.folder); options_.keepFree > 0 && available >= 0 &&
                                                                           static_cast<std::uint64_t>(available) < options_.keepFree + bytes)
        throw Error(ErrorCode::diskFull, fmt::format("{} has {} free, and {} are needed for what is being made", escapeForDisplay(options_.folder),
                                                     formatBytes(static_cast<std::uint64_t>(available)), formatBytes(options_.keepFree)));
    const auto sum = [](const std::vector<Entry>& entries) {
        std::uint64_t total = 0;
        for (const Entry& entry : entries) total += entry.bytes;
        return total;
    };
    if (!used_) used_ = sum(scan());
    const std::uint64_t limit = limitFor(*used_);
    if (bytes > limit) return false;
    if (*used_ + bytes <= limit) return true;
    const std::vector<Entry> entries = scan(); // other processes write and prune too
    used_ = sum(entries);
    for (const Entry& entry : entries) {
        if (*used_ + bytes <= limit - limit / 10) break;
        const std::lock_guard lock(mutex_);
        if (!mine_.contains(entry.path.string()) && ::unlink(entry.path.c_str()) == 0) *used_ -= entry.bytes;
    }
    full_ = *used_ + bytes > limit;
    return !full_;
}

TensorCache::Counts TensorCache::counts() const {
    const std::lock_guard lock(mutex_);
    return counts_;
}

TensorCache::Size TensorCache::size() const {
    Size size;
    for (const Entry& entry : scan()) {
        ++size.entries;
        size.bytes += entry.bytes;
    }
    size.limit = limitFor(size.bytes);
    return size;
}

std::int64_t TensorCache::clear() {
    std::int64_t removed = 0;
    for (const Entry& entry : scan()) removed += ::unlink(entry.path.c_str()) == 0 ? 1 : 0;
    used_.reset();
    return removed;
}

} // namespace bw
