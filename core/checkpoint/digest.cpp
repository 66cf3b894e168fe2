// SPDX-License-Identifier: GPL-3.0-or-later
// Hashing mapped files in pieces, and the small JSON file that remembers the results.
#include "core/checkpoint/digest.h"

#include "core/base/atomic_file.h"
#include "core/base/error.h"
#include "core/base/hash.h"
#include "core/base/parallel.h"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <sys/stat.h>

namespace bw {
namespace fs = std::filesystem;

namespace {

constexpr std::uint64_t kPiece = 4ull << 20;     ///< a few ms of hashing between two looks at the stop token
constexpr std::size_t kMostRemembered = 4096;    ///< files; older ones are dropped
constexpr std::int64_t kSettled = 2'000'000'000; ///< ns after which a file's time tells a later change

/// What a file is known by. All zero when the system does not say.
struct Identity {
    std::uint64_t bytes = 0, inode = 0;
    std::int64_t modified = 0; ///< ns since 1970
    friend bool operator==(const Identity&, const Identity&) = default;
};

Identity identify(const std::string& path) {
    struct stat info {};
    if (::stat(path.c_str(), &info) != 0) return {};
    return {static_cast<std::uint64_t>(info.st_size), info.st_ino, std::int64_t{info.st_mtim.tv_sec} * 1'000'000'000 + info.st_mtim.tv_nsec};
}

std::int64_t now() { return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::system_clock::now().time_since_epoch()).count(); }

/// {"PATH": {"bytes", "inode", "modified", "sha256", "used"}}; anything unexpected in it counts as not remembered.
class Memory {
public:
    explicit Memory(const std::string& file) : file_(file), entries_(Json::object()) {
        if (file_.empty()) return;
        try {
            if (Json read = readJsonFile(file_, {8ull << 20, 4}); read.is_object()) entries_ = std::move(read);
        } catch (const Error&) { // none yet, or damaged: it is written anew
        }
    }
    std::string find(const std::string& path, const Identity& identity) const {
        const auto found = entries_.find(path);
        if (found == entries_.end() || !found->is_object()) return {};
        const auto is = [&](const char* key, auto value) { return found->contains(key) && found->at(key).is_number_integer() && found->at(key) == value; };
        if (!is("bytes", identity.bytes) || !is("inode", identity.inode) || !is("modified", identity.modified)) return {};
        const auto digest = found->find("sha256");
        return digest != found->end() && digest->is_string() && digest->get_ref<const std::string&>().size() == 64 ? digest->get<std::string>() : std::string();
    }
    void remember(const std::string& path, const Identity& identity, const std::string& sha256) {
        entries_[path] = {{"bytes", identity.bytes}, {"inode", identity.inode}, {"modified", identity.modified}, {"sha256", sha256}, {"used", now()}};
        changed_ = true;
    }
    void save() {
        if (!changed_ || file_.empty()) return;
        dropOldest();
        try {
            std::error_code ignored;
            fs::create_directories(fs::path(file_).parent_path(), ignored);
            writeFileAtomically(file_, entries_.dump(1, ' ', true, Json::error_handler_t::replace), AtomicFile::Replace::yes);
        } catch (const Error&) { // a cache that cannot be kept only costs time
        }
    }

private:
    void dropOldest() {
        if (entries_.size() <= kMostRemembered) return;
        std::vector<std::pair<std::int64_t, std::string>> byUse;
        for (const auto& [path, entry] : entries_.items()) byUse.emplace_back(entry.is_object() && entry.contains("used") && entry["used"].is_number_integer() ? entry["used"].get<std::int64_t>() : 0, path);
        std::sort(byUse.begin(), byUse.end());
        for (std::size_t i = 0; i + kMostRemembered < byUse.size(); ++i) entries_.erase(byUse[i].second);
    }

    std::string file_;
    Json entries_;
    bool changed_ = false;
};

std::string hashFile(const MappedFile& file, JobContext& job) {
    Sha256 hash;
    for (std::uint64_t at = 0; at < file.size(); at += kPiece) {
        job.checkpoint();
        file.checkUnchanged();
        const std::uint64_t count = std::min(kPiece, file.size() - at);
        hash.update(file.bytes().subspan(at, count));
        file.release(at, count);
        job.advance(static_cast<std::int64_t>(count));
    }
    file.checkUnchanged();
    return hash.hex();
}

std::string joined(const std::vector<FileDigest>& files) {
    if (files.size() == 1) return files.front().sha256;
    std::vector<std::string> lines;
    for (const FileDigest& file : files) lines.push_back(fs::path(file.path).filename().string() + '\0' + file.sha256);
    std::sort(lines.begin(), lines.end());
    std::string text;
    for (const std::string& line : lines) {
        const auto cut = line.find('\0');
        text += line.substr(cut + 1) + "  " + line.substr(0, cut) + "\n";
    }
    return sha256Hex(text);
}

} // namespace

CheckpointDigest digestCheckpoint(const Checkpoint& checkpoint, const std::string& cacheFile, JobContext& job) {
    Memory memory(cacheFile);
    CheckpointDigest result;
    std::vector<Identity> identities;
    std::uint64_t unread = 0;
    for (const MappedFile& file : checkpoint.files()) {
        file.checkUnchanged(); // what is mapped is what lies under the path now
        identities.push_back(identify(file.path()));
        FileDigest digest{file.path(), memory.find(file.path(), identities.back()), file.size(), false};
        digest.remembered = !digest.sha256.empty();
        if (!digest.remembered) unread += file.size();
        result.files.push_back(std::move(digest));
    }
    job.beginStage("sha256", static_cast<std::int64_t>(unread), "bytes");
    parallelFor(static_cast<std::int64_t>(result.files.size()), 1, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t i = begin; i < end; ++i)
            if (FileDigest& digest = result.files[static_cast<std::size_t>(i)]; !digest.remembered) digest.sha256 = hashFile(checkpoint.files()[static_cast<std::size_t>(i)], job);
    });
    for (std::size_t i = 0; i < result.files.size(); ++i)
        if (!result.files[i].remembered && identities[i] != Identity{} && now() - identities[i].modified > kSettled) memory.remember(result.files[i].path, identities[i], result.files[i].sha256);
    memory.save();
    result.sha256 = joined(result.files);
    if (const std::string derivation = checkpoint.derivation(); !derivation.empty()) result.sha256 = sha256Hex(result.sha256 + "\n" + derivation);
    return result;
}

std::string defaultDigestCache() {
    const char* cache = std::getenv("XDG_CACHE_HOME");
    const char* home = std::getenv("HOME");
    if (cache != nullptr && *cache == '/') return std::string(cache) + "/bitwright/digests.json";
    return home != nullptr && *home == '/' ? std::string(home) + "/.cache/bitwright/digests.json" : std::string();
}

} // namespace bw
