// SPDX-License-Identifier: GPL-3.0-or-later
// Reading, checking and writing of stored calibrations.
#include "core/experiment/calibration_store.h"

#include "core/base/bytes.h"
#include "core/quantize/tensor_cache.h"

#include <filesystem>
#include <fmt/format.h>

namespace bw {
namespace fs = std::filesystem;

namespace {

using namespace detail;

constexpr std::string_view kMagic = "BWCALIB1";
constexpr std::uint64_t kDefaultLimit = 2ull << 30; ///< fifty calibrations of a 135 M model, eight of a 7B one

std::string encodeInput(const GroupPass& pass, const std::vector<std::string>& sites, std::int64_t rows, const InputStatistics& statistics) {
    std::string out;
    putBytes(out, static_cast<std::uint64_t>(sites.size()));
    for (const std::string& site : sites)
        putText(out, site);
    putBytes(out, rows);
    putVector(out, statistics.weightMax);
    putVector(out, statistics.weightSquares);
    pass.encode(out);
    return out;
}

std::optional<StoredInput> decodeInput(std::string_view in, const std::string& name) {
    std::uint64_t sites = 0;
    if (!takeCount(in, sites, sizeof(std::uint64_t)))
        return std::nullopt;
    std::vector<std::string> names(static_cast<std::size_t>(sites));
    for (std::string& site : names)
        if (!takeText(in, site))
            return std::nullopt;
    std::int64_t rows = 0;
    std::vector<float> weightMax;
    std::vector<double> weightSquares;
    if (!takeBytes(in, rows) || rows < 0 || !takeVector(in, weightMax) || !takeVector(in, weightSquares))
        return std::nullopt;
    std::optional<GroupPass> pass = GroupPass::decode(in, {});
    if (!pass || !in.empty() || pass->group() != name)
        return std::nullopt;
    return StoredInput{std::move(*pass), std::move(names), rows, std::move(weightMax), std::move(weightSquares)};
}

} // namespace

std::string CalibrationStore::keyOf(const std::string& checkpointSha256, const Windows& windows, const std::string& program) {
    Sha256 ids;
    ids.update(std::as_bytes(std::span(windows.ids)));
    return fmt::format("bitwright calibration 1\nprogram {}\ncheckpoint {}\nwindows {} {}\nids {}\n", program, checkpointSha256, windows.count, windows.length, ids.hex());
}

CalibrationStore::CalibrationStore(Options options) : files_(std::move(options), {".calibration", kDefaultLimit}) {}

bool CalibrationStore::read(const std::string& id, const std::string& key, JobContext& job, const std::function<void(StoredInput&&)>& use) {
    if (!files_.has(id))
        return false;
    RecordReader entry(files_, id, kMagic);
    RecordReader::Record record;
    bool whole = entry.opens(id, key);
    while (whole && entry.next(record)) {
        std::optional<StoredInput> input;
        if (record.whole(job))
            input = decodeInput(record.contents, record.name);
        whole = input.has_value();
        if (whole)
            use(std::move(*input));
    }
    whole = whole && entry.atEnd();
    if (!whole) {
        files_.remove(id);
        return false;
    }
    files_.markUsed(id);
    return true;
}

std::optional<StoredInput> CalibrationStore::group(const std::string& id, const std::string& name, JobContext& job) {
    RecordReader entry(files_, id, kMagic);
    RecordReader::Record record;
    if (!entry.opens(id, {}))
        return std::nullopt;
    while (entry.next(record))
        if (record.name == name)
            return record.whole(job) ? decodeInput(record.contents, record.name) : std::nullopt;
    return std::nullopt;
}

std::vector<std::string> CalibrationStore::groups(const std::string& id) {
    std::vector<std::string> out;
    RecordReader entry(files_, id, kMagic);
    RecordReader::Record record;
    if (entry.opens(id, {}))
        while (entry.next(record))
            out.push_back(record.name);
    return out;
}

CalibrationStore::Writer::Writer(CalibrationStore& store, const std::string& key) : records_(store.files_, kMagic, key, "calibration statistics") {}

void CalibrationStore::Writer::add(const GroupPass& pass, const std::vector<std::string>& sites, std::int64_t rows, const InputStatistics& statistics) {
    if (problem().empty())
        records_.add(pass.group(), encodeInput(pass, sites, rows, statistics));
}

namespace {

/// ~/.cache/bitwright/tensors has siblings; a folder that someone named holds all.
std::string beside(const std::string& tensorFolder, const char* name) {
    if (tensorFolder.empty())
        return {};
    const fs::path folder(tensorFolder);
    return ((folder.filename() == "tensors" ? folder.parent_path() : folder) / name).string();
}

} // namespace

std::string calibrationFolder(const std::string& tensorFolder) { return beside(tensorFolder, "calibration"); }
std::string gramFolder(const std::string& tensorFolder) { return beside(tensorFolder, "grams"); }
std::string baselineFolder(const std::string& tensorFolder) { return beside(tensorFolder, "baselines"); }

InputStore::Options inputStoreOptions() {
    const TensorCacheOptions tensors = tensorCache();
    return {gramFolder(tensors.folder), tensors.limit, 0};
}

BaselineStore::Options baselineStore() { return {baselineFolder(tensorCacheSetting().folder), {}, 0}; }

CalibrationStore::Options calibrationStore() {
    const TensorCacheOptions tensors = tensorCache();
    return {calibrationFolder(tensors.folder), {}, 0};
}

WhatIfInput whatIfInput(const StoredInput& stored) {
    InputStatistics statistics = stored.pass.finish({});
    statistics.weightMax = stored.weightMax;
    statistics.weightSquares = stored.weightSquares;
    return WhatIfInput(statistics, stored.rows, stored.pass.channels());
}

} // namespace bw
