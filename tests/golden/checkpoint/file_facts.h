// SPDX-License-Identifier: GPL-3.0-or-later
// Holds an opened checkpoint against facts about its file that another program wrote down: header numbers, metadata,
// and for each tensor place, shape, type, hash of the bytes, first and last values, sum, norm and largest value.
#pragma once

#include "core/base/hash.h"
#include "core/checkpoint/checkpoint.h"

#include <nlohmann/json.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

namespace bw::test {

/// @return false when the type is not decoded here, so that values were not compared.
inline bool expectValues(const Checkpoint& checkpoint, const TensorInfo& tensor, const nlohmann::json& facts) {
    if (tensor.type == StorageType::unknown || !storageTypeInfo(tensor.type).decodes) return false;
    std::vector<float> values(static_cast<std::size_t>(tensor.elements()));
    checkpoint.read(tensor, values);
    double sum = 0, squares = 0, largest = 0;
    for (const float v : values) {
        sum += v;
        squares += static_cast<double>(v) * v;
        largest = std::max(largest, std::fabs(static_cast<double>(v)));
    }
    const double norm = std::sqrt(squares), wantedNorm = facts.at("l2").get<double>();
    // The facts keep 9 digits of single values and 12 of sums; sums were made in another order, in doubles.
    const auto near = [](double got, double wanted, double scale) { EXPECT_NEAR(got, wanted, 2e-8 * scale); };
    near(norm, wantedNorm, wantedNorm);
    near(sum, facts.at("sum").get<double>(), std::max(1.0, wantedNorm * std::sqrt(static_cast<double>(values.size()))));
    near(largest, facts.at("absmax").get<double>(), largest);
    for (std::size_t i = 0; i < facts.at("first4").size(); ++i) near(values[i], facts.at("first4")[i].get<double>(), largest);
    for (std::size_t i = 0; i < facts.at("last2").size(); ++i) near(values[values.size() - facts.at("last2").size() + i], facts.at("last2")[i].get<double>(), largest);
    return true;
}

inline void expectMetadata(const GgufMetadata& metadata, const nlohmann::json& kv) {
    for (const auto& [key, fact] : kv.items()) {
        if (key.starts_with("GGUF.")) continue;
        SCOPED_TRACE(key);
        const GgufValue* value = metadata.find(key);
        ASSERT_NE(value, nullptr);
        EXPECT_EQ(static_cast<int>(value->type), fact.at("types")[0].get<int>());
        if (const auto* array = std::get_if<GgufArray>(&value->value)) {
            EXPECT_EQ(array->size(), fact.at("len").get<std::size_t>());
            for (std::size_t i = 0; i < fact.at("first").size(); ++i) {
                if (!array->strings.empty()) {
                    EXPECT_EQ(array->strings.at(i), fact.at("first")[i].get<std::string>());
                } else if (!array->reals.empty()) {
                    EXPECT_EQ(static_cast<float>(array->reals.at(i)), fact.at("first")[i].get<float>());
                } else {
                    EXPECT_EQ(array->integers.at(i), fact.at("first")[i].get<std::int64_t>());
                }
            }
        } else if (const auto* text = std::get_if<std::string>(&value->value)) {
            EXPECT_EQ(*text, fact.at("value").get<std::string>());
        } else if (const auto* flag = std::get_if<bool>(&value->value)) {
            EXPECT_EQ(*flag, fact.at("value").get<bool>());
        } else {
            EXPECT_EQ(metadata.real(key).value(), fact.at("value").get<double>());
        }
    }
}

struct Compared {
    int tensors = 0, decoded = 0;
};

inline Compared expectFacts(const Checkpoint& checkpoint, const nlohmann::json& facts, std::size_t file = 0) {
    Compared compared;
    const bool gguf = checkpoint.kind() == CheckpointKind::gguf;
    if (facts.contains("file_bytes")) {
        EXPECT_EQ(checkpoint.files()[file].size(), facts.at("file_bytes").get<std::uint64_t>());
    }
    if (gguf) {
        expectMetadata(checkpoint.metadata(), facts.at("kv"));
        EXPECT_EQ(checkpoint.tensors().size(), facts.at("tensors").size());
    }
    for (const auto& fact : facts.at("tensors")) {
        const auto name = fact.at("name").get<std::string>();
        SCOPED_TRACE(name);
        const TensorInfo* tensor = checkpoint.find(name);
        if (!tensor) {
            ADD_FAILURE() << "missing";
            continue;
        }
        auto shape = fact.at(gguf ? "ne" : "shape").get<std::vector<std::int64_t>>();
        if (gguf) std::reverse(shape.begin(), shape.end());
        EXPECT_EQ(tensor->shape, shape);
        EXPECT_EQ(tensor->typeName, fact.at(gguf ? "type" : "dtype").get<std::string>());
        if (gguf) {
            EXPECT_EQ(tensor->offset, fact.at("offset_in_file").get<std::uint64_t>());
            EXPECT_EQ(tensor->bytes, fact.at("bytes").get<std::uint64_t>());
        } else {
            const auto start = 8 + facts.at("header_bytes").get<std::uint64_t>();
            EXPECT_EQ(tensor->offset, start + fact.at("data_offsets")[0].get<std::uint64_t>());
            EXPECT_EQ(tensor->offset + tensor->bytes, start + fact.at("data_offsets")[1].get<std::uint64_t>());
        }
        Sha256 hash;
        hash.update(checkpoint.raw(*tensor));
        EXPECT_EQ(hash.hex(), fact.at("sha256").get<std::string>());
        ++compared.tensors;
        compared.decoded += expectValues(checkpoint, *tensor, fact) ? 1 : 0;
    }
    return compared;
}

} // namespace bw::test
