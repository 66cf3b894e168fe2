// SPDX-License-Identifier: GPL-3.0-or-later
// The division and the commit of split GGUF models. Keys and names are those of llama.cpp's gguf-split.
#include "core/checkpoint/split_gguf_writer.h"

#include "core/base/checked.h"
#include "core/base/error.h"
#include "core/base/io_ops.h"
#include "core/base/text.h"
#include "core/checkpoint/split_gguf.h"

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <fmt/format.h>

namespace bw {
namespace fs = std::filesystem;

namespace {

constexpr std::uint64_t kPadding = 32; ///< of tensors in a file without general.alignment

std::uint64_t padded(std::uint64_t bytes) { return checkedAdd(bytes, kPadding - 1, "file size") / kPadding * kPadding; }

/// Length of a tensor's entry in the directory: name, rank, dimensions, type, offset.
std::uint64_t entryBytes(const OutputTensor& tensor) { return 8 + tensor.name.size() + 4 + 8 * std::max<std::size_t>(1, tensor.shape.size()) + 4 + 8; }

std::uint64_t dataBytes(const OutputTensor& tensor) {
    std::uint64_t elements = 1;
    for (const std::int64_t d : tensor.shape) elements = checkedMul(elements, static_cast<std::uint64_t>(d), "elements of a tensor");
    return padded(storageBytes(tensor.type, 1, elements));
}

void setSplitKeys(GgufMetadata& metadata, std::size_t number, std::size_t count, std::size_t tensors) {
    metadata.set("split.no", {GgufType::u16, static_cast<std::int64_t>(number)});
    metadata.set("split.count", {GgufType::u16, static_cast<std::int64_t>(count)});
    metadata.set("split.tensors.count", {GgufType::i32, static_cast<std::int64_t>(tensors)});
}

bool exists(const std::string& path) {
    std::error_code error;
    return fs::symlink_status(path, error).type() != fs::file_type::not_found;
}

/// @throws Error targetExists, notRegularFile: something lies there that a part would destroy.
void requireFree(const std::string& path, AtomicFile::Replace replace) {
    if (!exists(path)) return;
    if (replace == AtomicFile::Replace::no)
        throw Error(ErrorCode::targetExists, escapeForDisplay(path) + " is there already", "Choose another name or ask for it to be replaced.");
    std::error_code error;
    if (fs::is_directory(path, error)) throw Error(ErrorCode::notRegularFile, escapeForDisplay(path) + " is a folder; a part of the model is to be written there", "Choose another name.");
}

} // namespace

std::vector<GgufPartLayout> divideGguf(const std::string& path, GgufMetadata metadata, const std::vector<OutputTensor>& tensors, std::uint64_t partBytes) {
    const std::uint64_t whole = GgufWriter::fileBytes(metadata, tensors); // checks the tensors too
    if (partBytes == 0 || whole <= partBytes) return {{path, std::move(metadata), tensors, whole}};
    GgufMetadata others;
    setSplitKeys(others, 0, 0, 0);
    setSplitKeys(metadata, 0, 0, 0);
    std::vector<GgufPartLayout> parts(1);
    const std::uint64_t otherHeader = GgufWriter::fileBytes(others, {});
    std::uint64_t header = GgufWriter::fileBytes(metadata, {}), data = 0, entries = 0;
    for (const OutputTensor& tensor : tensors) {
        const std::uint64_t with = checkedAdd(header + padded(entries + entryBytes(tensor)), checkedAdd(data, dataBytes(tensor), "file size"), "file size");
        if (with > partBytes && !parts.back().tensors.empty()) {
            parts.emplace_back();
            header = otherHeader;
            data = entries = 0;
        }
        parts.back().tensors.push_back(tensor);
        data += dataBytes(tensor);
        entries += entryBytes(tensor);
    }
    if (parts.size() > static_cast<std::size_t>(kMostSplitParts))
        throw Error(ErrorCode::usage, fmt::format("{} would take {} parts of at most {}; {} are the most", escapeForDisplay(path), parts.size(), formatBytes(partBytes), kMostSplitParts),
                    "Allow larger parts.");
    constexpr std::string_view kEnd = ".gguf";
    const SplitName name{path.substr(0, path.size() - std::min(path.size(), kEnd.size())), 1, static_cast<std::int64_t>(parts.size())};
    for (std::size_t i = 0; i < parts.size(); ++i) {
        parts[i].path = name.name(static_cast<std::int64_t>(i) + 1);
        if (i == 0) parts[i].metadata = std::move(metadata);
        setSplitKeys(parts[i].metadata, i, parts.size(), tensors.size());
        parts[i].bytes = GgufWriter::fileBytes(parts[i].metadata, parts[i].tensors);
    }
    return parts;
}

SplitGgufWriter::SplitGgufWriter(const std::string& path, std::vector<GgufPartLayout> parts, AtomicFile::Replace replace)
    : path_(path), parts_(std::move(parts)), replace_(replace), folder_(path) {
    std::uint64_t bytes = 0;
    for (const GgufPartLayout& part : parts_) {
        bytes = checkedAdd(bytes, part.bytes, "size of the output");
        requireFree(part.path, replace);
    }
    requireSpace(folder_.path(), bytes, path);
}

std::string SplitGgufWriter::temporaryOf(const GgufPartLayout& part) const { return (fs::path(folder_.path()) / fs::path(part.path).filename()).string(); }

std::string SplitGgufWriter::temporaryFirstPart() const { return temporaryOf(parts_.front()); }

void SplitGgufWriter::writeTensorPart(std::span<const std::byte> part) {
    if (writer_ && writer_->complete()) {
        writer_->commit(); // to its name in the temporary folder
        writer_.reset();
    }
    if (!writer_) {
        if (next_ == parts_.size()) throw Error(ErrorCode::internal, "writing " + escapeForDisplay(path_) + ": more bytes than the tensors planned");
        const GgufPartLayout& layout = parts_[next_++];
        writer_ = std::make_unique<GgufWriter>(temporaryOf(layout), layout.metadata, layout.tensors, AtomicFile::Replace::no);
    }
    writer_->writeTensorPart(part);
}

void SplitGgufWriter::finish() {
    if (next_ != parts_.size()) throw Error(ErrorCode::internal, "writing " + escapeForDisplay(path_) + ": " + std::to_string(next_) + " of " + std::to_string(parts_.size()) + " parts were written");
    if (!writer_) return;
    writer_->commit(); // says what is missing
    writer_.reset();
}

void SplitGgufWriter::commit() {
    finish();
    const auto old = [&](std::size_t i) { return temporaryOf(parts_[i]) + ".replaced"; };
    std::size_t aside = 0, out = parts_.size(); // [0, aside) were moved aside, [out, end) are in place
    try {
        for (; aside < parts_.size(); ++aside) {
            const std::string& path = parts_[aside].path;
            requireFree(path, replace_); // it may have come while the parts were written
            if (!exists(path)) continue;
            if (ioOps().rename(path, old(aside)) != 0) throwWriteError("move " + escapeForDisplay(path) + " aside", errno);
        }
        for (; out > 0; --out)
            if (ioOps().rename(temporaryOf(parts_[out - 1]), parts_[out - 1].path) != 0) throwWriteError("rename " + escapeForDisplay(temporaryOf(parts_[out - 1])), errno);
    } catch (...) {
        for (; out < parts_.size(); ++out) ioOps().rename(parts_[out].path, temporaryOf(parts_[out]));
        while (aside-- > 0)
            if (exists(old(aside))) ioOps().rename(old(aside), parts_[aside].path);
        throw;
    }
    syncFolder(fs::path(path_).parent_path().string());
}

} // namespace bw
