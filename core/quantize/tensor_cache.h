// SPDX-License-Identifier: GPL-3.0-or-later
// Rounded tensors kept on disk from run to run, so that another mix of the same checkpoint rounds only what is new to it.
// A cache, nothing more: an entry is used only when every fact that decides its bytes is the same and its checksum holds,
// and a folder that cannot be read or written costs time, never an error. Not for: exported models (core/quantize/export.h).
//
// One file per tensor, FOLDER/ab/abcd….tensor, named by the SHA-256 of its key; little endian:
//   "BWTENSOR" · u64 bytes of the key · u64 bytes of the tensor · f64 relativeError · f64 uniformNoise · key · tensor ·
//   SHA-256 of all before it, 64 hex digits
#pragma once

#include "core/base/disk_cache.h"
#include "core/quantize/quantized_model.h"

#include <mutex>
#include <optional>

namespace bw {

using TensorCacheOptions = DiskCache::Options;

/// $BITWRIGHT_CACHE, else $XDG_CACHE_HOME/bitwright/tensors, else ~/.cache/bitwright/tensors; empty when there is no home.
std::string defaultTensorCache();

/// What runs use; off until a front sets it. Call at start, not while work runs.
void setTensorCache(TensorCacheOptions options);
TensorCacheOptions tensorCache();
/// The same, whatever WithoutTensorCache says: for stores beside it whose entries no repeated run is about.
TensorCacheOptions tensorCacheSetting();

/// While one lives, tensorCache() is off on this thread: for runs that are to find out anew what an earlier one found.
class WithoutTensorCache {
public:
    WithoutTensorCache();
    ~WithoutTensorCache();
    WithoutTensorCache(const WithoutTensorCache&) = delete;
    WithoutTensorCache& operator=(const WithoutTensorCache&) = delete;

private:
    bool outer_;
};

class TensorCache {
public:
    struct Counts {
        std::int64_t taken = 0, missed = 0, damaged = 0, kept = 0; ///< tensors; damaged ones count as missed too
    };
    using Size = DiskCache::Size;

    /// @param checkpoint digest of the weight files. @param program tells this executable and processor from others:
    /// rounding may differ between builds. Touches no file.
    TensorCache(TensorCacheOptions options, std::string checkpoint, std::string program);

    /// Every fact that decides the bytes, one a line. The importance counts only when rounding is weighted.
    std::string key(const Site& site, const FormatPtr& format, std::span<const float> importance, const RounderOptions& rounder) const;

    /// The tensor, or nothing when it is not there. A damaged entry is removed. Memory: the tensor's bytes. Thread safe.
    /// @throws Error(cancelled) only.
    std::optional<QuantizedTensor> find(const std::string& key, const Site& site, const FormatPtr& format);

    /// Stores a tensor, making room by removing what was not used for longest; never what this object has read or written, so that a
    /// model larger than the limit keeps its first tensors. After a failure nothing more is tried. Call from one thread.
    /// @throws Error(cancelled) only.
    void keep(const std::string& key, const Site& site, const QuantizedTensor& tensor);

    Counts counts() const;
    /// Why nothing more is stored; empty when all is well.
    const std::string& problem() const { return problem_; }

    /// Entries in the folder (other files are not counted) and their limit.
    Size size() const { return files_.size(); }
    /// Removes all entries and what killed writers left; other files stay. Returns the entries removed.
    std::int64_t clear() { return files_.clear(); }

private:
    void write(const std::string& id, const std::string& key, const QuantizedTensor& tensor);

    DiskCache files_;
    std::string checkpoint_, program_, problem_;
    mutable std::mutex mutex_; ///< of counts_
    Counts counts_;
};

} // namespace bw
