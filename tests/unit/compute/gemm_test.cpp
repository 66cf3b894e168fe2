// SPDX-License-Identifier: GPL-3.0-or-later
// Matrix products of every instruction set of this processor against f64, on shapes that hit all edges of the tiling.
#include "core/compute/gemm.h"

#include "core/base/parallel.h"
#include "core/compute/cpu_device.h"
#include "tests/unit/compute/reference.h"

#include <cstring>
#include <gtest/gtest.h>

namespace bw {
namespace {

using test::ProductCheck;
using test::randomMatrix;

struct Shape {
    std::int64_t m, n, k;
};

/// Vector paths (m ≤ 4), less than a register, primes, one past a tile, several tiles.
const Shape kShapes[] = {{1, 1, 1},   {1, 577, 64}, {3, 5, 7},      {4, 48, 33},    {5, 17, 19},
                         {31, 97, 5}, {64, 64, 64}, {129, 513, 65}, {520, 530, 40}, {1030, 49, 24}};

class GemmTest : public testing::TestWithParam<const GemmTable*> {
protected:
    void SetUp() override { useGemmTable(GetParam()); }
    void TearDown() override {
        useGemmTable(nullptr);
        setThreadCount(0);
    }
};

/// √k terms of rounding, and a few for the last combination.
double factorFor(std::int64_t k) {
    return std::sqrt(static_cast<double>(k)) + 4;
}

TEST_P(GemmTest, TransposedProductMatchesReference) {
    for (const auto& s : kShapes) {
        for (const bool add : {false, true}) {
            const Matrix a = randomMatrix(s.m, s.k, 1), b = randomMatrix(s.n, s.k, 2);
            Matrix y = randomMatrix(s.m, s.n, 3);
            const Matrix before = randomMatrix(s.m, s.n, 3);
            gemmTransposed(a.view(), b.view(), y.view(), add);
            ProductCheck check;
            for (std::int64_t i = 0; i < s.m; ++i) {
                for (std::int64_t j = 0; j < s.n; ++j) {
                    const double start = add ? static_cast<double>(before.row(i)[j]) : 0.0;
                    double sum = start, size = std::abs(start);
                    for (std::int64_t k = 0; k < s.k; ++k) {
                        const double product = static_cast<double>(a.row(i)[k]) * static_cast<double>(b.row(j)[k]);
                        sum += product;
                        size += std::abs(product);
                    }
                    check.see(static_cast<double>(y.row(i)[j]), sum, size, factorFor(s.k));
                }
            }
            EXPECT_LE(check.worst, 1.0) << s.m << "x" << s.n << "x" << s.k << (add ? " add" : "");
        }
    }
}

/// Also past the depth at which the sum is taken in steps.
TEST_P(GemmTest, TiledPlainProductMatchesReference) {
    std::vector<Shape> shapes(std::begin(kShapes), std::end(kShapes));
    shapes.push_back({7, 50, 9001});
    for (const auto& s : shapes) {
        for (const bool add : {false, true}) {
            const Matrix a = randomMatrix(s.m, s.k + 3, 1), b = randomMatrix(s.k, s.n, 2);
            Matrix y = randomMatrix(s.m, s.n, 3);
            const Matrix before = randomMatrix(s.m, s.n, 3);
            gemmTimes(a.view().middleCols(2, s.k), b.view(), y.view(), add);
            ProductCheck check;
            for (std::int64_t i = 0; i < s.m; ++i) {
                for (std::int64_t j = 0; j < s.n; ++j) {
                    const double start = add ? static_cast<double>(before.row(i)[j]) : 0.0;
                    double sum = start, size = std::abs(start);
                    for (std::int64_t k = 0; k < s.k; ++k) {
                        const double product = static_cast<double>(a.row(i)[k + 2]) * static_cast<double>(b.row(k)[j]);
                        sum += product;
                        size += std::abs(product);
                    }
                    check.see(static_cast<double>(y.row(i)[j]), sum, size, factorFor(s.k));
                }
            }
            EXPECT_LE(check.worst, 1.0) << s.m << "x" << s.n << "x" << s.k << (add ? " add" : "");
        }
    }
}

TEST_P(GemmTest, StridedViewsLeaveTheirSurroundingsAlone) {
    const Matrix a = randomMatrix(40, 100, 4), b = randomMatrix(50, 100, 5);
    Matrix y(40, 80);
    y.fill(-7.0f);
    const MatrixView<const float> aPart(a.data() + 3, 37, 61, 100), bPart(b.data() + 11, 45, 61, 100);
    gemmTransposed(aPart, bPart, MatrixView<float>(y.data() + 9, 37, 45, 80));
    ProductCheck check;
    for (std::int64_t i = 0; i < 40; ++i) {
        for (std::int64_t j = 0; j < 80; ++j) {
            if (i >= 37 || j < 9 || j >= 54) {
                EXPECT_EQ(y.row(i)[j], -7.0f);
                continue;
            }
            double sum = 0, size = 0;
            for (std::int64_t k = 0; k < 61; ++k) {
                const double product = static_cast<double>(aPart(i, k)) * static_cast<double>(bPart(j - 9, k));
                sum += product;
                size += std::abs(product);
            }
            check.see(static_cast<double>(y.row(i)[j]), sum, size, factorFor(61));
        }
    }
    EXPECT_LE(check.worst, 1.0);
}

TEST_P(GemmTest, PlainProductMatchesReference) {
    for (const auto& s : kShapes) {
        const Matrix a = randomMatrix(s.m, s.k, 6), b = randomMatrix(s.k, s.n, 7);
        Matrix y(s.m, s.n);
        gemmTable().times(a.data(), s.k, b.data(), s.n, y.data(), s.n, s.m, s.n, s.k, false);
        ProductCheck check;
        for (std::int64_t i = 0; i < s.m; ++i) {
            for (std::int64_t j = 0; j < s.n; ++j) {
                double sum = 0, size = 0;
                for (std::int64_t k = 0; k < s.k; ++k) {
                    const double product = static_cast<double>(a.row(i)[k]) * static_cast<double>(b.row(k)[j]);
                    sum += product;
                    size += std::abs(product);
                }
                check.see(static_cast<double>(y.row(i)[j]), sum, size, factorFor(s.k));
            }
        }
        EXPECT_LE(check.worst, 1.0) << s.m << "x" << s.n << "x" << s.k;
    }
}

TEST_P(GemmTest, GramAccumulatesBothTriangles) {
    for (const std::int64_t width : {1, 7, 192, 193, 400}) {
        const Matrix x = randomMatrix(70, width, 8);
        Matrix gram(width, width);
        gram.fill(0.25f);
        accumulateGram(x.view(), gram.view());
        accumulateGram(x.view(), gram.view());
        ProductCheck check;
        for (std::int64_t i = 0; i < width; ++i) {
            for (std::int64_t j = 0; j < width; ++j) {
                double sum = 0.25, size = 0.25;
                for (std::int64_t t = 0; t < 70; ++t) {
                    const double product = 2 * static_cast<double>(x.row(t)[i]) * static_cast<double>(x.row(t)[j]);
                    sum += product;
                    size += std::abs(product);
                }
                check.see(static_cast<double>(gram.row(i)[j]), sum, size, factorFor(140));
                EXPECT_EQ(gram.row(i)[j], gram.row(j)[i]);
            }
        }
        EXPECT_LE(check.worst, 1.0) << width;
    }
}

TEST_P(GemmTest, BytesDoNotDependOnThreads) {
    const Matrix a = randomMatrix(700, 130, 9), b = randomMatrix(1100, 130, 10);
    Matrix one(700, 1100), many(700, 1100), gramOne(130, 130), gramMany(130, 130);
    gramOne.fill(0);
    gramMany.fill(0);
    setThreadCount(1);
    gemmTransposed(a.view(), b.view(), one.view());
    accumulateGram(a.view(), gramOne.view());
    setThreadCount(3);
    gemmTransposed(a.view(), b.view(), many.view());
    accumulateGram(a.view(), gramMany.view());
    EXPECT_EQ(std::memcmp(one.data(), many.data(), static_cast<std::size_t>(one.size()) * 4), 0);
    EXPECT_EQ(std::memcmp(gramOne.data(), gramMany.data(), static_cast<std::size_t>(gramOne.size()) * 4), 0);
}

std::vector<const GemmTable*> tables() {
    const GemmTables all = availableGemmTables();
    return {all.table, all.table + all.count};
}

INSTANTIATE_TEST_SUITE_P(EveryInstructionSet, GemmTest, testing::ValuesIn(tables()), [](const auto& each) {
    std::string name;
    for (const char c : std::string(each.param->name))
        if (c != '-') name += c;
    return name;
});

TEST(GemmChoice, TakesTheBestOfThisProcessor) {
    const GemmTables all = availableGemmTables();
    ASSERT_GE(all.count, 1);
    EXPECT_EQ(&gemmTable(), all.table[0]);
    EXPECT_EQ(cpuInstructionSet(), all.table[0]->name);
#if defined(__x86_64__)
    EXPECT_EQ(__builtin_cpu_supports("avx512f") != 0, cpuInstructionSet() == "AVX-512");
#endif
    EXPECT_NE(cpuDescription().find(':'), std::string::npos);
}

} // namespace
} // namespace bw
