// SPDX-License-Identifier: GPL-3.0-or-later
// Named mixes give every tensor of made-up models the type that llama.cpp's own quantizer gives it
// (tests/data/golden/quantize/mixes.json, written by compare_with_llama_quantize.py).
#include "core/base/json.h"
#include "core/format/format.h"
#include "core/quantize/presets.h"
#include "core/quantize/rules.h"

#include <algorithm>
#include <gtest/gtest.h>
#include <map>

namespace bw {
namespace {

const Json& golden() {
    static const Json json = readJsonFile(std::string(BW_TEST_DATA) + "/golden/quantize/mixes.json");
    return json;
}

struct Tensor {
    std::string name;
    std::vector<std::int64_t> shape; ///< innermost first
};

/// In llama.cpp's order: outside of blocks first, then by block, each by name.
std::vector<Tensor> tensorsOf(const Json& model) {
    std::vector<Tensor> all;
    for (const auto& [name, shape] : model.at("other").items()) all.push_back({name, shape.get<std::vector<std::int64_t>>()});
    for (int b = 0; b < model.at("blocks").get<int>(); ++b)
        for (const auto& [name, shape] : model.at("per_block").items())
            all.push_back({"blk." + std::to_string(b) + "." + name, shape.get<std::vector<std::int64_t>>()});
    const auto block = [](const Tensor& t) { return t.name.starts_with("blk.") ? std::stoi(t.name.substr(4)) : -1; };
    std::sort(all.begin(), all.end(), [&](const Tensor& a, const Tensor& b) {
        return block(a) != block(b) ? block(a) < block(b) : a.name < b.name;
    });
    return all;
}

StorageType typeNamed(const std::string& fileName) {
    for (const StorageTypeInfo& info : allStorageTypes())
        if (info.fileName == fileName) return info.type;
    ADD_FAILURE() << fileName;
    return StorageType::unknown;
}

/// ggml's fallback for rows that blocks don't divide.
StorageType held(StorageType type, std::int64_t cols) {
    const auto fits = [&](StorageType t) { return cols % storageTypeInfo(t).blockElements == 0; };
    if (fits(type)) return type;
    static const std::map<StorageType, StorageType> kNext{
        {StorageType::q2_k, StorageType::q4_0},    {StorageType::q3_k, StorageType::q4_0},  {StorageType::q4_k, StorageType::q5_0},
        {StorageType::q5_k, StorageType::q5_1},    {StorageType::q6_k, StorageType::q8_0},  {StorageType::iq4_xs, StorageType::iq4_nl},
        {StorageType::tq1_0, StorageType::q4_0},   {StorageType::tq2_0, StorageType::q4_0}};
    const auto next = kNext.find(type);
    return next != kNext.end() && fits(next->second) ? next->second : StorageType::f16;
}

struct Case {
    const NamedMix* mix;
    bool pure, tied;
    std::optional<StorageType> output, embedding;
    std::vector<std::pair<NamePattern, StorageType>> patterns;
};

Case readCase(const Json& json, const std::vector<Tensor>& tensors) {
    Case c{findMix(json.at("mix").get<std::string>()), json.value("pure", false), true, {}, {}, {}};
    if (json.contains("output")) c.output = typeNamed(json.at("output"));
    if (json.contains("embedding")) c.embedding = typeNamed(json.at("embedding"));
    for (const Json& rule : json.value("tensor_types", Json::array()))
        c.patterns.emplace_back(NamePattern(rule[0].get<std::string>()), typeNamed(rule[1]));
    for (const Tensor& t : tensors) c.tied = c.tied && t.name != "output.weight";
    return c;
}

std::optional<StorageType> given(const Case& c, const std::string& name) {
    if (c.embedding && name == "token_embd.weight") return c.embedding;
    if (c.output && name == (c.tied ? "token_embd.weight" : "output.weight")) return c.output;
    for (const auto& [pattern, type] : c.patterns)
        if (pattern.matches(name)) return type;
    return c.pure ? std::optional(c.mix->base) : std::nullopt;
}

class Mixes : public testing::TestWithParam<int> {};

TEST_P(Mixes, giveEveryTensorTheTypeOfLlamaQuantize) {
    const Json& model = golden().at("models").at(static_cast<std::size_t>(GetParam()));
    const std::vector<Tensor> tensors = tensorsOf(model);
    const auto letters = golden().at("letters").get<std::vector<std::string>>();
    int cases = 0;
    for (const Json& json : model.at("cases")) {
        const Case c = readCase(json, tensors);
        ASSERT_NE(c.mix, nullptr);
        const MixModel facts{model.at("architecture"), model.at("blocks"), model.at("heads"), model.at("kv_heads"), model.at("experts"),
                             json.value("importance", false)};
        std::vector<MixTensor> asked;
        std::vector<std::size_t> where;
        for (std::size_t i = 0; i < tensors.size(); ++i)
            if (mixQuantizes(tensors[i].name, tensors[i].shape.size())) {
                asked.push_back({tensors[i].name, tensors[i].shape[0], tensors[i].shape.size() > 2, given(c, tensors[i].name)});
                where.push_back(i);
            }
        const std::vector<StorageType> types = mixTypes(*c.mix, facts, asked);
        std::string found(tensors.size(), '?'), expected = json.at("types");
        for (std::size_t i = 0; i < tensors.size(); ++i) // what is not quantized keeps its type
            found[i] = static_cast<char>('a' + (tensors[i].shape.size() < 2 ? 0 : 1));
        for (std::size_t i = 0; i < types.size(); ++i) {
            const std::string_view name = storageTypeInfo(held(types[i], asked[i].cols)).fileName;
            found[where[i]] = static_cast<char>('a' + (std::find(letters.begin(), letters.end(), name) - letters.begin()));
        }
        EXPECT_EQ(found, expected) << model.at("name") << " " << json.at("mix") << " first difference at "
                                   << tensors[static_cast<std::size_t>(std::mismatch(found.begin(), found.end(), expected.begin()).first - found.begin()) % tensors.size()].name;
        ++cases;
    }
    EXPECT_GE(cases, 30) << "cases were lost";
}

INSTANTIATE_TEST_SUITE_P(Models, Mixes, testing::Range(0, 21),
                         [](const auto& which) {
                             std::string name = golden().at("models").at(static_cast<std::size_t>(which.param)).at("name");
                             std::replace(name.begin(), name.end(), '-', '_');
                             return name;
                         });

} // namespace
} // namespace bw
