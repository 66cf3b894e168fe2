// SPDX-License-Identifier: GPL-3.0-or-later
// Calibration statistics kept on disk: what one pass over one set of windows collected of one checkpoint is used by every method
// and every later question. A cache: an entry is used only when its key and checksums hold, and a folder that cannot be read or
// written costs time, never an error. Not for: rounded tensors (core/quantize/tensor_cache.h), figures (log.h).
//
// One file per calibration, FOLDER/ab/abcd….calibration, named by the SHA-256 of its key; a record for each group (record_cache.h).
#pragma once

#include "core/base/record_cache.h"
#include "core/calibrate/input_store.h"
#include "core/calibrate/pass.h"
#include "core/calibrate/what_if.h"
#include "core/evaluate/baseline_store.h"

#include <optional>
#include <string>
#include <vector>

namespace bw {

/// What is stored of one group.
struct StoredInput {
    GroupPass pass;
    std::vector<std::string> sites;    ///< names
    std::int64_t rows = 0;             ///< outputs of all of them together
    std::vector<float> weightMax;      ///< as in InputStatistics
    std::vector<double> weightSquares;
};

class CalibrationStore {
public:
    using Options = DiskCache::Options; ///< limit: none = 2 GiB or a tenth of the free disk
    using Size = DiskCache::Size;

    /// Touches no file.
    explicit CalibrationStore(Options options);

    /// Everything that decides the statistics: weights, windows, and the executable and processor that walked them.
    static std::string keyOf(const std::string& checkpointSha256, const Windows& windows, const std::string& program);
    /// SHA-256 of a key: names an entry in the log.
    static std::string idOf(const std::string& key) { return sha256Hex(key); }

    /// Calls use(record) for every group of an entry, in model order, after its checksum held. False when there is no such entry or
    /// it is damaged (it is then removed; what use() has seen by then was whole). @param key empty: any entry of that id.
    /// @throws Error(cancelled) and what use() throws.
    bool read(const std::string& id, const std::string& key, JobContext& job, const std::function<void(StoredInput&&)>& use);
    /// One group; nothing when it is not there or damaged. Cost: that group's bytes.
    std::optional<StoredInput> group(const std::string& id, const std::string& name, JobContext& job);
    /// Names of an entry's groups; empty when there is none.
    std::vector<std::string> groups(const std::string& id);
    bool has(const std::string& id) const { return files_.has(id); }

    /// Writes an entry group by group; nothing appears before commit(). After a failure nothing more is tried.
    class Writer {
    public:
        Writer(CalibrationStore& store, const std::string& key);
        void add(const GroupPass& pass, const std::vector<std::string>& sites, std::int64_t rows, const InputStatistics& statistics);
        void commit() { records_.commit(); }
        /// Why nothing is stored; empty when all is well.
        const std::string& problem() const { return records_.problem(); }

    private:
        RecordWriter records_;
    };

    /// Entries in the folder (other files are not counted) and their limit.
    Size size() const { return files_.size(); }
    /// Removes all entries and what killed writers left; other files stay. Returns the entries removed.
    std::int64_t clear() { return files_.clear(); }

private:
    friend class Writer;
    DiskCache files_;
};

/// Beside the cache of rounded tensors that this process uses; without a folder when that is off (core/quantize/tensor_cache.h).
CalibrationStore::Options calibrationStore();
/// The same for Gram matrices (core/calibrate/input_store.h), with the limit of the tensors.
InputStore::Options inputStoreOptions();
/// The folder for a given folder of rounded tensors.
std::string calibrationFolder(const std::string& tensorFolder);
std::string gramFolder(const std::string& tensorFolder);

/// Likewise for the states of baselines; also while a run is repeated: they are its input, and their key names program and weights.
BaselineStore::Options baselineStore();
std::string baselineFolder(const std::string& tensorFolder);

/// Ready for questions. @throws Error(usage) for statistics without histograms of channels.
WhatIfInput whatIfInput(const StoredInput& stored);

} // namespace bw
