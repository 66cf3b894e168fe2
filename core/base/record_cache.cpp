// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/base/record_cache.h"

#include "core/base/bytes.h"
#include "core/base/error.h"
#include "core/base/text.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

namespace bw {
namespace {

using namespace detail;

constexpr std::size_t kDigestChars = 64;
constexpr std::uint64_t kLongestName = 4096;

std::span<const std::byte> bytesOf(std::string_view text) { return std::as_bytes(std::span(text.data(), text.size())); }

/// In pieces, with looks at the stop token: a record may have some hundred MB.
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

} // namespace

bool RecordReader::Record::whole(JobContext& job) const { return digestOf(name, contents, job) == digest; }

RecordReader::RecordReader(const DiskCache& files, const std::string& id, std::string_view magic) : magic_(magic) {
    if (!files.has(id))
        return;
    try {
        file_ = std::make_unique<MappedFile>(files.pathOf(id));
        rest_ = {reinterpret_cast<const char*>(file_->bytes().data()), file_->bytes().size()};
    } catch (const Error& e) {
        if (e.code() == ErrorCode::cancelled)
            throw;
    }
}

bool RecordReader::opens(const std::string& id, const std::string& key) {
    std::array<char, 8> magic{};
    std::string stored;
    return takeBytes(rest_, magic) && std::string_view(magic.data(), magic.size()) == magic_ && takeText(rest_, stored) && sha256Hex(stored) == id &&
           (key.empty() || stored == key);
}

bool RecordReader::next(Record& out) {
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

bool RecordReader::atEnd() {
    std::uint64_t records = 0;
    return ended_ && takeBytes(rest_, records) && records == records_ && rest_.size() == kDigestChars && rest_ == digests_.hex();
}

template <class Body>
void RecordWriter::attempt(Body body) {
    if (!problem_.empty())
        return;
    try {
        body();
    } catch (const Error& e) {
        if (e.code() == ErrorCode::cancelled)
            throw;
        problem_ = what_ + " are not kept for the next run: " + e.message();
        file_.reset();
    }
}

void RecordWriter::makeRoom(std::uint64_t bytes) {
    if (!files_.makeRoom(bytes))
        throw Error(ErrorCode::diskFull, fmt::format("they take {}, more than the limit of the store", formatBytes(bytes)));
}

RecordWriter::RecordWriter(DiskCache& files, std::string_view magic, const std::string& key, std::string what, std::uint64_t expectedBytes)
    : files_(files), what_(std::move(what)) {
    attempt([&] {
        if (expectedBytes > 0)
            makeRoom(expectedBytes);
        file_ = files_.create(sha256Hex(key));
        std::string header(magic);
        putText(header, key);
        file_->write(header);
    });
}

void RecordWriter::add(const std::string& name, const std::string& contents) {
    attempt([&] {
        JobContext* const job = JobScope::current();
        JobContext nobody;
        const std::string digest = digestOf(name, contents, job ? *job : nobody);
        std::string head;
        putText(head, name);
        putBytes(head, static_cast<std::uint64_t>(contents.size()));
        makeRoom(file_->position() + head.size() + contents.size() + kDigestChars);
        file_->write(head);
        file_->write(contents);
        file_->write(digest);
        digests_.update(bytesOf(digest));
        ++records_;
    });
}

void RecordWriter::commit() {
    attempt([&] {
        std::string tail;
        putBytes(tail, std::uint64_t{0});
        putBytes(tail, records_);
        tail += digests_.hex();
        file_->write(tail);
        files_.commit(*file_);
    });
}

} // namespace bw
