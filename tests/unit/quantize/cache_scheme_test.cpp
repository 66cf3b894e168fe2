// SPDX-License-Identifier: GPL-3.0-or-later
// Cache schemes: grammar, bytes, the values that lie in a cache, and that they do not depend on the steps a sequence grew by.
#include "core/quantize/cache_scheme.h"
#include "core/quantize/quantized_model.h"
#include "tests/support/expect_error.h"
#include "tests/unit/model/tiny_model.h"

#include <cmath>
#include <gtest/gtest.h>
#include <set>

namespace bw {
namespace {

using test::expectError;
using test::TinyModel;

/// 2 heads of 6 channels, 2 blocks.
ModelConfig tinyConfig() { return TinyModel().model->config(); }

Matrix randomRows(std::int64_t rows, std::int64_t cols, float spread = 1) {
    Matrix m(rows, cols);
    Random random(7);
    for (std::int64_t i = 0; i < m.size(); ++i) m.data()[i] = spread * static_cast<float>(random.normal());
    return m;
}

TEST(CacheScheme, TextsAreReadAndWrittenAlike) {
    for (const char* text : {"none", "kv8:token", "kv4:token:g64", "kv8:token:sym", "k4:channel:g32,v4:token:g64,recent=64", "k8:token", "v4:token", "fp8", "fp8:token", "fp8:tensor",
                             "fp8_e5m2", "kv8:tensor", "q8_0", "q4_0", "kq8_0,vq4_0", "kfp8,v4:token", "kv2:channel:g32", "f16", "q8_0,recent=128"})
        EXPECT_EQ(parseCacheScheme(text).text(), text);
    EXPECT_EQ(parseCacheScheme("kv4:g64").text(), "kv4:token:g64");
    EXPECT_EQ(parseCacheScheme("int8").text(), "kv8:token");
    EXPECT_EQ(parseCacheScheme("k2:channel,v2").text(), "k2:channel:g32,v2:token");
    for (const char* text : {"kv", "kv9", "kv8:row", "k8,k4", "kv8,v4", "recent=3", "kv8,recent=-1", "kv8,recent=x", "kv8:g0", "kv8:gx", "fp8:asym", "fp8:g32", "kv8:unit", "q8_0:token", "q8_k",
                             "f32", "kv8:tensor:g32", ",", "kv8,", "kv8:g99999999999999999999"})
        expectError(ErrorCode::usage, [&] { parseCacheScheme(text); });
}

TEST(CacheScheme, BytesCountScalesAndTheWindow) {
    const ModelConfig config = tinyConfig(); // 2 blocks, 12 channels of keys and of values
    EXPECT_EQ(parseCacheScheme("f16").bytesPerToken(config), 2 * 2 * 12 * 2);
    EXPECT_EQ(parseCacheScheme("fp8").bytesPerToken(config), 2 * 2 * 12);
    EXPECT_EQ(parseCacheScheme("kv8:token:sym").bytesPerToken(config), 2 * 2 * (12 + 2 * 2)); // a scale for each head
    EXPECT_EQ(parseCacheScheme("kv8:token").bytesPerToken(config), 2 * 2 * (12 + 2 * 4));
    EXPECT_EQ(parseCacheScheme("kv4:token:g5").bytesPerToken(config), 2 * 2 * (6 + 3 * 4)); // groups of 5, 5 and 2
    EXPECT_EQ(parseCacheScheme("k4:channel:g8").bytesPerToken(config), 2 * (6 + 12 * 4 / 8.0 + 24)); // values in 16 bits
    // 100 tokens, the newest 36 in 16 bits, the others in whole groups of 32.
    const CacheScheme window = parseCacheScheme("kv8:channel:g32,recent=36");
    EXPECT_EQ(window.bytesPerToken(config, 100), 0.64 * window.bytesPerToken(config) + 0.36 * 96);
    EXPECT_EQ(window.bytesPerToken(config, 67), 96); // no group is full yet
}

TEST(CacheScheme, GridsAreWhatTheyAre) {
    const ModelConfig config = tinyConfig();
    const auto keysOf = [&](const char* text, std::vector<float> row, CacheRanges ranges = {}) {
        std::vector<float> values(row.size());
        row.resize(12), values.resize(12);
        CacheRounding(config, parseCacheScheme(text), std::move(ranges)).round(BlockIndex{0}, {row.data(), 1, 12}, {values.data(), 1, 12}, 0);
        return row;
    };
    // One head's least and largest value are 255 steps apart; the other head lies by itself.
    EXPECT_EQ(keysOf("kv8:token", {10, 265, 10.4f, 11.6f, 20, 30, 4, 4, 4, 4, 4, 4}), (std::vector<float>{10, 265, 10, 12, 20, 30, 4, 4, 4, 4, 4, 4}));
    EXPECT_EQ(keysOf("kv8:token:sym", {127, -3.4f, 1.5f, 0, 0, 0}), (std::vector<float>{127, -3, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0}));
    EXPECT_EQ(keysOf("fp8", {17, 19, 1000, -431, 0, 0}), (std::vector<float>{16, 20, 448, -416, 0, 0, 0, 0, 0, 0, 0, 0}));
    EXPECT_EQ(keysOf("kv8:tensor", {127, 3.4f, 300}, {{127, 127}, {0, 0}})[2], 127); // past what calibration saw
    EXPECT_EQ(keysOf("kv8:tensor", {127, 3.4f, 300}, {{127, 127}, {0, 0}})[1], 3);
    for (const char* text : {"kv8:token", "kv4:token:g4", "kv8:token:sym", "fp8:token", "fp8", "kv8:token,recent=1"}) {
        const auto nan = keysOf(text, {NAN, 1, 2}), infinite = keysOf(text, {-INFINITY, 1, 2});
        EXPECT_TRUE(std::isnan(nan[0])) << text;
        EXPECT_FALSE(std::isfinite(infinite[0])) << text;
        EXPECT_EQ(nan[11], 0) << text;
    }
}

TEST(CacheScheme, ChannelsWaitInHalvesUntilTheirGroupIsFull) {
    const CacheRounding rounding(tinyConfig(), parseCacheScheme("k2:channel:g4,recent=2"));
    Matrix keys = randomRows(7, 12, 3), values = randomRows(7, 12);
    for (std::int64_t r = 0; r < 7; ++r) keys.row(r)[5] = 40; // a constant channel
    const Matrix before = randomRows(7, 12, 3), untouched = randomRows(7, 12);
    rounding.round(BlockIndex{0}, keys.view(), values.view(), 0);
    for (std::int64_t c = 0; c < 12; ++c) {
        std::set<float> levels;
        for (std::int64_t r = 0; r < 4; ++r) levels.insert(keys.row(r)[c]);
        EXPECT_LE(levels.size(), 4u); // 2 bits
        for (std::int64_t r = 4; r < 7; ++r)
            if (c != 5) {
                EXPECT_EQ(keys.row(r)[c], halfToFloat(floatToHalf(before.row(r)[c])));
            }
        EXPECT_EQ(keys.row(0)[5], 40);
        EXPECT_EQ(values.row(3)[c], untouched.row(3)[c]); // not asked for
    }
}

TEST(CacheScheme, TheCacheIsTheSameByTokenAndByRun) {
    const ModelConfig config = tinyConfig();
    constexpr std::int64_t kLength = 70;
    for (const char* text : {"kv8:token", "kv4:token:g5", "kv4:token,recent=9", "k2:channel:g8,v4:token", "k2:channel:g8,v4:token:g6,recent=5", "kv3:channel:g16,recent=16", "kfp8,v4:channel:g7"}) {
        const CacheRounding rounding(config, parseCacheScheme(text));
        Matrix byToken = randomRows(kLength, 12), byTokenValues = randomRows(kLength, 12, 2), byRun = randomRows(kLength, 12), byRunValues = randomRows(kLength, 12, 2);
        for (std::int64_t n = 0; n < kLength; ++n)
            rounding.round(BlockIndex{0}, byToken.view().middleRows(0, n + 1), byTokenValues.view().middleRows(0, n + 1), n);
        std::int64_t calls = 0;
        for (std::int64_t n = 0, count = 0; n < kLength; n += count, ++calls) {
            count = rounding.run(n, kLength - n);
            ASSERT_GE(count, 1) << text;
            rounding.round(BlockIndex{0}, byRun.view().middleRows(0, n + count), byRunValues.view().middleRows(0, n + count), n);
        }
        EXPECT_TRUE(std::equal(byToken.data(), byToken.data() + byToken.size(), byRun.data())) << text;
        EXPECT_TRUE(std::equal(byTokenValues.data(), byTokenValues.data() + byTokenValues.size(), byRunValues.data())) << text;
        EXPECT_LT(calls, kLength) << text;
    }
    EXPECT_EQ(CacheRounding(config, parseCacheScheme("kv8:token")).run(3, 500), 500); // nothing waits, nothing to be split
}

TEST(CacheScheme, WhatDoesNotFitIsRefusedWithItsReason) {
    const Error blocks = expectError(ErrorCode::usage, [] { CacheRounding(tinyConfig(), parseCacheScheme("q8_0")); });
    EXPECT_NE(blocks.message().find("12 channels"), std::string::npos) << blocks.message();
    expectError(ErrorCode::usage, [] { CacheRounding(tinyConfig(), parseCacheScheme("fp8:tensor")); });
}

TEST(CacheScheme, MovesLogitsAndStaticRangesAreFound) {
    const TinyModel tiny;
    const Windows windows = test::randomWindows(2, 24);
    const std::vector<float> plain = test::allLogits(*tiny.model, windows);
    JobContext job;
    const CacheRanges ranges = cacheRanges(*tiny.model, windows, job);
    ASSERT_EQ(ranges.keys.size(), 2u);
    EXPECT_GT(ranges.keys[1], 0);
    const auto moved = [&](const char* text) {
        const RoundedAtRunTime source(makeRuntimeRounding(nullptr, std::make_shared<CacheRounding>(tiny.model->config(), parseCacheScheme(text), ranges)));
        return test::worstDifference(plain, test::allLogits(*tiny.model, windows, &source));
    };
    const float eight = moved("kv8:token"), four = moved("kv4:token"), tensor = moved("kv8:tensor");
    EXPECT_GT(eight, 0);
    EXPECT_GT(four, 4 * eight);
    EXPECT_GT(tensor, eight);
    EXPECT_LT(moved("kv4:token,recent=16"), four);
    EXPECT_LT(moved("kv4:token,recent=24"), eight); // halves alone
    EXPECT_EQ(makeRuntimeRounding(nullptr, nullptr), nullptr);
}

} // namespace
} // namespace bw
