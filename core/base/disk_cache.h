// SPDX-License-Identifier: GPL-3.0-or-later
// A folder of files that can be made again: named by digests, written whole or not at all, kept to a size by removing what was not
// used for longest. What is in a file, and whether it is whole, its owner says and checks; a damaged one is a miss.
// Not for: anything that cannot be made again.
//
// FOLDER/ab/abcd…SUFFIX with 64 hex digits. Several processes may work on one folder: files appear by rename, and one that
// another process removed is a miss. Other files in the folder are neither counted nor touched.
#pragma once

#include "core/base/atomic_file.h"

#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace bw {

class DiskCache {
public:
    struct Options {
        std::string folder;                 ///< empty = no cache
        std::optional<std::uint64_t> limit; ///< bytes of all entries; none = the kind's, or a tenth of the disk's free bytes when that is less; 0 = only read
        std::uint64_t keepFree = 0;         ///< bytes of the disk that are left for others
    };
    struct Kind {
        std::string suffix; ///< ".tensor"
        std::uint64_t defaultLimit = 0;
    };
    struct Size {
        std::int64_t entries = 0;
        std::uint64_t bytes = 0, limit = 0;
    };

    /// Touches no file.
    DiskCache(Options options, Kind kind) : options_(std::move(options)), kind_(std::move(kind)) {}

    bool off() const { return options_.folder.empty(); }
    const std::string& folder() const { return options_.folder; }
    /// 64 hex digits, as sha256Hex() of a key gives them.
    static bool isId(std::string_view text);
    std::string pathOf(const std::string& id) const;
    /// A regular file of that name, no link; it may be damaged. False for what is no id.
    bool has(const std::string& id) const;
    /// The entry was read: it is young again, in the folder of another user as far as that may be, and stays while this object lives. Thread safe.
    void markUsed(const std::string& id);
    /// Of a damaged entry, or of what is no file under its name. Thread safe.
    void remove(const std::string& id);

    /// Makes room for `bytes` more beside all entries, by removing what was not used for longest, down to nine tenths of the limit
    /// so that not every entry has to look for room; never what this object has read or written. False when that is not enough, and
    /// then for whatever comes after, too; a single entry larger than the limit is only refused itself. Call from one thread. Cost: a walk over the folder the first time and when entries are removed.
    /// @throws Error(diskFull) when `keepFree` would not be left.
    bool makeRoom(std::uint64_t bytes);
    /// A new entry, or a new version; nothing appears before commit(). @throws as AtomicFile.
    std::unique_ptr<AtomicFile> create(const std::string& id, std::uint64_t expectedBytes = 0) const;
    /// commit(), and counted. Call from the thread of makeRoom(). @throws as AtomicFile.
    void commit(AtomicFile& file);

    Size size() const;
    /// Removes all entries and what killed writers left. Returns the entries removed.
    std::int64_t clear();

private:
    struct Entry {
        std::string path;
        std::uint64_t bytes = 0;
        std::int64_t used = 0; ///< ns since 1970
    };
    bool isEntryName(std::string_view name) const;
    std::vector<Entry> scan() const; ///< the least recently used first
    std::uint64_t limitFor(std::uint64_t used) const;

    Options options_;
    Kind kind_;
    mutable std::mutex mutex_;          ///< of mine_
    std::set<std::string> mine_;        ///< paths read or written by this object
    std::optional<std::uint64_t> used_; ///< bytes at the last walk and what was written since
    bool full_ = false;
};

} // namespace bw
