// SPDX-License-Identifier: GPL-3.0-or-later
// Normalizers and decoders step by step. Expected texts are those of tokenizers 0.23.3; the whole tables are compared
// with it through ids in tests/golden/tokenizer.
#include "core/tokenizer/decoder.h"
#include "core/tokenizer/json_reading.h"
#include "core/tokenizer/normal_forms.h"
#include "core/tokenizer/unicode.h"
#include "tests/unit/tokenizer/support.h"

#include <gmock/gmock.h>

namespace bw {
namespace {

std::string normalized(const std::string& json, std::string_view text) {
    return tokenizer_json::readNormalizer(parseJson(json, "test"), "test").apply(text);
}

TEST(NormalForms, ComposeDecomposeAndOrder) {
    EXPECT_EQ(normalForm("e\u0301", NormalForm::nfc), "\u00E9");
    EXPECT_EQ(normalForm("\u00E9", NormalForm::nfd), "e\u0301");
    EXPECT_EQ(normalForm("ﬁ½", NormalForm::nfkc), "fi1\u20442");
    EXPECT_EQ(normalForm("ﬁ", NormalForm::nfc), "ﬁ");
    EXPECT_EQ(normalForm("\u212B", NormalForm::nfc), "\u00C5");               // a singleton never comes back
    EXPECT_EQ(normalForm("\u0958", NormalForm::nfc), "\u0915\u093C");         // excluded from composition
    EXPECT_EQ(normalForm("q\u0307\u0323", NormalForm::nfc), "q\u0323\u0307"); // ordered, nothing to compose
    EXPECT_EQ(normalForm("e\u0323\u0301", NormalForm::nfc), "\u1EB9\u0301");  // the lower mark composes first
    EXPECT_EQ(normalForm("a\u0300\u0300", NormalForm::nfc), "\u00E0\u0300");  // blocked by its own class
    EXPECT_EQ(normalForm("\u1112\u1161\u11AB", NormalForm::nfc), "한");
    EXPECT_EQ(normalForm("한", NormalForm::nfd), "\u1112\u1161\u11AB");
    EXPECT_EQ(normalForm("abc", NormalForm::nfkd), "abc");
    EXPECT_EQ(normalForm("", NormalForm::nfc), "");
}

TEST(NormalForms, NormalizingTwiceChangesNothing) {
    for (char32_t c = 0x80; c < 0x30000; ++c) {
        if (c >= 0xD800 && c < 0xE000) continue;
        std::string text = "a";
        appendUtf8(text, c);
        for (const NormalForm form : {NormalForm::nfc, NormalForm::nfd, NormalForm::nfkc, NormalForm::nfkd}) {
            const std::string once = normalForm(text, form);
            ASSERT_EQ(normalForm(once, form), once) << static_cast<std::uint32_t>(c);
        }
    }
}

TEST(NormalForms, CaseAndAccents) {
    EXPECT_EQ(lowerCase("AbÉΣİǅⅧ𐐀ẞ"), "abéσi\u0307ǆⅷ𐐨ß");
    EXPECT_EQ(withoutAccents("e\u0301é\u0483x"), "eéx");
}

TEST(Normalizer, StepsOfTokenizerJson) {
    EXPECT_EQ(normalized(R"({"type":"Prepend","prepend":"_"})", "a"), "_a");
    EXPECT_EQ(normalized(R"({"type":"Prepend","prepend":"_"})", ""), "");
    EXPECT_EQ(normalized(R"({"type":"Replace","pattern":{"String":"aa"},"content":"b"})", "aaaaa"), "bba");
    EXPECT_EQ(normalized(R"({"type":"Replace","pattern":{"Regex":" {2,}"},"content":" "})", "a   b  "), "a b ");
    EXPECT_EQ(normalized(R"({"type":"Strip","strip_left":true,"strip_right":false})", " \u3000a "), "a ");
    EXPECT_EQ(normalized(R"({"type":"Nmt"})", "a\x01\x09\u200Bb\x7F"), "a  b");
    EXPECT_EQ(normalized(R"({"type":"Sequence","normalizers":[{"type":"NFKC"},{"type":"Lowercase"}]})", "Ａ"), "a");
    EXPECT_EQ(normalized("null", "A"), "A");
}

TEST(Normalizer, HostileStepsAreRefused) {
    std::string many = R"({"type":"NFC"})";
    for (int i = 0; i < 70; ++i) many += R"(,{"type":"NFC"})";
    EXPECT_EQ(test::errorOf([&] { normalized(R"({"type":"Sequence","normalizers":[)" + many + "]}", "a"); }).code(),
              ErrorCode::invalidTokenizer);
    // Each step makes the text ten times as long.
    std::string growing = R"({"type":"Replace","pattern":{"String":"a"},"content":"aaaaaaaaaa"})";
    for (int i = 0; i < 20; ++i) growing += R"(,{"type":"Replace","pattern":{"String":"a"},"content":"aaaaaaaaaa"})";
    const Error error =
        test::errorOf([&] { normalized(R"({"type":"Sequence","normalizers":[)" + growing + "]}", "a"); });
    EXPECT_EQ(error.code(), ErrorCode::invalidTokenizer);
    EXPECT_THAT(error.message(), testing::HasSubstr("times its input"));
}

/// A map with the one rule "ab" → "X": root, then node 'a', node 'b', and the leaf that holds the place of "X".
std::string smallMap(std::uint32_t place) {
    // Node n stands at its parent's base ^ byte; bases are chosen so that no two nodes meet.
    std::vector<std::uint32_t> units(512, 0);
    const auto unit = [](std::uint32_t base, bool leaf, std::uint32_t label) {
        return (base << 10) | (leaf ? 0x100u : 0u) | label;
    };
    units[0] = unit(1, false, 0);
    units[1 ^ 'a'] = unit((1 ^ 'a') ^ 256, false, 'a');  // children at 256 ^ byte
    units[256 ^ 'b'] = unit((256 ^ 'b') ^ 3, true, 'b'); // leaf at 3
    units[3] = 0x80000000u | place;
    std::string bytes;
    const auto word = [&](std::uint32_t value) {
        for (int i = 0; i < 4; ++i) bytes.push_back(static_cast<char>(value >> (8 * i) & 0xFF));
    };
    word(static_cast<std::uint32_t>(units.size() * 4));
    for (const std::uint32_t value : units) word(value);
    return bytes + std::string("X\0é\0", 5);
}

TEST(Charsmap, FindsWhatTheTrieHolds) {
    const Charsmap map(smallMap(0));
    const auto match = map.longest("abc");
    ASSERT_TRUE(match);
    EXPECT_EQ(match->length, 2u);
    EXPECT_EQ(match->replacement, "X");
    EXPECT_FALSE(map.longest("a"));
    EXPECT_FALSE(map.longest("ba"));
    EXPECT_FALSE(map.longest(""));
}

TEST(Charsmap, DamagedMapsAreRefusedOrFindNothing) {
    const auto refused = [](const std::string& bytes) { return test::errorOf([&] { Charsmap map(bytes); }).code(); };
    EXPECT_EQ(refused("abc"), ErrorCode::invalidTokenizer);
    EXPECT_EQ(refused(std::string("\xFF\xFF\xFF\x7F", 4) + std::string(100, 'a')), ErrorCode::invalidTokenizer);
    EXPECT_EQ(refused(std::string(std::size_t{17} << 20, '\0')), ErrorCode::invalidTokenizer);
    EXPECT_EQ(refused(smallMap(0) + "\xFF"), ErrorCode::invalidTokenizer);
    EXPECT_FALSE(Charsmap(smallMap(1'000'000)).longest("ab")); // a replacement past the end
    EXPECT_FALSE(Charsmap(smallMap(3)).longest("ab"));         // one that begins inside a character
    EXPECT_FALSE(Charsmap(std::string(4, '\0')).longest("ab"));
    // Any bytes as a trie: whatever is found lies inside.
    std::uint32_t state = 1;
    for (int round = 0; round < 200; ++round) {
        std::string bytes = smallMap(0);
        for (int i = 0; i < 300; ++i) {
            state = state * 1664525u + 1013904223u;
            bytes[4 + state % 2048] = static_cast<char>(state >> 24);
        }
        const Charsmap map(bytes);
        for (int c = 1; c < 256; ++c) (void)map.longest(std::string(8, static_cast<char>(c)));
    }
}

TEST(Decoder, HostileStepsAreRefused) {
    const std::string growing =
        R"({"type":"Replace","pattern":{"String":"a"},"content":")" + std::string(5000, 'b') + R"("})";
    const Decoder decoder = tokenizer_json::readDecoder(parseJson(growing, "test"), "test", false);
    EXPECT_EQ(test::errorOf([&] { (void)decoder.token("aaa"); }).code(), ErrorCode::invalidTokenizer);
    const Json wide = parseJson(R"({"type":"Metaspace","replacement":"__"})", "test");
    EXPECT_EQ(test::errorOf([&] { tokenizer_json::readDecoder(wide, "test", false); }).code(),
              ErrorCode::invalidTokenizer);
    bool byteLevel = false;
    EXPECT_EQ(test::errorOf([&] { tokenizer_json::readPreTokenizer(wide, "test", byteLevel); }).code(),
              ErrorCode::invalidTokenizer);
}

TEST(Decoder, StepsOfTokenizerJson) {
    const auto decoded = [](const std::string& json, const std::vector<std::string>& tokens) {
        const Decoder decoder = tokenizer_json::readDecoder(parseJson(json, "test"), "test", false);
        std::string text;
        for (std::size_t i = 0; i < tokens.size(); ++i)
            text += (i > 0 ? std::string(decoder.between()) : "") +
                    (i > 0 ? decoder.token(tokens[i]) : decoder.firstToken(tokens[i]));
        return decoder.whole(text);
    };
    const std::string llama =
        R"({"type":"Sequence","decoders":[{"type":"Replace","pattern":{"String":"▁"},"content":" "},
        {"type":"ByteFallback"},{"type":"Fuse"},{"type":"Strip","content":" ","start":1,"stop":0}]})";
    EXPECT_EQ(decoded(llama, {"▁Hi", "▁▁x", "<0xE2>", "<0x82>", "<0xAC>", "<0x4g>"}), "Hi  x€<0x4g>");
    EXPECT_EQ(decoded(R"({"type":"Metaspace","replacement":"▁","prepend_scheme":"always"})", {"▁a▁b", "▁c"}), "ab c");
    EXPECT_EQ(decoded(R"({"type":"Metaspace","replacement":"▁","prepend_scheme":"never"})", {"▁a", "▁c"}), " a c");
    EXPECT_EQ(decoded(R"({"type":"Strip","content":"_","start":1,"stop":2})", {"__a___", "_"}), "_a_");
    EXPECT_EQ(decoded("null", {"▁a", "<0x0A>"}), " a\n");
}

} // namespace
} // namespace bw
