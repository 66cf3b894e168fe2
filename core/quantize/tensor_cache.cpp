// SPDX-License-Identifier: GPL-3.0-or-later
// Reading, checking and writing of cached tensors.
#include "core/quantize/tensor_cache.h"

#include "core/base/atomic_file.h"
#include "core/base/error.h"
#include "core/base/hash.h"
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

constexpr std::string_view kMagic = "BWTENSOR";
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
TensorCacheOptions tensorCacheSetting() { return processOptions(); }
TensorCacheOptions tensorCache() { return withoutCache ? TensorCacheOptions{} : processOptions(); }

WithoutTensorCache::WithoutTensorCache() : outer_(withoutCache) { withoutCache = true; }
WithoutTensorCache::~WithoutTensorCache() { withoutCache = outer_; }

TensorCache::TensorCache(TensorCacheOptions options, std::string checkpoint, std::string program)
    : files_(std::move(options), {".tensor", kDefaultLimit}), checkpoint_(std::move(checkpoint)), program_(std::move(program)) {}

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

std::optional<QuantizedTensor> TensorCache::find(const std::string& key, const Site& site, const FormatPtr& format) {
    if (files_.off()) return {};
    const std::string id = sha256Hex(key);
    File file(files_.pathOf(id));
    const bool there = file.fd() >= 0 || errno == ELOOP; // a link is none of ours
    std::optional<QuantizedTensor> tensor;
    if (file.fd() >= 0) tensor = readEntry(file, key, site, format);
    if (tensor)
        files_.markUsed(id);
    else if (there)
        files_.remove(id);
    const std::lock_guard lock(mutex_);
    ++(tensor ? counts_.taken : counts_.missed);
    counts_.damaged += !tensor && there ? 1 : 0;
    return tensor;
}

void TensorCache::keep(const std::string& key, const Site& site, const QuantizedTensor& tensor) {
    if (files_.off() || !problem_.empty()) return;
    const std::uint64_t bytes = kHeaderBytes + key.size() + tensor.bytes.size() + kDigestChars;
    try {
        if (!files_.makeRoom(bytes)) return;
        write(sha256Hex(key), key, tensor);
        const std::lock_guard lock(mutex_);
        ++counts_.kept;
    } catch (const Error& e) {
        if (e.code() == ErrorCode::cancelled) throw;
        problem_ = fmt::format("rounded tensors are not kept for the next mix from {} on: {}", site.name, e.message());
    }
}

void TensorCache::write(const std::string& id, const std::string& key, const QuantizedTensor& tensor) {
    const std::unique_ptr<AtomicFile> file = files_.create(id, kHeaderBytes + key.size() + tensor.bytes.size() + kDigestChars);
    Sha256 hash;
    const auto put = [&](std::span<const std::byte> data) {
        hash.update(data);
        file->write(data);
    };
    Header header{{}, key.size(), tensor.bytes.size(), tensor.relativeError, tensor.uniformNoise};
    std::copy(kMagic.begin(), kMagic.end(), header.magic.begin());
    put(bytesOf(header));
    put(bytesOf(key));
    for (std::span<const std::byte> rest = tensor.bytes; !rest.empty(); rest = rest.subspan(std::min(rest.size(), kPiece))) put(rest.first(std::min(rest.size(), kPiece)));
    file->write(hash.hex());
    files_.commit(*file);
}

TensorCache::Counts TensorCache::counts() const {
    const std::lock_guard lock(mutex_);
    return counts_;
}

} // namespace bw
