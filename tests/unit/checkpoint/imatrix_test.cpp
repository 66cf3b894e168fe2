// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/checkpoint/imatrix.h"
#include "core/checkpoint/writer.h"
#include "tests/support/bytes.h"
#include "tests/support/expect_error.h"
#include "tests/support/temp_folder.h"

#include <fstream>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <iterator>
#include <limits>

namespace bw::test {
namespace {
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

ImportanceMatrix example() {
    ImportanceMatrix matrix;
    matrix.datasets = {"a.txt", "b.txt"};
    matrix.chunks = 3;
    matrix.chunkSize = 256;
    matrix.entries["blk.0.attn_q.weight"] = {4, {768, 1536, 0, 384}, {768}};
    matrix.entries["blk.0.ffn_up_exps.weight"] = {2, {10, 20, 0, 0, 60, 30}, {5, 0, 30}}; // expert 1 saw nothing
    matrix.entries["blk.0.ffn_down.weight"] = {2, {0, 0}, {0}};                           // nothing at all
    return matrix;
}

std::string contents(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}

TEST(Imatrix, ggufFormKeepsSumsAndCounts) {
    const TempFolder folder;
    const std::string path = folder.file("m.gguf");
    example().write(path, AtomicFile::Replace::no);
    const ImportanceMatrix read = ImportanceMatrix::read(path);
    EXPECT_EQ(read.datasets, example().datasets);
    EXPECT_EQ(read.chunks, 3);
    EXPECT_EQ(read.chunkSize, 256);
    ASSERT_EQ(read.entries.size(), 2u) << "a tensor that saw nothing is left out, as llama.cpp's tool does";
    EXPECT_EQ(read.entries.at("blk.0.ffn_up_exps.weight").counts, (std::vector<double>{5, 0, 30}));
    EXPECT_THAT(read.importance("blk.0.attn_q.weight", 4), ElementsAre(1.0f, 2.0f, 0.0f, 0.5f));
    EXPECT_THAT(read.importance("blk.0.ffn_up_exps.weight", 2, 2), ElementsAre(2.0f, 1.0f));
    EXPECT_THAT(read.importance("blk.0.ffn_up_exps.weight", 2, 1), IsEmpty());
    EXPECT_THAT(read.importance("blk.7.attn_q.weight", 4), IsEmpty());
    EXPECT_THAT(example().importance("blk.0.ffn_down.weight", 2), IsEmpty());
    expectError(ErrorCode::targetExists, [&] { example().write(path, AtomicFile::Replace::no); });
}

TEST(Imatrix, N05_allZeroSumsCountAsNoImportance) {
    ImportanceMatrix matrix;
    matrix.entries["a.weight"] = {2, {0, 0}, {512}};
    EXPECT_THAT(matrix.importance("a.weight", 2), IsEmpty());
}

/// The older form byte by byte, as its description says.
TEST(Imatrix, datFormHasTheBytesOfTheDescription) {
    const TempFolder folder;
    const std::string path = folder.file("m.dat");
    example().write(path, AtomicFile::Replace::no);
    std::string expected;
    const auto name = [&](const std::string& text) {
        put<std::int32_t>(expected, static_cast<std::int32_t>(text.size()));
        expected += text;
    };
    put<std::int32_t>(expected, 2);
    name("blk.0.attn_q.weight");
    put<std::int32_t>(expected, 3); // ⌈768 / 256⌉ calls
    put<std::int32_t>(expected, 4);
    for (const float value : {3.0f, 6.0f, 0.0f, 1.5f}) put(expected, value); // mean · calls
    name("blk.0.ffn_up_exps.weight");
    put<std::int32_t>(expected, 1); // ⌈30 / 256⌉
    put<std::int32_t>(expected, 6);
    for (const float value : {2.0f, 4.0f, 1.0f, 1.0f, 2.0f, 1.0f}) put(expected, value); // nothing seen: 1
    put<std::int32_t>(expected, 3);
    name("a.txt, b.txt");
    EXPECT_EQ(contents(path), expected);

    const ImportanceMatrix read = ImportanceMatrix::read(path);
    EXPECT_EQ(read.chunks, 3);
    EXPECT_THAT(read.importance("blk.0.attn_q.weight", 4), ElementsAre(1.0f, 2.0f, 0.0f, 0.5f));
    EXPECT_THAT(read.importance("blk.0.ffn_up_exps.weight", 2, 2), ElementsAre(2.0f, 1.0f)) << "experts told apart by the columns";
    // The oldest files end after the entries.
    const auto entriesOnly = expected.size() - 8 - std::string("a.txt, b.txt").size();
    EXPECT_EQ(ImportanceMatrix::read(folder.write("old.dat", expected.substr(0, entriesOnly))).entries.size(), 2u);
}

TEST(Imatrix, mergingIsAddingAndDoesNotDependOnTheOrder) {
    ImportanceMatrix a = example(), b = example();
    b.datasets = {"c.txt"};
    b.chunkSize = 512; // three chunks of 512 are six of 256
    b.entries["blk.0.attn_q.weight"].sums = {1, 2, 3, 4};
    b.entries["blk.1.attn_q.weight"] = {4, {1, 1, 1, 1}, {1}};
    ImportanceMatrix ab = a, ba = b;
    ab.merge(b);
    ba.merge(a);
    EXPECT_EQ(ab.chunks, 9);
    EXPECT_THAT(ab.datasets, ElementsAre("a.txt", "b.txt", "c.txt"));
    EXPECT_EQ(ab.entries.size(), 4u);
    for (const auto& [name, entry] : ab.entries) {
        EXPECT_EQ(entry.sums, ba.entries.at(name).sums) << name;
        EXPECT_EQ(entry.counts, ba.entries.at(name).counts) << name;
    }
    EXPECT_EQ(ab.entries.at("blk.0.attn_q.weight").sums, (std::vector<double>{769, 1538, 3, 388}));
    b.entries["blk.0.attn_q.weight"] = {3, {1, 2, 3}, {1}};
    EXPECT_THAT(expectError(ErrorCode::shapeMismatch, [&] { a.merge(b); }).message(), HasSubstr("blk.0.attn_q.weight"));
    EXPECT_THAT(expectError(ErrorCode::shapeMismatch, [&] { (void)a.importance("blk.0.attn_q.weight", 8); }).message(), HasSubstr("8 columns"));
}

TEST(Imatrix, badDatFilesAreRefused) {
    const TempFolder folder;
    example().write(folder.file("m.dat"), AtomicFile::Replace::no);
    const std::string good = contents(folder.file("m.dat"));
    for (std::size_t length = 0; length < good.size(); ++length) {
        const std::string path = folder.write("cut.dat", good.substr(0, length));
        const bool ends = length == good.size() - 8 - 12 || length == good.size() - 4 - 12; // after the entries, after the chunks: older forms
        if (ends) EXPECT_NO_THROW(ImportanceMatrix::read(path)) << length;
        else EXPECT_THROW(ImportanceMatrix::read(path), Error) << length;
    }
    const auto with = [&](std::size_t at, auto value) {
        std::string bytes = good;
        std::memcpy(bytes.data() + at, &value, sizeof value);
        return folder.write("bad.dat", bytes);
    };
    const std::size_t values = 4 + 4 + 19 + 8;
    expectError(ErrorCode::unknownFileType, [&] { ImportanceMatrix::read(with(0, std::int32_t{0})); });
    expectError(ErrorCode::unknownFileType, [&] { ImportanceMatrix::read(with(0, std::int32_t{-5})); });
    expectError(ErrorCode::unknownFileType, [&] { ImportanceMatrix::read(with(0, std::int32_t{1 << 30})); });
    expectError(ErrorCode::invalidHeader, [&] { ImportanceMatrix::read(with(4, std::int32_t{-1})); });
    expectError(ErrorCode::invalidHeader, [&] { ImportanceMatrix::read(with(values - 8, std::int32_t{-1})); });
    expectError(ErrorCode::truncated, [&] { ImportanceMatrix::read(with(values - 4, std::int32_t{0x7fffffff})); });
    expectError(ErrorCode::nonFinite, [&] { ImportanceMatrix::read(with(values, -1.0f)); });
    EXPECT_THAT(expectError(ErrorCode::nonFinite, [&] { ImportanceMatrix::read(with(values + 4, std::numeric_limits<float>::quiet_NaN())); }).message(), HasSubstr("blk.0.attn_q.weight"));
    expectError(ErrorCode::invalidHeader, [&] { ImportanceMatrix::read(folder.write("tail.dat", good + "x")); });
}

TEST(Imatrix, badGgufFilesAreRefused) {
    const TempFolder folder;
    const auto file = [&](const std::string& type, const std::vector<std::tuple<std::string, std::vector<std::uint64_t>, std::uint32_t>>& tensors) {
        GgufBytes bytes(tensors.size(), 1);
        bytes.string("general.type", type);
        std::uint64_t offset = 0;
        for (const auto& [name, dims, id] : tensors) {
            bytes.tensor(name, dims, id, offset);
            offset += 64;
        }
        return folder.write("bad.gguf", bytes.pad().data(offset).bytes());
    };
    constexpr std::uint32_t kF32 = 0, kF16 = 1;
    const auto expectBad = [&](ErrorCode code, const std::string& path, const char* mentions) {
        EXPECT_THAT(expectError(code, [&] { ImportanceMatrix::read(path); }).message(), HasSubstr(mentions));
    };
    expectBad(ErrorCode::unknownFileType, file("model", {{"a.in_sum2", {4}, kF32}}), "'model'");
    expectBad(ErrorCode::tensorMissing, file("imatrix", {}), "in_sum2");
    expectBad(ErrorCode::tensorMissing, file("imatrix", {{"a.weight.in_sum2", {4}, kF32}}), "'a.weight'");
    expectBad(ErrorCode::unsupportedType, file("imatrix", {{"a.weight.in_sum2", {4}, kF16}, {"a.weight.counts", {1}, kF32}}), "F32");
    expectBad(ErrorCode::shapeMismatch, file("imatrix", {{"a.weight.in_sum2", {4, 2}, kF32}, {"a.weight.counts", {1, 3}, kF32}}), "3 counts");
    EXPECT_NO_THROW(ImportanceMatrix::read(file("imatrix", {{"a.weight.in_sum2", {4, 2}, kF32}, {"a.weight.counts", {1, 2}, kF32}, {"a.weight.in_sum", {4, 2}, kF32}})));
}

} // namespace
} // namespace bw::test
