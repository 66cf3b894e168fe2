// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/evaluate/baseline_store.h"

#include "core/base/error.h"
#include "core/base/hash.h"
#include "core/base/mapped_file.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <fmt/format.h>
#include <memory>

namespace bw {
namespace {

static_assert(std::endian::native == std::endian::little);

constexpr std::string_view kMagic = "BWBASE01";
constexpr std::size_t kDigestChars = 64, kPiece = 4u << 20; ///< bytes between two looks at the stop token
constexpr std::uint64_t kDefaultLimit = 2ull << 30; ///< a hundred texts of 8,192 tokens of a 135 M model, sixteen of a 7B one

std::string headerOf(const std::string& key, std::int64_t rows, std::int64_t cols) {
    std::string out(kMagic);
    const auto number = [&](std::uint64_t value) { out.append(reinterpret_cast<const char*>(&value), sizeof value); };
    number(key.size());
    out += key;
    number(static_cast<std::uint64_t>(rows));
    number(static_cast<std::uint64_t>(cols));
    return out;
}

void hashPieces(Sha256& hash, std::span<const std::byte> bytes, JobContext& job) {
    for (; !bytes.empty(); bytes = bytes.subspan(std::min(bytes.size(), kPiece))) {
        job.checkpoint();
        hash.update(bytes.first(std::min(bytes.size(), kPiece)));
    }
}

/// Null when it is not there or no file.
std::unique_ptr<MappedFile> opened(const DiskCache& files, const std::string& id) {
    if (!files.has(id)) return nullptr;
    try {
        return std::make_unique<MappedFile>(files.pathOf(id));
    } catch (const Error& e) {
        if (e.code() == ErrorCode::cancelled) throw;
        return nullptr;
    }
}

} // namespace

BaselineStore::BaselineStore(Options options) : files_(std::move(options), {".baseline", kDefaultLimit}) {}

std::string BaselineStore::keyOf(const std::string& checkpoint, const Windows& windows, const std::string& how) {
    Sha256 ids;
    ids.update(std::as_bytes(std::span(windows.ids)));
    return fmt::format("bitwright baseline 1\nhow {}\ncheckpoint {}\nwindows {} {}\nids {}\n", how, checkpoint, windows.count, windows.length, ids.hex());
}

std::optional<ScratchMatrix> BaselineStore::read(const std::string& key, std::int64_t rows, std::int64_t cols, JobContext& job) {
    const std::string id = sha256Hex(key), header = headerOf(key, rows, cols);
    const std::unique_ptr<MappedFile> file = opened(files_, id);
    if (!file) return std::nullopt;
    const std::span<const std::byte> all = file->bytes();
    const auto bytes = static_cast<std::size_t>(rows) * static_cast<std::size_t>(cols) * sizeof(float);
    bool whole = all.size() == header.size() + bytes + kDigestChars && std::memcmp(all.data(), header.data(), header.size()) == 0;
    if (whole) {
        Sha256 hash;
        hashPieces(hash, all.first(all.size() - kDigestChars), job);
        whole = std::memcmp(all.data() + (all.size() - kDigestChars), hash.hex().data(), kDigestChars) == 0;
    }
    if (!whole) {
        files_.remove(id);
        return std::nullopt;
    }
    ScratchMatrix states(rows, cols);
    std::memcpy(states.view().data, all.data() + header.size(), bytes);
    files_.markUsed(id);
    return states;
}

std::string BaselineStore::write(const std::string& key, MatrixView<const float> states, JobContext& job) {
    if (files_.off()) return {};
    try {
        const std::string header = headerOf(key, states.rows, states.cols);
        const auto bytes = std::as_bytes(std::span(states.data, static_cast<std::size_t>(states.size())));
        const std::uint64_t total = header.size() + bytes.size() + kDigestChars;
        if (!files_.makeRoom(total)) throw Error(ErrorCode::diskFull, "they are larger than the limit of the store");
        const std::unique_ptr<AtomicFile> file = files_.create(sha256Hex(key), total);
        Sha256 hash;
        hash.update(std::as_bytes(std::span(header)));
        file->write(header);
        hashPieces(hash, bytes, job);
        for (std::span<const std::byte> rest = bytes; !rest.empty(); rest = rest.subspan(std::min(rest.size(), kPiece))) {
            job.checkpoint();
            file->write(rest.first(std::min(rest.size(), kPiece)));
        }
        file->write(hash.hex());
        files_.commit(*file);
        return {};
    } catch (const Error& e) {
        if (e.code() == ErrorCode::cancelled) throw;
        return "the baseline's states are not kept for the next run: " + e.message();
    }
}

} // namespace bw
