// SPDX-License-Identifier: GPL-3.0-or-later
// Already quantized checkpoints: every stored layout decodes to the values that make_quantized.py packed, and to those that
// the packages which define the layouts read from their own files; what is damaged is refused by name.
#include "core/base/json.h"
#include "core/base/matrix.h"
#include "core/checkpoint/checkpoint.h"
#include "tests/support/bytes.h"
#include "tests/support/expect_error.h"
#include "tests/support/temp_folder.h"

#include <cstring>
#include <functional>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <iterator>
#include <map>
#include <span>

namespace bw::test {
namespace {
namespace fs = std::filesystem;
using testing::HasSubstr;

const std::string kData = BW_TEST_DATA "/checkpoint/quantized/";
const std::string kModule = "model.layers.0.mlp.up_proj";

struct Case {
    const char* folder;
    const char* format;
    bool warns = true;        ///< codes that this program packs itself open without a word
    double tolerance = 2e-7;  ///< one product of two f32: the order of its factors moves the last bit
};
constexpr Case kCases[] = {{"gptq2", "gptq int2:g32"}, {"gptq3", "gptq int3:g32"}, {"gptq4", "gptq int4:g32"}, {"gptq8", "gptq int8:g32"}, {"gptq4-v2", "gptq int4:g16"},
                           {"gptq3-act-order", "gptq int3:act-order"}, {"gptq4-channel", "gptq int4:channel"}, {"awq", "awq int4:g32"}, {"fp8-block", "fp8_e4m3:block16x16"},
                           {"fp8-short-block", "fp8_e4m3:block32x32"}, {"fp8-tensor", "fp8_e4m3:tensor"}, {"fp8-channel", "fp8_e4m3:channel"}, {"int8-sym", "int8:channel:sym"},
                           {"int8-asym", "int8:channel:asym"}, {"nf4", "nf4:b64"}, {"nf4-nested", "nf4:b64:nested"}, {"llm-int8", "int8:channel:sym (LLM.int8)"}, {"nvfp4", "nvfp4"},
                           {"mxfp4", "mxfp4"}, {"packed-act-order", "packed int4:act-order"}};

/// Made by the packages themselves (make_with_packages.py).
const std::string kPackages = BW_TEST_DATA "/checkpoint/packages/";
constexpr Case kPackageCases[] = {{"ct-w4a16-sym", "int4:g32:sym", false}, {"ct-w4a16-asym", "int4:g32:asym", false}, {"ct-w8a16-channel", "int8:channel:sym", false}, {"ct-w8a8-int", "int8:channel:sym"},
                                  {"ct-fp8-channel", "fp8_e4m3:channel"}, {"ct-fp8-tensor", "fp8_e4m3:tensor"}, {"ct-nvfp4", "nvfp4", true, 0x1p-8 /* the package rounds scale and product to bf16 */}, {"ct-mxfp4", "mxfp4"}, {"bnb-nf4", "nf4:b64"},
                                  {"bnb-nf4-nested", "nf4:b64:nested"}, {"bnb-fp4", "fp4:b64"}, {"bnb-int8", "int8:channel:sym (LLM.int8)"}};

void expectDecodes(const std::string& data, std::span<const Case> cases) {
    for (const Case& c : cases) {
        SCOPED_TRACE(c.folder);
        const auto checkpoint = Checkpoint::open(data + c.folder);
        ASSERT_EQ(checkpoint->tensors().size(), 2u) << "the weight and its expected values";
        const TensorInfo& tensor = checkpoint->require("blk.0.ffn_up.weight");
        const TensorInfo& expected = checkpoint->require("expected");
        ASSERT_EQ(tensor.shape, expected.shape);
        ASSERT_TRUE(tensor.packed);
        EXPECT_EQ(tensor.packed->name(), c.format);
        if (c.warns) {
            EXPECT_THAT(checkpoint->warnings(), testing::Contains(HasSubstr("already quantized (" + std::string(c.format) + ")")));
        }
        Matrix values(tensor.rows(), tensor.cols()), wanted(tensor.rows(), tensor.cols()), part(3, tensor.cols());
        checkpoint->readRows(tensor, 0, values.view());
        checkpoint->readRows(expected, 0, wanted.view());
        for (std::int64_t i = 0; i < values.size(); ++i) ASSERT_NEAR(values.data()[i], wanted.data()[i], c.tolerance * std::abs(wanted.data()[i])) << "element " << i;
        checkpoint->readRows(tensor, 5, part.view());
        EXPECT_EQ(0, std::memcmp(part.data(), values.row(5), static_cast<std::size_t>(part.size()) * sizeof(float))) << "rows read alone";
    }
}

/// Codes with scales and zero points are the values to the bit, from any row on.
TEST(QuantizedGolden, integersAreCodedAsTheyDecode) {
    std::vector<std::string> coded;
    for (const auto& [data, cases] : {std::pair(kData, std::span<const Case>(kCases)), std::pair(kPackages, std::span<const Case>(kPackageCases))})
        for (const Case& c : cases) {
            const auto checkpoint = Checkpoint::open(data + c.folder);
            const TensorInfo& tensor = checkpoint->require("blk.0.ffn_up.weight");
            const auto rows = checkpoint->codedRows(tensor, 3, tensor.rows() - 3);
            if (!rows) continue;
            SCOPED_TRACE(c.folder);
            coded.push_back(c.folder);
            Matrix values(tensor.rows() - 3, tensor.cols());
            checkpoint->readRows(tensor, 3, values.view());
            ASSERT_EQ(rows->rows, values.rows());
            for (std::int64_t i = 0; i < values.size(); ++i) {
                const auto code = rows->codes[static_cast<std::size_t>(i)];
                const auto group = static_cast<std::size_t>(i / rows->group);
                ASSERT_LT(code, 1 << rows->bits);
                ASSERT_EQ(rows->scales[group] * (static_cast<float>(code) - rows->zeros[group]), values.data()[i]) << "element " << i;
            }
        }
    EXPECT_THAT(coded, testing::UnorderedElementsAre("gptq2", "gptq3", "gptq4", "gptq8", "gptq4-v2", "gptq4-channel", "awq", "int8-sym", "int8-asym", "llm-int8",
                                                     "ct-w4a16-sym", "ct-w4a16-asym", "ct-w8a16-channel", "ct-w8a8-int", "bnb-int8"));
}

TEST(QuantizedGolden, everyLayoutDecodesToWhatWasPacked) { expectDecodes(kData, kCases); }

TEST(QuantizedGolden, whatThePackagesWroteDecodesToWhatTheyRead) { expectDecodes(kPackages, kPackageCases); }

/// A fixture in memory, to be damaged and written again.
class Fixture {
public:
    explicit Fixture(const std::string& name) : config(readJsonFile(kData + name + "/config.json")) {
        std::ifstream file(kData + name + "/model.safetensors", std::ios::binary);
        const std::string bytes{std::istreambuf_iterator<char>(file), {}};
        std::uint64_t length = 0;
        std::memcpy(&length, bytes.data(), 8);
        header = Json::parse(bytes.substr(8, length));
        for (const auto& [key, entry] : header.items()) data[key] = bytes.substr(8 + length + entry["data_offsets"][0].get<std::size_t>(), entry["data_offsets"][1].get<std::size_t>() - entry["data_offsets"][0].get<std::size_t>());
    }
    std::string write(const TempFolder& folder) {
        std::string all;
        for (auto& [key, entry] : header.items()) {
            entry["data_offsets"] = {all.size(), all.size() + data[key].size()};
            all += data[key];
        }
        folder.write("model.safetensors", safetensorsBytes(header.dump(), all));
        folder.write("config.json", config.dump());
        return folder.path().string();
    }
    void remove(const std::string& part) { header.erase(kModule + part); }
    /// Another shape, the bytes cut or filled with zeros to fit. @param size bytes of an element.
    void reshape(const std::string& part, const std::vector<std::size_t>& shape, std::size_t size) {
        std::size_t count = size;
        for (const std::size_t d : shape) count *= d;
        header[kModule + part]["shape"] = shape;
        data[kModule + part].resize(count);
    }
    Json config, header;
    std::map<std::string, std::string> data;
};

struct Damage {
    const char* fixture;
    const char* what;
    std::function<void(Fixture&)> damage;
    ErrorCode expected;
    const char* mentions;
};

TEST(QuantizedGolden, damagedPartsAreRefusedByName) {
    const auto setInt = [](const std::string& part, std::size_t index, std::int32_t value) {
        return [=](Fixture& f) { std::memcpy(f.data[kModule + part].data() + 4 * index, &value, 4); };
    };
    using enum ErrorCode;
    const Damage damages[] = {
        {"gptq4", "g_idx too large", setInt(".g_idx", 7, 99), invalidTensor, "g_idx[7] is 99"},
        {"gptq4", "g_idx negative", setInt(".g_idx", 0, -1), invalidTensor, "g_idx[0] is -1"},
        {"gptq4", "no zeros", [](Fixture& f) { f.remove(".qzeros"); }, tensorMissing, "qzeros"},
        {"gptq4", "no scales", [](Fixture& f) { f.remove(".scales"); }, tensorMissing, "scales"},
        {"gptq4", "zeros of another shape", [](Fixture& f) { f.reshape(".qzeros", {2, 3}, 4); }, shapeMismatch, "qzeros' is [2, 3]"},
        {"gptq4", "scales of another width", [](Fixture& f) { f.reshape(".scales", {2, 31}, 2); }, shapeMismatch, "[2, 31]"},
        {"gptq4", "bits disagree", [](Fixture& f) { f.config["quantization_config"]["bits"] = 8; }, shapeMismatch, "8"},
        {"gptq4", "no bits at all", [](Fixture& f) { f.config["quantization_config"].erase("bits"); f.remove(".g_idx"); }, unsupportedType, "bits"},
        {"gptq4", "5 bits", [](Fixture& f) { f.config["quantization_config"]["bits"] = 5; f.remove(".g_idx"); }, unsupportedType, "5 bits"},
        {"awq", "zeros of another shape", [](Fixture& f) { f.reshape(".qzeros", {1, 3}, 4); }, shapeMismatch, "qzeros"},
        {"awq", "groups that do not divide", [](Fixture& f) { f.reshape(".scales", {37, 24}, 2); f.reshape(".qzeros", {37, 3}, 4); }, shapeMismatch, "37 groups"},
        {"fp8-block", "blocks disagree with the configuration", [](Fixture& f) { f.reshape(".weight_scale_inv", {2, 3}, 4); }, shapeMismatch, "blocks of 16"},
        {"fp8-block", "scales in three dimensions", [](Fixture& f) { f.reshape(".weight_scale_inv", {3, 3, 1}, 4); }, shapeMismatch, "[3, 3, 1]"},
        {"int8-asym", "zero points of another shape", [](Fixture& f) { f.reshape(".weight_zero_point", {23, 1}, 1); }, shapeMismatch, "weight_zero_point"},
        {"nf4", "absmax too short", [](Fixture& f) { f.reshape(".weight.absmax", {9}, 4); }, shapeMismatch, "absmax"},
        {"nf4", "weight too short", [](Fixture& f) { f.reshape(".weight", {300, 1}, 1); }, shapeMismatch, "300 bytes"},
        {"nf4", "no map", [](Fixture& f) { f.remove(".weight.quant_map"); }, tensorMissing, "quant_map"},
        {"nf4", "state is no JSON", [](Fixture& f) { f.data[kModule + ".weight.quant_state.bitsandbytes__nf4"][0] = '['; }, invalidHeader, "quant_state"},
        {"nf4-nested", "nested map too short", [](Fixture& f) { f.reshape(".weight.nested_quant_map", {255}, 4); }, shapeMismatch, "nested_quant_map"},
        {"llm-int8", "reordered layout", [](Fixture& f) { f.data[kModule + ".weight_format"][0] = 2; }, unsupportedType, "weight_format"},
        {"llm-int8", "statistics of another length", [](Fixture& f) { f.reshape(".SCB", {15}, 4); }, shapeMismatch, "SCB"},
        {"nvfp4", "scales of another shape", [](Fixture& f) { f.reshape(".weight_scale", {8, 3}, 1); }, shapeMismatch, "weight_scale"},
        {"nvfp4", "global scale zero", [](Fixture& f) { f.data[kModule + ".weight_global_scale"] = std::string(4, '\0'); }, invalidTensor, "weight_global_scale"},
        {"packed-act-order", "order out of range", setInt(".weight_g_idx", 3, 4), invalidTensor, "weight_g_idx[3] is 4"},
        {"packed-act-order", "order half missing", setInt(".weight_g_idx", 3, -1), invalidTensor, "weight_g_idx[3] is -1"},
    };
    for (const Damage& d : damages) {
        SCOPED_TRACE(std::string(d.fixture) + ": " + d.what);
        const TempFolder folder;
        Fixture fixture(d.fixture);
        d.damage(fixture);
        const std::string path = fixture.write(folder);
        const Error error = expectError(d.expected, [&] { Checkpoint::open(path); });
        EXPECT_THAT(error.message(), HasSubstr(d.mentions));
        EXPECT_THAT(error.message(), HasSubstr(kModule));
    }
}

TEST(QuantizedGolden, unknownMethodsOpenForInspectionAndAreNamed) {
    const TempFolder folder;
    Fixture fixture("gptq4");
    for (const auto& [method, version, mentions] : {std::tuple{"quip", "", "'quip'"}, std::tuple{"awq", "gemv", "'gemv'"}}) {
        SCOPED_TRACE(method);
        Fixture other("fp8-tensor");
        other.config["quantization_config"] = {{"quant_method", method}, {"version", version}};
        const auto checkpoint = Checkpoint::open(other.write(folder));
        EXPECT_FALSE(checkpoint->config().forwardSupported);
        EXPECT_THAT(checkpoint->warnings(), testing::Contains(HasSubstr(mentions)));
    }
}

TEST(QuantizedGolden, olderFilesNameTheirMethodInAFileOfItsOwn) {
    const TempFolder folder;
    Fixture fixture("gptq4-v2");
    const Json section = fixture.config["quantization_config"];
    fixture.config.erase("quantization_config");
    fixture.remove(".g_idx");
    const std::string path = fixture.write(folder);
    expectError(ErrorCode::unsupportedType, [&] { Checkpoint::open(path); }); // nothing says how many bits
    Json older = section;
    older.erase("quant_method");
    folder.write("quantize_config.json", older.dump());
    const auto checkpoint = Checkpoint::open(path);
    const auto right = Checkpoint::open(kData + "gptq4-v2");
    std::vector<float> a(24 * 64), b(24 * 64);
    checkpoint->read(checkpoint->require("blk.0.ffn_up.weight"), a);
    right->read(right->require("blk.0.ffn_up.weight"), b);
    EXPECT_EQ(a, b) << "zero points of the second generation";
}

} // namespace
} // namespace bw::test
