// SPDX-License-Identifier: GPL-3.0-or-later
// Encoding speed in bytes a second of one thread's processor time. Aim: 5 MB/s on English prose for every scheme.
#include "core/base/json.h"
#include "core/base/mapped_file.h"
#include "core/tokenizer/parts.h"

#include <benchmark/benchmark.h>
#include <functional>

namespace {

using TokenizerPtr = std::shared_ptr<const bw::Tokenizer>;

std::string dataFile(const std::string& name) {
    return std::string(BW_TEST_DATA) + "/tokenizer/" + name;
}

TokenizerPtr openJson(const std::string& path) {
    return bw::makeTokenizer(bw::partsFromJson(bw::readJsonFile(path), bw::Json(), path));
}

/// One resource text as it is (22 KB): every word is met for the first time.
void encodeText(benchmark::State& state, const TokenizerPtr& tokenizer, const char* file) {
    const std::string text = bw::readTextFile(std::string(BW_RESOURCES) + "/texts/" + file, 1 << 24);
    for (auto _ : state) benchmark::DoNotOptimize(tokenizer->encode(text, false));
    state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(text.size()));
}

/// 1 MiB of one letter: one piece, nothing to remember.
void encodeOneLetter(benchmark::State& state, const TokenizerPtr& tokenizer) {
    const std::string text(1 << 20, 'a');
    for (auto _ : state) benchmark::DoNotOptimize(tokenizer->encode(text, false));
    state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(text.size()));
}

void openSmollm2(benchmark::State& state) {
    for (auto _ : state) benchmark::DoNotOptimize(openJson(dataFile("smollm2-tokenizer.json")));
}

/// The demo's and SmolLM2's tokenizers, and every family of the golden tests with its small vocabulary.
std::vector<std::pair<std::string, TokenizerPtr>> allTokenizers() {
    std::vector<std::pair<std::string, TokenizerPtr>> all{
        {"demo", openJson(std::string(BW_RESOURCES) + "/demo/tokenizer.json")},
        {"smollm2-real", openJson(dataFile("smollm2-tokenizer.json"))}};
    const bw::Json bases = bw::readJsonFile(dataFile("families/bases.json"));
    const bw::Json families = bw::readJsonFile(dataFile("families/families.json"));
    for (const bw::Json& family : families["families"]) {
        bw::Json json = bases[family["base"].get<std::string>()];
        for (const auto& [key, value] : family["patch"].items()) {
            if (key == "model")
                json[key].update(value);
            else
                json[key] = value;
        }
        const std::string name = family["name"].get<std::string>();
        all.emplace_back(name, bw::makeTokenizer(bw::partsFromJson(json, bw::Json(), name)));
    }
    for (const char* kind : {"bpe", "unigram"}) {
        const std::string path = dataFile(std::string("families/sp_") + kind + ".model");
        all.emplace_back(std::string("sentencepiece-") + kind, bw::makeTokenizer(bw::partsFromSentencePiece(
                                                                   bw::readTextFile(path, 1 << 24), bw::Json(), path)));
    }
    return all;
}

} // namespace

int main(int argc, char** argv) {
    for (const auto& [name, tokenizer] : allTokenizers()) {
        for (const char* file : {"eval_prose.txt", "eval_code.txt"})
            benchmark::RegisterBenchmark(("encodeText/" + std::string(file).substr(5, 5) + "/" + name).c_str(),
                                         encodeText, tokenizer, file);
        benchmark::RegisterBenchmark(("encodeOneLetter/" + name).c_str(), encodeOneLetter, tokenizer)
            ->Unit(benchmark::kMillisecond);
    }
    benchmark::RegisterBenchmark("openSmollm2", openSmollm2)->Unit(benchmark::kMillisecond);
    benchmark::Initialize(&argc, argv);
    benchmark::RunSpecifiedBenchmarks();
    return 0;
}
