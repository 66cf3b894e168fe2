// SPDX-License-Identifier: GPL-3.0-or-later
// Folders of source files and JSONL fields as calibration text: what is read, in which order, and what is refused with which words.
#include "core/calibrate/dataset.h"
#include "core/calibrate/folder_reader.h"
#include "tests/support/expect_error.h"
#include "tests/support/temp_folder.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

namespace bw::test {
namespace {

namespace fs = std::filesystem;

const Tokenizer& words() {
    static const std::shared_ptr<const Tokenizer> instance = Tokenizer::open(*Checkpoint::open(BW_RESOURCES "/demo"));
    return *instance;
}

struct Tree {
    TempFolder folder;
    JobContext job;
    std::string put(const std::string& below, const std::string& text) {
        const fs::path path = fs::path(folder.file("src")) / below;
        fs::create_directories(path.parent_path());
        std::ofstream(path, std::ios::binary) << text;
        return path.string();
    }
    std::string root() { return folder.file("src"); }
    TextData load(const TextOptions& options = {}) { return loadText(root(), words(), 0, job, options); }
    std::string text(const TextOptions& options = {}) { return words().decode(load(options).ids); }
};

TEST(Folder, ReadsTextFilesByNameAndPassesOverTheRest) {
    Tree t;
    t.put("b.py", "def b(): pass\n");
    t.put("a/z.py", "def z(): pass\n");
    t.put("a/deep/y.md", "# y\n");
    t.put(".git/config", "hidden");
    t.put("a/.secret.py", "hidden");
    t.put("data.bin", std::string("\0\1\2", 3));
    t.put("big.txt", std::string(detail::kLargestFile + 1, 'x'));
    t.put("empty.txt", "");
    fs::create_directory_symlink(t.root(), fs::path(t.root()) / "loop");
    const TextData data = t.load();
    EXPECT_EQ(words().decode(data.ids), "# y\ndef z(): pass\ndef b(): pass\n");
    EXPECT_EQ(data.files, 3);
    EXPECT_EQ(data.documents, 3);
    EXPECT_EQ(data.name, "src");
    EXPECT_EQ(data.bytes, 4u + 14 + 14);
    EXPECT_EQ(data.skippedFiles, 2);
    EXPECT_EQ(data.skipped, (std::vector<std::string>{"big.txt: larger than 4 MiB", "data.bin: no text"}));
    EXPECT_EQ(data.sha256, textDigest(t.root(), {}, t.job));
    t.put("b.py", "def c(): pass\n");
    EXPECT_NE(data.sha256, textDigest(t.root(), {}, t.job)) << "another content is another text";
    EXPECT_EQ(loadText(t.root() + "/", words(), 0, t.job).name, "src");
}

TEST(Folder, GlobsChooseFiles) {
    Tree t;
    t.put("b.py", "b\n");
    t.put("b_test.py", "t\n");
    t.put("lib/c.py", "c\n");
    t.put("lib/c.md", "m\n");
    EXPECT_EQ(t.text({{}, {"*.py"}}), "b\nt\nc\n");
    EXPECT_EQ(t.text({{}, {"*.py", "!*_test.py"}}), "b\nc\n");
    EXPECT_EQ(t.text({{}, {"!*.py"}}), "m\n");
    EXPECT_EQ(t.text({{}, {"lib/*.py"}}), "c\n");
    const Error e = expectError(ErrorCode::textTooShort, [&] { t.load({{}, {"*.rs"}}); });
    EXPECT_NE(e.oneLine().find("has no text files"), std::string::npos) << e.oneLine();
    EXPECT_NE(e.hint().find("--include"), std::string::npos) << e.hint();
}

TEST(Folder, AnEmptyOneIsRefused) {
    Tree t;
    fs::create_directories(t.root());
    const Error e = expectError(ErrorCode::textTooShort, [&] { t.load(); });
    EXPECT_NE(e.oneLine().find("has no text files"), std::string::npos) << e.oneLine();
    t.put("only.bin", std::string(100, '\0'));
    EXPECT_NE(expectError(ErrorCode::textTooShort, [&] { t.load(); }).oneLine().find("only.bin: no text"), std::string::npos);
}

TEST(Folder, ShortAndRepeatedDocumentsAreLeftOutWhenAsked) {
    Tree t;
    t.put("a.py", "def first(): return 1\n");
    t.put("b.py", "def first(): return 1\n");
    t.put("c.py", "x\n");
    EXPECT_EQ(t.load().documents, 3);
    const TextData data = t.load({{}, {}, 4, true});
    EXPECT_EQ(words().decode(data.ids), "def first(): return 1\n");
    EXPECT_EQ(data.duplicates, 1);
    EXPECT_EQ(data.tooShort, 1);
    const Error e = expectError(ErrorCode::textTooShort, [&] { t.load({{}, {}, 1000, false}); });
    EXPECT_NE(e.oneLine().find("none of 3 documents has 1000 tokens"), std::string::npos) << e.oneLine();
}

TEST(Lines, TheFieldIsChosenByName) {
    Tree t;
    const std::string path = t.put("a.jsonl", "{\"text\":\"plain\",\"body\":{\"words\":\"inside\"},\"a.b\":\"dotted\"}\n\n{\"body\":{\"words\":\" two\"}}\n");
    const auto read = [&](const std::string& field) { return words().decode(loadText(path, words(), 0, t.job, {field}).ids); };
    EXPECT_EQ(read("body.words"), "inside two");
    Error e = expectError(ErrorCode::invalidHeader, [&] { read("text"); });
    EXPECT_NE(e.oneLine().find("a.jsonl, line 3: there is no field \"text\""), std::string::npos) << e.oneLine();
    EXPECT_NE(e.hint().find("body"), std::string::npos) << "the fields that are there: " << e.hint();
    e = expectError(ErrorCode::invalidHeader, [&] { read("body"); });
    EXPECT_NE(e.oneLine().find("is no text"), std::string::npos) << e.oneLine();
    const std::string dotted = t.put("dotted.jsonl", "{\"a.b\":\"dotted\"}\n");
    EXPECT_EQ(words().decode(loadText(dotted, words(), 0, t.job, {"a.b"}).ids), "dotted");
    const std::string list = t.put("list.jsonl", "[1,2]\n");
    expectError(ErrorCode::invalidHeader, [&] { loadText(list, words(), 0, t.job, {"text"}); });
}

TEST(Lines, LinesAreDocuments) {
    Tree t;
    const std::string path = t.put("a.jsonl", "{\"t\":\"a longer line of words\"}\n{\"t\":\"b\"}\n{\"t\":\"a longer line of words\"}\n");
    const TextData data = loadText(path, words(), 0, t.job, {{}, {}, 3, true});
    EXPECT_EQ(words().decode(data.ids), "a longer line of words");
    EXPECT_EQ(data.documents, 3);
    EXPECT_EQ(data.duplicates, 1);
    EXPECT_EQ(data.tooShort, 1);
}

TEST(Folder, ThreeWordsAndBrokenBytesAreExplained) {
    Tree t;
    const std::string three = t.put("three.txt", "only three words");
    const TextData data = loadText(three, words(), 0, t.job);
    Error e = expectError(ErrorCode::textTooShort, [&] { calibrationWindows({data}, 8, 512); });
    EXPECT_NE(e.oneLine().find("'three.txt' has"), std::string::npos) << e.oneLine();
    EXPECT_NE(e.oneLine().find("fewer than one window of 512"), std::string::npos) << e.oneLine();
    const std::string broken = t.put("broken.txt", "\xff\xfe\xfd some \xc0\xc1 bytes \xff\xff\xff");
    e = expectError(ErrorCode::binaryText, [&] { loadText(broken, words(), 0, t.job); });
    EXPECT_NE(e.oneLine().find("are not UTF-8"), std::string::npos) << e.oneLine();
    expectError(ErrorCode::fileNotFound, [&] { loadText(t.root() + "/none", words(), 0, t.job); });
}

} // namespace
} // namespace bw::test
