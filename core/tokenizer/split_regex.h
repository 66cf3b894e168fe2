// SPDX-License-Identifier: GPL-3.0-or-later
// A pattern from a tokenizer file, run by PCRE2 under limits: a hostile pattern ends in an error, never in a hang.
// Not for: GPT-2's and the cl100k family's patterns, which have linear scanners of their own (scanners.h).
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <string_view>

namespace bw {

class SplitRegex {
public:
    /// @param pattern UTF-8; \p{…}, look-around and possessive quantifiers are understood; \s, \w follow Unicode;
    /// ^ and $ stand at lines' ends too, as in the reference's engine.
    /// @throws Error invalidTokenizer with PCRE2's words and the position.
    explicit SplitRegex(const std::string& pattern);
    ~SplitRegex();
    SplitRegex(const SplitRegex&) = delete;
    SplitRegex& operator=(const SplitRegex&) = delete;

    /// One pass over a text; holds the match block, the limits and the deadline. One per thread.
    class Matcher {
    public:
        Matcher(const SplitRegex& regex, std::string_view text);
        ~Matcher();
        Matcher(const Matcher&) = delete;
        Matcher& operator=(const Matcher&) = delete;
        /// Leftmost match that begins at or after `from`. @returns false when there is none.
        /// @throws Error invalidTokenizer when a limit is hit: steps grow with the text, 64 MiB of heap, 10 s + 10
        /// s/MiB.
        bool find(std::size_t from, std::size_t& begin, std::size_t& end);

    private:
        struct Impl;
        std::unique_ptr<Impl> impl_;
    };

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

} // namespace bw
