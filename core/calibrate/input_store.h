// SPDX-License-Identifier: GPL-3.0-or-later
// Gram matrices and sums of what enters the groups of one checkpoint, kept on disk: what one walk over some windows has collected
// the next method takes from there. A cache: an entry is used only when its key and checksums hold, and a folder that cannot be
// read or written costs time, never an error. Not for: ranges and histograms (core/experiment/calibration_store.h).
//
// One file per set of windows, FOLDER/ab/abcd….grams, named by the SHA-256 of its key; a record for each group (record_cache.h).
// Size: half a square of the width of every group, f32; 205 MB for a model of 135 M weights.
#pragma once

#include "core/base/record_cache.h"
#include "core/calibrate/group_input.h"
#include "core/model/walk.h"

#include <functional>
#include <set>

namespace bw {

class InputStore {
public:
    using Options = DiskCache::Options; ///< limit: none = 4 GiB, or a tenth of the free disk when that is less
    using Size = DiskCache::Size;
    struct Counts { std::int64_t taken = 0, kept = 0, damaged = 0; }; ///< entries

    /// @param checkpoint digest of its weights. @param program tells this executable and processor from others. Touches no file.
    InputStore(Options options, std::string checkpoint, std::string program);

    /// Everything that decides the sums. Entries with samples are apart, since these can make up half of one.
    std::string key(const Windows& windows, bool samples) const;
    /// Names of the groups that an entry has; none when there is no such entry, or it is damaged.
    std::set<std::string> groups(const std::string& key) const;
    /// Checks all of an entry and then calls use(group, input) for every group, in the order they were written in. False when it is not
    /// there or damaged: it is then removed, and nothing was used. Memory: one group's. @throws Error(cancelled) and what use() throws.
    bool read(const std::string& key, JobContext& job, const std::function<void(const std::string&, GroupInput&&)>& use);

    /// A new entry for `key`, with room made for all of it. @throws Error(cancelled) only.
    std::unique_ptr<RecordWriter> writer(const std::string& key, std::uint64_t expectedBytes);
    /// To be told of a writer that has ended.
    void wrote(const RecordWriter& writer);

    const Counts& counts() const { return counts_; }
    /// Why something is not stored; empty when all is well.
    const std::string& problem() const { return problem_; }
    Size size() const { return files_.size(); }
    /// Removes all entries and what killed writers left; other files stay. Returns the entries removed.
    std::int64_t clear() { return files_.clear(); }

private:
    DiskCache files_;
    std::string checkpoint_, program_, problem_;
    Counts counts_;
};

} // namespace bw
