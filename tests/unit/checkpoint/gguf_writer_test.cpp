// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/base/parallel.h"
#include "core/base/random.h"
#include "core/checkpoint/writer.h"
#include "tests/support/bad_files.h"
#include "tests/support/bytes.h"
#include "tests/support/expect_error.h"
#include "tests/support/failing_io.h"

#include <nlohmann/json.hpp>

#include <cmath>
#include <filesystem>

namespace bw::test {
namespace {

std::span<const std::byte> bytesOf(const std::vector<float>& values) { return std::as_bytes(std::span(values)); }

GgufMetadata someMetadata() {
    GgufMetadata m;
    m.set("general.architecture", {GgufType::string, std::string("llama")});
    m.set("n.u8", {GgufType::u8, std::int64_t{200}});
    m.set("n.i8", {GgufType::i8, std::int64_t{-100}});
    m.set("n.u16", {GgufType::u16, std::int64_t{60000}});
    m.set("n.i16", {GgufType::i16, std::int64_t{-30000}});
    m.set("n.u32", {GgufType::u32, std::int64_t{4'000'000'000}});
    m.set("n.i32", {GgufType::i32, std::int64_t{-2'000'000'000}});
    m.set("n.f32", {GgufType::f32, 0.25});
    m.set("n.bool", {GgufType::boolean, true});
    m.set("n.u64", {GgufType::u64, std::uint64_t{~0ull}});
    m.set("n.i64", {GgufType::i64, std::int64_t{-1}});
    m.set("n.f64", {GgufType::f64, 0.1});
    GgufArray texts, numbers, reals, flags, outer;
    texts.element = GgufType::string;
    texts.strings = {"a", "", "\xc4\xa0the"};
    numbers.element = GgufType::i32;
    numbers.integers = {-1, 2, 3};
    reals.element = GgufType::f32;
    reals.reals = {0.5, -2.0};
    flags.element = GgufType::boolean;
    flags.integers = {1, 0};
    outer.element = GgufType::array;
    outer.nested = {numbers, texts};
    m.set("a.texts", {GgufType::array, texts});
    m.set("a.numbers", {GgufType::array, numbers});
    m.set("a.reals", {GgufType::array, reals});
    m.set("a.flags", {GgufType::array, flags});
    m.set("a.outer", {GgufType::array, outer});
    return m;
}

void expectSame(const GgufArray& a, const GgufArray& b) {
    EXPECT_EQ(a.element, b.element);
    EXPECT_EQ(a.integers, b.integers);
    EXPECT_EQ(a.reals, b.reals);
    EXPECT_EQ(a.strings, b.strings);
    ASSERT_EQ(a.nested.size(), b.nested.size());
    for (std::size_t i = 0; i < a.nested.size(); ++i) expectSame(a.nested[i], b.nested[i]);
}

void expectSame(const GgufMetadata& a, const GgufMetadata& b) {
    ASSERT_EQ(a.entries.size(), b.entries.size());
    for (std::size_t i = 0; i < a.entries.size(); ++i) {
        SCOPED_TRACE(a.entries[i].first);
        EXPECT_EQ(a.entries[i].first, b.entries[i].first);
        EXPECT_EQ(a.entries[i].second.type, b.entries[i].second.type);
        ASSERT_EQ(a.entries[i].second.value.index(), b.entries[i].second.value.index());
        if (const auto* array = std::get_if<GgufArray>(&a.entries[i].second.value))
            expectSame(*array, std::get<GgufArray>(b.entries[i].second.value));
        else
            EXPECT_TRUE(a.entries[i].second.value.index() != 5 && std::visit([&](const auto& v) {
                using T = std::decay_t<decltype(v)>;
                if constexpr (std::is_same_v<T, GgufArray>) return false;
                else return v == std::get<T>(b.entries[i].second.value);
            }, a.entries[i].second.value));
    }
}

TEST(GgufWriter, everyValueTypeAndShapeComesBack) {
    TempFolder folder;
    const GgufMetadata metadata = someMetadata();
    const std::vector<OutputTensor> tensors{{"odd", StorageType::f32, {5}}, {"scalar", StorageType::f32, {}}, {"matrix", StorageType::f32, {3, 7}}, {"none", StorageType::f32, {0, 4}}, {"last", StorageType::f16, {2, 2, 3}}};
    const std::vector<float> odd{1, 2, 3, 4, 5}, scalar{9}, matrix(21, 0.5f);
    const std::vector<std::uint16_t> last(12, 0x3c00);
    const std::string path = folder.file("out.gguf");
    GgufWriter writer(path, metadata, tensors, AtomicFile::Replace::no);
    writer.writeTensor(bytesOf(odd));
    writer.writeTensorPart(bytesOf(scalar));
    writer.writeTensorPart(bytesOf(matrix).first(40));
    writer.writeTensorPart(bytesOf(matrix).subspan(40));
    writer.writeTensor({});
    writer.writeTensor(std::as_bytes(std::span(last)));
    writer.finish();
    EXPECT_FALSE(std::filesystem::exists(path));
    EXPECT_EQ(Checkpoint::open(writer.temporaryPath())->tensors().size(), 5u);
    writer.commit();
    EXPECT_EQ(std::filesystem::file_size(path), writer.fileBytes());
    EXPECT_EQ(GgufWriter::fileBytes(metadata, tensors), writer.fileBytes());
    EXPECT_EQ(folder.entries(), 1);
    const auto checkpoint = Checkpoint::open(path);
    expectSame(checkpoint->metadata(), metadata);
    for (const auto& tensor : checkpoint->tensors()) EXPECT_EQ(tensor.offset % 32, 0u) << tensor.name;
    std::vector<float> values(21), halves(12);
    checkpoint->read(checkpoint->require("matrix"), values);
    EXPECT_EQ(values, matrix);
    checkpoint->read(checkpoint->require("last"), halves);
    EXPECT_EQ(halves, std::vector<float>(12, 1.0f));
    EXPECT_EQ(checkpoint->require("last").shape, (std::vector<std::int64_t>{2, 2, 3}));
}

TEST(GgufWriter, whatCannotBeWrittenIsRefused) {
    TempFolder folder;
    const auto write = [&](std::vector<OutputTensor> tensors, GgufMetadata metadata = {}) { GgufWriter(folder.file("x.gguf"), std::move(metadata), std::move(tensors), AtomicFile::Replace::no); };
    expectError(ErrorCode::invalidTensor, [&] { write({{std::string(64, 'n'), StorageType::f32, {4}}}); });
    expectError(ErrorCode::invalidTensor, [&] { write({{"a", StorageType::q4_0, {33}}}); });
    expectError(ErrorCode::invalidTensor, [&] { write({{"a", StorageType::f8e4m3, {32}}}); });
    expectError(ErrorCode::invalidTensor, [&] { write({{"a", StorageType::f32, {1, 1, 1, 1, 2}}}); });
    expectError(ErrorCode::invalidTensor, [&] { write({{"a", StorageType::f32, {-2}}}); });
    expectError(ErrorCode::duplicateKey, [&] { write({{"a", StorageType::f32, {2}}, {"a", StorageType::f32, {2}}}); });
    GgufMetadata odd;
    odd.set("general.alignment", {GgufType::u32, std::int64_t{12}});
    expectError(ErrorCode::invalidConfig, [&] { write({}, odd); });
    folder.write("there.gguf", "x");
    expectError(ErrorCode::targetExists, [&] { GgufWriter(folder.file("there.gguf"), {}, {}, AtomicFile::Replace::no); });
    EXPECT_EQ(folder.entries(), 1);
}

TEST(GgufWriter, callsOutOfPlanAreErrorsAndLeaveNothing) {
    TempFolder folder;
    const std::vector<float> four(4, 1.0f), five(5, 1.0f);
    {
        GgufWriter writer(folder.file("a.gguf"), {}, {{"a", StorageType::f32, {4}}}, AtomicFile::Replace::no);
        expectError(ErrorCode::internal, [&] { writer.writeTensor(bytesOf(five)); });
        expectError(ErrorCode::internal, [&] { writer.finish(); });
        writer.writeTensor(bytesOf(four));
        expectError(ErrorCode::internal, [&] { writer.writeTensorPart(bytesOf(four)); });
    }
    EXPECT_EQ(folder.entries(), 0);
}

TEST(GgufWriter, everyFailingDiskCallLeavesNothing) {
    TempFolder folder;
    const std::vector<float> values(1 << 20, 1.0f);
    for (int k = 1;; ++k) {
        ASSERT_LT(k, 100);
        FailingIo io(k);
        try {
            GgufWriter writer(folder.file("a.gguf"), someMetadata(), {{"a", StorageType::f32, {1 << 10, 1 << 10}}}, AtomicFile::Replace::no);
            writer.writeTensor(bytesOf(values));
            writer.commit();
        } catch (const Error& e) {
            EXPECT_TRUE(io.failed());
            EXPECT_TRUE(e.code() == ErrorCode::diskFull || e.code() == ErrorCode::writeFailed) << e.oneLine();
            EXPECT_EQ(folder.entries(), 0);
            continue;
        }
        if (!io.failed()) break;
        std::filesystem::remove(folder.file("a.gguf")); // a failing fsync of the folder alone does not undo the file
    }
    EXPECT_EQ(folder.entries(), 1);
}

/// Writes every tensor of `source` as `type` (norms as f32) the way an exporter does.
std::string exportAs(const TempFolder& folder, const std::string& name, const Checkpoint& source, StorageType type, std::int64_t fileType) {
    std::vector<OutputTensor> tensors;
    for (const auto& tensor : source.tensors()) tensors.push_back({tensor.canonical, tensor.shape.size() == 1 ? StorageType::f32 : type, tensor.shape});
    GgufWriter writer(folder.file(name), ggufMetadataFor(source, fileType), tensors, AtomicFile::Replace::no);
    for (std::size_t i = 0; i < tensors.size(); ++i) {
        const TensorInfo& tensor = source.tensors()[i];
        const std::int64_t rows = tensor.rows(), cols = tensor.cols();
        std::vector<float> values(static_cast<std::size_t>(rows * cols));
        source.read(tensor, values);
        const std::size_t rowBytes = storageBytes(tensors[i].type, 1, static_cast<std::uint64_t>(cols));
        std::vector<std::byte> out(rowBytes * static_cast<std::size_t>(rows));
        for (std::int64_t r = 0; r < rows; ++r) {
            const std::int64_t from = ggufPermutesRows(source, tensor) ? ggufPermutedRow(r, ggufPermutationHeadDim(source, tensor)) : r;
            encodeRow(tensors[i].type, std::span(values).subspan(static_cast<std::size_t>(from * cols), static_cast<std::size_t>(cols)), {}, out.data() + static_cast<std::size_t>(r) * rowBytes);
        }
        writer.writeTensor(out);
    }
    writer.commit();
    return folder.file(name);
}

std::vector<float> valuesOf(const Checkpoint& checkpoint, const std::string& name) {
    const TensorInfo& tensor = checkpoint.require(name);
    std::vector<float> values(static_cast<std::size_t>(tensor.elements()));
    checkpoint.read(tensor, values);
    return values;
}

TEST(GgufWriter, demoModelRoundTripIsExact) {
    TempFolder folder;
    const auto demo = Checkpoint::open(BW_RESOURCES "/demo");
    const auto copy = Checkpoint::open(exportAs(folder, "demo.gguf", *demo, StorageType::bf16, 32));
    ASSERT_EQ(copy->tensors().size(), demo->tensors().size());
    for (const auto& tensor : demo->tensors()) {
        EXPECT_EQ(valuesOf(*demo, tensor.name), valuesOf(*copy, tensor.canonical)) << tensor.name;
        EXPECT_EQ(copy->require(tensor.canonical).shape, tensor.shape);
    }
    // The rows of q really lie in another order in the file.
    EXPECT_NE(0, std::memcmp(copy->raw(copy->require("blk.0.attn_q.weight")).data(), demo->raw(demo->require("blk.0.attn_q.weight")).data(), 32 * 256 * 2));
    const ModelConfig &a = demo->config(), &b = copy->config();
    EXPECT_TRUE(b.forwardSupported) << b.whyNot;
    EXPECT_TRUE(copy->warnings().empty());
    EXPECT_EQ(std::tie(a.family, a.blocks, a.width, a.feedForward, a.heads, a.kvHeads, a.headDim, a.vocabulary, a.context, a.ropes.front().theta, a.tiedHead, a.bosId, a.eosId, a.padId, a.addBos),
              std::tie(b.family, b.blocks, b.width, b.feedForward, b.heads, b.kvHeads, b.headDim, b.vocabulary, b.context, b.ropes.front().theta, b.tiedHead, b.bosId, b.eosId, b.padId, b.addBos));
    EXPECT_EQ(static_cast<float>(a.normEpsilon), static_cast<float>(b.normEpsilon));
    // From GGUF to GGUF once more, quantized: rows come out in the same order.
    const auto again = Checkpoint::open(exportAs(folder, "q8.gguf", *copy, StorageType::q8_0, 7));
    EXPECT_EQ(again->metadata().integer("general.file_type"), 7);
    EXPECT_EQ(again->metadata().integer("general.quantization_version"), 2);
    const auto before = valuesOf(*demo, "blk.2.attn_k.weight"), after = valuesOf(*again, "blk.2.attn_k.weight");
    double error = 0, size = 0;
    for (std::size_t i = 0; i < before.size(); ++i) {
        error += std::pow(before[i] - after[i], 2);
        size += std::pow(before[i], 2);
    }
    EXPECT_LT(std::sqrt(error / size), 0.01); // q8_0 keeps 7 bits of each block's largest weight; wrong rows would give about 1.4
}

TEST(GgufWriter, metadataOfTheDemoModel) {
    const auto demo = Checkpoint::open(BW_RESOURCES "/demo");
    const GgufMetadata metadata = ggufMetadataFor(*demo, 1);
    for (const auto& [key, value] : {std::pair{"llama.block_count", 6}, {"llama.context_length", 512}, {"llama.embedding_length", 256}, {"llama.feed_forward_length", 768}, {"llama.attention.head_count", 8},
                                     {"llama.attention.head_count_kv", 4}, {"llama.attention.key_length", 32}, {"llama.attention.value_length", 32}, {"llama.vocab_size", 2048}, {"llama.rope.dimension_count", 32},
                                     {"tokenizer.ggml.bos_token_id", 0}, {"tokenizer.ggml.eos_token_id", 1}, {"tokenizer.ggml.padding_token_id", 2}, {"general.quantization_version", 2}, {"general.file_type", 1}})
        EXPECT_EQ(metadata.integer(key), value) << key;
    EXPECT_EQ(metadata.text("general.architecture"), "llama");
    EXPECT_EQ(metadata.text("general.size_label"), "5.2M");
    EXPECT_EQ(metadata.text("tokenizer.ggml.model"), "gpt2");
    EXPECT_EQ(metadata.text("tokenizer.ggml.pre"), "gpt-2");
    EXPECT_EQ(metadata.flag("tokenizer.ggml.add_bos_token"), false);
    const GgufArray* types = metadata.array("tokenizer.ggml.token_type");
    ASSERT_NE(types, nullptr);
    EXPECT_EQ(types->integers.size(), 2048u);
    EXPECT_EQ((std::vector<std::int64_t>{types->integers.begin(), types->integers.begin() + 4}), (std::vector<std::int64_t>{3, 3, 3, 1}));
    EXPECT_EQ(metadata.array("tokenizer.ggml.tokens")->strings[0], "<|bos|>");
    EXPECT_EQ(metadata.array("tokenizer.ggml.merges")->strings[1], "\xc4\xa0 t");
}

/// A folder with a tiny model and this tokenizer.json.
std::shared_ptr<const Checkpoint> withTokenizer(const TempFolder& folder, const nlohmann::json& tokenizer, const nlohmann::json& config = nullptr) {
    const std::string path = writeTinyLlama(folder, "t", llamaConfig());
    folder.write("t/tokenizer.json", tokenizer.dump());
    if (!config.is_null()) folder.write("t/tokenizer_config.json", config.dump());
    return Checkpoint::open(path);
}

nlohmann::json byteLevelTokenizer() {
    return {{"added_tokens", {{{"id", 0}, {"content", "<s>"}, {"special", true}}, {{"id", 4}, {"content", "<tool>"}, {"special", false}}}},
            {"normalizer", nullptr},
            {"pre_tokenizer", {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", true}}},
            {"model", {{"type", "BPE"}, {"vocab", {{"a", 1}, {"b", 2}, {"ab", 3}}}, {"merges", {{"a", "b"}, "x y"}}}}};
}

TEST(GgufMetadata, tokensMergesIdsAndTemplates) {
    TempFolder folder;
    const auto checkpoint = withTokenizer(folder, byteLevelTokenizer(), {{"bos_token", {{"content", "<s>"}}}, {"eos_token", "ab"}, {"add_bos_token", true}, {"chat_template", "{{ 7 * 7 }}"}});
    const GgufMetadata metadata = ggufMetadataFor(*checkpoint, 0);
    const GgufArray *tokens = metadata.array("tokenizer.ggml.tokens"), *types = metadata.array("tokenizer.ggml.token_type");
    ASSERT_EQ(tokens->strings.size(), 48u); // as many as the embedding has rows
    EXPECT_EQ(tokens->strings[0], "<s>");
    EXPECT_EQ(tokens->strings[5], "[PAD5]");
    EXPECT_EQ((std::vector<std::int64_t>{types->integers.begin(), types->integers.begin() + 6}), (std::vector<std::int64_t>{3, 1, 1, 1, 4, 5}));
    EXPECT_EQ(metadata.array("tokenizer.ggml.merges")->strings, (std::vector<std::string>{"a b", "x y"}));
    EXPECT_EQ(metadata.integer("tokenizer.ggml.bos_token_id"), 0);
    EXPECT_EQ(metadata.integer("tokenizer.ggml.eos_token_id"), 3);
    EXPECT_EQ(metadata.flag("tokenizer.ggml.add_bos_token"), true);
    EXPECT_EQ(metadata.text("tokenizer.chat_template"), "{{ 7 * 7 }}"); // G15: kept as text, never run
}

TEST(GgufMetadata, preTokenizersAreRecognisedByTheirRules) {
    TempFolder folder;
    auto tokenizer = byteLevelTokenizer();
    const auto name = [&](const nlohmann::json& pre) {
        tokenizer["pre_tokenizer"] = pre;
        const TempFolder own;
        return ggufMetadataFor(*withTokenizer(own, tokenizer), 0).text("tokenizer.ggml.pre");
    };
    const nlohmann::json bytes = {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", true}};
    EXPECT_EQ(name(bytes), "gpt-2");
    EXPECT_EQ(name({{"type", "Sequence"}, {"pretokenizers", {{{"type", "Digits"}, {"individual_digits", true}}, bytes}}}), "smollm");
    expectError(ErrorCode::unsupportedTokenizer, [&] { name({{"type", "Sequence"}, {"pretokenizers", {{{"type", "Digits"}, {"individual_digits", false}}, bytes}}}); });
    expectError(ErrorCode::unsupportedTokenizer, [&] { name({{"type", "Whitespace"}}); });
    expectError(ErrorCode::unsupportedTokenizer, [&] { name({{"type", "ByteLevel"}, {"add_prefix_space", true}}); });
    expectError(ErrorCode::unsupportedTokenizer, [&] { name(nullptr); });
}

TEST(GgufMetadata, guessesAreRefused) {
    const auto refuse = [](ErrorCode code, const nlohmann::json& tokenizer) {
        const TempFolder folder;
        const auto checkpoint = withTokenizer(folder, tokenizer);
        expectError(code, [&] { ggufMetadataFor(*checkpoint, 0); });
    };
    auto tokenizer = byteLevelTokenizer();
    tokenizer["model"]["type"] = "Unigram";
    refuse(ErrorCode::unsupportedTokenizer, tokenizer);
    tokenizer = byteLevelTokenizer();
    tokenizer["model"]["byte_fallback"] = true;
    refuse(ErrorCode::unsupportedTokenizer, tokenizer);
    tokenizer = byteLevelTokenizer();
    tokenizer["normalizer"] = {{"type", "Lowercase"}};
    refuse(ErrorCode::unsupportedTokenizer, tokenizer);
    tokenizer = byteLevelTokenizer();
    tokenizer["model"]["vocab"]["far"] = 48;
    refuse(ErrorCode::vocabularyMismatch, tokenizer);
    tokenizer = byteLevelTokenizer();
    tokenizer["model"]["merges"] = {1};
    refuse(ErrorCode::invalidTokenizer, tokenizer);
    tokenizer["model"].erase("merges");
    refuse(ErrorCode::invalidTokenizer, tokenizer);
    const TempFolder folder;
    const auto bare = Checkpoint::open(writeTinyLlama(folder, "m", llamaConfig()));
    expectError(ErrorCode::fileNotFound, [&] { ggufMetadataFor(*bare, 0); });
    std::filesystem::remove(folder.file("m/config.json"));
    const auto unknown = Checkpoint::open(folder.file("m"));
    expectError(ErrorCode::unsupportedModel, [&] { ggufMetadataFor(*unknown, 0); });
}

} // namespace
} // namespace bw::test
