// SPDX-License-Identifier: GPL-3.0-or-later
// What llama.cpp's CPU kernels read of an activation, bit for bit, against rows that ggml's own library rounded
// (kernel_inputs.json, written by make_kernel_inputs.py).
#include "core/base/json.h"
#include "core/quantize/runtime_profile.h"

#include <bit>
#include <charconv>
#include <gtest/gtest.h>

namespace bw {
namespace {

std::vector<float> floatsOf(const Json& text) {
    const auto& digits = text.get_ref<const std::string&>();
    std::vector<float> out;
    for (std::size_t at = 0; at + 8 <= digits.size(); at += 8) {
        std::uint32_t word = 0;
        std::from_chars(digits.data() + at, digits.data() + at + 8, word, 16);
        out.push_back(std::bit_cast<float>(word));
    }
    return out;
}

TEST(KernelInputsGolden, RowsAreRoundedAsGgmlRoundsThem) {
    const Json golden = readJsonFile(std::string(BW_TEST_DATA) + "/golden/quantize/kernel_inputs.json");
    ASSERT_EQ(golden.at("rows").size(), 4u);
    for (const auto& [name, type] : {std::pair{"q8_0", StorageType::q8_0}, std::pair{"q8_1", StorageType::q8_1}, std::pair{"q8_k", StorageType::q8_k}})
        for (std::size_t r = 0; r < 4; ++r) {
            std::vector<float> row = floatsOf(golden.at("rows").at(r));
            const std::vector<float> want = floatsOf(golden.at(name).at(r));
            ASSERT_EQ(row.size(), 256u);
            ASSERT_NE(row, want);
            roundAsKernelInput(row, type);
            EXPECT_EQ(row, want) << name << ", row " << r; // −0 equals 0
        }
}

} // namespace
} // namespace bw
