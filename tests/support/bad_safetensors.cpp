// SPDX-License-Identifier: GPL-3.0-or-later
// Safetensors files and folders that break one rule each.
#include "core/base/random.h"
#include "tests/support/bad_files.h"
#include "tests/support/bytes.h"

#include <nlohmann/json.hpp>

#include <filesystem>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

namespace bw::test {
namespace fs = std::filesystem;
using enum ErrorCode;

namespace {

BadFile bad(const TempFolder& folder, const std::string& label, std::string_view bytes, ErrorCode expected, std::string mentions = {}) {
    static int number = 0;
    return {label, folder.write("bad" + std::to_string(number++) + ".safetensors", bytes), expected, std::move(mentions)};
}

BadFile badHeader(const TempFolder& folder, const std::string& header, ErrorCode expected, std::size_t dataBytes = 16, std::string mentions = {}) {
    return bad(folder, header.substr(0, 120), safetensorsBytes(header, std::string(dataBytes, '\0')), expected, std::move(mentions));
}

std::string offsetsEntry(const std::string& offsets, const std::string& shape = "[4]", const std::string& dtype = "F32") {
    return R"({"a":{"dtype":")" + dtype + R"(","shape":)" + shape + R"(,"data_offsets":)" + offsets + "}}";
}

/// A folder with an index whose weight_map is given, and one good shard "a.safetensors" that holds "a".
std::string indexFolder(const TempFolder& folder, const std::string& name, const std::string& index) {
    const fs::path place = folder.path() / name;
    fs::create_directory(place);
    folder.write(name + "/a.safetensors", safetensorsBytes("{" + f32Entry("a", 0, 4) + "}", std::string(16, '\0')));
    folder.write(name + "/model.safetensors.index.json", index);
    return place.string();
}

std::string mapOf(const std::string& shard) { return nlohmann::json{{"weight_map", {{"a", shard}}}}.dump(); }

} // namespace

BadFiles s01TooShort(const TempFolder& folder) {
    return {bad(folder, "0 bytes", "", headerTooSmall), bad(folder, "1 byte", "\x01", headerTooSmall), bad(folder, "7 bytes", std::string(7, '\0'), headerTooSmall)};
}

BadFiles s02HugeHeaderLength(const TempFolder& folder) {
    BadFiles files;
    for (const std::uint64_t length : {1ull << 63, ~0ull, 100'000'001ull, 1ull << 60})
        files.push_back(bad(folder, std::to_string(length), safetensorsBytes("{}", std::string(64, '\0'), length), headerTooLarge, std::to_string(length)));
    return files;
}

BadFiles s03HeaderPastEnd(const TempFolder& folder) {
    return {bad(folder, "one past", safetensorsBytes("{}", "", 3), invalidHeaderLength, "incomplete"), bad(folder, "far past", safetensorsBytes("{}", "", 99'000'000), invalidHeaderLength, "99000000")};
}

BadFiles s04HeaderNoJson(const TempFolder& folder) {
    return {badHeader(folder, "{\"\xff\xfe\":1}", invalidHeader, 16, "byte"),
            badHeader(folder, "{\"a\":", invalidHeader, 16, "byte"),
            badHeader(folder, "{not json}", invalidHeader, 16, "at byte 10"),
            badHeader(folder, " {}", invalidHeader, 0),
            badHeader(folder, "[]", invalidHeader, 0),
            badHeader(folder, "", invalidHeader, 0),
            badHeader(folder, "{}x", invalidHeader, 0, "byte"),
            bad(folder, "a zero byte hides the rest", safetensorsBytes(std::string("{}\0 evil", 8)), invalidHeader),
            badHeader(folder, R"({"a":3})", invalidHeader),
            badHeader(folder, R"({"a":{"dtype":"F32","shape":[4]}})", invalidHeader),
            badHeader(folder, R"({"a":{"dtype":7,"shape":[4],"data_offsets":[0,16]}})", invalidHeader),
            badHeader(folder, R"({"a":{"dtype":"F32","shape":[4],"data_offsets":[0,16],"x":1}})", invalidHeader)};
}

BadFiles s06DeepJson(const TempFolder& folder) {
    const int depth = 100'000;
    std::string lists = R"({"a":{"dtype":"F32","shape":)" + std::string(depth, '[') + std::string(depth, ']') + R"(,"data_offsets":[0,0]}})";
    std::string objects;
    for (int i = 0; i < depth; ++i) objects += R"({"a":)";
    objects += "1" + std::string(depth, '}');
    return {badHeader(folder, lists, depthExceeded), badHeader(folder, objects, invalidHeader), badHeader(folder, R"({"a":{"dtype":{"b":1}}})", depthExceeded)};
}

BadFiles s07DuplicateTensor(const TempFolder& folder) {
    return {badHeader(folder, "{" + f32Entry("a", 0, 2) + "," + f32Entry("a", 8, 2) + "}", duplicateKey, 16, "'a'"),
            badHeader(folder, R"({"a":{"dtype":"F32","dtype":"F32","shape":[4],"data_offsets":[0,16]}})", duplicateKey),
            badHeader(folder, R"({"__metadata__":{},"__metadata__":{}})", duplicateKey, 0)};
}

BadFiles s08BadOffsets(const TempFolder& folder) {
    return {badHeader(folder, offsetsEntry("[16,0]"), invalidTensor),          badHeader(folder, offsetsEntry("[-16,0]"), invalidTensor),
            badHeader(folder, offsetsEntry("[0.0,16.0]"), invalidTensor),      badHeader(folder, offsetsEntry("[\"0\",\"16\"]"), invalidTensor),
            badHeader(folder, offsetsEntry("[0]"), invalidTensor),             badHeader(folder, offsetsEntry("[0,8,16]"), invalidTensor),
            badHeader(folder, offsetsEntry("[0,1e1]", "[4]"), invalidTensor),  badHeader(folder, offsetsEntry("[0,16]", "[4.0]"), invalidTensor),
            badHeader(folder, offsetsEntry("[0,16]", "[-4]"), invalidTensor),  badHeader(folder, offsetsEntry("[0,18446744073709551616]"), invalidTensor),
            // 2^53 + 1: a reader that goes through doubles would see 2^53 and believe it.
            badHeader(folder, offsetsEntry("[0,9007199254740993]", "[9007199254740992]", "U8"), invalidTensor, 16, "9007199254740993")};
}

BadFiles s09OverlapAndHole(const TempFolder& folder) {
    return {badHeader(folder, "{" + f32Entry("a", 0, 3) + "," + f32Entry("b", 8, 2) + "}", invalidTensor, 16, "'b'"),
            badHeader(folder, "{" + f32Entry("a", 0, 1) + "," + f32Entry("b", 8, 2) + "}", invalidTensor, 16, "hole"),
            badHeader(folder, "{" + f32Entry("a", 4, 3) + "}", invalidTensor, 16, "hole")};
}

BadFiles s10EndOfFile(const TempFolder& folder) {
    return {badHeader(folder, "{" + f32Entry("a", 0, 4) + "}", invalidHeader, 17, "1 bytes follow"), badHeader(folder, "{}", invalidHeader, 4),
            badHeader(folder, "{" + f32Entry("a", 0, 4) + "}", truncated, 10, "6 bytes are missing"), badHeader(folder, "{" + f32Entry("a", 0, 4) + "}", truncated, 0, "16")};
}

BadFiles s11ShapeOverflow(const TempFolder& folder) {
    return {badHeader(folder, offsetsEntry("[0,16]", "[2,18446744073709551614]"), validationOverflow),
            badHeader(folder, offsetsEntry("[0,16]", "[4294967296,4294967296]"), validationOverflow),
            badHeader(folder, offsetsEntry("[0,16]", "[4611686018427387904]"), validationOverflow),
            badHeader(folder, offsetsEntry("[0,0]", "[0,4294967296,4294967296]"), validationOverflow, 0),
            badHeader(folder, offsetsEntry("[0,16]", "[5]"), invalidTensor, 16, "20 bytes"),
            badHeader(folder, offsetsEntry("[0,16]", "[4]", "F64"), invalidTensor, 16, "32 bytes")};
}

BadFiles s12OddSubByte(const TempFolder& folder) {
    return {badHeader(folder, offsetsEntry("[0,2]", "[3]", "F4"), invalidTensor, 2, "whole byte"), badHeader(folder, offsetsEntry("[0,1]", "[1]", "F6_E2M3"), invalidTensor, 1, "whole byte")};
}

BadFiles s13BadMetadata(const TempFolder& folder) {
    return {badHeader(folder, R"({"__metadata__":{"a":1}})", invalidHeader, 0), badHeader(folder, R"({"__metadata__":{"a":null}})", invalidHeader, 0),
            badHeader(folder, R"({"__metadata__":"pt"})", invalidHeader, 0), badHeader(folder, R"({"__metadata__":{"a":{"b":"c"}}})", depthExceeded, 0),
            badHeader(folder, R"({"__metadata__":[]})", invalidHeader, 0)};
}

BadFiles x01EscapingNames(const TempFolder& folder) {
    folder.write("x.safetensors", safetensorsBytes("{" + f32Entry("a", 0, 4) + "}", std::string(16, '\0'))); // what "../x" would reach
    BadFiles files;
    const std::vector<std::string> names = {"../x.safetensors", "/etc/passwd", "C:\\x.safetensors", "a/../../x.safetensors", "sub/x.safetensors", "", std::string("a\0.safetensors", 14),
                                            std::string(300, 'a'), "~", "~/x.safetensors", "..", ".", "a\nb.safetensors"};
    for (const auto& name : names) {
        const std::string where = "x01-" + std::to_string(files.size());
        files.push_back({name.substr(0, 40), indexFolder(folder, where, mapOf(name)), pathEscapes, "'a'"});
    }
    files.push_back({"a number", indexFolder(folder, "x01-number", R"({"weight_map":{"a":7}})"), invalidHeader, "'a'"});
    return files;
}

BadFiles x02LinkOutside(const TempFolder& folder) {
    const std::string outside = folder.write("outside.safetensors", safetensorsBytes("{" + f32Entry("a", 0, 4) + "}", std::string(16, '\0')));
    const std::string shards = indexFolder(folder, "x02-shard", mapOf("link.safetensors"));
    fs::create_symlink(outside, fs::path(shards) / "link.safetensors");
    const fs::path single = folder.path() / "x02-single";
    fs::create_directory(single);
    fs::create_symlink(outside, single / "model.safetensors");
    const std::string config = indexFolder(folder, "x02-config", mapOf("a.safetensors"));
    fs::create_symlink("/etc/passwd", fs::path(config) / "config.json");
    // A prefix of the folder's name is not the folder.
    const std::string sibling = indexFolder(folder, "x02", mapOf("link.safetensors"));
    fs::create_symlink(fs::path(shards) / "a.safetensors", fs::path(sibling) / "link.safetensors");
    return {{"shard", shards, pathEscapes, "outside.safetensors"}, {"single file", single.string(), pathEscapes, "outside.safetensors"}, {"config", config, pathEscapes, "/etc/passwd"}, {"sibling", sibling, pathEscapes, ""}};
}

BadFiles x03NoRegularFile(const TempFolder& folder) {
    const std::string loop = indexFolder(folder, "x03-loop", mapOf("l1.safetensors"));
    fs::create_symlink("l2.safetensors", fs::path(loop) / "l1.safetensors");
    fs::create_symlink("l1.safetensors", fs::path(loop) / "l2.safetensors");
    const std::string fifo = indexFolder(folder, "x03-fifo", mapOf("f.safetensors"));
    ::mkfifo((fifo + "/f.safetensors").c_str(), 0600);
    const std::string directory = indexFolder(folder, "x03-folder", mapOf("d.safetensors"));
    fs::create_directory(fs::path(directory) / "d.safetensors");
    const std::string device = indexFolder(folder, "x03-device", mapOf("z.safetensors"));
    fs::create_symlink("/dev/zero", fs::path(device) / "z.safetensors");
    const std::string socket = indexFolder(folder, "x03-socket", mapOf("s.safetensors"));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    (socket + "/s.safetensors").copy(address.sun_path, sizeof address.sun_path - 1);
    const int fd = ::socket(AF_UNIX, SOCK_STREAM, 0);
    ::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address);
    return {{"link loop", loop, notRegularFile, "loop"},
            {"FIFO", fifo, notRegularFile, "f.safetensors"},
            {"folder", directory, notRegularFile, "d.safetensors"},
            {"link to a device", device, pathEscapes, "/dev/zero"},
            {"socket", socket, notRegularFile, "s.safetensors"},
            {"FIFO itself", fifo + "/f.safetensors", notRegularFile, "f.safetensors"},
            {"device itself", "/dev/zero", notRegularFile, "/dev/zero"}};
}

BadFiles x04ShardsDisagree(const TempFolder& folder) {
    const std::string missing = indexFolder(folder, "x04-missing", R"({"weight_map":{"a":"a.safetensors","b":"b.safetensors","c":"c.safetensors"}})");
    const std::string absent = indexFolder(folder, "x04-absent", R"({"weight_map":{"a":"a.safetensors","ghost":"a.safetensors"}})");
    const std::string twice = indexFolder(folder, "x04-twice", R"({"weight_map":{"a":"a.safetensors","b":"b.safetensors"}})");
    folder.write("x04-twice/b.safetensors", safetensorsBytes("{" + f32Entry("a", 0, 1) + "," + f32Entry("b", 4, 1) + "}", std::string(8, '\0')));
    const std::string listedTwice = indexFolder(folder, "x04-listed-twice", R"({"weight_map":{"a":"a.safetensors","a":"b.safetensors"}})");
    const std::string gguf = indexFolder(folder, "x04-gguf", mapOf("g.safetensors"));
    folder.write("x04-gguf/g.safetensors", GgufBytes(0, 0).bytes());
    return {{"missing", missing, shardMissing, "b.safetensors, c.safetensors"}, {"absent", absent, tensorMissing, "ghost"},  {"in two shards", twice, duplicateKey, "'a'"},
            {"listed twice", listedTwice, duplicateKey, "a"},                   {"GGUF as a shard", gguf, unknownFileType, "g.safetensors"}};
}

BadFiles x12Pickle(const TempFolder& folder) {
    const std::string zip("PK\x03\x04\x14\0\0\0\x08\0archive/data.pkl", 27), pickle("\x80\x02}q\0.", 6), legacy("\x80\x02\x8a\x0al\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.", 15);
    BadFiles files;
    for (const char* name : {"pytorch_model.bin", "model.pt", "model.pth", "model.ckpt", "renamed.safetensors", "renamed.gguf"}) {
        files.push_back({std::string("zip as ") + name, folder.write(std::string("z-") + name, zip), pickleRefused, "safetensors"});
        files.push_back({std::string("pickle as ") + name, folder.write(std::string("p-") + name, pickle), pickleRefused, "sandbox"});
        files.push_back({std::string("legacy as ") + name, folder.write(std::string("l-") + name, legacy), pickleRefused, "sandbox"});
    }
    const std::string shard = indexFolder(folder, "x12-index", mapOf("pytorch_model.bin"));
    folder.write("x12-index/pytorch_model.bin", pickle);
    files.push_back({"in an index", shard, pickleRefused, "pytorch_model.bin"});
    fs::create_directory(folder.path() / "x12-folder");
    folder.write("x12-folder/pytorch_model.bin", pickle);
    files.push_back({"alone in a folder", folder.file("x12-folder"), pickleRefused, "pytorch_model.bin"});
    return files;
}

std::string llamaConfig(int width, int feedForward, int blocks, int heads, int kvHeads, int vocabulary, bool tied) {
    return nlohmann::json{{"model_type", "llama"}, {"hidden_size", width}, {"intermediate_size", feedForward}, {"num_hidden_layers", blocks}, {"num_attention_heads", heads},
                          {"num_key_value_heads", kvHeads}, {"vocab_size", vocabulary}, {"max_position_embeddings", 64}, {"rms_norm_eps", 1e-5}, {"rope_theta", 10000.0},
                          {"rope_scaling", nullptr}, {"hidden_act", "silu"}, {"attention_bias", false}, {"tie_word_embeddings", tied}, {"bos_token_id", 0}, {"eos_token_id", 1}}
        .dump(2);
}

std::string writeTinyLlama(const TempFolder& folder, const std::string& name, const std::string& config, bool withHead, unsigned seed) {
    const auto json = nlohmann::json::parse(config);
    const auto number = [&](const char* key) { return json.at(key).get<std::int64_t>(); };
    const std::int64_t c = number("hidden_size"), f = number("intermediate_size"), d = c / number("num_attention_heads"), kv = d * number("num_key_value_heads"), v = number("vocab_size");
    std::vector<std::pair<std::string, std::vector<std::int64_t>>> tensors{{"model.embed_tokens.weight", {v, c}}, {"model.norm.weight", {c}}};
    if (withHead) tensors.push_back({"lm_head.weight", {v, c}});
    for (std::int64_t b = 0; b < number("num_hidden_layers"); ++b) {
        const std::string prefix = "model.layers." + std::to_string(b) + ".";
        for (const auto& [suffix, shape] : std::vector<std::pair<std::string, std::vector<std::int64_t>>>{
                 {"input_layernorm", {c}}, {"self_attn.q_proj", {c, c}}, {"self_attn.k_proj", {kv, c}}, {"self_attn.v_proj", {kv, c}}, {"self_attn.o_proj", {c, c}},
                 {"post_attention_layernorm", {c}}, {"mlp.gate_proj", {f, c}}, {"mlp.up_proj", {f, c}}, {"mlp.down_proj", {c, f}}})
            tensors.push_back({prefix + suffix + ".weight", shape});
    }
    Random random(seed);
    nlohmann::json header;
    std::string data;
    for (const auto& [tensor, shape] : tensors) {
        const std::size_t begin = data.size();
        std::int64_t n = 1;
        for (const auto s : shape) n *= s;
        for (std::int64_t i = 0; i < n; ++i) put(data, static_cast<float>(0.1 * random.normal() + (shape.size() == 1 ? 1.0 : 0.0)));
        header[tensor] = {{"dtype", "F32"}, {"shape", shape}, {"data_offsets", {begin, data.size()}}};
    }
    fs::create_directory(folder.path() / name);
    folder.write(name + "/config.json", config);
    folder.write(name + "/model.safetensors", safetensorsBytes(header.dump(), data));
    return folder.file(name);
}

} // namespace bw::test
