// SPDX-License-Identifier: GPL-3.0-or-later
// Display escaping keeps terminals and windows safe from names out of files: controls, direction marks, bad UTF-8.
#include "core/base/text.h"

#include "core/base/error.h"

#include <array>
#include <cctype>
#include <charconv>
#include <cmath>
#include <fmt/format.h>

namespace bw {

std::size_t utf8SequenceLength(std::string_view text) {
    if (text.empty()) return 0;
    const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
    const unsigned char b = byte(0);
    if (b < 0x80) return 1;
    std::size_t length = 0;
    std::uint32_t least = 0;
    std::uint32_t code = 0;
    if (b >= 0xc2 && b <= 0xdf) { length = 2; least = 0x80; code = b & 0x1fu; }
    else if (b >= 0xe0 && b <= 0xef) { length = 3; least = 0x800; code = b & 0x0fu; }
    else if (b >= 0xf0 && b <= 0xf4) { length = 4; least = 0x10000; code = b & 0x07u; }
    else return 0;
    if (text.size() < length) return 0;
    for (std::size_t i = 1; i < length; ++i) {
        if ((byte(i) & 0xc0) != 0x80) return 0;
        code = (code << 6) | (byte(i) & 0x3fu);
    }
    if (code < least || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff)) return 0;
    return length;
}

bool isValidUtf8(std::string_view text) {
    while (!text.empty()) {
        const std::size_t n = utf8SequenceLength(text);
        if (n == 0) return false;
        text.remove_prefix(n);
    }
    return true;
}

std::string escapeForDisplay(std::string_view text, std::size_t limit) {
    std::string out;
    while (!text.empty()) {
        if (out.size() >= limit) return out + "…";
        const std::size_t n = utf8SequenceLength(text);
        const auto first = static_cast<unsigned char>(text[0]);
        if (n == 0 || first < 0x20 || first == 0x7f) {
            out += fmt::format("\\x{:02x}", first);
            text.remove_prefix(1);
            continue;
        }
        std::uint32_t code = first;
        if (n == 2) code = (first & 0x1fu) << 6 | (static_cast<unsigned char>(text[1]) & 0x3fu);
        if (n == 3)
            code = (first & 0x0fu) << 12 | (static_cast<unsigned char>(text[1]) & 0x3fu) << 6 | (static_cast<unsigned char>(text[2]) & 0x3fu);
        const bool direction = code == 0x61c || code == 0x200e || code == 0x200f || (code >= 0x2028 && code <= 0x202e) ||
                               (code >= 0x2066 && code <= 0x2069) || code == 0xfeff;
        if (direction || (code >= 0x80 && code < 0xa0))
            out += fmt::format("\\u{{{:04x}}}", code);
        else
            out.append(text.substr(0, n));
        text.remove_prefix(n);
    }
    return out;
}

std::string formatBytes(std::uint64_t bytes) {
    static constexpr std::array<const char*, 5> kUnits{"B", "KiB", "MiB", "GiB", "TiB"};
    double value = static_cast<double>(bytes);
    std::size_t unit = 0;
    while (value >= 1024 && unit + 1 < kUnits.size()) {
        value /= 1024;
        ++unit;
    }
    return unit == 0 ? fmt::format("{} B", bytes) : fmt::format("{:.{}f} {}", value, value < 100 ? 1 : 0, kUnits[unit]);
}

std::string formatSeconds(double seconds) {
    if (!(seconds >= 0) || seconds > 3.0e8) return "unknown";
    if (seconds < 1) return fmt::format("{:.0f} ms", seconds * 1000);
    if (seconds < 10) return fmt::format("{:.1f} s", seconds);
    const auto whole = static_cast<std::int64_t>(std::llround(seconds));
    if (whole < 60) return fmt::format("{} s", whole);
    if (whole < 3600) return fmt::format("{} min {} s", whole / 60, whole % 60);
    return fmt::format("{} h {} min", whole / 3600, whole % 3600 / 60);
}

std::uint64_t parseByteSize(std::string_view text) {
    const auto bad = [&] {
        return Error(ErrorCode::usage, "\"" + escapeForDisplay(text) + "\" is no size", "write for example 1.2GiB, 900MB or 123456B");
    };
    double value = 0;
    const auto [end, err] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (err != std::errc{} || !(value >= 0) || !std::isfinite(value)) throw bad();
    std::string unit(end, text.data() + text.size());
    for (char& c : unit) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    static const std::array<std::pair<const char*, double>, 14> kUnits{{{"", 1.0}, {"b", 1.0}, {"k", 1024.0}, {"kib", 1024.0},
        {"kb", 1e3}, {"m", 1048576.0}, {"mib", 1048576.0}, {"mb", 1e6}, {"g", 1073741824.0}, {"gib", 1073741824.0}, {"gb", 1e9},
        {"t", 1099511627776.0}, {"tib", 1099511627776.0}, {"tb", 1e12}}};
    for (const auto& [name, factor] : kUnits)
        if (unit == name) {
            const double bytes = value * factor;
            if (bytes >= 9.0e18) throw bad();
            return static_cast<std::uint64_t>(std::llround(bytes));
        }
    throw bad();
}

bool globMatches(std::string_view pattern, std::string_view text) {
    // Iterative with one backtrack point: linear for the patterns people write, quadratic at the worst.
    std::size_t p = 0, t = 0, star = std::string_view::npos, mark = 0;
    while (t < text.size()) {
        if (p < pattern.size() && (pattern[p] == '?' || pattern[p] == text[t]) && pattern[p] != '*') {
            ++p;
            ++t;
        } else if (p < pattern.size() && pattern[p] == '*') {
            star = p++;
            mark = t;
        } else if (star != std::string_view::npos) {
            p = star + 1;
            t = ++mark;
        } else {
            return false;
        }
    }
    while (p < pattern.size() && pattern[p] == '*') ++p;
    return p == pattern.size();
}

} // namespace bw
