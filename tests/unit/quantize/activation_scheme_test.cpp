// SPDX-License-Identifier: GPL-3.0-or-later
// Activation schemes: their grammar, the values they round to, what they need of a calibration, and damaged inputs.
#include "core/quantize/activation_scheme.h"
#include "core/format/float_format.h"
#include "core/quantize/cache_scheme.h"
#include "core/quantize/quantized_model.h"
#include "tests/support/expect_error.h"
#include "tests/unit/model/tiny_model.h"

#include <cmath>
#include <gtest/gtest.h>

namespace bw {
namespace {

using test::expectError;
using test::TinyModel;

std::shared_ptr<const ActivationRounding> fit(const TinyModel& tiny, const char* text, const CalibrationResult* statistics = nullptr) {
    return ActivationRounding::fit(*tiny.model, parseActivationScheme(text), statistics);
}

std::vector<float> rounded(const ActivationRounding& rounding, std::vector<float> row) {
    rounding.roundInput(0, {row.data(), 1, static_cast<std::int64_t>(row.size())});
    return row;
}

TEST(ActivationScheme, TextsAreReadAndWrittenAlike) {
    for (const char* text : {"none", "a8:token", "a4:token", "a8:token:asym", "a8:g128", "a2:g32:asym", "a8:tensor", "a8:tensor:average", "a8:tensor:percentile=99.9",
                             "a8:tensor:percentile=99.99", "a8:tensor:kl", "a8:tensor:mse", "a8:tensor:mse:asym", "a8:channel", "a8:channel:kl", "fp8:token",
                             "fp8:tensor:average", "fp8_e5m2:token", "fp8:g128", "q8_0", "q8_k"})
        EXPECT_EQ(parseActivationScheme(text).text(), text);
    EXPECT_EQ(parseActivationScheme("int8").text(), "a8:token");
    EXPECT_EQ(parseActivationScheme("int8:tensor:percentile").text(), "a8:tensor:percentile=99.9");
    EXPECT_EQ(parseActivationScheme("fp8_e4m3:token:sym").text(), "fp8:token");
    for (const char* text : {"a", "a9:token", "a8:row", "a8:token:mse", "a8:tensor:best", "a8:tensor:percentile=12", "a8:tensor:percentile=99x", "a8:tensor:percentilex",
                             "a8:channel:asym", "fp8:tensor:mse", "fp8:token:asym", "q4_0", "q8_0:token", "a8:tensor:mse:x", "a8:tensor:percentile:", "a8:g0", "a8:g-3",
                             "a8:g99999999999999999999", "a8:token:token", ":", "int16:token", "a88:token"})
        expectError(ErrorCode::usage, [&] { parseActivationScheme(text); });
}

TEST(ActivationScheme, GridsAreWhatTheyAre) {
    const TinyModel tiny;
    // The scale is 127/127 = 1: codes are the values themselves, halves go to the even one.
    EXPECT_EQ(rounded(*fit(tiny, "a8:token"), {127, -0.5f, 1.5f, 2.5f, -127}), (std::vector<float>{127, -0.0f, 2, 2, -127}));
    EXPECT_EQ(rounded(*fit(tiny, "a4:token"), {7, 3.4f, -6.6f}), (std::vector<float>{7, 3, -7}));
    // −5 … 250 in 255 steps of 1: the zero point is 5.
    EXPECT_EQ(rounded(*fit(tiny, "a8:token:asym"), {250, -5, 0.4f, -1.5f, 3.6f}), (std::vector<float>{250, -5, 0, -2, 4}));
    EXPECT_EQ(rounded(*fit(tiny, "a8:token:asym"), {255, 0.6f}), (std::vector<float>{255, 1})); // 0 is always on the grid
    // A group of two each, the last of one.
    EXPECT_EQ(rounded(*fit(tiny, "a2:g2"), {1, 0.4f, 8, -4.4f, 0.01f}), (std::vector<float>{1, 0, 8, -8, 0.01f}));
    // q8_0: a block of its own for every 32 values, its step in f16.
    std::vector<float> blocks(64, 0.0f);
    blocks[0] = 127, blocks[1] = 3.4f, blocks[32] = 1.27f, blocks[33] = 0.034f;
    const std::vector<float> out = rounded(*fit(tiny, "q8_0"), blocks);
    EXPECT_EQ(out[1], 3);
    EXPECT_NEAR(out[33], 0.03f, 0.03f * 0x1.0p-11f); // f16 holds 11 bits of the step 0.01
}

TEST(ActivationScheme, SmallFloatsRoundAsTheFormatsOfWeightsDo) {
    const TinyModel tiny;
    Random random(5);
    for (const auto& [scheme, code, most] : {std::tuple{"fp8:token", FloatCode::e4m3, 448.0f}, std::tuple{"fp8_e5m2:token", FloatCode::e5m2, 57344.0f}}) {
        std::vector<float> row{most, 0, -0.0f};
        for (int i = 0; i < 4000; ++i) {
            row.push_back(std::ldexp(static_cast<float>(random.uniform()) - 0.5f, static_cast<int>(random.below(36)) - 18));
            row.push_back(std::ldexp(static_cast<float>(random.below(64)), static_cast<int>(random.below(24)) - 18)); // ties and subnormals
            for (float& value : std::span(row).last(2)) value = std::clamp(value, -most, most);
        }
        const std::vector<float> mine = rounded(*fit(tiny, scheme), row); // the largest makes the scale 1
        Matrix weight(1, static_cast<std::int64_t>(row.size())), decoded(1, weight.cols());
        std::copy(row.begin(), row.end(), weight.data());
        EncodeOptions plain;
        plain.clipSearch = false;
        FloatFormat({code, FloatScope::channel, 0}).roundTrip(weight.view(), plain, decoded.view());
        for (std::size_t i = 0; i < row.size(); ++i) ASSERT_EQ(mine[i], decoded.data()[i]) << scheme << " of " << row[i];
    }
}

TEST(ActivationScheme, DamagedInputsStayVisibleAndNothingDividesByZero) {
    const TinyModel tiny;
    for (const char* text : {"a8:token", "a8:token:asym", "a8:g2", "fp8:token", "fp8_e5m2:token", "q8_0", "q8_k"}) {
        const auto rounding = fit(tiny, text);
        EXPECT_TRUE(std::isnan(rounded(*rounding, {NAN, 1})[0])) << text; // stays for the walk to name
        EXPECT_FALSE(std::isfinite(rounded(*rounding, {INFINITY, 1})[0])) << text;
        EXPECT_FALSE(std::isfinite(rounded(*rounding, {-INFINITY, 1})[0])) << text;
        EXPECT_EQ(rounded(*rounding, {0, 0, 0}), (std::vector<float>{0, 0, 0})) << text;
        EXPECT_NEAR(rounded(*rounding, {3, 3, 3})[1], 3, 3 * 0x1.0p-11f) << text; // 3·127/127; q8_0 keeps an f16 of 3/127
        EXPECT_TRUE(std::isfinite(rounded(*rounding, {1e-45f, -1e-45f})[0])) << text;
        // Past what an f16 holds q8_0's blocks are infinite in llama.cpp, and here.
        EXPECT_EQ(std::isfinite(rounded(*rounding, {3e38f, -3e38f})[0]), text != std::string_view("q8_0")) << text;
    }
    QuantizedModel model;
    model.setRounding(makeRuntimeRounding(fit(tiny, "a8:token"), nullptr));
    test::RandomLlama damaged;
    damaged.editTensor = [](test::RandomLlama::Tensor& t) {
        if (t.name == "model.layers.1.input_layernorm.weight") t.values[3] = NAN;
        return true;
    };
    const TinyModel broken(damaged);
    const Error error = expectError(ErrorCode::nonFinite, [&] { test::allLogits(*broken.model, test::randomWindows(1, 8), &model); });
    EXPECT_NE(error.message().find("blk.1"), std::string::npos) << error.message();
}

TEST(ActivationScheme, StaticScalesComeFromCalibration) {
    const TinyModel tiny;
    const Error error = expectError(ErrorCode::usage, [&] { fit(tiny, "a8:tensor"); });
    EXPECT_NE(error.message().find("attn_in"), std::string::npos) << error.message();
    JobContext job;
    CalibrateOptions options;
    options.perChannel = true;
    CalibrationResult statistics = calibrate(*tiny.model, test::randomWindows(4, 16), options, job);
    const auto& most = statistics.inputs.front().channelMax;
    const auto tensor = fit(tiny, "a8:tensor", &statistics), channel = fit(tiny, "a8:channel", &statistics);
    ASSERT_EQ(tensor->of(0).scales.size(), 1u);
    EXPECT_EQ(tensor->of(0).scales[0], *std::max_element(most.begin(), most.end()) / 127);
    ASSERT_EQ(channel->of(0).scales.size(), most.size());
    EXPECT_EQ(channel->of(0).scales[3], most[3] / 127);
    for (const char* text : {"a8:tensor:percentile=99", "a8:tensor:mse", "a8:tensor:kl", "a8:tensor:average", "a4:channel:mse", "a8:channel:kl"})
        EXPECT_LE(fit(tiny, text, &statistics)->of(0).scales[0] * parseActivationScheme(text).runtimeGrid().top(), *std::max_element(most.begin(), most.end()) * 1.0001f) << text;
    const auto asym = fit(tiny, "a8:tensor:asym", &statistics);
    EXPECT_GT(asym->of(0).zeros[0], 0);
    // Channels that are left alone widen nothing and keep their values.
    const auto widest = static_cast<std::int32_t>(std::max_element(most.begin(), most.end()) - most.begin());
    const auto kept = ActivationRounding::fit(*tiny.model, parseActivationScheme("a8:tensor"), &statistics, {{widest}});
    EXPECT_LT(kept->of(0).scales[0], tensor->of(0).scales[0]);
    std::vector<float> row(most.size(), 0.01234f);
    row[static_cast<std::size_t>(widest)] = 123.456f;
    const std::vector<float> out = rounded(*kept, row);
    EXPECT_EQ(out[static_cast<std::size_t>(widest)], 123.456f);
    EXPECT_NE(out[static_cast<std::size_t>(widest == 0 ? 1 : 0)], 0.01234f);
    // A channel that was always 0 has the scale 0: what comes later in it is cut off, and nothing divides by it.
    statistics.inputs.front().channelRanges.at("minmax").low[2] = statistics.inputs.front().channelRanges.at("minmax").high[2] = 0;
    row.assign(most.size(), 0.5f);
    EXPECT_EQ(rounded(*fit(tiny, "a8:channel", &statistics), row)[2], 0);
}

TEST(ActivationScheme, ServersLeaveTheHeadAloneAndLlamaCppDoesNot) {
    const TinyModel tiny;
    const auto head = static_cast<int>(tiny.model->inputGroups().size()) - 1;
    ASSERT_EQ(tiny.model->inputGroups().back().name, "output_in");
    EXPECT_FALSE(fit(tiny, "a8:token")->roundsInput(head));
    EXPECT_TRUE(fit(tiny, "a8:token")->roundsInput(head - 1));
    EXPECT_TRUE(fit(tiny, "q8_0")->roundsInput(head));
    EXPECT_FALSE(fit(tiny, "none")->roundsInput(0));
}

TEST(ActivationScheme, FewerBitsMoveLogitsMore) {
    const TinyModel tiny;
    const Windows windows = test::randomWindows(2, 16);
    const std::vector<float> plain = test::allLogits(*tiny.model, windows);
    float last = 0;
    for (const char* text : {"a8:token", "a4:token"}) {
        QuantizedModel model;
        model.setRounding(makeRuntimeRounding(fit(tiny, text), nullptr));
        const float moved = test::worstDifference(plain, test::allLogits(*tiny.model, windows, &model));
        EXPECT_GT(moved, 4 * last) << text; // a step is 18 times as wide
        EXPECT_GT(moved, 1e-3f) << text;
        last = moved;
    }
}

} // namespace
} // namespace bw
