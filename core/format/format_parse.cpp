// SPDX-License-Identifier: GPL-3.0-or-later
// The grammar of format strings: a storage type's name, or intB[:gN|:channel|:tensor][:sym|:asym].
#include "core/base/error.h"
#include "core/base/text.h"
#include "core/format/affine.h"
#include "core/format/float_format.h"
#include "core/format/format.h"
#include "core/format/nf4.h"
#include "core/format/storage_format.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <numeric>

namespace bw {

namespace {

/// Least number of insertions, deletions and replacements that turn a into b.
std::size_t editDistance(std::string_view a, std::string_view b) {
    std::vector<std::size_t> row(b.size() + 1);
    std::iota(row.begin(), row.end(), std::size_t{0});
    for (std::size_t i = 1; i <= a.size(); ++i) {
        std::size_t diagonal = row[0];
        row[0] = i;
        for (std::size_t j = 1; j <= b.size(); ++j) {
            const std::size_t replaced = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
            diagonal = row[j];
            row[j] = std::min({row[j] + 1, row[j - 1] + 1, replaced});
        }
    }
    return row.back();
}

std::string nearestName(std::string_view text) {
    std::vector<std::string> names;
    for (const StorageTypeInfo& info : allStorageTypes())
        if (info.encodes) names.emplace_back(info.name);
    for (const char* name : {"fp8_e4m3", "fp8_e5m2", "fp6_e3m2", "fp6_e2m3", "fp4_e2m1"})
        for (const char* tail : {"", ":tensor", ":channel", ":block128", ":g32", ":g128"}) names.push_back(std::string(name) + tail);
    for (const char* name : {"mxfp8_e4m3", "mxfp8_e5m2", "mxfp6_e3m2", "mxfp6_e2m3", "nvfp4", "nf4", "nf4:b64", "nf4:dq", "nf4:b64:dq"}) names.emplace_back(name);
    for (int bits = 2; bits <= 8; ++bits)
        for (const char* tail : {"", ":g128", ":g64", ":g32", ":channel", ":tensor", ":g64:sym", ":g64:asym", ":sym", ":asym"})
            names.push_back(fmt::format("int{}{}", bits, tail));
    const auto nearest = std::min_element(names.begin(), names.end(), [&](const std::string& a, const std::string& b) {
        return editDistance(text, a) < editDistance(text, b);
    });
    return *nearest;
}

[[noreturn]] void refuse(std::string_view text, std::size_t position, const std::string& expected) {
    throw Error(ErrorCode::invalidFormat,
                fmt::format("format \"{}\", position {}: expected {}", escapeForDisplay(text, 80), position, expected),
                fmt::format("nearest known: {}; the formats command lists all", nearestName(text.substr(0, 80))));
}

/// A decimal number that is all of `digits`, or −1.
std::int64_t wholeNumber(std::string_view digits) {
    std::int64_t value = -1;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    return error == std::errc{} && end == digits.data() + digits.size() && digits.front() != '-' ? value : -1;
}

FormatPtr parseAffine(std::string_view text, std::string_view lower) {
    AffineGrid grid;
    const std::size_t bitsEnd = std::min(lower.find(':'), lower.size());
    const std::string_view digits = lower.substr(3, bitsEnd - 3);
    const std::int64_t bits = digits.empty() ? -1 : wholeNumber(digits);
    if (bits < 2 || bits > 8) refuse(text, 3, "2 to 8 bits after \"int\"");
    grid.bits = static_cast<int>(bits);
    bool haveScope = false, haveSymmetry = false;
    for (std::size_t at = bitsEnd; at < lower.size();) {
        const std::size_t start = at + 1; // past the colon
        const std::size_t end = std::min(lower.find(':', start), lower.size());
        const std::string_view part = lower.substr(start, end - start);
        if (part == "sym" || part == "asym") {
            if (haveSymmetry) refuse(text, start, "\"sym\" or \"asym\" only once");
            haveSymmetry = haveScope = true; // the scope comes first
            grid.symmetric = part == "sym";
        } else if (haveScope) {
            refuse(text, start, haveSymmetry ? "nothing after \"sym\" or \"asym\"" : "sym or asym");
        } else if (part == "channel" || part == "tensor") {
            haveScope = true;
            grid.scope = part == "channel" ? AffineScope::channel : AffineScope::tensor;
        } else if (part.size() > 1 && part.front() == 'g') {
            const std::int64_t group = wholeNumber(part.substr(1));
            if (group < 2 || group > (1 << 20)) refuse(text, start + 1, "a group of 2 to 1048576 weights");
            haveScope = true;
            grid.group = group;
        } else {
            refuse(text, start, "g and a number, channel, tensor, sym or asym");
        }
        at = end;
    }
    return std::make_shared<AffineFormat>(grid);
}

struct FloatName {
    std::string_view name;
    FloatGrid grid;
    bool scoped; ///< may be followed by a scope
};
/// With the scopes that stand for no scope: a scale per channel costs 8-bit floats nothing, fewer bits need groups.
constexpr std::array kFloatNames{
    FloatName{"fp8_e4m3", {FloatCode::e4m3, FloatScope::channel, 128}, true}, FloatName{"fp8_e5m2", {FloatCode::e5m2, FloatScope::channel, 128}, true},
    FloatName{"fp6_e3m2", {FloatCode::e3m2, FloatScope::group, 128}, true},   FloatName{"fp6_e2m3", {FloatCode::e2m3, FloatScope::group, 128}, true},
    FloatName{"fp4_e2m1", {FloatCode::e2m1, FloatScope::group, 32}, true},    FloatName{"mxfp8_e4m3", {FloatCode::e4m3, FloatScope::mx, 32}, false},
    FloatName{"mxfp8_e5m2", {FloatCode::e5m2, FloatScope::mx, 32}, false},    FloatName{"mxfp6_e3m2", {FloatCode::e3m2, FloatScope::mx, 32}, false},
    FloatName{"mxfp6_e2m3", {FloatCode::e2m3, FloatScope::mx, 32}, false},    FloatName{"nvfp4", {FloatCode::e2m1, FloatScope::nv, 16}, false}};

FormatPtr parseFloat(const FloatName& known, std::string_view text, std::string_view lower) {
    FloatGrid grid = known.grid;
    if (lower.size() == known.name.size()) return std::make_shared<FloatFormat>(grid);
    const std::size_t start = known.name.size() + 1;
    const std::string_view part = lower.substr(start);
    if (!known.scoped) refuse(text, start - 1, "nothing after \"" + std::string(known.name) + "\"");
    if (part == "tensor") grid.scope = FloatScope::tensor;
    else if (part == "channel") grid.scope = FloatScope::channel;
    else if (part == "block128") grid.scope = FloatScope::block128;
    else if (part.size() > 1 && part.front() == 'g') {
        grid.scope = FloatScope::group;
        grid.group = wholeNumber(part.substr(1));
        if (grid.group < 2 || grid.group > (1 << 20)) refuse(text, start + 1, "a group of 2 to 1048576 weights");
    } else refuse(text, start, "tensor, channel, block128 or g and a number");
    return std::make_shared<FloatFormat>(grid);
}

FormatPtr parseNf4(std::string_view text, std::string_view lower) {
    Nf4Grid grid;
    std::size_t at = 3;
    if (lower.substr(at).starts_with(":b")) {
        const std::size_t end = std::min(lower.find(':', at + 1), lower.size());
        const std::string_view digits = lower.substr(at + 2, end - at - 2);
        grid.block = digits.empty() ? -1 : wholeNumber(digits);
        if (grid.block < 16 || grid.block > 4096 || (grid.block & (grid.block - 1)) != 0) refuse(text, at + 2, "a block of 16, 32, 64 … 4096 weights");
        at = end;
    }
    if (lower.substr(at) == ":dq") grid.doubleQuantized = true;
    else if (at != lower.size()) refuse(text, at + 1, "b and a number, or dq");
    return std::make_shared<Nf4Format>(grid);
}

} // namespace

FormatPtr parseFormat(std::string_view text) {
    std::string lower(text);
    std::transform(lower.begin(), lower.end(), lower.begin(),
                   [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
    if (lower.empty()) refuse(text, 0, "the name of a format");
    if (lower.starts_with("int")) return parseAffine(text, lower);
    for (const FloatName& known : kFloatNames)
        if (lower.substr(0, lower.find(':')) == known.name) return parseFloat(known, text, lower);
    if (lower.substr(0, lower.find(':')) == "nf4") return parseNf4(text, lower);
    const auto type = storageTypeFromName(lower);
    if (!type) refuse(text, 0, "the name of a format");
    if (!storageTypeInfo(*type).encodes)
        throw Error(ErrorCode::invalidFormat, fmt::format("format \"{}\" is known but not written here", lower),
                    fmt::format("nearest that is: {}", nearestName(lower)));
    return std::make_shared<StorageFormat>(*type);
}

} // namespace bw
