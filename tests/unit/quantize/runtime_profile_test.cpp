// SPDX-License-Identifier: GPL-3.0-or-later
// Runtime profiles: the type of a weight chooses how its input is rounded, site by site where sites that share an input differ.
#include "core/quantize/runtime_profile.h"
#include "tests/support/expect_error.h"
#include "tests/unit/model/tiny_model.h"

#include <gtest/gtest.h>

namespace bw {
namespace {

using test::expectError;
using test::TinyModel;
using T = StorageType;

TEST(RuntimeProfile, NamesAreReadAndWrittenAlike) {
    for (const std::string& name : runtimeProfileNames()) EXPECT_EQ(runtimeProfileName(parseRuntimeProfile(name)), name);
    const Error error = expectError(ErrorCode::usage, [] { parseRuntimeProfile("vllm"); });
    EXPECT_NE(error.hint().find("llama.cpp-cpu"), std::string::npos) << error.hint();
}

TEST(RuntimeProfile, TheWeightsTypeChoosesTheInputs) {
    for (const T type : {T::q4_0, T::q5_0, T::q8_0, T::iq4_nl, T::mxfp4, T::nvfp4}) EXPECT_EQ(kernelInput(type), T::q8_0);
    for (const T type : {T::q4_1, T::q5_1}) EXPECT_EQ(kernelInput(type), T::q8_1);
    for (const T type : {T::q2_k, T::q3_k, T::q4_k, T::q5_k, T::q6_k, T::iq4_xs, T::iq3_s, T::iq2_xxs, T::iq1_m}) EXPECT_EQ(kernelInput(type), T::q8_k);
    for (const T type : {T::f32, T::f16, T::bf16}) EXPECT_EQ(kernelInput(type), type);
    for (const T type : {T::i32, T::f8e4m3, T::unknown}) EXPECT_EQ(kernelInput(type), T::unknown);
    // Every type that weights are written in here and that ggml has is known to have a product.
    for (const StorageTypeInfo& info : allStorageTypes())
        if (info.encodes && info.ggmlId >= 0 && info.blockElements > 1 && info.type != T::q8_k) { // q8_k is only ever an input
            EXPECT_NE(kernelInput(info.type), T::unknown) << info.name;
        }
}

TEST(RuntimeProfile, SitesThatShareAnInputAreRoundedEachByItsType) {
    const TinyModel tiny;
    const Model& model = *tiny.model;
    std::vector<StorageType> types(model.sites().size(), T::q4_0);
    const Site& v = *model.findSite("blk.0.attn_v");
    const Site& q = *model.findSite("blk.0.attn_q");
    types[static_cast<std::size_t>(v.id.value())] = T::f32;
    const auto rounding = llamaCppCpuRounding(model, types, nullptr);
    EXPECT_FALSE(rounding->roundsInput(v.inputGroup)); // not all of it
    EXPECT_FALSE(rounding->roundsSite(v.id));
    EXPECT_TRUE(rounding->roundsSite(q.id));
    const Site& down = *model.findSite("blk.0.ffn_down");
    EXPECT_TRUE(rounding->roundsInput(down.inputGroup));
    EXPECT_FALSE(rounding->roundsSite(down.id)); // once is enough
    EXPECT_TRUE(rounding->roundsInput(static_cast<int>(model.inputGroups().size()) - 1)); // the head's too
    EXPECT_TRUE(rounding->roundsCache(BlockIndex{0}));
    std::vector<float> row{127, 3.4f, -0.2f}, same = row;
    rounding->roundSite(q.id, {row.data(), 1, 3});
    EXPECT_EQ(row, (std::vector<float>{127, 3, 0}));
    // A group of one type is rounded in one go to the same.
    rounding->roundInput(down.inputGroup, {same.data(), 1, 3});
    EXPECT_EQ(row, same);
}

TEST(RuntimeProfile, RoundsWhatTheModelComputesWithAndNothingElse) {
    const TinyModel tiny;
    const Windows windows = test::randomWindows(2, 16);
    const std::vector<float> plain = test::allLogits(*tiny.model, windows);
    const auto moved = [&](StorageType type) {
        const RunWith source(nullptr, llamaCppCpuRounding(*tiny.model, std::vector<StorageType>(tiny.model->sites().size(), type), nullptr));
        return test::worstDifference(plain, test::allLogits(*tiny.model, windows, &source));
    };
    const float exact = moved(T::f32), half = moved(T::f16), coarse = moved(T::bf16), eight = moved(T::q4_0);
    EXPECT_GT(exact, 0);            // keys and values lie in f16
    EXPECT_GT(half, exact);
    EXPECT_GT(coarse, 3 * half);    // 8 bits of mantissa instead of 11: a step eight times as wide
    EXPECT_GT(eight, 3 * half);     // a step of a 127th of the block's largest
}

TEST(RuntimeProfile, FormatsWithoutAProductAreRefusedByName) {
    test::RandomLlama shape; // inputs of whole blocks
    shape.width = 32;
    shape.feedForward = 64;
    shape.headDim = 8;
    const TinyModel tiny(shape);
    JobContext job;
    std::vector<SiteFormat> formats;
    for (const Site& site : tiny.model->sites()) {
        const std::string name = site.name == "blk.1.ffn_up" ? "int4:channel" : "q8_0";
        formats.push_back({site.id, name, parseFormat(name), {}});
    }
    const auto quantized = QuantizedModel::build(*tiny.model, formats, [](const Site&) { return std::span<const float>(); }, {}, job);
    const std::vector<StorageType> types = weightTypes(*tiny.model, quantized.get());
    EXPECT_EQ(types[1], T::q8_0);
    const Error error = expectError(ErrorCode::usage, [&] { llamaCppCpuRounding(*tiny.model, types, nullptr); });
    EXPECT_NE(error.message().find("blk.1.ffn_up"), std::string::npos) << error.message();
    for (const StorageType type : weightTypes(*tiny.model, nullptr)) EXPECT_NE(kernelInput(type), T::unknown);
}

} // namespace
} // namespace bw
