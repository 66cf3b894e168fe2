// SPDX-License-Identifier: GPL-3.0-or-later
// SentencePiece's precompiled character map: a double-array trie from byte sequences to their replacements (NFKC with a
// model's own rules, as a rule). Layout: u32 length of the trie in bytes · the trie, u32 units · replacements, each
// ended by a zero byte. Source: darts-clone's unit layout. Every index is checked, whatever the file says.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace bw {

class Charsmap {
public:
    /// @throws Error invalidTokenizer: over 16 MiB, a trie longer than the whole, replacements that are no UTF-8.
    explicit Charsmap(std::string_view compiled);

    struct Match {
        std::size_t length; ///< bytes of text
        std::string_view replacement;
    };
    std::optional<Match> longest(std::string_view text) const { return find(text, true); }
    std::optional<Match> shortest(std::string_view text) const { return find(text, false); }

private:
    std::optional<Match> find(std::string_view text, bool longest) const;
    std::vector<std::uint32_t> units_;
    std::string replacements_;
};

} // namespace bw
