// SPDX-License-Identifier: GPL-3.0-or-later
// Several models' own patterns are rewritten in llama.cpp (tekken, gpt-4o: "not a to z" stands for upper case); here
// they are as llama.cpp runs them, so that the ids of a GGUF are those it is used with.
#include "core/tokenizer/gguf_pre_tokenizers.h"

#include "core/base/error.h"
#include "core/base/text.h"
#include "core/tokenizer/scanners.h"
#include "core/tokenizer/unicode.h"

#include <algorithm>
#include <array>

namespace bw {
namespace {

using Scanner = PreTokenizer::Scanner;

struct Named {
    std::string_view name;
    std::string_view chain;
    bool wholeWordsFirst = false, addBos = false;
};

// Source: llama_vocab::impl::load and llm_tokenizer_bpe in llama.cpp's src/llama-vocab.cpp.
constexpr auto kNames = std::to_array<Named>({
    {"gpt-2", "gpt2"},
    {"gpt2", "gpt2"},
    {"phi-2", "gpt2"},
    {"mpt", "gpt2"},
    {"olmo", "gpt2"},
    {"jais", "gpt2"},
    {"jina-es", "gpt2"},
    {"jina-de", "gpt2"},
    {"jina-v2-es", "gpt2"},
    {"jina-v2-de", "gpt2"},
    {"gigachat", "gpt2"},
    {"a.x-4.0", "gpt2"},
    {"mellum", "gpt2"},
    {"modern-bert", "gpt2"},
    {"exaone4", "gpt2"},
    {"trillion", "gpt2"},
    {"granite-docling", "gpt2"},
    {"smollm", "smollm"},
    {"starcoder", "smollm"},
    {"refact", "smollm"},
    {"command-r", "smollm"},
    {"codeshell", "smollm"},
    {"exaone", "smollm"},
    {"minerva-7b", "smollm"},
    {"mellum2", "smollm"},
    {"llama-bpe", "llama3", true, true},
    {"llama3", "llama3", true, true},
    {"llama-v3", "llama3", true, true},
    {"falcon3", "llama3", true, true},
    {"falcon-h1", "llama3", true, true},
    {"pixtral", "llama3", true, true},
    {"midm-2.0", "llama3", true, true},
    {"lfm2", "llama3", true, true},
    {"jina-v5-nano", "llama3", true, true},
    {"dbrx", "llama3"},
    {"smaug-bpe", "llama3"},
    {"chatglm-bpe", "llama3"},
    {"glm4", "llama3"},
    {"qwen2", "qwen2"},
    {"stablelm2", "qwen2"},
    {"deepseek-r1-qwen", "qwen2"},
    {"kormo", "qwen2"},
    {"f2llmv2", "qwen2"},
    {"megrez", "qwen2"},
    {"hunyuan", "qwen2"},
    {"solar-open", "qwen2"},
    {"grok-2", "qwen2"},
    {"qwen35", "qwen35"},
    {"ufakzeka", "ufakzeka"},
    {"laguna", "laguna"},
    {"jais-2", "jais-2"},
    {"deepseek-llm", "deepseek-llm"},
    {"deepseek-coder", "deepseek-coder"},
    {"deepseek-v3", "deepseek-v3"},
    {"hunyuan-dense", "deepseek-v3"},
    {"joyai-llm", "deepseek-v3"},
    {"hy_v4", "deepseek-v3"},
    {"spark2_5", "spark2_5"},
    {"falcon", "falcon"},
    {"bloom", "bloom"},
    {"poro-chat", "bloom"},
    {"gpt3-finnish", "bloom"},
    {"viking", "viking"},
    {"tekken", "tekken", true, true},
    {"chameleon", "chameleon", false, true},
    {"gpt-4o", "gpt-4o"},
    {"llama4", "gpt-4o"},
    {"kanana2", "gpt-4o"},
    {"talkie", "gpt-4o"},
    {"minimax-m2", "gpt-4o"},
    {"tiny_aya", "tiny_aya"},
    {"cohere2moe", "tiny_aya"},
    {"youtu", "youtu", true},
    {"minicpm5", "minicpm5", true},
    {"bailingmoe", "bailingmoe"},
    {"bailingmoe2", "bailingmoe"},
    {"llada-moe", "bailingmoe"},
    {"seed-coder", "seed-coder"},
    {"exaone-moe", "exaone-moe"},
    {"default", "default"},
    {"", "default"},
});

// Parts that several patterns share.
#define BW_CONTRACTIONS R"((?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD]))"
#define BW_WORD R"([^\r\n\p{L}\p{N}]?\p{L}+)"
#define BW_SIGNS R"( ?[^\s\p{L}\p{N}]+[\r\n]*)"
#define BW_SPACES R"(\s*[\r\n]+|\s+(?!\S)|\s+)"
#define BW_CASED_UP R"([\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}])"
#define BW_CASED_LOW R"([\p{Ll}\p{Lm}\p{Lo}\p{M}])"
#define BW_NOT_LOW R"([^\P{L}a-z])"
#define BW_NOT_UP R"([^\P{L}A-Z])"
#define BW_OPTIONAL_SIGN R"([^\r\n\p{L}\p{N}]?)"
#define BW_CASED_WORDS(digits)                                                                                         \
    BW_OPTIONAL_SIGN BW_CASED_UP "*" BW_CASED_LOW "+" BW_CONTRACTIONS "?|" BW_OPTIONAL_SIGN BW_CASED_UP                \
                                 "+" BW_CASED_LOW "*" BW_CONTRACTIONS "?|" digits                                      \
                                 R"(| ?[^\s\p{L}\p{N}]+[\r\n/]*|)" BW_SPACES

/// The cased letters that DeepSeek LLM's pattern lists.
struct Letters {
    char32_t first, last;
};
constexpr Letters kDeepseekLetters[] = {
    {0x41, 0x5A},       {0x61, 0x7A},       {0xB5, 0xB5},       {0xC0, 0xD6},       {0xD8, 0xF6},
    {0xF8, 0x1BA},      {0x1BC, 0x1BF},     {0x1C4, 0x293},     {0x295, 0x2AF},     {0x370, 0x373},
    {0x376, 0x376},     {0x377, 0x377},     {0x37B, 0x37D},     {0x37F, 0x37F},     {0x386, 0x386},
    {0x388, 0x38A},     {0x38C, 0x38C},     {0x38E, 0x3A1},     {0x3A3, 0x3F5},     {0x3F7, 0x481},
    {0x48A, 0x52F},     {0x531, 0x556},     {0x10A0, 0x10C5},   {0x13A0, 0x13F5},   {0x13F8, 0x13FD},
    {0x1C90, 0x1CBA},   {0x1CBD, 0x1CBF},   {0x1D00, 0x1D2B},   {0x1D6B, 0x1D77},   {0x1D79, 0x1D9A},
    {0x1E00, 0x1F15},   {0x1F18, 0x1F1D},   {0x1F20, 0x1F45},   {0x1F48, 0x1F4D},   {0x1F50, 0x1F57},
    {0x1F59, 0x1F59},   {0x1F5B, 0x1F5B},   {0x1F5D, 0x1F5D},   {0x1F5F, 0x1F7D},   {0x1F80, 0x1FB4},
    {0x1FB6, 0x1FBC},   {0x1FBE, 0x1FBE},   {0x1FC2, 0x1FC4},   {0x1FC6, 0x1FCC},   {0x1FD0, 0x1FD3},
    {0x1FD6, 0x1FDB},   {0x1FE0, 0x1FEC},   {0x1FF2, 0x1FF4},   {0x1FF6, 0x1FFC},   {0x2102, 0x2102},
    {0x2107, 0x2107},   {0x210A, 0x2113},   {0x2115, 0x2115},   {0x2119, 0x211D},   {0x2124, 0x2124},
    {0x2126, 0x2126},   {0x2128, 0x2128},   {0x212A, 0x212D},   {0x212F, 0x2134},   {0x2139, 0x2139},
    {0x213C, 0x213F},   {0x2145, 0x2149},   {0x214E, 0x214E},   {0x2183, 0x2183},   {0x2184, 0x2184},
    {0x2C00, 0x2C7B},   {0x2C7E, 0x2CE4},   {0x2CEB, 0x2CEE},   {0x2CF2, 0x2CF2},   {0x2CF3, 0x2CF3},
    {0xA640, 0xA66D},   {0xA680, 0xA69B},   {0xA722, 0xA76F},   {0xA771, 0xA787},   {0xA78B, 0xA78E},
    {0xAB70, 0xABBF},   {0xFB00, 0xFB06},   {0xFB13, 0xFB17},   {0xFF21, 0xFF3A},   {0xFF41, 0xFF5A},
    {0x10400, 0x1044F}, {0x104B0, 0x104D3}, {0x104D8, 0x104FB}, {0x10C80, 0x10CB2}, {0x10CC0, 0x10CF2},
    {0x118A0, 0x118DF}, {0x1E900, 0x1E943},
};

std::string deepseekWords() {
    std::string pattern = R"(\s?[)";
    for (const Letters& letters : kDeepseekLetters) {
        appendUtf8(pattern, letters.first);
        if (letters.last == letters.first) continue;
        pattern += '-';
        appendUtf8(pattern, letters.last);
    }
    return pattern + "]+";
}

/// Scanners for the chains that are used most; the rest below are patterns.
struct Chain {
    std::string_view name;
    std::vector<std::string> patterns; ///< "gpt2", "qwen2"… stand for their scanner
};

const std::vector<Chain>& chains() {
    static const std::string kCjk = "[一-龥\u0800-一가-\uD7FF]+";
    static const std::string kHanKana = "[一-龥぀-ゟ゠-ヿ]+";
    static const std::string kSeparators = R"( ?[^(\s|.,!?…。，、।۔،)]+)";
    static const std::vector<Chain> all{
        {"gpt2", {"gpt2"}},
        {"smollm", {R"(\p{N})", "gpt2"}},
        {"llama3", {"llama3"}},
        {"qwen2", {"qwen2"}},
        {"default", {R"([\p{P}\$\+<=>\^~\|]+)", "gpt2", R"(\p{N}+)", "[0-9][0-9][0-9]"}},
        {"falcon", {R"([\p{P}\$\+<=>\^~\|`]+)", "gpt2", "[0-9][0-9][0-9]"}},
        {"deepseek-llm",
         {R"([\r\n])", deepseekWords(), "\\s?[!-/:-~\uFF01-\uFF0F\uFF1A-\uFF5E\u2018-\u201F\u3000-\u3002]+", R"(\s+$)",
          kCjk, R"(\p{N}+)"}},
        {"deepseek-coder", {R"([\r\n])", R"(\s?\p{L}+)", R"(\s?\p{P}+)", kCjk, R"(\p{N})"}},
        {"deepseek-v3", {R"(\p{N}{1,3})", kHanKana, std::string(kDeepseek3Pattern)}},
        {"spark2_5",
         {R"(\p{N}{1,3})", kHanKana,
          R"([!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+|[\r\n]|\s+(?!\S)|\s+)",
          R"(\p{N})"}},
        {"qwen35",
         {BW_CONTRACTIONS R"(|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|)" BW_SPACES}},
        {"ufakzeka", {BW_WORD R"(|\p{N}|)" BW_SIGNS "|" BW_SPACES}},
        {"laguna", {R"([^\n]+|[\n]+)", "qwen2"}},
        {"jais-2",
         {BW_CONTRACTIONS
          "|" BW_WORD R"(|\p{N}{1,3}|)" BW_SIGNS
          R"(|\s*[\r\n]+|\s{512}(?!\S)|\s{256}(?!\S)|\s{128}(?!\S)|\s{64}(?!\S)|\s{32}(?!\S)|\s{16}(?!\S))"
          R"(|\s{8}(?!\S)|\s{4}(?!\S)|\s{1,2}(?!\S)|\s{1})"}},
        {"bloom", {kSeparators}},
        {"viking", {kSeparators, R"(\p{N})"}},
        {"tekken",
         {BW_OPTIONAL_SIGN BW_NOT_LOW "*" BW_NOT_UP "+|" BW_OPTIONAL_SIGN BW_NOT_LOW "+" BW_NOT_UP
                                      R"(*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|)" BW_SPACES}},
        {"gpt-4o",
         {BW_OPTIONAL_SIGN BW_NOT_LOW "*" BW_NOT_UP "+" BW_CONTRACTIONS "?|" BW_OPTIONAL_SIGN BW_NOT_LOW "+" BW_NOT_UP
                                      "*" BW_CONTRACTIONS R"(?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|)" BW_SPACES}},
        {"tiny_aya", {R"(\d{1,3}(?=(?:\d{3})*\b))", BW_CASED_WORDS(R"(\p{N}{1,3})")}},
        {"youtu",
         {"[가-힣ㄱ-ㆎ]+|[！…“”‘’—：；，、-〿︰-﹏]+|[ㄅ-ㄯ]+|[一-龥぀-ゟ゠-ヿ]+",
          BW_CASED_WORDS(R"(\p{N})")}},
        {"minicpm5", {R"(\p{N}{1,3})", BW_CONTRACTIONS "|" BW_WORD R"(|\p{N}+|)" BW_SIGNS "|" BW_SPACES}},
        {"bailingmoe",
         {R"('(?:[sSdDmMtT]|[lL][lL]|[vV][eE]|[rR][eE])|)" BW_WORD R"(|\p{N}|)" BW_SIGNS
          R"(|\s*[\r\n]|\s+(?!\S)|\s+)"}},
        {"seed-coder", {BW_CONTRACTIONS "|" BW_WORD R"(|\p{N}{1}| ?[^\s\p{L}\p{N}\r\n]+|)" BW_SPACES}},
        {"exaone-moe",
         {BW_CONTRACTIONS R"(|[^\r\n\p{L}\p{N}]?(?:\p{L}\p{M}*(?: \p{L}\p{M}*)*)+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]?|)"
                          R"(\s*[\r\n]|\s+(?!\S)|\s+)"}},
        {"chameleon",
         {"<sentinel:[0-9]+>", "(IMGIMG)((A|B|C|D|E|F|G|H|I){1,4})Z", R"(([\t\n]|    |  ))", R"(\p{N})",
          R"([\p{P}!-/:-@\[-`{-~])", "gpt2"}},
    };
    return all;
}

PreTokenizer::Stage stageOf(const std::string& pattern) {
    if (pattern == "gpt2") return {.scanner = Scanner::gpt2};
    if (pattern == "llama3") return {.scanner = Scanner::llama3};
    if (pattern == "qwen2") return {.scanner = Scanner::qwen2};
    return PreTokenizer::stageForPattern(pattern);
}

} // namespace

GgufPreTokenizer ggufPreTokenizer(const std::string& name) {
    const auto named =
        std::find_if(kNames.begin(), kNames.end(), [&](const Named& entry) { return entry.name == name; });
    if (named == kNames.end())
        throw Error(
            ErrorCode::unsupportedTokenizer,
            "tokenizer.ggml.pre: the pre-tokenizer '" + escapeForDisplay(name) + "' is not implemented",
            "weights can still be quantized; measuring needs the model's Hugging Face folder or another tokenizer");
    const auto& all = chains();
    const auto chain = std::find_if(all.begin(), all.end(), [&](const Chain& c) { return c.name == named->chain; });
    std::vector<PreTokenizer::Stage> stages;
    for (const std::string& pattern : chain->patterns) stages.push_back(stageOf(pattern));
    return {PreTokenizer(std::string(named->chain), std::move(stages)), named->wholeWordsFirst, named->addBos};
}

} // namespace bw
