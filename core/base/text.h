// SPDX-License-Identifier: GPL-3.0-or-later
// Small text helpers: display escaping, numbers for people, UTF-8 checks.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace bw {

/// Control characters, invalid UTF-8, direction marks (U+200E…, U+202A…, U+2066…) as \xNN or \u{N}; at most `limit` bytes.
std::string escapeForDisplay(std::string_view text, std::size_t limit = 200);
/// "76.4 MiB", "512 B".
std::string formatBytes(std::uint64_t bytes);
/// "2 min 10 s", "850 ms".
std::string formatSeconds(double seconds);
/// Length in bytes of the valid UTF-8 sequence at the front, 0 if there is none.
std::size_t utf8SequenceLength(std::string_view text);
bool isValidUtf8(std::string_view text);
/// "1.2GiB", "123456B", "900MB", "2G" in bytes. @throws Error(usage).
std::uint64_t parseByteSize(std::string_view text);
/// Glob with * and ? over the whole string ("blk.*.attn_v").
bool globMatches(std::string_view pattern, std::string_view text);

} // namespace bw
