// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/base/json.h"

#include "tests/support/expect_error.h"

using namespace bw;
using namespace bw::test;

TEST(ParseJson, GivesValues) {
    const Json json = parseJson(R"({"a": [1, 2.5, "x", null, true]})", "test");
    EXPECT_EQ(2.5, json["a"][1].get<double>());
}

TEST(ParseJson, RefusesDepth) {
    const std::string deep(100'000, '[');
    const Error e = expectError(ErrorCode::depthExceeded, [&] { parseJson(deep, "deep.json"); });
    EXPECT_NE(std::string::npos, e.message().find("deep.json"));
    EXPECT_NO_THROW(parseJson(std::string(64, '[') + std::string(64, ']'), "just within"));
}

TEST(ParseJson, RefusesDuplicateKeysOnAnyLevel) {
    expectError(ErrorCode::duplicateKey, [] { parseJson(R"({"a":{"b":1,"b":2}})", "t"); });
    EXPECT_NO_THROW(parseJson(R"({"a":{"b":1},"b":2})", "t"));
}

TEST(ParseJson, SaysWhereItBreaks) {
    const Error e = expectError(ErrorCode::invalidHeader, [] { parseJson(R"({"a": tru})", "t"); });
    EXPECT_NE(std::string::npos, e.message().find("byte 10")) << e.message();
    expectError(ErrorCode::invalidHeader, [] { parseJson("", "t"); });
    expectError(ErrorCode::invalidHeader, [] { parseJson("\"\xff\"", "t"); });
    expectError(ErrorCode::invalidHeader, [] { parseJson("{} x", "t"); });
    expectError(ErrorCode::invalidHeader, [] { parseJson(std::string_view("{}\0{", 4), "t"); });
}

TEST(ParseJson, RefusesSize) {
    expectError(ErrorCode::headerTooLarge, [] { parseJson("[1,2,3]", "t", {.bytes = 3, .depth = 64}); });
}
