// SPDX-License-Identifier: GPL-3.0-or-later
// Encoding speed in bytes a second on one thread. Aim: 5 MB/s on English prose.
#include "core/base/json.h"
#include "core/base/mapped_file.h"
#include "core/tokenizer/parts.h"

#include <benchmark/benchmark.h>

namespace {

std::shared_ptr<const bw::Tokenizer> open(bool smollm2) {
    const std::string path = smollm2 ? std::string(BW_TEST_DATA) + "/tokenizer/smollm2-tokenizer.json"
                                     : std::string(BW_RESOURCES) + "/demo/tokenizer.json";
    return bw::makeTokenizer(bw::partsFromJson(bw::readJsonFile(path), bw::Json(), path));
}

/// One resource text as it is (22 KB): every word is met for the first time.
void encodeText(benchmark::State& state, const char* file) {
    const auto tokenizer = open(state.range(0) != 0);
    const std::string text = bw::readTextFile(std::string(BW_RESOURCES) + "/texts/" + file, 1 << 24);
    for (auto _ : state) benchmark::DoNotOptimize(tokenizer->encode(text, false));
    state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(text.size()));
}

/// 1 MiB of one letter: one piece, nothing to remember.
void encodeOneLetter(benchmark::State& state) {
    const auto tokenizer = open(state.range(0) != 0);
    const std::string text(1 << 20, 'a');
    for (auto _ : state) benchmark::DoNotOptimize(tokenizer->encode(text, false));
    state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(text.size()));
}

void openSmollm2(benchmark::State& state) {
    for (auto _ : state) benchmark::DoNotOptimize(open(true));
}

} // namespace

BENCHMARK_CAPTURE(encodeText, prose, "eval_prose.txt")->ArgName("smollm2")->Arg(0)->Arg(1);
BENCHMARK_CAPTURE(encodeText, code, "eval_code.txt")->ArgName("smollm2")->Arg(0)->Arg(1);
BENCHMARK(encodeOneLetter)->ArgName("smollm2")->Arg(0)->Arg(1)->Unit(benchmark::kMillisecond);
BENCHMARK(openSmollm2)->Unit(benchmark::kMillisecond);
BENCHMARK_MAIN();
