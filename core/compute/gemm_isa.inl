// SPDX-License-Identifier: GPL-3.0-or-later
// Body of gemm_v2/v3/v4.cpp: Eigen's products behind plain pointers. `Eigen` is a macro here that gives each variant its
// own namespace. Not for: threads or tiling (gemm.cpp).
#define EIGEN_DONT_PARALLELIZE
#include <Eigen/Core>

#include "core/compute/gemm.h"

namespace bw {
namespace {

using RowMajor = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using Stride = Eigen::OuterStride<>;
using In = Eigen::Map<const RowMajor, 0, Stride>;
using Out = Eigen::Map<RowMajor, 0, Stride>;
using InVector = Eigen::Map<const Eigen::VectorXf>;
using OutVector = Eigen::Map<Eigen::VectorXf>;

/// Up to this many rows, one matrix-vector product per row beats a GEMM that first packs the whole weight.
constexpr std::int64_t kMaxVectorRows = 4;

void timesTransposed(const float* a, std::int64_t lda, const float* b, std::int64_t ldb, float* y, std::int64_t ldy,
                     std::int64_t m, std::int64_t n, std::int64_t k, bool add) {
    const In B(b, n, k, Stride(ldb));
    if (m <= kMaxVectorRows) {
        for (std::int64_t i = 0; i < m; ++i) {
            const InVector row(a + i * lda, k);
            OutVector out(y + i * ldy, n);
            if (add) out.noalias() += B * row;
            else out.noalias() = B * row;
        }
        return;
    }
    const In A(a, m, k, Stride(lda));
    Out Y(y, m, n, Stride(ldy));
    if (add) Y.noalias() += A * B.transpose();
    else Y.noalias() = A * B.transpose();
}

void times(const float* a, std::int64_t lda, const float* b, std::int64_t ldb, float* y, std::int64_t ldy,
           std::int64_t m, std::int64_t n, std::int64_t k, bool add) {
    const In A(a, m, k, Stride(lda));
    const In B(b, k, n, Stride(ldb));
    Out Y(y, m, n, Stride(ldy));
    if (add) Y.noalias() += A * B;
    else Y.noalias() = A * B;
}

void transposedTimes(const float* a, std::int64_t lda, const float* b, std::int64_t ldb, float* y, std::int64_t ldy,
                     std::int64_t m, std::int64_t n, std::int64_t k, bool add) {
    const In A(a, k, m, Stride(lda));
    const In B(b, k, n, Stride(ldb));
    Out Y(y, m, n, Stride(ldy));
    if (add) Y.noalias() += A.transpose() * B;
    else Y.noalias() = A.transpose() * B;
}

void subtractTransposed(const double* a, std::int64_t lda, const double* b, std::int64_t ldb, double* y, std::int64_t ldy,
                        std::int64_t m, std::int64_t n, std::int64_t k) {
    using Wide = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
    const Eigen::Map<const Wide, 0, Stride> A(a, m, k, Stride(lda)), B(b, n, k, Stride(ldb));
    Eigen::Map<Wide, 0, Stride> Y(y, m, n, Stride(ldy));
    Y.noalias() -= A * B.transpose();
}

constexpr const char* kName =
#if defined(__AVX512F__)
    "AVX-512";
#elif defined(__AVX2__)
    "AVX2";
#elif defined(__SSE4_2__)
    "SSE4";
#else
    "generic";
#endif

} // namespace

extern const GemmTable BW_GEMM_TABLE;
const GemmTable BW_GEMM_TABLE{kName, timesTransposed, times, transposedTimes, subtractTransposed};

} // namespace bw
