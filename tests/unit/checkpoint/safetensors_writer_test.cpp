// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/checkpoint/writer.h"
#include "tests/support/bad_files.h"
#include "tests/support/bytes.h"
#include "tests/support/expect_error.h"
#include "tests/support/failing_io.h"

#include <nlohmann/json.hpp>

#include <filesystem>

namespace bw::test {
namespace {
namespace fs = std::filesystem;

std::vector<OutputTensor> sameTensors(const Checkpoint& source) {
    std::vector<OutputTensor> tensors;
    for (const auto& tensor : source.tensors()) tensors.push_back({tensor.name, tensor.type, tensor.shape});
    return tensors;
}

void writeAll(SafetensorsFolderWriter& writer, const Checkpoint& source) {
    for (const auto& tensor : source.tensors()) writer.writeTensor(source.raw(tensor));
}

void expectSameTensors(const Checkpoint& a, const Checkpoint& b) {
    ASSERT_EQ(a.tensors().size(), b.tensors().size());
    for (const auto& tensor : a.tensors()) {
        const TensorInfo& other = b.require(tensor.name);
        EXPECT_EQ(tensor.shape, other.shape);
        EXPECT_EQ(tensor.type, other.type);
        const auto x = a.raw(tensor), y = b.raw(other);
        EXPECT_TRUE(std::equal(x.begin(), x.end(), y.begin(), y.end())) << tensor.name;
    }
}

TEST(SafetensorsWriter, copyIsExactAndComplete) {
    TempFolder folder;
    const auto source = Checkpoint::open(BW_RESOURCES "/demo");
    const std::string target = folder.file("copy");
    SafetensorsFolderWriter writer(target, *source, source->configJson(), sameTensors(*source), AtomicFile::Replace::no);
    writeAll(writer, *source);
    writer.finish();
    EXPECT_FALSE(fs::exists(target));
    expectSameTensors(*source, *Checkpoint::open(writer.temporaryPath())); // an audit can look before the name appears
    writer.commit();
    EXPECT_EQ(folder.entries(), 1);
    EXPECT_EQ(fs::file_size(target + "/model.safetensors"), writer.totalBytes());
    const auto copy = Checkpoint::open(target);
    expectSameTensors(*source, *copy);
    EXPECT_EQ(copy->configJson(), source->configJson());
    for (const char* name : {"tokenizer.json", "tokenizer_config.json", "generation_config.json", "special_tokens_map.json"}) {
        EXPECT_EQ(MappedFile(target + "/" + name).size(), MappedFile(std::string(BW_RESOURCES "/demo/") + name).size()) << name;
    }
}

TEST(SafetensorsWriter, shardsWithIndex) {
    TempFolder folder;
    const auto source = Checkpoint::open(writeTinyLlama(folder, "m", llamaConfig()));
    SafetensorsFolderWriter writer(folder.file("out"), *source, source->configJson(), sameTensors(*source), AtomicFile::Replace::no, 10'000);
    writeAll(writer, *source);
    writer.commit();
    const auto copy = Checkpoint::open(folder.file("out"));
    EXPECT_GT(copy->files().size(), 3u);
    EXPECT_EQ(copy->totalBytes(), writer.totalBytes());
    EXPECT_TRUE(copy->warnings().empty()) << copy->warnings().front();
    EXPECT_TRUE(copy->config().forwardSupported);
    expectSameTensors(*source, *copy);
    EXPECT_FALSE(fs::exists(folder.file("out") + "/model.safetensors"));
}

TEST(SafetensorsWriter, everyTensorIsAlignedToItsElement) {
    TempFolder folder;
    const auto source = Checkpoint::open(writeTinyLlama(folder, "m", llamaConfig()));
    const std::vector<OutputTensor> tensors{{"b", StorageType::u8, {3}}, {"h", StorageType::f16, {1}}, {"w", StorageType::i32, {2}}, {"q", StorageType::i64, {2}}, {"a", StorageType::f16, {3}}};
    SafetensorsFolderWriter writer(folder.file("out"), *source, Json::object(), tensors, AtomicFile::Replace::no);
    for (const auto& tensor : tensors) {
        const std::string bytes(static_cast<std::size_t>(storageBytes(tensor.type, 1, static_cast<std::uint64_t>(tensor.shape[0]))), tensor.name[0]);
        writer.writeTensor(std::as_bytes(std::span(bytes)));
    }
    writer.commit();
    const auto copy = Checkpoint::open(folder.file("out"));
    for (const auto& tensor : copy->tensors()) {
        EXPECT_EQ(tensor.offset % static_cast<std::uint64_t>(storageTypeInfo(tensor.type).blockBytes), 0u) << tensor.name;
        for (const auto byte : copy->raw(tensor)) EXPECT_EQ(static_cast<char>(byte), tensor.name[0]);
    }
}

TEST(SafetensorsWriter, sourcesAndStrangersAreNeverReplaced) {
    TempFolder folder;
    const std::string path = writeTinyLlama(folder, "m", llamaConfig());
    const auto source = Checkpoint::open(path);
    const auto attempt = [&](const std::string& target, AtomicFile::Replace replace) { SafetensorsFolderWriter(target, *source, Json::object(), sameTensors(*source), replace); };
    for (const std::string& same : {path, path + "/", path + "/../m"}) expectError(ErrorCode::targetIsSource, [&] { attempt(same, AtomicFile::Replace::yes); });
    fs::create_directory_symlink(path, folder.path() / "link");
    expectError(ErrorCode::targetIsSource, [&] { attempt(folder.file("link"), AtomicFile::Replace::yes); });
    fs::create_directory(folder.path() / "photos");
    folder.write("photos/holiday.jpg", "x");
    expectError(ErrorCode::targetExists, [&] { attempt(folder.file("photos"), AtomicFile::Replace::no); });
    expectError(ErrorCode::targetExists, [&] { attempt(folder.file("photos"), AtomicFile::Replace::yes); });
    expectError(ErrorCode::fileNotFound, [&] { attempt(folder.file("no/such/folder"), AtomicFile::Replace::no); });
    EXPECT_EQ(folder.entries(), 3);
    EXPECT_EQ(Checkpoint::open(path)->tensors().size(), 20u);
}

TEST(SafetensorsWriter, replacingACheckpoint) {
    TempFolder folder;
    const auto source = Checkpoint::open(writeTinyLlama(folder, "m", llamaConfig()));
    writeTinyLlama(folder, "old", llamaConfig(64, 64, 1, 4, 2, 48));
    {
        SafetensorsFolderWriter writer(folder.file("old"), *source, source->configJson(), sameTensors(*source), AtomicFile::Replace::yes);
        writeAll(writer, *source);
        EXPECT_EQ(Checkpoint::open(folder.file("old"))->config().width, 64);
        writer.commit();
    }
    EXPECT_EQ(Checkpoint::open(folder.file("old"))->config().width, 32);
    EXPECT_EQ(folder.entries(), 2);
}

/// Fails the k-th disk call with `err` for every k until all succeed.
void failEveryCall(int err, ErrorCode expected) {
    TempFolder folder;
    const auto source = Checkpoint::open(writeTinyLlama(folder, "m", llamaConfig()));
    folder.write("m/tokenizer.json", "{}");
    for (int k = 1;; ++k) {
        ASSERT_LT(k, 200);
        FailingIo io(k, err);
        bool ok = false;
        try {
            SafetensorsFolderWriter writer(folder.file("out"), *source, source->configJson(), sameTensors(*source), AtomicFile::Replace::no, 20'000);
            writeAll(writer, *source);
            writer.commit();
            ok = true;
        } catch (const Error& e) {
            EXPECT_TRUE(io.failed());
            EXPECT_EQ(e.code(), expected) << e.oneLine();
            EXPECT_EQ(folder.entries(), 1);
        }
        if (ok && !io.failed()) break;
        if (ok) fs::remove_all(folder.file("out")); // only a folder's fsync failed
    }
    expectSameTensors(*source, *Checkpoint::open(folder.file("out")));
}

TEST(SafetensorsWriter, fullDiskAtEveryCallLeavesNothing) { failEveryCall(ENOSPC, ErrorCode::diskFull); }
TEST(SafetensorsWriter, brokenDiskAtEveryCallLeavesNothing) { failEveryCall(EIO, ErrorCode::writeFailed); }
TEST(SafetensorsWriter, forbiddenFolderIsSaid) {
    TempFolder folder;
    const auto source = Checkpoint::open(writeTinyLlama(folder, "m", llamaConfig()));
    FailingIo io(1, EACCES);
    expectError(ErrorCode::permissionDenied, [&] { SafetensorsFolderWriter(folder.file("out"), *source, source->configJson(), sameTensors(*source), AtomicFile::Replace::no); });
    EXPECT_EQ(folder.entries(), 1);
}

TEST(SafetensorsWriter, callsOutOfPlanAreErrors) {
    TempFolder folder;
    const auto source = Checkpoint::open(writeTinyLlama(folder, "m", llamaConfig()));
    const std::string target = folder.file("out");
    const auto writer = [&](std::vector<OutputTensor> tensors) { return SafetensorsFolderWriter(target, *source, Json::object(), std::move(tensors), AtomicFile::Replace::no); };
    expectError(ErrorCode::invalidTensor, [&] { writer({{"a", StorageType::q4_0, {32}}}); });
    expectError(ErrorCode::invalidTensor, [&] { writer({{"__metadata__", StorageType::f32, {1}}}); });
    expectError(ErrorCode::invalidTensor, [&] { writer({{"a", StorageType::f32, {-1}}}); });
    expectError(ErrorCode::duplicateKey, [&] { writer({{"a", StorageType::f32, {1}}, {"a", StorageType::f32, {1}}}); });
    auto one = writer({{"a", StorageType::f32, {1}}});
    const std::vector<std::byte> three(3);
    expectError(ErrorCode::internal, [&] { one.writeTensor(three); });
    expectError(ErrorCode::internal, [&] { one.commit(); });
}

} // namespace
} // namespace bw::test
