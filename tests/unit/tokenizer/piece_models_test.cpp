// SPDX-License-Identifier: GPL-3.0-or-later
// SentencePiece BPE and unigram models against their definitions, SentencePiece's own file, and hostile scores.
#include "core/base/mapped_file.h"
#include "core/tokenizer/piece_trie.h"
#include "tests/unit/tokenizer/support.h"

#include <chrono>
#include <cmath>
#include <gmock/gmock.h>
#include <limits>
#include <random>

namespace bw {
namespace {

using test::errorOf;

/// Texts over a, b and U+2581 as a vocabulary with random scores; single characters are always there.
TokenizerParts randomParts(ModelKind kind, std::mt19937& rng) {
    TokenizerParts parts;
    parts.source = "test";
    parts.kind = kind;
    parts.vocabulary = {{"a", 0}, {"b", 1}, {"▁", 2}};
    const std::vector<std::string> letters{"a", "b", "▁"};
    std::uniform_int_distribution<std::size_t> letter(0, 2), length(2, 4);
    for (int i = 0; i < 25; ++i) {
        std::string text;
        for (std::size_t n = length(rng); n > 0; --n) text += letters[letter(rng)];
        const bool known = std::any_of(parts.vocabulary.begin(), parts.vocabulary.end(),
                                       [&](const auto& e) { return e.first == text; });
        if (!known) parts.vocabulary.emplace_back(text, static_cast<TokenId>(parts.vocabulary.size()));
    }
    // Whole numbers, so that sums are exact in any order.
    std::uniform_int_distribution<int> score(-40, -1);
    for (std::size_t i = 0; i < parts.vocabulary.size(); ++i) parts.scores.push_back(score(rng));
    parts.lowestScore = *std::min_element(parts.scores.begin(), parts.scores.end());
    return parts;
}

std::string randomText(std::mt19937& rng) {
    const std::vector<std::string> letters{"a", "b", "▁"};
    std::uniform_int_distribution<std::size_t> letter(0, 2), length(0, 14);
    std::string text;
    for (std::size_t n = length(rng); n > 0; --n) text += letters[letter(rng)];
    return text;
}

/// The definition: of all neighbours whose joined text is a token, the one of highest score, leftmost of equals.
std::vector<TokenId> mergeSlowly(const TokenizerParts& parts, const std::string& text) {
    const auto find = [&](const std::string& t) {
        for (std::size_t i = 0; i < parts.vocabulary.size(); ++i)
            if (parts.vocabulary[i].first == t) return static_cast<int>(i);
        return -1;
    };
    std::vector<std::string> symbols;
    for (std::size_t at = 0; at < text.size(); at += symbols.back().size())
        symbols.push_back(text.substr(at, text[at] == 'a' || text[at] == 'b' ? 1 : 3));
    for (;;) {
        std::size_t best = symbols.size();
        double bestScore = 0;
        for (std::size_t i = 0; i + 1 < symbols.size(); ++i) {
            const int id = find(symbols[i] + symbols[i + 1]);
            if (id < 0 || (best < symbols.size() && parts.scores[static_cast<std::size_t>(id)] <= bestScore)) continue;
            best = i;
            bestScore = parts.scores[static_cast<std::size_t>(id)];
        }
        if (best == symbols.size()) break;
        symbols[best] += symbols[best + 1];
        symbols.erase(symbols.begin() + static_cast<std::ptrdiff_t>(best) + 1);
    }
    std::vector<TokenId> ids;
    for (const std::string& symbol : symbols) ids.push_back(find(symbol));
    return ids;
}

TEST(ScoredBpe, EqualsTheDefinitionOnRandomVocabularies) {
    std::mt19937 rng(5);
    for (int round = 0; round < 60; ++round) {
        const TokenizerParts parts = randomParts(ModelKind::scoredBpe, rng);
        const auto tokenizer = makeTokenizer(parts);
        for (int i = 0; i < 20; ++i) {
            const std::string text = randomText(rng);
            ASSERT_EQ(tokenizer->encode(text, false), mergeSlowly(parts, text)) << text;
        }
    }
}

/// Highest sum over all cuts, by trying each token at the end of each prefix.
double bestSum(const TokenizerParts& parts, const std::string& text) {
    std::vector<double> best(text.size() + 1, -1e9);
    best[0] = 0;
    for (std::size_t end = 1; end <= text.size(); ++end)
        for (std::size_t i = 0; i < parts.vocabulary.size(); ++i) {
            const std::string& token = parts.vocabulary[i].first;
            if (token.size() > end || text.compare(end - token.size(), token.size(), token) != 0) continue;
            best[end] = std::max(best[end], best[end - token.size()] + parts.scores[i]);
        }
    return best.back();
}

TEST(Unigram, FindsTheMostProbableCut) {
    std::mt19937 rng(6);
    for (int round = 0; round < 60; ++round) {
        const TokenizerParts parts = randomParts(ModelKind::unigram, rng);
        const auto tokenizer = makeTokenizer(parts);
        for (int i = 0; i < 20; ++i) {
            const std::string text = randomText(rng);
            double sum = 0;
            std::string back;
            for (const TokenId id : tokenizer->encode(text, false)) {
                sum += parts.scores[static_cast<std::size_t>(id)];
                back += parts.vocabulary[static_cast<std::size_t>(id)].first;
            }
            ASSERT_EQ(back, text);
            ASSERT_EQ(sum, text.empty() ? 0 : bestSum(parts, text)) << text;
        }
    }
}

TEST(Unigram, UnknownCharactersAreFusedOrBecomeBytes) {
    TokenizerParts parts;
    parts.source = "test";
    parts.kind = ModelKind::unigram;
    parts.vocabulary = {{"<unk>", 0}, {"a", 1}};
    parts.scores = {0, -1};
    parts.lowestScore = -1;
    EXPECT_EQ(errorOf([&] { makeTokenizer(parts)->encode("axa", false); }).code(), ErrorCode::invalidTokenizer);
    parts.unknown = "<unk>";
    EXPECT_THAT(makeTokenizer(parts)->encode("axya", false), testing::ElementsAre(1, 0, 0, 1));
    parts.fuseUnknown = true;
    EXPECT_THAT(makeTokenizer(parts)->encode("axya", false), testing::ElementsAre(1, 0, 1));
    parts.byteFallback = true;
    parts.vocabulary.emplace_back("<0x78>", 2);
    parts.scores.push_back(-1);
    EXPECT_THAT(makeTokenizer(parts)->encode("axya", false), testing::ElementsAre(1, 0, 1)); // y has no byte token
    EXPECT_THAT(makeTokenizer(parts)->encode("axa", false), testing::ElementsAre(1, 2, 1));
}

TEST(PieceModels, ScoresThatAreNoNumbersAreRefused) {
    for (const ModelKind kind : {ModelKind::scoredBpe, ModelKind::unigram})
        for (const double bad :
             {std::nan(""), std::numeric_limits<double>::infinity(), -std::numeric_limits<double>::infinity()}) {
            TokenizerParts parts;
            parts.source = "test";
            parts.kind = kind;
            parts.vocabulary = {{"a", 0}, {"bb", 1}};
            parts.scores = {0, bad};
            const Error error = errorOf([&] { makeTokenizer(parts); });
            EXPECT_EQ(error.code(), ErrorCode::invalidTokenizer);
            EXPECT_THAT(error.message(), testing::HasSubstr("'bb'"));
        }
    TokenizerParts parts;
    parts.kind = ModelKind::unigram;
    parts.vocabulary = {{std::string(2000, 'a'), 0}};
    EXPECT_EQ(errorOf([&] { makeTokenizer(parts); }).code(), ErrorCode::invalidTokenizer);
}

TEST(PieceTrie, WalksEveryPieceThatBegins) {
    PieceTrie trie;
    const std::vector<std::string> pieces{"a", "ab", "abcd", "b", std::string("\xFF\x00x", 3)};
    for (std::size_t i = 0; i < pieces.size(); ++i) ASSERT_TRUE(trie.add(pieces[i], static_cast<TokenId>(i)));
    for (int i = 0; i < 3000; ++i) ASSERT_TRUE(trie.add("key" + std::to_string(i), 100 + i)); // grows several times
    const auto found = [&](std::string_view text) {
        std::vector<std::pair<std::size_t, TokenId>> all;
        trie.walk(text, [&](std::size_t length, TokenId id) { all.emplace_back(length, id); });
        return all;
    };
    using Found = std::vector<std::pair<std::size_t, TokenId>>;
    EXPECT_EQ(found("abcde"), (Found{{1, 0}, {2, 1}, {4, 2}}));
    EXPECT_EQ(found("abc"), (Found{{1, 0}, {2, 1}}));
    EXPECT_EQ(found(pieces[4]), (Found{{3, 4}}));
    EXPECT_EQ(found("key2999"), (Found{{4, 102}, {5, 129}, {6, 399}, {7, 3099}}));
    EXPECT_EQ(found(""), Found{});
}

std::string modelBytes(const char* kind) {
    return readTextFile(std::string(BW_TEST_DATA) + "/tokenizer/families/sp_" + kind + ".model", 1 << 24);
}

TEST(SentencePieceFile, TemplatesAndAddedTokens) {
    const Json config = parseJson(R"({"add_eos_token":true,"added_tokens_decoder":{"1":{"content":"ignored"},
        "1000":{"content":"<|extra|>","special":true,"rstrip":true}}})",
                                  "test");
    const auto tokenizer = makeTokenizer(partsFromSentencePiece(modelBytes("bpe"), config, "x.model"));
    const std::vector<TokenId> ids = tokenizer->encode("<|extra|>  </s>", true);
    EXPECT_THAT(ids, testing::ElementsAre(1, 1000, 2, 2));
    EXPECT_TRUE(tokenizer->isSpecial(1000));
    EXPECT_EQ(tokenizer->bos(), 1);
    EXPECT_EQ(tokenizer->description(), "SentencePiece BPE, 1,001 tokens");
    const std::string text = "Naïve café – 日本語 🙂\n\nEnd.";
    EXPECT_EQ(tokenizer->decode(tokenizer->encode(text, false)), text);
    const auto unigram = makeTokenizer(partsFromSentencePiece(modelBytes("unigram"), Json(), "x.model"));
    EXPECT_EQ(unigram->encode("a", true).back(), 2); // T5's way
    EXPECT_EQ(unigram->decode(unigram->encode("the  end", false)), "the end");
}

TEST(SentencePieceFile, DamagedFilesEndInErrors) {
    const std::string good = modelBytes("unigram");
    const auto code = [](const std::string& bytes) {
        return errorOf([&] { makeTokenizer(partsFromSentencePiece(bytes, Json(), "x.model")); }).code();
    };
    EXPECT_EQ(code(""), ErrorCode::invalidTokenizer);
    EXPECT_EQ(code("not a model"), ErrorCode::invalidTokenizer);
    EXPECT_EQ(code(good.substr(0, good.size() / 2)), ErrorCode::invalidTokenizer);
    EXPECT_EQ(code(std::string("\x0A\xFF\xFF\xFF\xFF\x0F", 6)), ErrorCode::invalidTokenizer);     // 4 GiB announced
    EXPECT_EQ(code(std::string(20, '\xFF')), ErrorCode::invalidTokenizer);                        // an endless number
    EXPECT_EQ(code(std::string("\x0A\x05\x0A\x01\x61\x18\x09", 7)), ErrorCode::invalidTokenizer); // a piece of type 9
    EXPECT_EQ(code(good + std::string("\x12\x02\x18\x04", 4)),
              ErrorCode::unsupportedTokenizer); // model type 4, characters
    std::mt19937 rng(8);
    std::uniform_int_distribution<std::size_t> place(0, good.size() - 1);
    std::uniform_int_distribution<int> byte(0, 255);
    for (int round = 0; round < 60; ++round) {
        std::string bytes = good;
        for (int i = 0; i < 3; ++i) bytes[place(rng)] = static_cast<char>(byte(rng));
        try {
            makeTokenizer(partsFromSentencePiece(bytes, Json(), "x.model"))->encode("Some  text\n１２ \xFF", true);
        } catch (const Error& e) {
            EXPECT_TRUE(e.code() == ErrorCode::invalidTokenizer || e.code() == ErrorCode::unsupportedTokenizer)
                << e.message();
        }
    }
}

} // namespace
} // namespace bw
