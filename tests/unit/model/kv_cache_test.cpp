// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/model/model.h"

#include <gtest/gtest.h>

namespace bw {
namespace {

TEST(KvCache, KeepsItsContentsWhileGrowing) {
    KvCache cache(2, 3, 500);
    EXPECT_EQ(cache.capacity(), 500);
    EXPECT_EQ(cache.length(), 0);
    for (std::int64_t count = 1; count <= 500; ++count) {
        cache.keys(BlockIndex{1}, count)(count - 1, 2) = static_cast<float>(count);
        cache.values(BlockIndex{0}, count)(count - 1, 0) = static_cast<float>(-count);
        cache.setLength(count);
    }
    const auto keys = cache.keys(BlockIndex{1}, 500), values = cache.values(BlockIndex{0}, 500);
    EXPECT_EQ(keys.rows, 500);
    EXPECT_EQ(keys.cols, 3);
    for (std::int64_t t = 0; t < 500; ++t) {
        ASSERT_EQ(keys(t, 2), static_cast<float>(t + 1));
        ASSERT_EQ(values(t, 0), static_cast<float>(-(t + 1)));
    }
    EXPECT_EQ(cache.length(), 500);
}

} // namespace
} // namespace bw
