// SPDX-License-Identifier: GPL-3.0-or-later
// Weights per second of one core: encoding and decoding rows of the number formats. Aims: nearest rounding of q4_0, q8_0
// and int4:g64 ≥ 300 M/s, decoding of q4_0, q8_0, f16, bf16 ≥ 1 G/s, k-quants as ggml rounds them ≥ 30 M/s,
// encoding of small floats and NF4 ≥ 100 M/s, rounding of columns ≥ 300 M/s.
#include "core/base/matrix.h"
#include "core/base/parallel.h"
#include "core/base/random.h"
#include "core/format/fixed_grid.h"

#include <benchmark/benchmark.h>

namespace {

constexpr std::int64_t kRows = 256, kCols = 4096; // 4 MiB of f32: the size of a small layer

bw::Matrix weights() {
    bw::Matrix m(kRows, kCols);
    bw::Random random(1);
    for (std::int64_t i = 0; i < m.size(); ++i) m.data()[i] = static_cast<float>(0.02 * random.normal());
    return m;
}

void encode(benchmark::State& state, const std::string& name, bool clip, bool weighted, bw::BlockSearch search = bw::BlockSearch::best) {
    bw::setThreadCount(1);
    const bw::FormatPtr format = bw::parseFormat(name);
    const bw::Matrix w = weights();
    const std::vector<float> importance(weighted ? static_cast<std::size_t>(kCols) : 0, 1.0f);
    std::vector<std::byte> out(format->bytes(kRows, kCols));
    for (auto _ : state) {
        format->encode(w.view(), {importance, clip, search}, out);
        benchmark::DoNotOptimize(out.data());
    }
    state.SetItemsProcessed(state.iterations() * w.size());
}

void decode(benchmark::State& state, const std::string& name) {
    bw::setThreadCount(1);
    const bw::FormatPtr format = bw::parseFormat(name);
    bw::Matrix w = weights();
    std::vector<std::byte> bytes(format->bytes(kRows, kCols));
    format->encode(w.view(), {}, bytes);
    // One row's worth of output is reused, as the block walk's consumers do: the figure is the kernel's, not memory's.
    bw::Matrix row(1, kCols);
    for (auto _ : state)
        for (std::int64_t r = 0; r < kRows; ++r) {
            format->decodeRows(bytes, kRows, r, row.view());
            benchmark::DoNotOptimize(row.data());
        }
    state.SetItemsProcessed(state.iterations() * w.size());
}

/// Every column of a weight to a grid whose scales are fixed.
void roundColumns(benchmark::State& state, const std::string& name) {
    bw::setThreadCount(1);
    const bw::FormatPtr format = bw::parseFormat(name);
    const bw::Matrix w = weights();
    const auto grid = bw::fixGrid(*format, w.view(), {});
    std::vector<float> column(kRows), rounded(kRows);
    for (std::size_t r = 0; r < column.size(); ++r) column[r] = w.row(static_cast<std::int64_t>(r))[0];
    for (auto _ : state) {
        for (std::int64_t c = 0; c < kCols; ++c) grid->roundColumn(c, 0, column, rounded);
        benchmark::DoNotOptimize(rounded.data());
    }
    state.SetItemsProcessed(state.iterations() * w.size());
}

/// A row of any type from a repeated byte pattern, for types that are only read.
void decodeBytes(benchmark::State& state, bw::StorageType type) {
    std::vector<std::byte> bytes(bw::storageBytes(type, 1, kCols));
    bw::Random random(2);
    for (std::byte& b : bytes) b = static_cast<std::byte>(random.below(256));
    std::vector<float> row(kCols);
    for (auto _ : state) {
        bw::decodeRow(type, bytes.data(), row);
        benchmark::DoNotOptimize(row.data());
    }
    state.SetItemsProcessed(state.iterations() * kCols);
}

} // namespace

int main(int argc, char** argv) {
    for (const char* name : {"f16", "bf16", "q4_0", "q4_1", "q5_0", "q5_1", "q8_0", "int2:g64", "int3:g64", "int4:g64", "int4:g64:sym", "int8:channel"}) {
        const std::string text = name;
        benchmark::RegisterBenchmark(("decode/" + text).c_str(), [text](benchmark::State& s) { decode(s, text); });
        benchmark::RegisterBenchmark(("encode/" + text).c_str(), [text](benchmark::State& s) { encode(s, text, false, false); });
        if (text.starts_with("int")) benchmark::RegisterBenchmark(("clip/" + text).c_str(), [text](benchmark::State& s) { encode(s, text, true, false); });
        if (text.starts_with("q")) benchmark::RegisterBenchmark(("weighted/" + text).c_str(), [text](benchmark::State& s) { encode(s, text, false, true); });
    }
    for (const char* name : {"q2_k", "q3_k", "q4_k", "q5_k", "q6_k", "iq4_nl", "iq4_xs", "mxfp4", "tq1_0", "tq2_0"}) {
        const std::string text = name;
        constexpr auto kReference = bw::BlockSearch::reference;
        benchmark::RegisterBenchmark(("decode/" + text).c_str(), [text](benchmark::State& s) { decode(s, text); });
        benchmark::RegisterBenchmark(("reference/" + text).c_str(), [text](benchmark::State& s) { encode(s, text, false, false, kReference); });
        benchmark::RegisterBenchmark(("reference_weighted/" + text).c_str(), [text](benchmark::State& s) { encode(s, text, false, true, kReference); });
    }
    for (const char* name : {"fp8_e4m3", "fp8_e5m2:g128", "fp6_e2m3", "fp4_e2m1", "mxfp8_e4m3", "nvfp4", "nf4", "nf4:dq"}) {
        const std::string text = name;
        benchmark::RegisterBenchmark(("decode/" + text).c_str(), [text](benchmark::State& s) { decode(s, text); });
        benchmark::RegisterBenchmark(("encode/" + text).c_str(), [text](benchmark::State& s) { encode(s, text, false, false); });
        benchmark::RegisterBenchmark(("clip/" + text).c_str(), [text](benchmark::State& s) { encode(s, text, true, false); });
    }
    for (const char* name : {"int4:g64", "q4_0", "q4_k", "q6_k", "iq4_xs", "fp8_e4m3", "nvfp4", "nf4", "bf16"})
        benchmark::RegisterBenchmark(("round_column/" + std::string(name)).c_str(), [text = std::string(name)](benchmark::State& s) { roundColumns(s, text); });
    for (const bw::StorageTypeInfo& info : bw::allStorageTypes())
        if (!info.encodes && info.blockElements > 1)
            benchmark::RegisterBenchmark(("decode/" + std::string(info.name)).c_str(), [type = info.type](benchmark::State& s) { decodeBytes(s, type); });
    benchmark::Initialize(&argc, argv);
    benchmark::RunSpecifiedBenchmarks();
    return 0;
}
