// SPDX-License-Identifier: GPL-3.0-or-later
// Cutting token streams into windows.
#include "core/base/error.h"
#include "core/base/text.h"
#include "core/calibrate/data_warnings.h"

#include <algorithm>
#include <charconv>

namespace bw {
namespace {

constexpr std::int64_t kLongestWindow = 1 << 20;
std::string tooShort(const std::string& name, std::int64_t tokens, std::int64_t length) {
    return "'" + escapeForDisplay(name) + "' has " + std::to_string(tokens) + " tokens, fewer than one window of " + std::to_string(length);
}

} // namespace

std::string Protocol::name() const { return (kind == Kind::windows ? "windows:" : "llama.cpp:") + std::to_string(length); }

Protocol parseProtocol(std::string_view text) {
    const auto refuse = [&](const std::string& why) {
        return Error(ErrorCode::usage, "protocol '" + escapeForDisplay(text) + "' " + why, "write windows:256 or llama.cpp:512");
    };
    const auto colon = text.find(':');
    const std::string_view kind = text.substr(0, colon);
    if (colon == std::string_view::npos || (kind != "windows" && kind != "llama.cpp"))
        throw refuse("is not known");
    Protocol protocol;
    protocol.kind = kind == "windows" ? Protocol::Kind::windows : Protocol::Kind::llamaCpp;
    const std::string_view number = text.substr(colon + 1);
    const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), protocol.length);
    // Four tokens are the least of which the second half still has a scored position.
    if (error != std::errc{} || end != number.data() + number.size() || protocol.length < 4 || protocol.length > kLongestWindow)
        throw refuse("needs a window length from 4 to " + std::to_string(kLongestWindow));
    return protocol;
}

Windows cutWindows(const TextData& text, const Protocol& protocol, const Tokenizer& tokenizer, std::int64_t maxTokens) {
    const std::int64_t length = protocol.length;
    bool addsBos = false;
    if (protocol.kind == Protocol::Kind::llamaCpp && tokenizer.bos() >= 0) {
        const std::vector<TokenId> nothing = tokenizer.encode("", true);
        addsBos = !nothing.empty() && nothing.front() == tokenizer.bos();
    }
    // llama.cpp tokenizes the whole text with its BOS in front, then writes BOS over every window's first token.
    const std::int64_t shift = addsBos ? 1 : 0;
    const auto tokens = static_cast<std::int64_t>(text.ids.size()) + shift;
    if (maxTokens > 0 && maxTokens < length)
        throw Error(ErrorCode::usage, std::to_string(maxTokens) + " tokens are fewer than one window of " + std::to_string(length),
                    "ask for at least " + std::to_string(length) + " tokens or a shorter window");
    Windows windows;
    windows.length = length;
    windows.count = (maxTokens > 0 ? std::min(tokens, maxTokens) : tokens) / length;
    if (windows.count == 0)
        throw Error(ErrorCode::textTooShort, tooShort(text.name.empty() ? text.path : text.name, tokens, length),
                    "give more text or a shorter window");
    windows.ids.reserve(static_cast<std::size_t>(windows.tokens()));
    for (std::int64_t i = 0; i < windows.tokens(); ++i) {
        const bool bos = addsBos && i % length == 0;
        windows.ids.push_back(bos ? static_cast<TokenId>(tokenizer.bos()) : text.ids[static_cast<std::size_t>(i - shift)]);
    }
    return windows;
}

std::uint64_t gramHash(const TokenId* ids) {
    std::uint64_t h = 0x9e3779b97f4a7c15ull;
    for (std::int64_t i = 0; i < kGramTokens; ++i) {
        h = (h ^ static_cast<std::uint32_t>(ids[i])) * 0xbf58476d1ce4e5b9ull;
        h ^= h >> 29;
    }
    return h;
}

double overlapShare(const Windows& calibration, std::span<const TokenId> evaluation) { return findOverlap(calibration, evaluation, nullptr, 0).share; }

std::vector<std::string> calibrationWarnings(const Windows& calibration, std::span<const TokenId> evaluation) {
    std::vector<std::string> warnings;
    for (const DataWarning& warning : checkCalibration(calibration, evaluation, nullptr))
        warnings.push_back(warning.text());
    return warnings;
}

} // namespace bw
