// SPDX-License-Identifier: GPL-3.0-or-later
// Candidates of scored positions: held against the logits themselves, and packed and read back.
#include "core/evaluate/top_tokens.h"

#include "core/base/random.h"
#include "core/compute/cpu_device.h"
#include "core/evaluate/evaluate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <numeric>

namespace bw {
namespace {

/// By sorting everything, in f64: nothing of it is shared with what is tested.
std::map<TokenId, double> likeliest(std::span<const float> logits, std::size_t k) {
    std::vector<std::size_t> order(logits.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return logits[a] > logits[b]; });
    double sum = 0;
    for (const float v : logits)
        sum += std::exp(static_cast<double>(v));
    std::map<TokenId, double> out;
    for (std::size_t i = 0; i < k; ++i)
        out[static_cast<TokenId>(order[i])] = std::exp(static_cast<double>(logits[order[i]])) / sum;
    return out;
}

double probabilityOf(std::span<const float> logits, TokenId id) { return likeliest(logits, logits.size()).at(id); }

RowScore scoreOf(const std::vector<float>& logits, TokenId target) {
    std::array<RowScore, 1> out;
    makeCpuDevice()->scoreRows({logits.data(), 1, static_cast<std::int64_t>(logits.size())}, std::array{target}, out);
    return out[0];
}

std::vector<float> logitsOf(std::span<const TokenId> ids, const std::vector<float>& logits) {
    std::vector<float> out(ids.size());
    makeCpuDevice()->valuesAt({logits.data(), 1, static_cast<std::int64_t>(logits.size())}, ids, {out.data(), 1, static_cast<std::int64_t>(out.size())});
    return out;
}

TEST(TopTokens, AreThoseOfTheLogits) {
    Random random(3);
    std::vector<float> model(500), base(500);
    for (std::size_t i = 0; i < model.size(); ++i) {
        model[i] = static_cast<float>(8 * random.uniform() - 4);
        base[i] = model[i] + static_cast<float>(2 * random.uniform() - 1);
    }
    const TokenId came = 77;
    const RowScore own = scoreOf(model, came), other = scoreOf(base, came);
    const auto ids = candidates(own, &other, came);
    const std::vector<TopToken> found = topTokens(ids, own, logitsOf(ids, model), &other, logitsOf(ids, base));
    std::map<TokenId, double> expected = likeliest(model, 3);
    expected.merge(likeliest(base, 3));
    expected.emplace(came, 0);
    ASSERT_EQ(found.size(), expected.size());
    for (std::size_t i = 0; i < found.size(); ++i) {
        ASSERT_TRUE(expected.contains(found[i].id));
        // Both are rounded to f32 from sums in f64 over 500 terms.
        EXPECT_NEAR(found[i].probability, probabilityOf(model, found[i].id), 1e-6);
        EXPECT_NEAR(found[i].baseProbability, probabilityOf(base, found[i].id), 1e-6);
        EXPECT_GE(found[i > 0 ? i - 1 : 0].probability, found[i].probability);
    }
    const auto few = candidates(own, nullptr, came);
    const std::vector<TopToken> alone = topTokens(few, own, logitsOf(few, model));
    EXPECT_EQ(alone.size(), 4u);
    EXPECT_TRUE(std::isnan(alone.front().baseProbability));
    const std::vector<float> tiny{0.0f, 1.0f};
    const auto both = candidates(scoreOf(tiny, 0), nullptr, 0);
    EXPECT_EQ(topTokens(both, scoreOf(tiny, 0), logitsOf(both, tiny)).size(), 2u);
}

TEST(TopTokens, PackedAndReadBackAreTheSameUpToHalfPrecision) {
    const float nan = std::numeric_limits<float>::quiet_NaN();
    const std::vector<std::vector<TopToken>> positions{{{0, 0.61f, 0.64f}, {127, 0.35f, 0.33f}, {151935, 1e-9f, 1.0f}}, {}, {{128, 0.5f, nan}, {16384, 0.25f, nan}}};
    std::vector<std::uint8_t> packed;
    for (const auto& position : positions)
        packTopTokens(position, packed);
    EXPECT_EQ(packed.size(), 1u + (5 + 5 + 7) + 1 + 1 + (4 + 5));
    const TopTokenTable table(packed, positions.size());
    ASSERT_EQ(table.size(), 3u);
    for (std::size_t p = 0; p < positions.size(); ++p) {
        const std::vector<TopToken> read = table.at(p);
        ASSERT_EQ(read.size(), positions[p].size());
        for (std::size_t i = 0; i < read.size(); ++i) {
            EXPECT_EQ(read[i].id, positions[p][i].id);
            EXPECT_NEAR(read[i].probability, positions[p][i].probability, 0x1p-12f); // half of f16's last place below 1
            EXPECT_EQ(std::isnan(read[i].baseProbability), std::isnan(positions[p][i].baseProbability));
        }
    }
    EXPECT_TRUE(table.at(3).empty());
}

TEST(TopTokens, BytesThatDoNotAddUpAreNoTable) {
    std::vector<std::uint8_t> packed;
    packTopTokens(std::vector<TopToken>{{300, 0.5f, 0.5f}}, packed);
    EXPECT_EQ(TopTokenTable(packed, 1).size(), 1u);
    EXPECT_TRUE(TopTokenTable(packed, 2).empty());
    EXPECT_TRUE(TopTokenTable(packed, std::size_t{1} << 60).empty());
    EXPECT_TRUE(TopTokenTable({}, 0).empty());
    EXPECT_TRUE(TopTokenTable({0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, 1).empty()) << "an id without an end";
    for (std::size_t cut = 0; cut < packed.size(); ++cut)
        EXPECT_TRUE(TopTokenTable(std::vector<std::uint8_t>(packed.begin(), packed.begin() + static_cast<std::ptrdiff_t>(cut)), 1).empty()) << cut;
    packed.push_back(0);
    EXPECT_TRUE(TopTokenTable(packed, 1).empty()) << "bytes are left";
}

} // namespace
} // namespace bw
