// SPDX-License-Identifier: GPL-3.0-or-later
// Gram matrices against sums in f64, their quadratic forms against the products they stand for, and what groups an
// observer keeps.
#include "core/calibrate/gram.h"

#include "core/base/parallel.h"
#include "core/base/random.h"
#include "core/compute/cpu_device.h"
#include "core/model/walk.h"
#include "tests/support/expect_error.h"
#include "tests/support/random_matrix.h"
#include "tests/support/temp_folder.h"
#include "tests/support/tiny_model.h"

#include <cmath>
#include <cstring>
#include <gtest/gtest.h>

namespace bw {
namespace {

using test::randomMatrix;

/// Widths around the tiles of accumulateGram (192) and of quadratic (384).
class GramWidths : public testing::TestWithParam<std::int64_t> {};
INSTANTIATE_TEST_SUITE_P(Widths, GramWidths, testing::Values(1, 37, 192, 200, 400, 801));

TEST_P(GramWidths, EqualsTheSumsInF64) {
    const std::int64_t width = GetParam(), tokens = 23;
    Gram gram(width);
    EXPECT_EQ(gram.full().row(0)[0], 0.0f);
    std::vector<double> exact(static_cast<std::size_t>(width * width), 0.0);
    for (int call = 0; call < 3; ++call) {
        const Matrix x = randomMatrix(tokens, width, static_cast<std::uint64_t>(5 + call));
        gram.add(x.view());
        for (std::int64_t t = 0; t < tokens; ++t)
            for (std::int64_t i = 0; i < width; ++i)
                for (std::int64_t j = 0; j < width; ++j)
                    exact[static_cast<std::size_t>(i * width + j)] += static_cast<double>(x.row(t)[i]) * static_cast<double>(x.row(t)[j]);
    }
    EXPECT_EQ(gram.tokens(), 3 * tokens);
    const Matrix full = gram.full();
    const std::vector<float> diagonal = gram.diagonal();
    double worst = 0;
    for (std::int64_t i = 0; i < width; ++i) {
        EXPECT_EQ(diagonal[static_cast<std::size_t>(i)], full.row(i)[i]);
        for (std::int64_t j = 0; j < width; ++j) {
            EXPECT_EQ(full.row(i)[j], full.row(j)[i]);
            worst = std::max(worst, std::abs(static_cast<double>(full.row(i)[j]) - exact[static_cast<std::size_t>(i * width + j)]));
        }
    }
    // 69 products of size about one, summed in f32: at most 69 · 2⁻²⁴ · Σ|xy| ≈ 69 · 6e-8 · 100.
    EXPECT_LT(worst, 4e-4);
}

TEST_P(GramWidths, QuadraticFormIsTheNormOfTheProduct) {
    const std::int64_t width = GetParam(), tokens = 9, rows = 11;
    const Matrix x = randomMatrix(tokens, width, 1), a = randomMatrix(rows, width, 2);
    Gram gram(width);
    gram.add(x.view());
    double direct = 0;
    for (std::int64_t t = 0; t < tokens; ++t)
        for (std::int64_t r = 0; r < rows; ++r) {
            double dot = 0;
            for (std::int64_t c = 0; c < width; ++c) dot += static_cast<double>(a.row(r)[c]) * static_cast<double>(x.row(t)[c]);
            direct += dot * dot;
        }
    JobContext job;
    // Terms of either sign cancel down to the sum: their rounding, some 1e-7 of √width of them, is what is left.
    EXPECT_NEAR(gram.quadratic(a.view(), job), direct, 1e-5 * direct);
}

/// Windows of many tokens may be rounded to bf16 on their way: each product is off by at most 2·2⁻⁹ of itself, their sum by as
/// much of the root of its squares, and forms of it by less than a thousandth.
TEST_P(GramWidths, LongWindowsAreSummedNearlyAsExactly) {
    const std::int64_t width = GetParam(), tokens = 301;
    Gram gram(width);
    const Matrix x = randomMatrix(tokens, width, 5);
    gram.add(x.view());
    const Matrix full = gram.full();
    for (std::int64_t i = 0; i < width; i += 1 + width / 40)
        for (std::int64_t j = 0; j < width; ++j) {
            double exact = 0, squares = 0;
            for (std::int64_t t = 0; t < tokens; ++t) {
                const double product = static_cast<double>(x.row(t)[i]) * static_cast<double>(x.row(t)[j]);
                exact += product;
                squares += product * product;
            }
            ASSERT_NEAR(full.row(i)[j], exact, 5 * std::sqrt(squares) / 256 + 1e-4) << i << " " << j;
        }
    const Matrix a = randomMatrix(7, width, 2);
    double direct = 0;
    for (std::int64_t t = 0; t < tokens; ++t)
        for (std::int64_t r = 0; r < 7; ++r) {
            double dot = 0;
            for (std::int64_t c = 0; c < width; ++c) dot += static_cast<double>(a.row(r)[c]) * static_cast<double>(x.row(t)[c]);
            direct += dot * dot;
        }
    JobContext job;
    EXPECT_NEAR(gram.quadratic(a.view(), job), direct, 1e-3 * direct);
}

TEST(GramTest, ManyRowsAreMeasuredInPieces) {
    const Matrix x = randomMatrix(7, 5, 1), a = randomMatrix(4100, 5, 2);
    Gram gram(5);
    gram.add(x.view());
    JobContext job;
    double pieces = 0;
    for (std::int64_t r = 0; r < a.rows(); r += 100) pieces += gram.quadratic(a.view().middleRows(r, 100), job);
    EXPECT_NEAR(gram.quadratic(a.view(), job), pieces, 1e-6 * pieces);
}

TEST(GramTest, MergedSumsAreThoseOfAllTokens) {
    const Matrix x = randomMatrix(20, 210, 3);
    Gram all(210), first(210), second(210), none(210);
    all.add(x.view());
    first.add(x.view().middleRows(0, 8));
    second.add(x.view().middleRows(8, 12));
    first.merge(none);
    first.merge(second);
    none.merge(first);
    EXPECT_EQ(none.tokens(), 20);
    const Matrix a = all.full(), b = none.full();
    for (std::int64_t i = 0; i < a.size(); ++i) EXPECT_NEAR(a.data()[i], b.data()[i], 1e-5) << i;
    none.clear();
    EXPECT_EQ(none.tokens(), 0);
    JobContext job;
    EXPECT_EQ(none.quadratic(x.view(), job), 0.0);
}

TEST(GramTest, WidthsThatDoNotMatchAreRefused) {
    const Matrix x = randomMatrix(4, 6, 3);
    Gram gram(5);
    JobContext job;
    test::expectError(ErrorCode::usage, [&] { gram.add(x.view()); });
    test::expectError(ErrorCode::usage, [&] { gram.merge(Gram(6)); });
    test::expectError(ErrorCode::usage, [&] { (void)gram.quadratic(x.view(), job); });
}

TEST(GramTest, ThreadsChangeNothing) {
    const Matrix x = randomMatrix(300, 500, 3), a = randomMatrix(70, 500, 4);
    JobContext job;
    const auto run = [&](int threads) {
        setThreadCount(threads);
        Gram gram(500);
        gram.add(x.view());
        return std::pair(gram.full(), gram.quadratic(a.view(), job));
    };
    const auto one = run(1), two = run(2);
    setThreadCount(0);
    EXPECT_EQ(std::memcmp(one.first.data(), two.first.data(), static_cast<std::size_t>(one.first.size()) * sizeof(float)), 0);
    EXPECT_EQ(one.second, two.second);
}

TEST(GramTest, AStopEndsTheProduct) {
    const Matrix x = randomMatrix(4, 800, 3);
    Gram gram(800);
    gram.add(x.view());
    JobContext job;
    job.requestStop();
    test::expectError(ErrorCode::cancelled, [&] { (void)gram.quadratic(x.view(), job); });
}

TEST(GramObserverTest, KeepsTheWatchedGroupsOfAWalk) {
    const test::TempFolder folder;
    test::writeTinyModel(folder.path() / "model");
    const auto model = Model::open(Checkpoint::open((folder.path() / "model").string()), makeCpuDevice());
    const Windows windows{2, 8, {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}};
    class Visitor final : public WalkVisitor {
    public:
        explicit Visitor(GramObserver& observer) : observer_(observer) {}
        ActivationObserver* observer(BlockIndex) override { return &observer_; }

    private:
        GramObserver& observer_;
    };
    GramObserver observer(*model);
    const int group = model->findSite("blk.1.ffn_down")->inputGroup;
    observer.watch({group});
    Visitor visitor(observer);
    JobContext job;
    (void)walkBlocks(*model, windows, nullptr, &visitor, job);
    EXPECT_EQ(observer.of(group).tokens(), 16);
    EXPECT_EQ(observer.of(group).width(), 96);
    EXPECT_GT(observer.of(group).diagonal()[0], 0.0f);
    test::expectError(ErrorCode::usage, [&] { (void)observer.of(group + 1); });
    observer.watch({group});
    EXPECT_EQ(observer.of(group).tokens(), 0) << "what was collected is forgotten";
}

} // namespace
} // namespace bw
