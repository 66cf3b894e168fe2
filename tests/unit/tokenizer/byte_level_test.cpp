// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/tokenizer/byte_level.h"

#include <gtest/gtest.h>
#include <set>

namespace bw {
namespace {

TEST(ByteLevel, KnownSymbols) {
    EXPECT_EQ(byteSymbol('A'), "A");
    EXPECT_EQ(byteSymbol(' '), "Ġ");
    EXPECT_EQ(byteSymbol('\n'), "Ċ");
    EXPECT_EQ(byteSymbol(0), "Ā");
    EXPECT_EQ(byteSymbol(0xAD), "Ń");
    EXPECT_EQ(byteSymbol(0xFF), "ÿ");
}

TEST(ByteLevel, EveryByteHasItsOwnSymbolAndComesBack) {
    std::set<std::string> seen;
    std::string all;
    for (int byte = 0; byte < 256; ++byte) {
        seen.insert(byteSymbol(static_cast<unsigned char>(byte)));
        all.push_back(static_cast<char>(byte));
    }
    EXPECT_EQ(seen.size(), 256u);
    EXPECT_EQ(bytesOfSymbols(symbolsOfBytes(all)), all);
}

TEST(ByteLevel, TextOutsideTheAlphabetHasNoBytes) {
    EXPECT_FALSE(bytesOfSymbols("a b").has_value()); // a bare space is no symbol
    EXPECT_FALSE(bytesOfSymbols("日").has_value());
    EXPECT_FALSE(bytesOfSymbols("\xFF").has_value()); // no UTF-8
    EXPECT_EQ(bytesOfSymbols(""), "");
}

} // namespace
} // namespace bw
