// SPDX-License-Identifier: GPL-3.0-or-later
// Final hidden states of a baseline kept on disk: with the baseline's head they give its logits again, bit for bit, at a
// hundredth of the logits' size, so that another evaluation on the same text walks only the model that is judged. A cache:
// an entry is used only when its key and checksum hold, and a folder that cannot be read or written costs time, never an
// error. Not for: figures (the log), calibration statistics.
//
// One file per text and checkpoint, FOLDER/ab/abcd….baseline, named by the SHA-256 of its key; little endian:
//   "BWBASE01" · u64 bytes of the key · key · u64 rows · u64 columns · f32 states, row-major · SHA-256 of all before it, 64 hex digits
#pragma once

#include "core/base/disk_cache.h"
#include "core/model/walk.h"

#include <optional>
#include <string>

namespace bw {

class BaselineStore {
public:
    using Options = DiskCache::Options; ///< limit: none = 2 GiB or a tenth of the free disk
    using Size = DiskCache::Size;

    /// Touches no file.
    explicit BaselineStore(Options options);

    /// Everything that decides the states. @param checkpoint  digest of the weight files. @param how  what else changes numbers:
    /// device, damaged weights taken as zero, the executable and processor.
    static std::string keyOf(const std::string& checkpoint, const Windows& windows, const std::string& how);

    /// The states under a key, rows×cols; nothing when they are not there, of another shape or damaged (they are then removed).
    /// @throws Error(cancelled). Cost: one read and checksum of the file.
    std::optional<ScratchMatrix> read(const std::string& key, std::int64_t rows, std::int64_t cols, JobContext& job);
    /// Keeps them. Returns why they are not kept; empty when they are. @throws Error(cancelled).
    std::string write(const std::string& key, MatrixView<const float> states, JobContext& job);

    bool off() const { return files_.off(); }
    Size size() const { return files_.size(); }
    /// Removes all entries and what killed writers left; other files stay. Returns the entries removed.
    std::int64_t clear() { return files_.clear(); }

private:
    DiskCache files_;
};

} // namespace bw
