// SPDX-License-Identifier: GPL-3.0-or-later
// Entries of a DiskCache that are made of named records, each with a digest of its own, so that one is read and checked without
// the others. What is in a record its owner says. Not for: files that cannot be made again.
//
// magic, 8 bytes · u64 bytes of the key · key · records · u64 0 · u64 number of records · SHA-256 of the records' digests, 64 hex
// digits; little endian. A record: u64 bytes of its name · name · u64 bytes · contents · SHA-256 of name and contents, 64 hex digits
#pragma once

#include "core/base/disk_cache.h"
#include "core/base/hash.h"
#include "core/base/job.h"
#include "core/base/mapped_file.h"

#include <memory>
#include <string>
#include <string_view>

namespace bw {

/// One entry as it lies in a mapped file; every size is held against what is left.
class RecordReader {
public:
    struct Record {
        std::string name;
        std::string_view contents, digest;
        /// Does its digest hold? Looks for a stop between pieces.
        bool whole(JobContext& job) const;
    };
    /// @param magic 8 characters. Nothing is read when the file is not there, or is no file.
    RecordReader(const DiskCache& files, const std::string& id, std::string_view magic);
    /// Is it an entry of that id, and of that key unless that is empty? To be asked first.
    bool opens(const std::string& id, const std::string& key);
    /// False at the end mark and where the file is no entry; atEnd() tells which.
    bool next(Record& out);
    bool atEnd();

private:
    std::unique_ptr<MappedFile> file_;
    std::string_view rest_, magic_;
    Sha256 digests_;
    std::uint64_t records_ = 0;
    bool ended_ = false;
};

/// Writes an entry record by record; nothing appears before commit(). After a failure nothing more is tried.
class RecordWriter {
public:
    /// @param what begins problem(): "calibration statistics". @param expectedBytes room that is made at once; an entry that can't
    /// have it is not begun.
    RecordWriter(DiskCache& files, std::string_view magic, const std::string& key, std::string what, std::uint64_t expectedBytes = 0);
    /// @throws Error(cancelled) only; the rest is in problem().
    void add(const std::string& name, const std::string& contents);
    void commit();
    /// Why nothing is stored; empty when all is well.
    const std::string& problem() const { return problem_; }

private:
    template <class Body>
    void attempt(Body body);
    void makeRoom(std::uint64_t bytes);

    DiskCache& files_;
    std::string what_, problem_;
    std::unique_ptr<AtomicFile> file_;
    Sha256 digests_;
    std::uint64_t records_ = 0;
};

} // namespace bw
