// SPDX-License-Identifier: GPL-3.0-or-later
// Reading, checking, writing and pruning of stored calibrations. Several processes may work on one folder: files appear
// whole by rename, and a file that another process removed is just a miss.
#include "core/experiment/calibration_store.h"

#include "core/base/error.h"
#include "core/base/io_ops.h"
#include "core/base/mapped_file.h"
#include "core/calibrate/bytes.h"
#include "core/quantize/tensor_cache.h"

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

using namespace detail;

constexpr std::string_view kMagic = "BWCALIB1", kSuffix = ".calibration";
constexpr std::size_t kDigestChars = 64;
constexpr std::uint64_t kDefaultLimit = 2ull << 30; ///< fifty calibrations of a 135 M model, eight of a 7B one
constexpr std::uint64_t kLongestName = 4096;

bool isHex(std::string_view text) { return text.find_first_not_of("0123456789abcdef") == std::string_view::npos; }
bool isId(std::string_view text) { return text.size() == kDigestChars && isHex(text); }
bool isEntryName(std::string_view name) { return name.size() == kDigestChars + kSuffix.size() && name.ends_with(kSuffix) && isHex(name.substr(0, kDigestChars)); }

std::span<const std::byte> bytesOf(std::string_view text) { return std::as_bytes(std::span(text.data(), text.size())); }

/// In pieces, with looks at the stop token: a group of a large model has some hundred MB.
std::string digestOf(std::string_view name, std::string_view contents, JobContext& job) {
    constexpr std::size_t kPiece = 4u << 20;
    Sha256 hash;
    hash.update(bytesOf(name));
    for (std::string_view rest = contents; !rest.empty(); rest.remove_prefix(std::min(rest.size(), kPiece))) {
        job.checkpoint();
        hash.update(bytesOf(rest.substr(0, kPiece)));
    }
    return hash.hex();
}

std::string encodeInput(const GroupPass& pass, const std::vector<std::string>& sites, std::int64_t rows, const InputStatistics& statistics) {
    std::string out;
    putBytes(out, static_cast<std::uint64_t>(sites.size()));
    for (const std::string& site : sites)
        putText(out, site);
    putBytes(out, rows);
    putVector(out, statistics.weightMax);
    putVector(out, statistics.weightSquares);
    pass.encode(out);
    return out;
}

std::optional<StoredInput> decodeInput(std::string_view in, const std::string& name) {
    std::uint64_t sites = 0;
    if (!takeCount(in, sites, sizeof(std::uint64_t)))
        return std::nullopt;
    std::vector<std::string> names(static_cast<std::size_t>(sites));
    for (std::string& site : names)
        if (!takeText(in, site))
            return std::nullopt;
    std::int64_t rows = 0;
    std::vector<float> weightMax;
    std::vector<double> weightSquares;
    if (!takeBytes(in, rows) || rows < 0 || !takeVector(in, weightMax) || !takeVector(in, weightSquares))
        return std::nullopt;
    std::optional<GroupPass> pass = GroupPass::decode(in, {});
    if (!pass || !in.empty() || pass->group() != name)
        return std::nullopt;
    return StoredInput{std::move(*pass), std::move(names), rows, std::move(weightMax), std::move(weightSquares)};
}

/// The parts of an entry as they lie in a mapped file; every size is held against what is left.
class EntryView {
public:
    explicit EntryView(std::string_view all) : rest_(all) {}
    bool header(std::string& key) {
        std::array<char, 8> magic{};
        return takeBytes(rest_, magic) && std::string_view(magic.data(), magic.size()) == kMagic && takeText(rest_, key);
    }
    struct Record { std::string name; std::string_view contents, digest; };
    /// False at the end mark and where the file is no entry; atEnd() tells which.
    bool next(Record& out) {
        std::uint64_t bytes = 0;
        if (!takeText(rest_, out.name) || out.name.size() > kLongestName)
            return false;
        if (out.name.empty()) {
            ended_ = true;
            return false;
        }
        if (!takeCount(rest_, bytes, 1) || rest_.size() - bytes < kDigestChars)
            return false;
        out.contents = rest_.substr(0, static_cast<std::size_t>(bytes));
        out.digest = rest_.substr(static_cast<std::size_t>(bytes), kDigestChars);
        rest_.remove_prefix(static_cast<std::size_t>(bytes) + kDigestChars);
        digests_.update(bytesOf(out.digest));
        ++records_;
        return true;
    }
    bool atEnd() {
        std::uint64_t records = 0;
        return ended_ && takeBytes(rest_, records) && records == records_ && rest_.size() == kDigestChars && rest_ == digests_.hex();
    }

private:
    std::string_view rest_;
    Sha256 digests_;
    std::uint64_t records_ = 0;
    bool ended_ = false;
};

std::string_view viewOf(const MappedFile& file) { return {reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()}; }

/// Null when the file is not there or no file.
std::unique_ptr<MappedFile> opened(const std::string& path) {
    struct stat info {};
    if (::lstat(path.c_str(), &info) != 0 || !S_ISREG(info.st_mode))
        return nullptr;
    try {
        return std::make_unique<MappedFile>(path);
    } catch (const Error& e) {
        if (e.code() == ErrorCode::cancelled)
            throw;
        return nullptr;
    }
}

} // namespace

std::string CalibrationStore::keyOf(const std::string& checkpointSha256, const Windows& windows, const std::string& program) {
    Sha256 ids;
    ids.update(std::as_bytes(std::span(windows.ids)));
    return fmt::format("bitwright calibration 1\nprogram {}\ncheckpoint {}\nwindows {} {}\nids {}\n", program, checkpointSha256, windows.count, windows.length, ids.hex());
}

std::string CalibrationStore::pathOf(const std::string& id) const { return options_.folder + "/" + id.substr(0, 2) + "/" + id + std::string(kSuffix); }

bool CalibrationStore::has(const std::string& id) const {
    std::error_code ignored;
    return !options_.folder.empty() && isId(id) && fs::is_regular_file(pathOf(id), ignored);
}

bool CalibrationStore::read(const std::string& id, const std::string& key, JobContext& job, const std::function<void(StoredInput&&)>& use) {
    if (options_.folder.empty() || !isId(id))
        return false;
    const std::string path = pathOf(id);
    const std::unique_ptr<MappedFile> file = opened(path);
    if (!file)
        return false;
    EntryView entry(viewOf(*file));
    std::string stored;
    EntryView::Record record;
    bool whole = entry.header(stored) && idOf(stored) == id && (key.empty() || stored == key);
    while (whole && entry.next(record)) {
        std::optional<StoredInput> input;
        if (digestOf(record.name, record.contents, job) == record.digest)
            input = decodeInput(record.contents, record.name);
        whole = input.has_value();
        if (whole)
            use(std::move(*input));
    }
    whole = whole && entry.atEnd();
    if (!whole) {
        ioOps().unlink(path);
        return false;
    }
    const std::array<timespec, 2> times{timespec{0, UTIME_OMIT}, timespec{0, UTIME_NOW}};
    ::utimensat(AT_FDCWD, path.c_str(), times.data(), AT_SYMLINK_NOFOLLOW); // in a folder of another user: stays as it is
    return true;
}

std::optional<StoredInput> CalibrationStore::group(const std::string& id, const std::string& name, JobContext& job) {
    if (options_.folder.empty() || !isId(id))
        return std::nullopt;
    const std::unique_ptr<MappedFile> file = opened(pathOf(id));
    if (!file)
        return std::nullopt;
    EntryView entry(viewOf(*file));
    std::string key;
    EntryView::Record record;
    if (!entry.header(key) || idOf(key) != id)
        return std::nullopt;
    while (entry.next(record))
        if (record.name == name)
            return digestOf(record.name, record.contents, job) == record.digest ? decodeInput(record.contents, record.name) : std::nullopt;
    return std::nullopt;
}

std::vector<std::string> CalibrationStore::groups(const std::string& id) {
    std::vector<std::string> out;
    const std::unique_ptr<MappedFile> file = options_.folder.empty() || !isId(id) ? nullptr : opened(pathOf(id));
    if (!file)
        return out;
    EntryView entry(viewOf(*file));
    std::string key;
    EntryView::Record record;
    if (entry.header(key) && idOf(key) == id)
        while (entry.next(record))
            out.push_back(record.name);
    return out;
}

template <class Body>
void CalibrationStore::Writer::attempt(Body body) {
    if (!problem_.empty())
        return;
    try {
        body();
    } catch (const Error& e) {
        if (e.code() == ErrorCode::cancelled)
            throw;
        problem_ = "calibration statistics are not kept for the next run: " + e.message();
        file_.reset();
    }
}

CalibrationStore::Writer::Writer(CalibrationStore& store, const std::string& key) : store_(store) {
    attempt([&] {
        const std::string path = store_.pathOf(idOf(key));
        std::error_code ignored; // a folder that could not be made shows when the file is opened
        fs::create_directories(fs::path(path).parent_path(), ignored);
        file_ = std::make_unique<AtomicFile>(path, AtomicFile::Replace::yes, 0, AtomicFile::AfterPowerCut::lost);
        std::string header(kMagic);
        putText(header, key);
        file_->write(header);
    });
}

void CalibrationStore::Writer::add(const GroupPass& pass, const std::vector<std::string>& sites, std::int64_t rows, const InputStatistics& statistics) {
    attempt([&] {
        const std::string contents = encodeInput(pass, sites, rows, statistics);
        JobContext* const job = JobScope::current();
        JobContext nobody;
        const std::string digest = digestOf(pass.group(), contents, job ? *job : nobody);
        std::string head;
        putText(head, pass.group());
        putBytes(head, static_cast<std::uint64_t>(contents.size()));
        if (!store_.makeRoom(file_->position() + head.size() + contents.size(), file_->path()))
            throw Error(ErrorCode::diskFull, "they are larger than the limit of the store");
        file_->write(head);
        file_->write(contents);
        file_->write(digest);
        digests_.update(bytesOf(digest));
        ++records_;
    });
}

void CalibrationStore::Writer::commit() {
    attempt([&] {
        std::string tail;
        putBytes(tail, std::uint64_t{0});
        putBytes(tail, records_);
        tail += digests_.hex();
        file_->write(tail);
        file_->commit();
    });
}

std::vector<CalibrationStore::Entry> CalibrationStore::scan() const {
    std::vector<Entry> entries;
    std::error_code failure;
    for (int folder = 0; folder < 256; ++folder)
        for (fs::directory_iterator it(options_.folder + fmt::format("/{:02x}", folder), failure), end; !failure && it != end; it.increment(failure)) {
            const std::string name = it->path().filename().string();
            struct stat info {};
            if (isEntryName(name) && ::lstat(it->path().c_str(), &info) == 0 && S_ISREG(info.st_mode))
                entries.push_back({it->path().string(), static_cast<std::uint64_t>(info.st_size), std::int64_t{info.st_mtim.tv_sec} * 1'000'000'000 + info.st_mtim.tv_nsec});
            else if (const auto dot = name.find(kSuffix); dot != std::string::npos && isEntryName(name.substr(0, dot + kSuffix.size())))
                removeLeftovers((it->path().parent_path() / name.substr(0, dot + kSuffix.size())).string()); // of killed writers
        }
    std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) { return std::tie(a.used, a.path) < std::tie(b.used, b.path); });
    return entries;
}

std::uint64_t CalibrationStore::limitFor(std::uint64_t used) const {
    if (options_.limit)
        return *options_.limit;
    fs::path folder = options_.folder;
    std::error_code ignored;
    while (!folder.empty() && !fs::is_directory(folder, ignored) && folder != folder.parent_path())
        folder = folder.parent_path();
    const std::int64_t available = ioOps().freeBytes(folder.empty() ? "." : folder.string());
    return available < 0 ? kDefaultLimit : std::min(kDefaultLimit, (static_cast<std::uint64_t>(available) + used) / 10);
}

bool CalibrationStore::makeRoom(std::uint64_t bytes, const std::string& except) {
    std::vector<Entry> entries = scan();
    std::uint64_t used = 0;
    for (const Entry& entry : entries)
        used += entry.bytes;
    const std::uint64_t limit = limitFor(used);
    for (const Entry& entry : entries) {
        if (used + bytes <= limit)
            break;
        if (entry.path != except && ioOps().unlink(entry.path) == 0)
            used -= entry.bytes;
    }
    return used + bytes <= limit;
}

CalibrationStore::Size CalibrationStore::size() const {
    Size size;
    for (const Entry& entry : scan()) {
        ++size.entries;
        size.bytes += entry.bytes;
    }
    size.limit = limitFor(size.bytes);
    return size;
}

std::int64_t CalibrationStore::clear() {
    std::int64_t removed = 0;
    for (const Entry& entry : scan())
        removed += ioOps().unlink(entry.path) == 0 ? 1 : 0;
    return removed;
}

std::string calibrationFolder(const std::string& tensorFolder) {
    if (tensorFolder.empty())
        return {};
    const fs::path folder(tensorFolder);
    // ~/.cache/bitwright/tensors has a sibling; a folder that someone named holds both.
    return (folder.filename() == "tensors" ? folder.parent_path() / "calibration" : folder / "calibration").string();
}

CalibrationStore::Options calibrationStore() {
    const TensorCacheOptions tensors = tensorCache();
    return {calibrationFolder(tensors.folder), {}};
}

WhatIfInput whatIfInput(const StoredInput& stored) {
    InputStatistics statistics = stored.pass.finish({});
    statistics.weightMax = stored.weightMax;
    statistics.weightSquares = stored.weightSquares;
    return WhatIfInput(statistics, stored.rows, stored.pass.channels());
}

} // namespace bw
