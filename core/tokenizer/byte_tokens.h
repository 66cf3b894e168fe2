// SPDX-License-Identifier: GPL-3.0-or-later
// The 256 tokens "<0x00>" … "<0xFF>" that stand for bytes in SentencePiece vocabularies.
#pragma once

#include <fmt/format.h>
#include <string>
#include <string_view>

namespace bw {

inline std::string byteToken(unsigned byte) {
    return fmt::format("<0x{:02X}>", byte & 0xFFu);
}

/// 0…255, or −1 for any other text.
inline int byteOfToken(std::string_view text) {
    if (text.size() != 6 || !text.starts_with("<0x") || text.back() != '>') return -1;
    int byte = 0;
    for (const char c : text.substr(3, 2)) {
        const int digit = c >= '0' && c <= '9'   ? c - '0'
                          : c >= 'A' && c <= 'F' ? c - 'A' + 10
                          : c >= 'a' && c <= 'f' ? c - 'a' + 10
                                                 : -1;
        if (digit < 0) return -1;
        byte = byte * 16 + digit;
    }
    return byte;
}

} // namespace bw
