// SPDX-License-Identifier: GPL-3.0-or-later
// Calibration statistics kept on disk: what one pass over one set of windows collected of one checkpoint is used by every method
// and every later question. A cache: an entry is used only when its key and checksums hold, and a folder that cannot be read or
// written costs time, never an error. Not for: rounded tensors (core/quantize/tensor_cache.h), figures (log.h).
//
// One file per calibration, FOLDER/ab/abcd….calibration, named by the SHA-256 of its key; little endian:
//   "BWCALIB1" · u64 bytes of the key · key · records · u64 0 · u64 number of records · SHA-256 of the records' digests, 64 hex digits
//   record: u64 bytes of the group's name · name · u64 bytes · contents · SHA-256 of name and contents, 64 hex digits
// so that one group is read, and checked, without the others.
#pragma once

#include "core/base/atomic_file.h"
#include "core/base/hash.h"
#include "core/calibrate/pass.h"
#include "core/calibrate/what_if.h"

#include <memory>
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
    struct Options {
        std::string folder;                 ///< empty = no store
        std::optional<std::uint64_t> limit; ///< bytes of all entries; none = 2 GiB or a tenth of the free disk; 0 = only read
    };
    struct Size { std::int64_t entries = 0; std::uint64_t bytes = 0, limit = 0; };

    /// Touches no file.
    explicit CalibrationStore(Options options) : options_(std::move(options)) {}

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
    bool has(const std::string& id) const;

    /// Writes an entry group by group; nothing appears before commit(). After a failure nothing more is tried.
    class Writer {
    public:
        Writer(CalibrationStore& store, const std::string& key);
        void add(const GroupPass& pass, const std::vector<std::string>& sites, std::int64_t rows, const InputStatistics& statistics);
        void commit();
        /// Why nothing is stored; empty when all is well.
        const std::string& problem() const { return problem_; }

    private:
        template <class Body>
        void attempt(Body body);
        CalibrationStore& store_;
        std::unique_ptr<AtomicFile> file_;
        Sha256 digests_;
        std::uint64_t records_ = 0;
        std::string problem_;
    };

    /// Entries in the folder (other files are not counted) and their limit.
    Size size() const;
    /// Removes all entries and what killed writers left; other files stay. Returns the entries removed.
    std::int64_t clear();

private:
    friend class Writer;
    struct Entry { std::string path; std::uint64_t bytes = 0; std::int64_t used = 0; };
    std::string pathOf(const std::string& id) const;
    std::vector<Entry> scan() const;
    std::uint64_t limitFor(std::uint64_t used) const;
    /// Removes what was not used for longest until `bytes` more fit. False when they never will.
    bool makeRoom(std::uint64_t bytes, const std::string& except);
    Options options_;
};

/// Beside the cache of rounded tensors that this process uses; without a folder when that is off (core/quantize/tensor_cache.h).
CalibrationStore::Options calibrationStore();
/// The folder for a given folder of rounded tensors.
std::string calibrationFolder(const std::string& tensorFolder);

/// Ready for questions. @throws Error(usage) for statistics without histograms of channels.
WhatIfInput whatIfInput(const StoredInput& stored);

} // namespace bw
