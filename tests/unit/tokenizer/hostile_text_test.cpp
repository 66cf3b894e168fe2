// SPDX-License-Identifier: GPL-3.0-or-later
// Long runs and broken text: time, stack and round trips.
#include "core/base/mapped_file.h"
#include "core/tokenizer/gguf_pre_tokenizers.h"
#include "core/tokenizer/unicode.h"
#include "tests/support/cpu_timer.h"
#include "tests/unit/tokenizer/support.h"

#include <pthread.h>
#include <random>

namespace bw {
namespace {

constexpr std::size_t kMebibyte = std::size_t{1} << 20;

std::string repeated(std::string_view unit, std::size_t bytes) {
    std::string text;
    text.reserve(bytes + unit.size());
    while (text.size() < bytes) text += unit;
    return text;
}

/// Runs `body` on a thread with 128 KiB of stack: recursion that grows with the text would crash.
template <class Body>
void onSmallStack(Body body) {
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, 128 * 1024);
    pthread_t thread;
    const auto run = [](void* argument) -> void* {
        (*static_cast<Body*>(argument))();
        return nullptr;
    };
    ASSERT_EQ(pthread_create(&thread, &attributes, run, &body), 0);
    pthread_join(thread, nullptr);
    pthread_attr_destroy(&attributes);
}

void expectFast(const Tokenizer& tokenizer, const std::string& text) {
    const test::CpuTimer timer;
    std::vector<TokenId> ids;
    onSmallStack([&] { ids = tokenizer.encode(text, false); });
    EXPECT_LT(timer.seconds(), 5.0 * test::kSlowdown) << text.substr(0, 8);
    EXPECT_TRUE(tokenizer.decode(ids) == text) << text.substr(0, 8);
}

TEST(HostileText, OneMebibyteOfOneThing) {
    const auto tokenizer = test::fromJson(test::demoJson());
    for (const char* unit : {"a", " ", "\n", ".", "7", "日", "\u0301", "ab ", "'", "<", "<|", "-"})
        expectFast(*tokenizer, repeated(unit, kMebibyte));
}

TEST(HostileText, OneMebibyteThroughOtherPatterns) {
    for (const char* pre : {"smollm", "llama-bpe", "qwen2", "default"}) {
        TokenizerParts parts = test::byteParts();
        parts.preTokenizer = ggufPreTokenizer(pre).preTokenizer;
        const auto tokenizer = makeTokenizer(std::move(parts));
        for (const char* unit : {"a", " ", "\n", " \n", ".", "7"}) expectFast(*tokenizer, repeated(unit, kMebibyte));
    }
}

/// SentencePiece kinds, the deepest normalizers and patterns: no more than the same seconds and stack.
TEST(HostileText, OneMebibyteThroughOtherModels) {
    const std::string folder = std::string(BW_TEST_DATA) + "/tokenizer/families/";
    const Json bases = readJsonFile(folder + "bases.json");
    std::vector<std::shared_ptr<const Tokenizer>> all;
    for (const char* kind : {"bpe", "unigram"}) {
        const std::string path = folder + "sp_" + kind + ".model";
        all.push_back(makeTokenizer(partsFromSentencePiece(readTextFile(path, 1 << 24), Json(), path)));
    }
    for (const char* base : {"characters", "crossing", "unigram"}) {
        Json json = bases[base];
        json["normalizer"] = parseJson(R"({"type":"Sequence","normalizers":[{"type":"NFKC"},{"type":"Lowercase"},
            {"type":"Replace","pattern":{"String":" "},"content":"▁"}]})",
                                       "test");
        all.push_back(test::fromJson(json));
    }
    for (const char* pre : {"deepseek-llm", "deepseek-v3", "gpt-4o"}) {
        TokenizerParts parts = test::byteParts();
        parts.preTokenizer = ggufPreTokenizer(pre).preTokenizer;
        all.push_back(makeTokenizer(std::move(parts)));
    }
    for (const auto& tokenizer : all)
        for (const char* unit : {"a", " ", "\n", "7", "日", "\u0301", "▁"}) {
            const std::string text = repeated(unit, kMebibyte);
            const test::CpuTimer timer;
            std::size_t ids = 0;
            onSmallStack([&] { ids = tokenizer->encode(text, false).size(); });
            EXPECT_LT(timer.seconds(), 5.0 * test::kSlowdown) << tokenizer->description() << " " << unit;
            EXPECT_LE(ids, text.size() + 1);
        }
}

TEST(HostileText, BrokenUtf8FollowsTheReplacement) {
    const auto tokenizer = test::fromJson(test::demoJson());
    EXPECT_EQ(tokenizer->encode("a\xFFz\xED\xA0\x80", false), tokenizer->encode("a\uFFFDz\uFFFD\uFFFD\uFFFD", false));
    EXPECT_EQ(tokenizer->encode("cut \xE2\x82", false), tokenizer->encode("cut \uFFFD", false));
}

TEST(HostileText, ValidTextComesBackByteForByte) {
    const auto tokenizer = test::fromJson(test::demoJson());
    std::mt19937 rng(3);
    std::uniform_int_distribution<std::uint32_t> any(0, 0x10FFFF), small(0, 0x7F), kind(0, 3);
    for (int round = 0; round < 300; ++round) {
        std::string text = round % 3 == 0 ? "\xEF\xBB\xBF" : "";
        for (int i = 0; i < 40; ++i) {
            const std::uint32_t c = kind(rng) == 0 ? any(rng) : small(rng);
            if (c >= 0xD800 && c < 0xE000) continue;
            appendUtf8(text, c);
        }
        text += "\r\n";
        EXPECT_EQ(tokenizer->decode(tokenizer->encode(text, false)), text);
    }
}

TEST(HostileText, PiecesLookTheSameFirstAndLater) {
    const auto tokenizer = test::fromJson(test::demoJson());
    const std::string once = "The quick brown fox's 1234 jumps.\n";
    const std::vector<TokenId> ids = tokenizer->encode(once, false);
    std::vector<TokenId> expected;
    for (int i = 0; i < 50; ++i) expected.insert(expected.end(), ids.begin(), ids.end());
    EXPECT_EQ(tokenizer->encode(repeated(once, once.size() * 50), false), expected);
}

} // namespace
} // namespace bw
