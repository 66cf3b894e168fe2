// SPDX-License-Identifier: GPL-3.0-or-later
// The rules between the parts of a split GGUF model.
#include "core/checkpoint/split_gguf.h"

#include "core/base/error.h"
#include "core/base/text.h"
#include "core/checkpoint/folder_files.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <unordered_map>

namespace bw {
namespace {

constexpr const char* kHint = "Files of different downloads were mixed, or one is damaged; fetch all parts of the model again.";

/// Five digits, nothing else.
std::int64_t fiveDigits(std::string_view text) {
    if (text.size() != 5 || !std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; })) return -1;
    std::int64_t value = 0;
    for (const char digit : text) value = 10 * value + (digit - '0');
    return value;
}

std::int64_t key(const GgufPart& part, const char* name) {
    const auto value = part.header.metadata.integer(name);
    if (!value)
        throw Error(ErrorCode::invalidHeader, escapeForDisplay(part.file.path()) + " is one part of a model but has no " + std::string(name), kHint);
    return *value;
}

[[noreturn]] void disagree(const GgufPart& part, const std::string& what, std::int64_t is, std::int64_t wanted, const std::string& whose) {
    throw Error(ErrorCode::invalidHeader, escapeForDisplay(part.file.path()) + ": " + what + " is " + std::to_string(is) + ", but " + whose + " says " + std::to_string(wanted), kHint);
}

/// Parts after the first usually carry no model keys; where they do, they must say the same.
void checkSameModel(const GgufPart& first, const GgufPart& part) {
    for (const char* name : {"general.architecture", "general.name"}) {
        const auto here = part.header.metadata.text(name), there = first.header.metadata.text(name);
        if (here && there && *here != *there)
            throw Error(ErrorCode::invalidHeader, escapeForDisplay(part.file.path()) + " belongs to another model: " + name + " is '" + escapeForDisplay(*here, 80) + "', in the first part '" +
                                                      escapeForDisplay(*there, 80) + "'", kHint);
    }
}

void checkParts(const std::vector<GgufPart>& parts) {
    const std::int64_t count = static_cast<std::int64_t>(parts.size()), total = key(parts.front(), "split.tensors.count");
    std::unordered_map<std::string_view, const GgufPart*> owner;
    for (std::int64_t i = 0; i < count; ++i) {
        const GgufPart& part = parts[static_cast<std::size_t>(i)];
        if (const auto is = key(part, "split.count"); is != count) disagree(part, "split.count", is, count, "the file name");
        if (const auto is = key(part, "split.no"); is != i) disagree(part, "split.no", is, i, "the file name");
        if (const auto is = key(part, "split.tensors.count"); is != total) disagree(part, "split.tensors.count", is, total, "the first part");
        checkSameModel(parts.front(), part);
        for (const GgufTensor& tensor : part.header.tensors)
            if (const auto [other, fresh] = owner.emplace(tensor.name, &part); !fresh)
                throw Error(ErrorCode::duplicateKey, "tensor '" + escapeForDisplay(tensor.name) + "' lies in " + escapeForDisplay(other->second->file.path()) + " and in " +
                                                         escapeForDisplay(part.file.path()), kHint);
    }
    if (static_cast<std::int64_t>(owner.size()) != total)
        disagree(parts.front(), "the number of tensors in all parts", static_cast<std::int64_t>(owner.size()), total, "split.tensors.count");
}

} // namespace

std::string SplitName::name(std::int64_t other) const {
    std::array<char, 48> tail{};
    std::snprintf(tail.data(), tail.size(), "-%05d-of-%05d.gguf", static_cast<int>(other), static_cast<int>(count));
    return prefix + tail.data();
}

std::optional<SplitName> parseSplitName(const std::string& name) {
    constexpr std::string_view kMiddle = "-of-", kEnd = ".gguf";
    constexpr std::size_t kTail = 1 + 5 + kMiddle.size() + 5 + kEnd.size(); // "-00001-of-00003.gguf"
    if (name.size() <= kTail || !name.ends_with(kEnd)) return std::nullopt;
    const std::string_view tail = std::string_view(name).substr(name.size() - kTail);
    SplitName split{name.substr(0, name.size() - kTail), fiveDigits(tail.substr(1, 5)), fiveDigits(tail.substr(10, 5))};
    if (tail[0] != '-' || tail.substr(6, 4) != kMiddle || split.number < 1 || split.count < split.number || split.count > kMostSplitParts) return std::nullopt;
    return split;
}

bool isSplitPart(const GgufHeader& header) { return header.metadata.integer("split.count").value_or(1) > 1; }

std::vector<GgufPart> openSplitParts(GgufPart part, const std::string& folder, const std::string& name) {
    const std::int64_t count = key(part, "split.count"), number = key(part, "split.no") + 1;
    const auto split = parseSplitName(name);
    const std::string shown = escapeForDisplay(part.file.path());
    if (!split)
        throw Error(ErrorCode::shardMissing, shown + " is part " + std::to_string(number) + " of " + std::to_string(count) + " of a model, but its name does not say so, so the others cannot be found",
                    "Give the parts the names NAME-00001-of-0000" + std::to_string(std::clamp<std::int64_t>(count, 2, 9)) + ".gguf and so on.");
    if (split->count != count) disagree(part, "split.count", count, split->count, "the file name");
    if (split->number != number) disagree(part, "split.no", number - 1, split->number - 1, "the file name");
    std::vector<std::string> paths, missing;
    for (std::int64_t i = 1; i <= count; ++i) {
        try {
            paths.push_back(i == number ? std::string() : resolveInside(folder, split->name(i)));
        } catch (const Error& error) {
            if (error.code() != ErrorCode::fileNotFound) throw;
            missing.push_back(split->name(i));
        }
    }
    if (!missing.empty()) {
        std::string list;
        for (std::size_t i = 0; i < std::min<std::size_t>(missing.size(), 5); ++i) list += (i == 0 ? "" : ", ") + escapeForDisplay(missing[i], 120);
        throw Error(ErrorCode::shardMissing, shown + ": " + std::to_string(missing.size()) + " of " + std::to_string(count) + " parts are missing: " + list + (missing.size() > 5 ? " …" : ""),
                    "Fetch the missing parts into the same folder.");
    }
    std::vector<GgufPart> parts;
    for (std::int64_t i = 1; i <= count; ++i) {
        if (i == number) {
            parts.push_back(std::move(part));
            continue;
        }
        MappedFile file(paths[static_cast<std::size_t>(i - 1)]);
        if (probeMagic(file) != FileMagic::gguf)
            throw Error(ErrorCode::unknownFileType, escapeForDisplay(file.path()) + " is part " + std::to_string(i) + " of a GGUF model by its name, but no GGUF file", kHint);
        GgufHeader header = readGgufHeader(file);
        parts.push_back({std::move(file), std::move(header)});
    }
    checkParts(parts);
    return parts;
}

} // namespace bw
