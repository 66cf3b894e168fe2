// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/base/parallel.h"
#include "core/base/random.h"

#include <atomic>
#include <gtest/gtest.h>
#include <stdexcept>
#include <vector>

using namespace bw;

TEST(ParallelFor, VisitsEachIndexOnceInFixedPieces) {
    for (const int threads : {1, 2, 5}) {
        setThreadCount(threads);
        std::vector<std::atomic<int>> visits(1003);
        std::atomic<int> pieces{0};
        parallelFor(1003, 10, [&](std::int64_t a, std::int64_t b) {
            ++pieces;
            EXPECT_EQ(0, a % 10);
            EXPECT_LE(b - a, 10);
            for (auto i = a; i < b; ++i) ++visits[static_cast<std::size_t>(i)];
        });
        for (const auto& v : visits) EXPECT_EQ(1, v);
        EXPECT_EQ(101, pieces);
    }
    setThreadCount(0);
}

TEST(ParallelFor, NestsAndRethrows) {
    setThreadCount(2);
    std::atomic<int> sum{0};
    parallelFor(4, 1, [&](std::int64_t, std::int64_t) { parallelFor(8, 2, [&](std::int64_t a, std::int64_t b) { sum += static_cast<int>(b - a); }); });
    EXPECT_EQ(32, sum);
    EXPECT_THROW(parallelFor(10, 1, [](std::int64_t a, std::int64_t) { if (a == 7) throw std::runtime_error("x"); }), std::runtime_error);
    setThreadCount(0);
}

TEST(Random, FirstNumbersAreFixed) { // SplitMix64 from seed 0: the sequence of Vigna's reference program
    Random r(0);
    EXPECT_EQ(0xe220a8397b1dcdafull, r.next());
    EXPECT_EQ(0x6e789e6aa1b965f4ull, r.next());
    double sum = 0;
    for (int i = 0; i < 10000; ++i) sum += r.normal();
    EXPECT_NEAR(0, sum / 10000, 0.04); // four standard errors of a mean of 10,000 normals
}
