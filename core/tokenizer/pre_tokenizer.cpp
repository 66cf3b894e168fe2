// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/tokenizer/pre_tokenizer.h"

#include "core/base/error.h"
#include "core/base/text.h"
#include "core/tokenizer/scanners.h"
#include "core/tokenizer/unicode.h"

#include <algorithm>
#include <array>

namespace bw {
namespace {

bool isNumberAt(std::string_view text, std::size_t at, std::size_t& length) {
    const CodePoint c = codePointAt(text, at);
    length = c.length;
    return (unicodeClass(c.value) & kNumber) != 0;
}

/// End of the piece at `at` when numbers are kept apart: a run without numbers, or one number (all of them if `runs`).
std::size_t scanDigits(std::string_view text, std::size_t at, bool runs) {
    std::size_t length = 0;
    const bool number = isNumberAt(text, at, length);
    at += length;
    if (number && !runs) return at;
    while (at < text.size() && isNumberAt(text, at, length) == number) at += length;
    return at;
}

struct GgufChain {
    std::string_view name;
    std::string_view chain;
};

// Names llama.cpp's converter writes, by the patterns its loader attaches to them.
constexpr auto kGgufChains = std::to_array<GgufChain>({
    {"gpt-2", "gpt2"},       {"gpt2", "gpt2"},        {"phi-2", "gpt2"},       {"mpt", "gpt2"},
    {"olmo", "gpt2"},        {"jais", "gpt2"},        {"smollm", "smollm"},    {"starcoder", "smollm"},
    {"refact", "smollm"},    {"command-r", "smollm"}, {"codeshell", "smollm"}, {"exaone", "smollm"},
    {"llama-bpe", "llama3"}, {"llama3", "llama3"},    {"llama-v3", "llama3"},  {"dbrx", "llama3"},
    {"smaug-bpe", "llama3"}, {"qwen2", "qwen2"},      {"stablelm2", "qwen2"},  {"deepseek-r1-qwen", "qwen2"},
    {"default", "default"},  {"", "default"},
});

using Stage = PreTokenizer::Stage;
using Scanner = PreTokenizer::Scanner;

Stage plain(Scanner scanner) {
    return {scanner, nullptr};
}
Stage regex(const char* pattern) {
    return {Scanner::regex, std::make_shared<const SplitRegex>(pattern)};
}

} // namespace

PreTokenizer PreTokenizer::fromGgufName(const std::string& name) {
    const auto found = std::find_if(kGgufChains.begin(), kGgufChains.end(),
                                    [&](const GgufChain& entry) { return entry.name == name; });
    if (found == kGgufChains.end())
        throw Error(
            ErrorCode::unsupportedTokenizer,
            "tokenizer.ggml.pre: the pre-tokenizer '" + escapeForDisplay(name) + "' is not implemented",
            "weights can still be quantized; measuring needs the model's Hugging Face folder or another tokenizer");
    const std::string chain(found->chain);
    if (chain == "gpt2") return {chain, {plain(Scanner::gpt2)}};
    if (chain == "smollm") return {chain, {plain(Scanner::digit), plain(Scanner::gpt2)}};
    if (chain == "llama3") return {chain, {plain(Scanner::llama3)}};
    if (chain == "qwen2") return {chain, {plain(Scanner::qwen2)}};
    return {chain,
            {regex(R"([\p{P}\$\+<=>\^~\|]+)"), plain(Scanner::gpt2), plain(Scanner::digits), regex("[0-9][0-9][0-9]")}};
}

PreTokenizer::Stage PreTokenizer::stageForPattern(const std::string& pattern) {
    if (pattern == kGpt2Pattern) return plain(Scanner::gpt2);
    if (pattern == kLlama3Pattern) return plain(Scanner::llama3);
    if (pattern == kQwen2Pattern) return plain(Scanner::qwen2);
    return {Scanner::regex, std::make_shared<const SplitRegex>(pattern)};
}

void PreTokenizer::splitFrom(std::size_t index, std::string_view text, const Sink& sink) const {
    if (text.empty()) return;
    if (index == stages_.size()) {
        sink(text);
        return;
    }
    const Stage& stage = stages_[index];
    const auto tile = [&](auto&& endOfPiece) {
        for (std::size_t at = 0; at < text.size();) {
            const std::size_t end = endOfPiece(at);
            splitFrom(index + 1, text.substr(at, end - at), sink);
            at = end;
        }
    };
    switch (stage.scanner) {
    case Scanner::gpt2:
        tile([&](std::size_t at) { return scanGpt2(text, at); });
        return;
    case Scanner::llama3:
        tile([&](std::size_t at) { return scanCl100k(text, at, 3); });
        return;
    case Scanner::qwen2:
        tile([&](std::size_t at) { return scanCl100k(text, at, 1); });
        return;
    case Scanner::digit:
        tile([&](std::size_t at) { return scanDigits(text, at, false); });
        return;
    case Scanner::digits:
        tile([&](std::size_t at) { return scanDigits(text, at, true); });
        return;
    case Scanner::prefixSpace:
        if (text.front() == ' ') return splitFrom(index + 1, text, sink);
        return splitFrom(index + 1, " " + std::string(text), sink);
    case Scanner::regex:
        break;
    }
    SplitRegex::Matcher matcher(*stage.regex, text);
    std::size_t at = 0, begin = 0, end = 0;
    while (at < text.size() && matcher.find(at, begin, end)) {
        if (stage.keepGaps) splitFrom(index + 1, text.substr(at, begin - at), sink);
        if (stage.keepMatches) splitFrom(index + 1, text.substr(begin, end - begin), sink);
        at = end;
    }
    if (stage.keepGaps) splitFrom(index + 1, text.substr(at), sink);
}

} // namespace bw
