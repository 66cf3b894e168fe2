// SPDX-License-Identifier: GPL-3.0-or-later
// Writing importance matrices in both file forms. Not for: reading them (imatrix.cpp).
#include "core/base/error.h"
#include "core/base/text.h"
#include "core/checkpoint/imatrix.h"
#include "core/checkpoint/writer.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace bw {
namespace {

bool sawNothing(const ImportanceEntry& entry) {
    return std::all_of(entry.counts.begin(), entry.counts.end(), [](double count) { return count <= 0; });
}

std::vector<float> narrowed(const std::vector<double>& values) {
    std::vector<float> out(values.size());
    std::transform(values.begin(), values.end(), out.begin(), [](double v) { return static_cast<float>(v); });
    return out;
}

void putNumber(AtomicFile& file, std::int64_t value, const std::string& what) {
    if (value < 0 || value > std::numeric_limits<std::int32_t>::max())
        throw Error(ErrorCode::usage, escapeForDisplay(file.path()) + ": " + what + " is " + std::to_string(value) + ", which the .dat form cannot hold", "Write the GGUF form instead.");
    const auto narrow = static_cast<std::int32_t>(value);
    file.write(std::as_bytes(std::span(&narrow, 1)));
}

void putText(AtomicFile& file, const std::string& text) {
    putNumber(file, static_cast<std::int64_t>(text.size()), "a name's length");
    file.write(text);
}

} // namespace

void ImportanceMatrix::writeGguf(const std::string& path, AtomicFile::Replace replace) const {
    GgufMetadata metadata;
    metadata.set("general.type", {GgufType::string, std::string("imatrix")});
    GgufArray names;
    names.element = GgufType::string;
    names.strings = datasets;
    metadata.set("imatrix.datasets", {GgufType::array, std::move(names)});
    metadata.set("imatrix.chunk_count", {GgufType::u32, chunks});
    metadata.set("imatrix.chunk_size", {GgufType::u32, chunkSize});
    std::vector<OutputTensor> tensors;
    std::vector<std::vector<float>> values;
    for (const auto& [name, entry] : entries) {
        if (sawNothing(entry)) continue;
        tensors.push_back({name + ".in_sum2", StorageType::f32, {entry.matrices(), entry.cols}});
        values.push_back(narrowed(entry.sums));
        tensors.push_back({name + ".counts", StorageType::f32, {entry.matrices(), 1}});
        values.push_back(narrowed(entry.counts));
    }
    GgufWriter writer(path, std::move(metadata), std::move(tensors), replace);
    for (const auto& tensor : values) writer.writeTensor(std::as_bytes(std::span(tensor)));
    writer.finish();
    writer.commit();
}

void ImportanceMatrix::writeDat(const std::string& path, AtomicFile::Replace replace) const {
    AtomicFile file(path, replace);
    const auto written = std::count_if(entries.begin(), entries.end(), [](const auto& entry) { return !sawNothing(entry.second); });
    putNumber(file, written, "the number of entries");
    for (const auto& [name, entry] : entries) {
        if (sawNothing(entry)) continue;
        const double most = *std::max_element(entry.counts.begin(), entry.counts.end());
        const double calls = std::ceil(most / static_cast<double>(chunkSize)); // at least 1: a call count of 0 means no data
        putText(file, name);
        putNumber(file, static_cast<std::int64_t>(calls), "the call count of '" + escapeForDisplay(name) + "'");
        putNumber(file, static_cast<std::int64_t>(entry.sums.size()), "the number of values of '" + escapeForDisplay(name) + "'");
        std::vector<float> values(entry.sums.size());
        for (std::size_t i = 0; i < values.size(); ++i) {
            const double count = entry.counts[i / static_cast<std::size_t>(entry.cols)];
            values[i] = static_cast<float>((count > 0 ? entry.sums[i] / count : 1.0) * calls);
        }
        file.write(std::as_bytes(std::span(values)));
    }
    putNumber(file, chunks, "the number of chunks");
    std::string names;
    for (const std::string& name : datasets) names += (names.empty() ? "" : ", ") + name;
    putText(file, names);
    file.commit();
}

void ImportanceMatrix::write(const std::string& path, AtomicFile::Replace replace) const {
    path.ends_with(".dat") ? writeDat(path, replace) : writeGguf(path, replace);
}

} // namespace bw
