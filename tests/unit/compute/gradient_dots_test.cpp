// SPDX-License-Identifier: GPL-3.0-or-later
// Projections of weight gradients against sums in f64, for shapes that fill tiles and strips and for ones that do not.
#include "core/compute/gradient_dots.h"

#include "core/base/parallel.h"
#include "tests/support/random_matrix.h"

#include <cmath>
#include <gtest/gtest.h>

namespace bw {
namespace {

using test::randomMatrix;

struct Shape {
    std::int64_t inputs, outputs;
    std::vector<std::int64_t> starts;
    std::size_t changes;
};

std::vector<double> dots(const Matrix& x, MatrixView<const float> dy, const std::vector<std::int64_t>& starts,
                         const std::vector<Matrix>& changes, bool inHalf) {
    std::vector<MatrixView<const float>> views;
    for (const Matrix& change : changes) views.push_back(change.view());
    std::vector<double> sums((starts.size() - 1) * changes.size(), 1.0); // what is there stays
    addGradientDots(x.view(), dy, starts, views, sums, inHalf);
    return sums;
}

class GradientDots : public testing::TestWithParam<std::tuple<Shape, bool>> {};
INSTANTIATE_TEST_SUITE_P(Shapes, GradientDots,
                         testing::Combine(testing::Values(Shape{64, 48, {0, 32, 64}, 3}, Shape{128, 96, {0, 7, 7, 40}, 1},
                                         Shape{1, 1, {0, 1}, 2}, Shape{65, 50, {3, 5, 90}, 4},
                                         Shape{15, 7, {0, 0, 1, 2}, 5}, Shape{20, 52, {0, 900, 1100, 2300}, 1}),
                                          testing::Bool()));

TEST_P(GradientDots, AreSumsOfProducts) {
    const auto& [shape, inHalf] = GetParam();
    const std::int64_t rows = shape.starts.back() + 2;
    const Matrix x = randomMatrix(rows, shape.inputs, 1), wide = randomMatrix(rows, shape.outputs + 5, 2);
    const MatrixView<const float> dy = wide.view().middleCols(3, shape.outputs); // rows that don't lie side by side
    std::vector<Matrix> changes;
    for (std::size_t f = 0; f < shape.changes; ++f)
        changes.push_back(randomMatrix(shape.outputs, shape.inputs, 10 + f));
    const std::vector<double> sums = dots(x, dy, shape.starts, changes, inHalf);
    for (std::size_t p = 0; p + 1 < shape.starts.size(); ++p)
        for (std::size_t f = 0; f < shape.changes; ++f) {
            double exact = 0, squares = 0;
            for (std::int64_t n = shape.starts[p]; n < shape.starts[p + 1]; ++n)
                for (std::int64_t o = 0; o < shape.outputs; ++o)
                    for (std::int64_t i = 0; i < shape.inputs; ++i) {
                        const double term = static_cast<double>(x.row(n)[i]) * static_cast<double>(dy(n, o)) *
                                            static_cast<double>(changes[f].row(o)[i]);
                        exact += term;
                        squares += term * term;
                    }
            // Each of some thousand f32 additions errs by 2⁻²⁴ of a sum as large as the root of the squares; two factors
            // in bf16 err by up to 2⁻⁹ of each term, of which four times the root of their squares is never reached.
            const double tolerance = inHalf ? 4 * 0x1p-8 : 1e-5;
            EXPECT_NEAR(sums[p * shape.changes + f] - 1, exact, tolerance * std::sqrt(squares) + 1e-12) << p << " " << f;
        }
    setThreadCount(2);
    const std::vector<double> two = dots(x, dy, shape.starts, changes, inHalf);
    setThreadCount(1);
    EXPECT_EQ(dots(x, dy, shape.starts, changes, inHalf), two);
    setThreadCount(0);
}

} // namespace
} // namespace bw
