// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/base/matrix.h"
#include "core/checkpoint/verify.h"
#include "core/checkpoint/writer.h"
#include "tests/support/bad_files.h"
#include "tests/support/bytes.h"
#include "tests/support/expect_error.h"

#include <cmath>
#include <limits>

namespace bw::test {
namespace {

/// A safetensors file of f32 tensors, given in order.
struct F32Tensor {
    std::string name;
    std::vector<std::int64_t> shape;
    std::vector<float> values;
};

std::string write(const TempFolder& folder, const std::string& name, const std::vector<F32Tensor>& tensors) {
    Json header = Json::object();
    std::string data;
    for (const F32Tensor& tensor : tensors) {
        const std::size_t begin = data.size();
        for (const float value : tensor.values) put(data, value);
        header[tensor.name] = {{"dtype", "F32"}, {"shape", tensor.shape}, {"data_offsets", {begin, data.size()}}};
    }
    return folder.write(name, safetensorsBytes(header.dump(), data));
}

VerifyReport verify(const std::string& a, const std::string& b, double tolerance = 0) {
    JobContext job;
    return verifyCheckpoints(*Checkpoint::open(a), *Checkpoint::open(b), tolerance, job);
}

TEST(Verify, figuresOfOneDifference) {
    const TempFolder folder;
    const std::string a = write(folder, "a.safetensors", {{"w", {2, 2}, {3, 0, 0, 4}}});
    const std::string b = write(folder, "b.safetensors", {{"w", {2, 2}, {3, 0, 1, 4}}});
    const VerifyReport report = verify(a, b);
    ASSERT_EQ(report.tensors.size(), 1u);
    const TensorDifference& t = report.tensors.front();
    EXPECT_EQ(t.verdict, TensorVerdict::different);
    EXPECT_EQ(t.maxAbs, 1);
    EXPECT_EQ(t.row, 1);
    EXPECT_EQ(t.col, 0);
    EXPECT_EQ(t.valueA, 0);
    EXPECT_EQ(t.valueB, 1);
    EXPECT_EQ(t.meanAbs, 0.25);
    EXPECT_EQ(t.relativeRms, 0.2); // √(1 / 25)
    EXPECT_DOUBLE_EQ(t.cosine, 25.0 / std::sqrt(25.0 * 26.0));
    EXPECT_FALSE(report.same());
    EXPECT_TRUE(verify(a, b, 0.2).same());
    EXPECT_FALSE(verify(a, b, 0.19).same());
    EXPECT_TRUE(verify(a, a).same());
}

TEST(Verify, missingShapesAndOddNumbersAreTold) {
    const TempFolder folder;
    const float nan = std::numeric_limits<float>::quiet_NaN(), infinity = std::numeric_limits<float>::infinity();
    const std::string a = write(folder, "a.safetensors", {{"same", {3}, {nan, infinity, 1}}, {"nan", {2}, {1, 2}}, {"shape", {2, 3}, {0, 0, 0, 0, 0, 0}}, {"only a", {1}, {1}}, {"zero", {2}, {0, 0}}});
    const std::string b = write(folder, "b.safetensors", {{"same", {3}, {nan, infinity, 1}}, {"nan", {2}, {1, nan}}, {"shape", {3, 2}, {0, 0, 0, 0, 0, 0}}, {"only b", {1}, {1}}, {"zero", {2}, {0, 1}}});
    const VerifyReport report = verify(a, b, 0.5);
    std::map<std::string, TensorVerdict> verdicts;
    for (const TensorDifference& t : report.tensors) verdicts[t.name] = t.verdict;
    EXPECT_EQ(verdicts.at("same"), TensorVerdict::equal);
    EXPECT_EQ(verdicts.at("nan"), TensorVerdict::different);
    EXPECT_EQ(verdicts.at("shape"), TensorVerdict::shapeMismatch);
    EXPECT_EQ(verdicts.at("only a"), TensorVerdict::missingInB);
    EXPECT_EQ(verdicts.at("only b"), TensorVerdict::missingInA);
    EXPECT_EQ(verdicts.at("zero"), TensorVerdict::different);
    EXPECT_EQ(report.count(TensorVerdict::different), 2);
    ASSERT_NE(report.worst(), nullptr);
    EXPECT_EQ(report.worst()->name, "zero");
    EXPECT_TRUE(std::isinf(report.worst()->relativeRms));
}

/// A stack of experts in a GGUF file against one tensor per expert.
TEST(Verify, stackedExpertsAreComparedOneByOne) {
    const TempFolder folder;
    GgufBytes file(1, 1);
    file.string("general.architecture", "llama").tensor("blk.0.ffn_up_exps.weight", {2, 3, 2}, 0, 0).pad();
    for (int i = 0; i < 12; ++i) file.number(static_cast<float>(i));
    const std::string stacked = folder.write("m.gguf", file.bytes());
    std::vector<F32Tensor> experts;
    for (int e = 0; e < 2; ++e) {
        F32Tensor tensor{"model.layers.0.block_sparse_moe.experts." + std::to_string(e) + ".w3.weight", {3, 2}, {}};
        for (int i = 0; i < 6; ++i) tensor.values.push_back(static_cast<float>(6 * e + i));
        experts.push_back(tensor);
    }
    folder.write("config.json", R"({"model_type":"mixtral"})");
    EXPECT_TRUE(verify(stacked, write(folder, "right.safetensors", experts)).same());
    experts[1].values[4] = 99;
    const VerifyReport report = verify(stacked, write(folder, "wrong.safetensors", experts));
    ASSERT_EQ(report.tensors.size(), 2u);
    EXPECT_EQ(report.tensors[0].verdict, TensorVerdict::equal);
    EXPECT_EQ(report.tensors[1].verdict, TensorVerdict::different);
    EXPECT_EQ(report.tensors[1].name, "blk.0.ffn_up.e1.weight");
    EXPECT_EQ(report.tensors[1].row, 2);
}

/// Llama's query rows are permuted in GGUF: the logical layout must come out the same.
TEST(Verify, huggingFaceAgainstGguf) {
    const TempFolder folder;
    const std::string path = writeTinyLlama(folder, "hf", llamaConfig());
    const auto source = Checkpoint::open(path);
    std::vector<OutputTensor> outputs;
    for (const TensorInfo& tensor : source->tensors()) outputs.push_back({tensor.canonical, StorageType::f32, tensor.shape});
    GgufMetadata metadata;
    const auto text = [&](const char* key, const char* value) { metadata.set(key, {GgufType::string, std::string(value)}); };
    const auto number = [&](const char* key, std::int64_t value) { metadata.set(key, {GgufType::u32, value}); };
    text("general.architecture", "llama");
    for (const auto& [key, value] : {std::pair{"llama.block_count", 2}, {"llama.embedding_length", 32}, {"llama.feed_forward_length", 64}, {"llama.attention.head_count", 4},
                                     {"llama.attention.head_count_kv", 2}, {"llama.context_length", 128}})
        number(key, value);
    metadata.set("llama.attention.layer_norm_rms_epsilon", {GgufType::f32, 1e-5});
    GgufWriter writer(folder.file("m.gguf"), metadata, outputs, AtomicFile::Replace::no);
    for (const TensorInfo& tensor : source->tensors()) {
        Matrix hf(tensor.rows(), tensor.cols()), out(tensor.rows(), tensor.cols());
        source->readRows(tensor, 0, hf.view());
        const std::int64_t headDim = ggufPermutationHeadDim(*source, tensor);
        for (std::int64_t r = 0; r < tensor.rows(); ++r) std::copy_n(hf.row(headDim > 0 ? ggufPermutedRow(r, headDim) : r), tensor.cols(), out.row(r));
        writer.writeTensor(std::as_bytes(std::span(out.data(), static_cast<std::size_t>(out.size()))));
    }
    writer.finish();
    writer.commit();
    const VerifyReport report = verify(path, folder.file("m.gguf"));
    EXPECT_EQ(report.tensors.size(), source->tensors().size());
    EXPECT_TRUE(report.same());
    for (const TensorDifference& t : report.tensors) EXPECT_EQ(t.verdict, TensorVerdict::equal) << t.name;
}

} // namespace
} // namespace bw::test
