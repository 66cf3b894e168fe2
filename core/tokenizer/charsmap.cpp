// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/tokenizer/charsmap.h"

#include "core/base/error.h"
#include "core/base/text.h"

#include <fmt/format.h>

namespace bw {
namespace {

/// Sixty times the largest in use (nmt_nfkc_cf, 240 kB).
constexpr std::size_t kMostBytes = std::size_t{16} << 20;

[[noreturn]] void invalid(const std::string& what) {
    throw Error(ErrorCode::invalidTokenizer, "precompiled_charsmap: " + what,
                "the file may be damaged; take it from the model's origin again");
}

} // namespace

Charsmap::Charsmap(std::string_view compiled) {
    if (compiled.size() > kMostBytes)
        invalid(fmt::format("{} bytes; at most {} are allowed", compiled.size(), kMostBytes));
    if (compiled.size() < 4)
        invalid(fmt::format("{} bytes, which cannot hold the length of its trie", compiled.size()));
    const auto word = [&](std::size_t at) {
        std::uint32_t value = 0;
        for (std::size_t i = 0; i < 4; ++i)
            value |= std::uint32_t{static_cast<unsigned char>(compiled[at + i])} << (8 * i);
        return value;
    };
    const std::size_t trieBytes = word(0);
    if (trieBytes % 4 != 0 || trieBytes > compiled.size() - 4)
        invalid(fmt::format("a trie of {} bytes in a map of {}", trieBytes, compiled.size()));
    for (std::size_t at = 0; at < trieBytes; at += 4) units_.push_back(word(4 + at));
    replacements_ = compiled.substr(4 + trieBytes);
    if (!isValidUtf8(replacements_)) invalid("the replacements are no UTF-8");
}

std::optional<Charsmap::Match> Charsmap::find(std::string_view text, bool longest) const {
    const auto base = [](std::uint32_t unit) { return (unit >> 10) << ((unit & 0x200u) >> 6); };
    const auto label = [](std::uint32_t unit) { return unit & 0x800000FFu; };
    if (units_.empty()) return std::nullopt;
    std::optional<Match> best;
    std::size_t node = base(units_[0]);
    for (std::size_t i = 0; i < text.size(); ++i) {
        const auto byte = static_cast<unsigned char>(text[i]);
        node ^= byte;
        if (byte == 0 || node >= units_.size() || label(units_[node]) != byte) break;
        const std::uint32_t unit = units_[node];
        node ^= base(unit);
        if ((unit & 0x100u) == 0) continue; // nothing ends here
        if (node >= units_.size()) break;
        const std::size_t begin = units_[node] & 0x7FFFFFFFu;
        if (begin >= replacements_.size()) break;
        const std::size_t end = replacements_.find('\0', begin);
        best =
            Match{i + 1, std::string_view(replacements_).substr(begin, end == std::string::npos ? end : end - begin)};
        if (!longest) break;
    }
    // An offset into the middle of a character would make text that is no UTF-8.
    if (best && !best->replacement.empty() && (static_cast<unsigned char>(best->replacement[0]) & 0xC0) == 0x80)
        return std::nullopt;
    return best;
}

} // namespace bw
