// SPDX-License-Identifier: GPL-3.0-or-later
// The bytes of packed parts as they lie in a written folder. Decoding shows that weights come out right; this shows that parts which
// it does not depend on are right too: a code book's unused level, say.
#include "core/base/error.h"
#include "core/base/hash.h"
#include "core/base/json.h"
#include "core/base/mapped_file.h"
#include "core/base/text.h"
#include "core/quantize/audit.h"

#include <algorithm>
#include <cstring>
#include <filesystem>

namespace bw {

namespace {

constexpr std::size_t kLengthBytes = 8;
constexpr std::size_t kHashedAtOnce = 8 << 20; ///< in well under 100 ms

struct Place {
    std::size_t begin = 0, end = 0; ///< in the file
};

/// Where each tensor lies. The reader has refused files with places outside of them; here they are merely not found.
std::map<std::string, Place> placesIn(const MappedFile& file) {
    std::uint64_t length = 0;
    if (file.size() < kLengthBytes) return {};
    std::memcpy(&length, file.bytes().data(), kLengthBytes);
    if (length > file.size() - kLengthBytes) return {};
    const auto text = file.bytes().subspan(kLengthBytes, static_cast<std::size_t>(length));
    const Json header = parseJson({reinterpret_cast<const char*>(text.data()), text.size()}, escapeForDisplay(file.path()));
    std::map<std::string, Place> places;
    for (const auto& [name, entry] : header.items()) {
        if (!entry.contains("data_offsets")) continue;
        const auto begin = entry.at("data_offsets").at(0).get<std::uint64_t>(), end = entry.at("data_offsets").at(1).get<std::uint64_t>();
        const std::uint64_t data = kLengthBytes + length;
        if (begin <= end && end <= file.size() - data) places[name] = {static_cast<std::size_t>(data + begin), static_cast<std::size_t>(data + end)};
    }
    return places;
}

} // namespace

std::vector<std::string> differingParts(const std::string& folder, const PartDigests& digests, JobContext& job) {
    PartDigests found;
    for (const auto& entry : std::filesystem::directory_iterator(folder)) {
        if (entry.path().extension() != ".safetensors") continue;
        const MappedFile file(entry.path().string());
        for (const auto& [name, place] : placesIn(file)) {
            if (!digests.contains(name)) continue;
            Sha256 hash;
            for (std::size_t at = place.begin; at < place.end; at += kHashedAtOnce) {
                job.checkpoint();
                hash.update(file.bytes().subspan(at, std::min(kHashedAtOnce, place.end - at)));
            }
            found[name] = hash.hex();
        }
    }
    std::vector<std::string> differing;
    for (const auto& [name, digest] : digests)
        if (const auto at = found.find(name); at == found.end() || at->second != digest) differing.push_back(name);
    return differing;
}

} // namespace bw
