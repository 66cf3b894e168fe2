// SPDX-License-Identifier: GPL-3.0-or-later
// The table of storage types, sizes, single-number conversions, and rows that references do not cover.
#include "core/base/error.h"
#include "core/format/storage_type.h"
#include "tests/support/format_support.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <set>

namespace bw {
namespace {

TEST(StorageType, namesAndIdsAreUniqueAndFindTheirType) {
    std::set<std::string_view> names;
    std::set<int> ids;
    for (const StorageTypeInfo& info : allStorageTypes()) {
        EXPECT_TRUE(names.insert(info.name).second) << info.name;
        EXPECT_EQ(storageTypeFromName(info.name), info.type);
        if (info.ggmlId >= 0) {
            EXPECT_TRUE(ids.insert(info.ggmlId).second) << info.name;
            EXPECT_EQ(storageTypeFromGgml(static_cast<std::uint32_t>(info.ggmlId)), info.type);
        }
        if (!info.safetensors.empty()) {
            EXPECT_EQ(storageTypeFromSafetensors(info.safetensors), info.type);
        }
        EXPECT_EQ(&storageTypeInfo(info.type), &info);
    }
    EXPECT_EQ(storageTypeInfo(StorageType::unknown).decodes, false);
}

TEST(StorageType, removedAndForeignGgmlNumbersAreUnknown) {
    for (const std::uint32_t id : {4u, 5u, 31u, 32u, 33u, 36u, 37u, 38u, 43u, 97u, 0xffffffffu}) EXPECT_FALSE(storageTypeFromGgml(id)) << id;
    EXPECT_FALSE(storageTypeFromSafetensors("F4"));
    EXPECT_FALSE(storageTypeFromSafetensors(""));
    EXPECT_FALSE(storageTypeFromName("Q4_0"));
}

TEST(StorageType, bytesAreExactAndOverflowIsAnError) {
    EXPECT_EQ(storageBytes(StorageType::q4_0, 3, 64), 3u * 2u * 18u);
    EXPECT_EQ(storageBytes(StorageType::bf16, 7, 5), 70u);
    EXPECT_EQ(storageBytes(StorageType::q6_k, 2, 512), 2u * 2u * 210u);
    try {
        storageBytes(StorageType::f32, 1ull << 62, 1ull << 2);
        FAIL();
    } catch (const Error& e) {
        EXPECT_EQ(e.code(), ErrorCode::validationOverflow);
    }
}

TEST(StorageType, typesWithoutCodecSaySo) {
    std::vector<float> out(256);
    std::vector<std::byte> in(512);
    for (const StorageTypeInfo& info : allStorageTypes()) {
        if (!info.decodes) {
            try {
                decodeRow(info.type, in.data(), out);
                ADD_FAILURE() << info.name;
            } catch (const Error& e) {
                EXPECT_EQ(e.code(), ErrorCode::unsupportedType);
                EXPECT_NE(e.message().find(info.fileName), std::string::npos);
            }
        } else {
            EXPECT_NO_THROW(decodeRow(info.type, in.data(), {out.data(), static_cast<std::size_t>(info.blockElements)})) << info.name;
        }
        if (!info.encodes) {
            EXPECT_THROW(encodeRow(info.type, out, {}, in.data()), Error) << info.name;
        }
    }
}

TEST(StorageType, halfRoundTripsEveryCode) {
    for (std::uint32_t code = 0; code < 65536; ++code) {
        const auto h = static_cast<std::uint16_t>(code);
        const float value = halfToFloat(h);
        if ((code & 0x7c00u) == 0x7c00u && (code & 0x3ffu)) {
            EXPECT_TRUE(std::isnan(value));
            EXPECT_TRUE((floatToHalf(value) & 0x7e00u) == 0x7e00u);
        } else {
            ASSERT_EQ(floatToHalf(value), h) << code;
            ASSERT_EQ(value, static_cast<float>(std::ldexp(static_cast<double>((code & 0x3ffu) | ((code & 0x7c00u) ? 0x400u : 0u)),
                                                           static_cast<int>(std::max(1u, (code >> 10) & 31u)) - 25) *
                                                (code & 0x8000u ? -1 : 1)) * ((code & 0x7c00u) == 0x7c00u ? INFINITY : 1.0f));
        }
        const float wide = bf16ToFloat(h);
        if (!std::isnan(wide)) {
            ASSERT_EQ(floatToBf16(wide), h);
        }
    }
}

TEST(StorageType, conversionsRoundToNearestEven) {
    EXPECT_EQ(floatToHalf(65519.0f), 0x7bff);
    EXPECT_EQ(floatToHalf(65520.0f), 0x7c00);
    EXPECT_EQ(floatToHalf(1e30f), 0x7c00);
    EXPECT_EQ(floatToHalf(-INFINITY), 0xfc00);
    EXPECT_EQ(floatToHalf(0x1p-25f), 0); // tie to even zero
    EXPECT_EQ(floatToHalf(0x1.8p-24f), 2);
    EXPECT_EQ(floatToHalf(1.0f + 0x1p-11f), 0x3c00);
    EXPECT_EQ(floatToHalf(1.0f + 0x1.8p-10f), 0x3c02);
    EXPECT_EQ(floatToBf16(1.0f + 0x1p-8f), 0x3f80);
    EXPECT_EQ(floatToBf16(1.0f + 0x1.8p-7f), 0x3f82);
    EXPECT_EQ(floatToBf16(std::numeric_limits<float>::max()), 0x7f80);
    EXPECT_TRUE(std::isnan(bf16ToFloat(floatToBf16(NAN))));
    EXPECT_TRUE(std::isnan(halfToFloat(floatToHalf(NAN))));
}

TEST(StorageType, integersAndDoublesDecode) {
    const std::int16_t shorts[2] = {-300, 7};
    std::vector<float> out(2);
    decodeRow(StorageType::i16, reinterpret_cast<const std::byte*>(shorts), out);
    EXPECT_EQ(out, (std::vector<float>{-300, 7}));
    const double doubles[2] = {0.1, -1e300};
    decodeRow(StorageType::f64, reinterpret_cast<const std::byte*>(doubles), out);
    EXPECT_EQ(out[0], 0.1f);
    EXPECT_EQ(out[1], -INFINITY);
    const std::uint8_t flags[2] = {0, 5};
    decodeRow(StorageType::boolean, reinterpret_cast<const std::byte*>(flags), out);
    EXPECT_EQ(out, (std::vector<float>{0, 1}));
}

/// Blocks whose scale an f16 cannot hold, and blocks of the smallest numbers there are.
TEST(StorageType, extremeBlocksStayFinite) {
    for (const StorageTypeInfo& info : allStorageTypes()) {
        if (!info.encodes || info.blockElements != 32) continue;
        for (const float scale : {3e38f, 1e7f, 1e-7f, 1e-38f, 1e-45f, 0.0f}) {
            Matrix x = test::randomWeight(1, 64, 5, 1.0);
            float peak = 0;
            for (int j = 0; j < 64; ++j) peak = std::max(peak, std::abs(x.data()[j]));
            for (int j = 0; j < 64; ++j) x.data()[j] = x.data()[j] / peak * scale;
            std::vector<float> importance(64, 1.0f);
            for (const bool weighted : {false, true}) {
                std::vector<std::byte> bytes(storageBytes(info.type, 1, 64));
                encodeRow(info.type, {x.data(), 64}, weighted ? std::span<const float>(importance) : std::span<const float>(), bytes.data());
                std::vector<float> y(64);
                decodeRow(info.type, bytes.data(), y);
                for (int j = 0; j < 64; ++j) {
                    ASSERT_TRUE(std::isfinite(y[static_cast<std::size_t>(j)])) << info.name << " " << scale;
                    if (scale == 0.0f) {
                        ASSERT_EQ(y[static_cast<std::size_t>(j)], 0.0f);
                    }
                }
            }
        }
    }
}

} // namespace
} // namespace bw
