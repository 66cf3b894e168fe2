// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/calibrate/input_store.h"

#include <fmt/format.h>

namespace bw {
namespace {

constexpr std::string_view kMagic = "BWGRAMS1";
constexpr std::uint64_t kDefaultLimit = 4ull << 30; ///< twenty sets of windows of a 135 M model, one of a 3B one

} // namespace

InputStore::InputStore(Options options, std::string checkpoint, std::string program)
    : files_(std::move(options), {".grams", kDefaultLimit}), checkpoint_(std::move(checkpoint)), program_(std::move(program)) {}

std::string InputStore::key(const Windows& windows, bool samples) const {
    Sha256 ids;
    ids.update(std::as_bytes(std::span(windows.ids)));
    return fmt::format("bitwright grams 1\nprogram {}\ncheckpoint {}\nwindows {} {}\nids {}\nsamples {}\n", program_, checkpoint_, windows.count, windows.length, ids.hex(),
                       samples);
}

std::set<std::string> InputStore::groups(const std::string& key) const {
    const std::string id = sha256Hex(key);
    RecordReader entry(files_, id, kMagic);
    RecordReader::Record record;
    std::set<std::string> names;
    if (entry.opens(id, key))
        while (entry.next(record)) names.insert(record.name);
    return entry.atEnd() ? names : std::set<std::string>();
}

bool InputStore::read(const std::string& key, JobContext& job, const std::function<void(const std::string&, GroupInput&&)>& use) {
    const std::string id = sha256Hex(key);
    if (!files_.has(id)) return false;
    RecordReader entry(files_, id, kMagic);
    std::vector<RecordReader::Record> records;
    RecordReader::Record record;
    bool whole = entry.opens(id, key);
    while (whole && entry.next(record)) {
        whole = record.whole(job) && GroupInput::decode(record.contents).has_value();
        records.push_back(record);
    }
    if (!whole || !entry.atEnd()) {
        files_.remove(id);
        ++counts_.damaged;
        return false;
    }
    for (const RecordReader::Record& one : records) {
        job.checkpoint();
        use(one.name, *GroupInput::decode(one.contents));
    }
    files_.markUsed(id);
    ++counts_.taken;
    return true;
}

std::unique_ptr<RecordWriter> InputStore::writer(const std::string& key, std::uint64_t expectedBytes) {
    return std::make_unique<RecordWriter>(files_, kMagic, key, "Gram matrices", expectedBytes);
}

void InputStore::wrote(const RecordWriter& writer) {
    if (writer.problem().empty())
        ++counts_.kept;
    else
        problem_ = writer.problem();
}

} // namespace bw
