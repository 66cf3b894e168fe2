// SPDX-License-Identifier: GPL-3.0-or-later
#include "refusal.h"
#include "core/base/text.h"
#include "tests/support/bytes.h"

#include <nlohmann/json.hpp>

#include <filesystem>
#include <unistd.h>

namespace bw::test {
namespace {
namespace fs = std::filesystem;

bool warns(const Checkpoint& checkpoint, const std::string& part) {
    for (const auto& line : checkpoint.warnings())
        if (line.find(part) != std::string::npos) return true;
    return false;
}

std::string good(std::string_view name = "a", std::uint64_t n = 4) { return safetensorsBytes("{" + f32Entry(name, 0, n) + "}", std::string(4 * n, '\0')); }

TEST(Folder, X01_escapingNames) { TempFolder folder; expectRefused(x01EscapingNames(folder)); }
TEST(Folder, X02_linkOutside) { TempFolder folder; expectRefused(x02LinkOutside(folder)); }

TEST(Folder, X02_linksInsideTheFolderAndTheCacheAreFollowed) {
    TempFolder folder;
    const fs::path model = folder.path() / "models--org--Tiny", snapshot = model / "snapshots" / "abc", blobs = model / "blobs";
    fs::create_directories(snapshot);
    fs::create_directories(blobs);
    folder.write("models--org--Tiny/blobs/123", good());
    folder.write("models--org--Tiny/blobs/456", llamaConfig());
    fs::create_symlink("../../blobs/123", snapshot / "model.safetensors");
    fs::create_symlink("../../blobs/456", snapshot / "config.json");
    const auto cached = Checkpoint::open(snapshot.string());
    EXPECT_EQ(cached->tensors().size(), 1u);
    EXPECT_EQ(cached->config().family, "llama");
    EXPECT_EQ(cached->displayName(), "Tiny");
    fs::create_directory(folder.path() / "plain");
    folder.write("plain/real.bytes", good());
    fs::create_symlink("real.bytes", folder.path() / "plain" / "model.safetensors");
    EXPECT_EQ(Checkpoint::open(folder.file("plain"))->tensors().size(), 1u);
    // A folder of another model of the same cache is outside.
    fs::create_directories(folder.path() / "models--org--Other" / "blobs");
    folder.write("models--org--Other/blobs/9", good());
    fs::remove(snapshot / "model.safetensors");
    fs::create_symlink("../../../models--org--Other/blobs/9", snapshot / "model.safetensors");
    expectError(ErrorCode::pathEscapes, [&] { Checkpoint::open(snapshot.string()); });
    fs::remove(snapshot / "model.safetensors");
    fs::create_symlink("../../blobs/gone", snapshot / "model.safetensors");
    EXPECT_NE(expectError(ErrorCode::fileNotFound, [&] { Checkpoint::open(snapshot.string()); }).message().find("leads nowhere"), std::string::npos);
    EXPECT_NE(expectError(ErrorCode::fileNotFound, [&] { Checkpoint::open(model.string()); }).message().find("leads nowhere"), std::string::npos);
}

TEST(Folder, X03_noRegularFile) { TempFolder folder; expectRefused(x03NoRegularFile(folder)); }
TEST(Folder, X04_shardsDisagree) { TempFolder folder; expectRefused(x04ShardsDisagree(folder)); }

TEST(Folder, X04_wrongTotalSizeWarns) {
    TempFolder folder;
    folder.write("a.safetensors", good());
    for (const auto& [total, warned] : {std::pair{16, false}, {17, true}}) {
        folder.write("model.safetensors.index.json", nlohmann::json{{"metadata", {{"total_size", total}}}, {"weight_map", {{"a", "a.safetensors"}}}}.dump());
        EXPECT_EQ(warns(*Checkpoint::open(folder.path().string()), "total_size"), warned);
    }
}

TEST(Folder, X05_tensorsThatTheIndexDoesNotListAreIgnored) {
    TempFolder folder;
    folder.write("a.safetensors", safetensorsBytes("{" + f32Entry("a", 0, 1) + "," + f32Entry("stray", 4, 1) + "}", std::string(8, '\0')));
    const std::string index = folder.write("model.safetensors.index.json", R"({"weight_map":{"a":"a.safetensors"}})");
    for (const std::string& path : {folder.path().string(), index}) {
        const auto checkpoint = Checkpoint::open(path);
        EXPECT_EQ(checkpoint->tensors().size(), 1u);
        EXPECT_EQ(checkpoint->find("stray"), nullptr);
        EXPECT_TRUE(warns(*checkpoint, "stray"));
    }
}

TEST(Folder, shardsAreOneCheckpoint) {
    TempFolder folder;
    std::string one, two;
    for (int i = 0; i < 4; ++i) put(one, static_cast<float>(i)), put(two, static_cast<float>(10 + i));
    folder.write("m-00001-of-00002.safetensors", safetensorsBytes("{" + f32Entry("a", 0, 4) + "}", one));
    folder.write("m-00002-of-00002.safetensors", safetensorsBytes("{" + f32Entry("b", 0, 4) + "}", two));
    folder.write("m.safetensors.index.json", R"({"weight_map":{"a":"m-00001-of-00002.safetensors","b":"m-00002-of-00002.safetensors"}})");
    const auto checkpoint = Checkpoint::open(folder.path().string());
    ASSERT_EQ(checkpoint->files().size(), 2u);
    std::vector<float> values(4);
    checkpoint->read(checkpoint->require("b"), values);
    EXPECT_EQ(values, (std::vector<float>{10, 11, 12, 13}));
    EXPECT_TRUE(warns(*Checkpoint::open(folder.file("m-00001-of-00002.safetensors")), "one part of several"));
}

TEST(Folder, X09_hostileTensorNamesAreShownEscaped) {
    TempFolder folder;
    const std::vector<std::string> names = {"line\nbreak", "\x1b[31mred\x1b[0m", "<b>bold</b>", "\xe2\x80\xaertl", "\xf0\x9f\x98\x80", std::string(65'536, 'n')};
    nlohmann::json header;
    std::size_t at = 0;
    for (const auto& name : names) {
        header[name] = {{"dtype", "X1"}, {"shape", {1}}, {"data_offsets", {at, at + 1}}};
        ++at;
    }
    const auto checkpoint = Checkpoint::open(folder.write("names.safetensors", safetensorsBytes(header.dump(), std::string(at, '\0'))));
    float value = 0;
    for (const auto& name : names) {
        const TensorInfo* tensor = checkpoint->find(name);
        ASSERT_NE(tensor, nullptr);
        EXPECT_EQ(tensor->name, name);
        const Error error = expectError(ErrorCode::unsupportedType, [&] { checkpoint->read(*tensor, {&value, 1}); });
        for (const std::string& text : {error.message(), error.oneLine()}) {
            EXPECT_EQ(text.find('\n'), std::string::npos);
            EXPECT_EQ(text.find('\x1b'), std::string::npos);
            EXPECT_EQ(text.find("\xe2\x80\xae"), std::string::npos);
            EXPECT_LT(text.size(), 1500u);
        }
    }
    for (const auto& line : checkpoint->warnings()) EXPECT_EQ(line.find('\x1b'), std::string::npos);
}

TEST(Folder, X12_pickleRefused) { TempFolder folder; expectRefused(x12Pickle(folder)); }

TEST(Folder, X12_safetensorsWhoseLengthLooksLikePickleOpen) {
    TempFolder folder;
    std::string header = "{" + f32Entry("a", 0, 4) + "}";
    header.resize(0x0280, ' '); // the length's first bytes are 0x80 0x02, as in a pickle
    EXPECT_EQ(Checkpoint::open(folder.write("m.safetensors", safetensorsBytes(header, std::string(16, '\0'))))->tensors().size(), 1u);
}

TEST(Folder, X13_oddNamesAndReadOnlyFolders) {
    TempFolder folder;
    for (const std::string name : {"with space", "it's \"quoted\"", "b\xff\xfe"}) {
        const std::string path = writeTinyLlama(folder, name, llamaConfig());
        fs::permissions(path, fs::perms::owner_read | fs::perms::owner_exec);
        const auto checkpoint = Checkpoint::open(path);
        EXPECT_EQ(checkpoint->path(), path);
        EXPECT_EQ(checkpoint->displayName(), name);
        EXPECT_TRUE(checkpoint->config().forwardSupported);
        fs::permissions(path, fs::perms::owner_all);
    }
}

TEST(Folder, X13_noPermission) {
    TempFolder folder;
    const std::string path = folder.write("a.safetensors", good());
    fs::permissions(path, fs::perms::none);
    const bool root = ::geteuid() == 0; // root may read everything: become nobody for the attempt
    if (root) {
        ASSERT_EQ(::seteuid(65534), 0);
    }
    expectError(ErrorCode::permissionDenied, [&] { Checkpoint::open(path); });
    if (root) {
        expectError(ErrorCode::permissionDenied, [&] { Checkpoint::open(folder.path().string()); });
        ASSERT_EQ(::seteuid(0), 0);
    }
}

TEST(Folder, whatIsNoCheckpoint) {
    TempFolder folder;
    expectError(ErrorCode::fileNotFound, [&] { Checkpoint::open(folder.file("absent")); });
    expectError(ErrorCode::fileNotFound, [&] { Checkpoint::open(""); });
    expectError(ErrorCode::fileNotFound, [&] { Checkpoint::open(folder.path().string()); });
    expectError(ErrorCode::unknownFileType, [&] { Checkpoint::open(folder.write("notes.txt", "some words")); });
    expectError(ErrorCode::unknownFileType, [&] { Checkpoint::open(folder.write("a.json", R"({"x":1})")); });
    folder.write("one.safetensors", good());
    folder.write("two.safetensors", good());
    EXPECT_NE(expectError(ErrorCode::fileNotFound, [&] { Checkpoint::open(folder.path().string()); }).message().find("2 '.safetensors'"), std::string::npos);
}

TEST(Folder, otherWaysToNameACheckpoint) {
    TempFolder folder;
    const std::string path = writeTinyLlama(folder, "tiny", llamaConfig());
    for (const std::string& way : {path, path + "/", path + "/config.json", path + "/model.safetensors", path + "/../tiny"}) {
        const auto checkpoint = Checkpoint::open(way);
        EXPECT_TRUE(checkpoint->config().forwardSupported) << way;
        EXPECT_EQ(checkpoint->displayName(), "tiny") << way;
        EXPECT_EQ(checkpoint->folder(), path) << way;
    }
    fs::create_directory(folder.path() / "g");
    folder.write("g/only.gguf", GgufBytes(1, 0).tensor("a", {8}, 0, 0).pad().data(32).bytes());
    EXPECT_EQ(Checkpoint::open(folder.file("g"))->kind(), CheckpointKind::gguf);
}

} // namespace
} // namespace bw::test
