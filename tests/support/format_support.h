// SPDX-License-Identifier: GPL-3.0-or-later
// Helpers for tests of number formats: reference files, seeded weights, and every instruction set in turn.
#pragma once

#include "core/base/matrix.h"
#include "core/base/random.h"

#include <hwy/targets.h>

#include <cstring>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string>
#include <vector>

namespace bw::test {

inline std::vector<std::byte> readBytes(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    if (!in) throw std::runtime_error("cannot read " + path);
    const std::string text{std::istreambuf_iterator<char>(in), {}};
    std::vector<std::byte> bytes(text.size());
    std::memcpy(bytes.data(), text.data(), text.size());
    return bytes;
}

inline std::vector<float> readFloats(const std::string& path) {
    const std::vector<std::byte> bytes = readBytes(path);
    std::vector<float> values(bytes.size() / sizeof(float));
    std::memcpy(values.data(), bytes.data(), values.size() * sizeof(float));
    return values;
}

/// Normal numbers of standard deviation `scale`; one in `outlierEvery` (0 = none) is 20 times as large.
inline Matrix randomWeight(std::int64_t rows, std::int64_t cols, std::uint64_t seed, double scale = 0.02, std::uint64_t outlierEvery = 0) {
    Matrix m(rows, cols);
    Random random(seed);
    for (std::int64_t i = 0; i < m.size(); ++i) {
        const bool outlier = outlierEvery != 0 && random.below(outlierEvery) == 0;
        m.data()[i] = static_cast<float>(random.normal() * scale * (outlier ? 20 : 1));
    }
    return m;
}

/// Calls body(name) once per instruction set that this machine has, with dispatch held to it.
template <class Body>
void forEachInstructionSet(const Body& body) {
    const auto choose = [](std::int64_t targets) {
        hwy::SetSupportedTargetsForTest(static_cast<decltype(hwy::SupportedTargets())>(targets));
        hwy::GetChosenTarget().Update(hwy::SupportedTargets());
    };
    const auto supported = static_cast<std::int64_t>(hwy::SupportedTargets());
    for (std::int64_t left = supported & static_cast<std::int64_t>(HWY_TARGETS); left != 0; left &= left - 1) {
        const std::int64_t one = left & -left;
        choose(one);
        body(std::string(hwy::TargetName(static_cast<decltype(hwy::SupportedTargets())>(one))));
    }
    choose(0); // 0 = whatever the machine has
}

} // namespace bw::test
