// SPDX-License-Identifier: GPL-3.0-or-later
// The grammar of cache schemes and what they take.
#include "core/base/error.h"
#include "core/base/text.h"
#include "core/quantize/cache_scheme.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <fmt/format.h>

namespace bw {
namespace {

constexpr std::int64_t kMostTokens = 1 << 20;
constexpr std::int64_t kTokensOfAGroup = 32; ///< per channel, unless said otherwise
constexpr StorageType kTypes[]{StorageType::q8_0, StorageType::q5_1,   StorageType::q5_0, StorageType::q4_1,
                               StorageType::q4_0, StorageType::iq4_nl, StorageType::f16,  StorageType::bf16};

[[noreturn]] void refuse(std::string_view text, const std::string& why) {
    throw Error(ErrorCode::usage, fmt::format("cache scheme \"{}\": {}", escapeForDisplay(text, 80), why),
                "Use none, kv8:token, kv4:token:g64, fp8, fp8:token, fp8:tensor, q8_0, q4_0, or keys and values by themselves: "
                "k4:channel:g32,v4:token:g64,recent=64; integers also with :sym.");
}

std::vector<std::string_view> split(std::string_view text, char mark) {
    std::vector<std::string_view> parts;
    for (std::size_t at = 0;;) {
        const auto end = text.find(mark, at);
        parts.push_back(text.substr(at, end - at));
        if (end == std::string_view::npos) return parts;
        at = end + 1;
    }
}

bool readNumber(std::string_view text, std::int64_t& out) {
    const auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), out);
    return fault == std::errc() && end == text.data() + text.size();
}

bool parseGrid(std::string_view word, CacheScheme::Part& part) {
    using Grid = CacheScheme::Grid;
    if (word == "fp8" || word == "fp8_e4m3" || word == "fp8_e5m2") {
        part.grid = word == "fp8_e5m2" ? Grid::e5m2 : Grid::e4m3;
        part.scope = CacheScheme::Scope::unit;
        part.symmetric = true;
        return true;
    }
    const auto type = storageTypeFromName(word);
    if (type && std::find(std::begin(kTypes), std::end(kTypes), *type) != std::end(kTypes)) {
        part.grid = Grid::stored;
        part.type = *type;
        part.symmetric = true;
        return true;
    }
    if (word.size() != 1 || word[0] < '2' || word[0] > '8') return false;
    part.grid = Grid::integer;
    part.bits = word[0] - '0';
    return true;
}

CacheScheme::Part parsePart(std::string_view text, std::string_view body) {
    using Scope = CacheScheme::Scope;
    const std::vector<std::string_view> words = split(body, ':');
    CacheScheme::Part part;
    if (!parseGrid(words[0], part)) refuse(text, fmt::format("\"{}\" is no grid", escapeForDisplay(words[0], 40)));
    for (std::size_t i = 1; i < words.size(); ++i) {
        const std::string_view word = words[i];
        if (part.grid == CacheScheme::Grid::stored) refuse(text, "cache types have blocks of their own");
        if (word == "token") part.scope = Scope::token;
        else if (word == "channel") part.scope = Scope::channel;
        else if (word == "tensor") part.scope = Scope::tensor;
        else if (word == "unit" && part.grid != CacheScheme::Grid::integer) part.scope = Scope::unit;
        else if (word == "sym" || word == "asym") part.symmetric = word == "sym";
        else if (!(word.starts_with('g') && readNumber(word.substr(1), part.group) && part.group >= 1 && part.group <= kMostTokens))
            refuse(text, fmt::format("\"{}\" is not understood here", escapeForDisplay(word, 40)));
    }
    if (part.grid != CacheScheme::Grid::integer && !part.symmetric) refuse(text, "floats have no minimum beside their scale");
    if (part.scope == Scope::tensor || part.scope == Scope::unit) {
        if (part.group > 0) refuse(text, "groups belong to scales per token or per channel");
        part.symmetric = true;
    }
    if (part.scope == Scope::channel && part.group == 0) part.group = kTokensOfAGroup;
    return part;
}

std::string partText(const CacheScheme::Part& part, const char* prefix) {
    using Grid = CacheScheme::Grid;
    using Scope = CacheScheme::Scope;
    const bool both = std::string_view(prefix) == "kv";
    if (part.grid == Grid::stored) return (both ? "" : prefix) + std::string(storageTypeInfo(part.type).name);
    std::string text = part.grid == Grid::integer ? fmt::format("{}{}", prefix, part.bits) : fmt::format("{}{}", both ? "" : prefix, part.grid == Grid::e4m3 ? "fp8" : "fp8_e5m2");
    if (part.scope != Scope::unit) text += part.scope == Scope::token ? ":token" : part.scope == Scope::channel ? ":channel" : ":tensor";
    if (part.group > 0) text += fmt::format(":g{}", part.group);
    return part.grid == Grid::integer && part.symmetric && part.scope != Scope::tensor ? text + ":sym" : text;
}

/// Of one token's keys or values in a block, of `width` channels in heads of `headDim`.
double settledBytes(const CacheScheme::Part& part, std::int64_t width, std::int64_t headDim) {
    const auto channels = static_cast<double>(width);
    const double scale = part.symmetric ? 2 : 4; // f16, with its minimum
    switch (part.grid) {
    case CacheScheme::Grid::none: return 2 * channels;
    case CacheScheme::Grid::stored: {
        const StorageTypeInfo& info = storageTypeInfo(part.type);
        return channels / info.blockElements * info.blockBytes;
    }
    default: break;
    }
    const double codes = std::ceil(channels * (part.grid == CacheScheme::Grid::integer ? part.bits : 8) / 8);
    if (part.scope == CacheScheme::Scope::tensor || part.scope == CacheScheme::Scope::unit) return codes;
    if (part.scope == CacheScheme::Scope::channel) return codes + channels * scale / static_cast<double>(part.group);
    const std::int64_t group = part.group > 0 ? part.group : headDim;
    return codes + scale * static_cast<double>((width + group - 1) / group);
}

} // namespace

std::string CacheScheme::text() const {
    if (empty()) return "none";
    std::string text;
    if (keys == values) text = partText(keys, "kv");
    else {
        if (keys.grid != Grid::none) text = partText(keys, "k");
        if (values.grid != Grid::none) text += (text.empty() ? "" : ",") + partText(values, "v");
    }
    return recent > 0 ? text + fmt::format(",recent={}", recent) : text;
}

double CacheScheme::bytesPerToken(const ModelConfig& config, std::int64_t length) const {
    const std::int64_t width = config.kvWidth();
    const double half = 2 * static_cast<double>(width);
    double sum = 0;
    for (const Part* part : {&keys, &values}) {
        double share = 1; // of the tokens that have left 16 bits
        if (length > 0) {
            const std::int64_t left = std::max<std::int64_t>(0, length - recent), group = part->immediate() ? 1 : part->group;
            share = static_cast<double>(left / group * group) / static_cast<double>(length);
        }
        sum += share * settledBytes(*part, width, config.headDim) + (1 - share) * half;
    }
    return sum * static_cast<double>(config.blocks);
}

CacheScheme parseCacheScheme(std::string_view text) {
    CacheScheme scheme;
    if (text.empty() || text == "none") return scheme;
    for (const std::string_view word : split(text, ',')) {
        constexpr std::string_view kRecent = "recent=";
        if (word.starts_with(kRecent)) {
            if (!readNumber(word.substr(kRecent.size()), scheme.recent) || scheme.recent < 0 || scheme.recent > kMostTokens)
                refuse(text, fmt::format("\"{}\" names no number of tokens", escapeForDisplay(word, 40)));
            continue;
        }
        const bool both = word.starts_with("kv") || !(word.starts_with('k') || word.starts_with('v'));
        const bool ofKeys = both || word.starts_with('k'), ofValues = both || word.starts_with('v');
        std::string_view body = word;
        if (body.starts_with("kv")) body.remove_prefix(2);
        else if (!both) body.remove_prefix(1);
        else if (body.starts_with("int")) body.remove_prefix(3);
        const CacheScheme::Part part = parsePart(text, body);
        for (const auto& [wanted, slot, name] : {std::tuple{ofKeys, &scheme.keys, "keys"}, std::tuple{ofValues, &scheme.values, "values"}}) {
            if (wanted && slot->grid != CacheScheme::Grid::none) refuse(text, fmt::format("the {} are named twice", name));
            if (wanted) *slot = part;
        }
    }
    if (scheme.empty()) refuse(text, "a window of recent tokens is of use only where others are rounded");
    return scheme;
}

} // namespace bw
