// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/evaluate/top_tokens.h"

#include "core/format/storage_type.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace bw {
namespace {

constexpr std::uint8_t kWithBase = 0x80, kCountMask = 0x7f;

void putHalf(float value, std::vector<std::uint8_t>& out) {
    const std::uint16_t bits = floatToHalf(value);
    out.push_back(static_cast<std::uint8_t>(bits & 0xff));
    out.push_back(static_cast<std::uint8_t>(bits >> 8));
}

/// Reads forward within its bytes; `ok` is false once they end too soon or hold what no writer writes.
struct Cursor {
    std::span<const std::uint8_t> bytes;
    std::size_t at = 0;
    bool ok = true;

    std::uint8_t byte() {
        if (at >= bytes.size()) {
            ok = false;
            return 0;
        }
        return bytes[at++];
    }
    float half() {
        const std::uint8_t low = byte();
        return halfToFloat(static_cast<std::uint16_t>(low | (byte() << 8)));
    }
    TokenId id() {
        std::uint64_t value = 0;
        for (int shift = 0; shift < 35; shift += 7) {
            const std::uint8_t part = byte();
            value |= static_cast<std::uint64_t>(part & 0x7f) << shift;
            if ((part & 0x80) == 0) {
                ok = ok && value <= static_cast<std::uint64_t>(std::numeric_limits<TokenId>::max());
                return ok ? static_cast<TokenId>(value) : 0;
            }
        }
        ok = false;
        return 0;
    }
    std::vector<TopToken> position() {
        const std::uint8_t head = byte();
        std::vector<TopToken> out;
        for (int i = 0; ok && i < (head & kCountMask); ++i) {
            TopToken token;
            token.id = id();
            token.probability = half();
            token.baseProbability = (head & kWithBase) != 0 ? half() : std::numeric_limits<float>::quiet_NaN();
            out.push_back(token);
        }
        return ok ? out : std::vector<TopToken>{};
    }
};

} // namespace

std::array<TokenId, kMostCandidates> candidates(const RowScore& score, const RowScore* baseScore, TokenId came) {
    std::array<TokenId, kMostCandidates> ids;
    ids.fill(-1); // as what is past a small vocabulary
    ids[0] = came;
    for (std::size_t k = 0; k < kTopTokens; ++k) {
        ids[1 + k] = score.largest[k];
        if (baseScore != nullptr) ids[1 + kTopTokens + k] = baseScore->largest[k];
    }
    std::sort(ids.begin(), ids.end());
    const auto last = std::unique(ids.begin(), ids.end());
    std::fill(last, ids.end(), -1);
    std::rotate(ids.begin(), std::find_if(ids.begin(), last, [](TokenId id) { return id >= 0; }), last);
    return ids;
}

std::vector<TopToken> topTokens(std::span<const TokenId> candidates, const RowScore& score, std::span<const float> logits, const RowScore* baseScore,
                                std::span<const float> base) {
    const auto probability = [](float logit, const RowScore& of) { return static_cast<float>(std::exp(static_cast<double>(logit) - of.logSumExp)); };
    std::vector<TopToken> out;
    for (std::size_t i = 0; i < candidates.size() && candidates[i] >= 0; ++i)
        out.push_back({candidates[i], probability(logits[i], score), baseScore != nullptr ? probability(base[i], *baseScore) : std::numeric_limits<float>::quiet_NaN()});
    std::stable_sort(out.begin(), out.end(), [](const TopToken& a, const TopToken& b) { return a.probability > b.probability; });
    return out;
}

void packTopTokens(std::span<const TopToken> tokens, std::vector<std::uint8_t>& out) {
    const bool based = !tokens.empty() && !std::isnan(tokens.front().baseProbability);
    out.push_back(static_cast<std::uint8_t>((tokens.size() & kCountMask) | (based ? kWithBase : 0)));
    for (const TopToken& token : tokens) {
        auto id = static_cast<std::uint32_t>(token.id);
        for (; id >= 0x80; id >>= 7)
            out.push_back(static_cast<std::uint8_t>(id | 0x80));
        out.push_back(static_cast<std::uint8_t>(id));
        putHalf(token.probability, out);
        if (based)
            putHalf(token.baseProbability, out);
    }
}

TopTokenTable::TopTokenTable(std::vector<std::uint8_t> packed, std::size_t positions) : packed_(std::move(packed)) {
    if (packed_.size() > std::numeric_limits<std::uint32_t>::max() || positions > packed_.size())
        return;
    Cursor cursor{packed_};
    std::vector<std::uint32_t> starts;
    starts.reserve(positions);
    while (cursor.ok && starts.size() < positions) {
        starts.push_back(static_cast<std::uint32_t>(cursor.at));
        const std::uint8_t head = cursor.byte();
        for (int i = 0; cursor.ok && i < (head & kCountMask); ++i) {
            cursor.id();
            for (int b = 0; b < ((head & kWithBase) != 0 ? 4 : 2); ++b)
                cursor.byte();
        }
    }
    if (cursor.ok && cursor.at == packed_.size())
        starts_ = std::move(starts);
}

std::vector<TopToken> TopTokenTable::at(std::size_t position) const {
    if (position >= starts_.size())
        return {};
    Cursor cursor{packed_, starts_[position]};
    return cursor.position();
}

} // namespace bw
