// SPDX-License-Identifier: GPL-3.0-or-later
// Reading texts: piecewise tokenization equals that of the whole, and bad files are told apart with their place.
#include "core/calibrate/dataset.h"

#include "core/base/error.h"
#include "core/base/hash.h"
#include "core/base/random.h"
#include "core/calibrate/text_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <unistd.h>

namespace bw {
namespace {

using ::testing::HasSubstr;

const Tokenizer& demoTokenizer() {
    static const auto checkpoint = Checkpoint::open(BW_RESOURCES "/demo");
    static const auto tokenizer = Tokenizer::open(*checkpoint);
    return *tokenizer;
}

std::string slurp(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}

class Dataset : public ::testing::Test {
protected:
    void SetUp() override {
        folder_ = std::filesystem::temp_directory_path() / ("bw_dataset_" + std::to_string(::getpid()) + "_" +
                  ::testing::UnitTest::GetInstance()->current_test_info()->name());
        std::filesystem::create_directories(folder_);
    }
    void TearDown() override { std::filesystem::remove_all(folder_); }
    std::string file(const std::string& name, const std::string& content) {
        const std::string path = (folder_ / name).string();
        std::ofstream(path, std::ios::binary) << content;
        return path;
    }
    Error failure(const std::string& name, const std::string& content) {
        try {
            loadText(file(name, content), demoTokenizer(), 0, job);
        } catch (const Error& e) {
            return e;
        }
        return Error(ErrorCode::internal, "nothing was thrown");
    }
    JobContext job;

private:
    std::filesystem::path folder_;
};

TEST_F(Dataset, PiecesTokenizeLikeTheWhole) {
    std::string text;
    for (int i = 0; text.size() < 5 << 19; ++i)
        text += slurp(std::string(BW_RESOURCES "/texts/") + (i % 2 ? "calib_code.txt" : "eval_prose.txt")) + std::string(static_cast<std::size_t>(i % 4), '\n');
    const TextData data = loadText(file("long.txt", text), demoTokenizer(), 0, job);
    EXPECT_EQ(data.ids, demoTokenizer().encode(text, false));
    EXPECT_EQ(data.bytes, text.size());
    EXPECT_EQ(data.sha256, sha256Hex(text));
    EXPECT_EQ(data.name, "long.txt");
    const TextData some = loadText(data.path, demoTokenizer(), 1000, job);
    EXPECT_EQ(some.ids, std::vector<TokenId>(data.ids.begin(), data.ids.begin() + 1000));
    EXPECT_EQ(some.sha256, data.sha256) << "the hash is the file's, however much of it was read";
}

TEST_F(Dataset, CutsOnlyWherePreTokenizersCut) {
    EXPECT_EQ(detail::safeCut("one two three"), 7u);
    EXPECT_EQ(detail::safeCut("a, b. c! d"), 0u);
    EXPECT_EQ(detail::safeCut("12\n34"), 3u);
    EXPECT_EQ(detail::safeCut("12\n\n34"), 0u) << "blank lines belong to one run of white space";
    EXPECT_EQ(detail::safeCut("12\n 34"), 0u);
    EXPECT_EQ(detail::safeCut(""), 0u);
    Random random(11);
    const std::string letters = "ab \n.1'";
    for (int trial = 0; trial < 300; ++trial) {
        std::string text;
        for (int i = 0; i < 40; ++i)
            text += letters[random.below(letters.size())];
        const std::size_t cut = detail::safeCut(text);
        auto ids = demoTokenizer().encode(text.substr(0, cut), false);
        const auto rest = demoTokenizer().encode(text.substr(cut), false);
        ids.insert(ids.end(), rest.begin(), rest.end());
        EXPECT_EQ(ids, demoTokenizer().encode(text, false)) << text;
    }
}

TEST_F(Dataset, ReadsJsonLines) {
    const std::string lines = "{\"text\": \"Hello world\"}\n\n{\"prompt\": \"A second\", \"id\": 2}\r\n{\"t\": \"third\"}";
    const TextData data = loadText(file("set.jsonl", lines), demoTokenizer(), 0, job);
    std::vector<TokenId> expected;
    for (const char* text : {"Hello world", "A second", "third"})
        for (const TokenId id : demoTokenizer().encode(text, false))
            expected.push_back(id);
    EXPECT_EQ(data.ids, expected);
    EXPECT_GT(loadText(BW_RESOURCES "/texts/prompts.jsonl", demoTokenizer(), 0, job).ids.size(), 500u);
}

TEST_F(Dataset, NamesTheBrokenLine) {
    for (const char* broken : {"{\"text\": \"a\"", "{\"words\": \"a\"}", "[1]", "{\"text\": 3}", "{\"text\": \"a\", \"text\": \"b\"}"}) {
        const Error e = failure("broken.jsonl", std::string("{\"text\": \"fine\"}\n\n") + broken + "\n{\"text\": \"after\"}\n");
        EXPECT_THAT(e.message(), HasSubstr("broken.jsonl")) << broken;
        EXPECT_THAT(e.message(), HasSubstr("line 3")) << broken;
        EXPECT_NE(e.code(), ErrorCode::internal) << broken;
    }
}

TEST_F(Dataset, RefusesWhatIsNoText) {
    EXPECT_EQ(failure("empty.txt", "").code(), ErrorCode::textTooShort);
    EXPECT_EQ(failure("blank.jsonl", "\n\n").code(), ErrorCode::textTooShort);
    const Error nul = failure("nul.txt", std::string("some words\0more", 15));
    EXPECT_EQ(nul.code(), ErrorCode::binaryText);
    EXPECT_THAT(nul.message(), HasSubstr("position 10"));
    Random random(1);
    std::string noise(4096, ' ');
    for (char& c : noise)
        c = static_cast<char>(1 + random.below(255));
    EXPECT_EQ(failure("noise.txt", noise).code(), ErrorCode::binaryText);
    // Latin-1 has a stray byte now and then: tokenized with replacement characters.
    EXPECT_EQ(failure("latin.txt", "Un caf\xe9 dans la rue, et une longue phrase sans accent.").code(), ErrorCode::internal);
    try {
        loadText("/nonexistent/file.txt", demoTokenizer(), 0, job);
        FAIL();
    } catch (const Error& e) {
        EXPECT_EQ(e.code(), ErrorCode::fileNotFound);
    }
}

TEST_F(Dataset, StopsWhenAsked) {
    job.requestStop();
    EXPECT_EQ(failure("long.txt", std::string(100, 'a')).code(), ErrorCode::cancelled);
}

TEST_F(Dataset, EmbeddedTextsShareNextToNothing) {
    std::vector<TextData> calibration;
    for (const char* name : {"calib_prose.txt", "calib_code.txt"})
        calibration.push_back(loadText(std::string(BW_RESOURCES "/texts/") + name, demoTokenizer(), 0, job));
    const Windows windows = calibrationWindows(calibration, 64, 256);
    const auto share = [&](const char* name) {
        return overlapShare(windows, loadText(std::string(BW_RESOURCES "/texts/") + name, demoTokenizer(), 0, job).ids);
    };
    EXPECT_EQ(share("eval_prose.txt"), 0.0);
    // Thirteen tokens of a vocabulary of 2,048 are about a line of code: common idioms repeat.
    EXPECT_LT(share("eval_code.txt"), 0.002);
    EXPECT_GT(share("calib_code.txt"), 0.3);
}

} // namespace
} // namespace bw
