// SPDX-License-Identifier: GPL-3.0-or-later
// Choice of the instruction set and the tiling of matrix products over threads. Tiles follow from the shapes alone, so
// that every element is computed by the same sequence of operations whatever the number of threads.
#include "core/compute/gemm.h"

#include "core/base/parallel.h"
#include "core/compute/cpu_device.h"

#include <algorithm>
#include <atomic>
#include <cassert>

namespace bw {
namespace {

std::atomic<const GemmTable*> chosenTable{nullptr};

std::int64_t ceilDivide(std::int64_t a, std::int64_t b) {
    return (a + b - 1) / b;
}

/// Both operands of a tile are packed anew, which costs about 30/rows + 30/cols of its time; packed columns of some hundred
/// inputs stay in the second-level cache.
constexpr std::int64_t kTileCols = 768;
constexpr std::int64_t kTileRows = 1024;
/// Below this many multiply-adds a tile is not worth waking a thread for (about 20 µs).
constexpr std::int64_t kMinTileWork = 2'000'000;
/// Tiles wanted so that threads end together; rows are cut down to 128 to get there.
constexpr std::int64_t kWantedTiles = 8;
constexpr std::int64_t kMinTileRows = 128;
/// Eigen's widest micro-kernel takes 48 weight rows at a time (three AVX-512 registers).
constexpr std::int64_t kColUnit = 48;

struct Tiling {
    std::int64_t rowStep, colStep, rowTiles, colTiles;
};

Tiling tileProduct(std::int64_t m, std::int64_t n, std::int64_t k) {
    Tiling t{};
    const std::int64_t wantedCols = ceilDivide(n, kTileCols);
    t.colStep = std::min(n, ceilDivide(ceilDivide(n, wantedCols), kColUnit) * kColUnit);
    t.colTiles = ceilDivide(n, t.colStep);
    std::int64_t rowTiles = ceilDivide(m, kTileRows);
    if (rowTiles * t.colTiles < kWantedTiles) {
        const std::int64_t byRows = std::max<std::int64_t>(1, m / kMinTileRows);
        const std::int64_t byWork = std::max<std::int64_t>(1, m * n * k / kMinTileWork / t.colTiles);
        rowTiles = std::max(rowTiles, std::min({ceilDivide(kWantedTiles, t.colTiles), byRows, byWork}));
    }
    t.rowStep = ceilDivide(m, rowTiles);
    t.rowTiles = ceilDivide(m, t.rowStep);
    return t;
}

} // namespace

GemmTables availableGemmTables() {
    GemmTables tables{};
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512cd") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
        tables.table[tables.count++] = &gemmTable_v4;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2"))
        tables.table[tables.count++] = &gemmTable_v3;
#endif
    tables.table[tables.count++] = &gemmTable_v2;
    return tables;
}

const GemmTable& gemmTable() {
    const GemmTable* table = chosenTable.load(std::memory_order_relaxed);
    if (table == nullptr) {
        table = availableGemmTables().table[0];
        chosenTable.store(table, std::memory_order_relaxed);
    }
    return *table;
}

void useGemmTable(const GemmTable* table) {
    chosenTable.store(table, std::memory_order_relaxed);
}

void gemmTransposed(MatrixView<const float> a, MatrixView<const float> b, MatrixView<float> y, bool add) {
    assert(a.cols == b.cols && y.rows == a.rows && y.cols == b.rows);
    if (y.empty()) return;
    const GemmTable& table = gemmTable();
    const Tiling tiles = tileProduct(a.rows, b.rows, a.cols);
    // Row tiles run fastest: neighbours share the weight rows that are in cache.
    parallelFor(tiles.rowTiles * tiles.colTiles, 1, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t t = begin; t < end; ++t) {
            const std::int64_t row = t % tiles.rowTiles * tiles.rowStep, col = t / tiles.rowTiles * tiles.colStep;
            table.timesTransposed(a.data + row * a.stride, a.stride, b.data + col * b.stride, b.stride,
                                  y.data + row * y.stride + col, y.stride, std::min(tiles.rowStep, y.rows - row),
                                  std::min(tiles.colStep, y.cols - col), a.cols, add);
        }
    });
}

void gemmTimes(MatrixView<const float> a, MatrixView<const float> b, MatrixView<float> y, bool add) {
    assert(a.cols == b.rows && y.rows == a.rows && y.cols == b.cols);
    if (y.empty()) return;
    const GemmTable& table = gemmTable();
    const Tiling tiles = tileProduct(a.rows, b.cols, a.cols);
    // The head's sum runs over the vocabulary: in steps, so that a stop is looked for between them.
    constexpr std::int64_t kDepth = 4096;
    for (std::int64_t depth = 0; depth < a.cols; depth += kDepth) {
        const std::int64_t count = std::min(kDepth, a.cols - depth);
        parallelFor(tiles.rowTiles * tiles.colTiles, 1, [&](std::int64_t begin, std::int64_t end) {
            for (std::int64_t t = begin; t < end; ++t) {
                const std::int64_t row = t % tiles.rowTiles * tiles.rowStep, col = t / tiles.rowTiles * tiles.colStep;
                table.times(a.data + row * a.stride + depth, a.stride, b.data + depth * b.stride + col, b.stride,
                            y.data + row * y.stride + col, y.stride, std::min(tiles.rowStep, y.rows - row),
                            std::min(tiles.colStep, y.cols - col), count, add || depth > 0);
            }
        });
    }
}

void subtractLower(MatrixView<const double> a, MatrixView<const double> b, MatrixView<double> y) {
    assert(a.cols == b.cols && y.rows == a.rows && y.cols == b.rows);
    if (y.empty()) return;
    const GemmTable& table = gemmTable();
    constexpr std::int64_t kBlock = 192;
    const std::int64_t rows = ceilDivide(y.rows, kBlock), cols = ceilDivide(y.cols, kBlock);
    parallelFor(rows * cols, 1, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t t = begin; t < end; ++t) {
            const std::int64_t row = t / cols * kBlock, col = t % cols * kBlock;
            if (col > row) continue;
            table.subtractTransposed(a.data + row * a.stride, a.stride, b.data + col * b.stride, b.stride, y.data + row * y.stride + col, y.stride,
                                     std::min(kBlock, y.rows - row), std::min(kBlock, y.cols - col), a.cols);
        }
    });
}

void accumulateGram(MatrixView<const float> x, MatrixView<float> gram, bool mirror) {
    assert(gram.rows == x.cols && gram.cols == x.cols);
    if (x.empty()) return;
    const GemmTable& table = gemmTable();
    constexpr std::int64_t kBlock = 192; // 4 micro-kernels wide; small enough that the diagonal wastes little
    const std::int64_t blocks = ceilDivide(x.cols, kBlock);
    parallelFor(blocks * blocks, 1, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t t = begin; t < end; ++t) {
            const std::int64_t i = t / blocks, j = t % blocks;
            if (j > i) continue; // lower triangle; the upper one is mirrored below
            const std::int64_t row = i * kBlock, col = j * kBlock;
            table.transposedTimes(x.data + row, x.stride, x.data + col, x.stride, gram.data + row * gram.stride + col,
                                  gram.stride, std::min(kBlock, x.cols - row), std::min(kBlock, x.cols - col), x.rows,
                                  true);
        }
    });
    if (!mirror) return;
    parallelFor(gram.rows, 64, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t i = begin; i < end; ++i)
            for (std::int64_t j = i + 1; j < gram.cols; ++j) gram(i, j) = gram(j, i);
    });
}

} // namespace bw
