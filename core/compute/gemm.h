// SPDX-License-Identifier: GPL-3.0-or-later
// Matrix products on raw pointers, one table of functions per instruction set, chosen at run time. Private to
// core/compute and its tests; others call gemmTransposed() of cpu_device.h.
// This header is included by sources built for newer processors than the program's baseline: declarations only.
#pragma once

#include <cstdint>

namespace bw {

/// Strided row-major products on one thread. `ld…` are elements from row to row; with `add`, y += instead of y =.
/// The result of an element depends on the shape of the call only, never on the thread it runs on.
struct GemmTable {
    const char* name; ///< "AVX-512"
    /// y M×N = a M×K · (b N×K)ᵀ
    void (*timesTransposed)(const float* a, std::int64_t lda, const float* b, std::int64_t ldb, float* y,
                            std::int64_t ldy, std::int64_t m, std::int64_t n, std::int64_t k, bool add);
    /// y M×N = a M×K · b K×N
    void (*times)(const float* a, std::int64_t lda, const float* b, std::int64_t ldb, float* y, std::int64_t ldy,
                  std::int64_t m, std::int64_t n, std::int64_t k, bool add);
    /// y M×N = (a K×M)ᵀ · b K×N
    void (*transposedTimes)(const float* a, std::int64_t lda, const float* b, std::int64_t ldb, float* y,
                            std::int64_t ldy, std::int64_t m, std::int64_t n, std::int64_t k, bool add);
    /// y M×N −= a M×K · (b N×K)ᵀ in f64
    void (*subtractTransposed)(const double* a, std::int64_t lda, const double* b, std::int64_t ldb, double* y,
                               std::int64_t ldy, std::int64_t m, std::int64_t n, std::int64_t k);
};

extern const GemmTable gemmTable_v2;
extern const GemmTable gemmTable_v3;
extern const GemmTable gemmTable_v4;

/// Tables that this processor can run, best first.
struct GemmTables {
    const GemmTable* table[3];
    int count;
};
GemmTables availableGemmTables();
/// The table in use: the best one unless `useGemmTable` named another (tests; not while work runs).
const GemmTable& gemmTable();
void useGemmTable(const GemmTable* table); ///< nullptr = the best again

} // namespace bw
