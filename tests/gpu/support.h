// SPDX-License-Identifier: GPL-3.0-or-later
// Opening the test device, and numbers to feed it.
#pragma once

#include "core/base/error.h"
#include "core/compute/cpu_device.h"
#include "gpu/vulkan_device.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <gtest/gtest.h>
#include <random>
#include <string>
#include <vector>

namespace bw::test {

/// Why there is no Vulkan device on this machine; empty when there is one.
inline std::string whyNoVulkan() {
    std::string why;
    return vulkanDevices(&why).empty() ? why : std::string();
}

/// The first device, watched by the validation layer when that is installed (the release's test run installs it).
inline std::unique_ptr<Device> openDevice(VulkanOptions options = {}) {
    options.validation = true;
    try {
        return makeVulkanDevice(0, options);
    } catch (const Error& e) {
        if (e.message().find("VK_LAYER_KHRONOS_validation") == std::string::npos) throw;
    }
    options.validation = false;
    return makeVulkanDevice(0, options);
}

/// Skipped where there is no Vulkan; the validation layer must have had nothing to say when the test ends.
class VulkanTest : public testing::Test {
protected:
    void SetUp() override {
        if (const std::string why = whyNoVulkan(); !why.empty()) GTEST_SKIP() << why;
        errorsBefore_ = vulkanValidationErrors();
    }
    /// After the test's own device is gone: leaks are reported when it is destroyed.
    void TearDown() override { EXPECT_EQ(vulkanValidationErrors() - errorsBefore_, 0); }

private:
    int errorsBefore_ = 0;
};

struct Matrix {
    std::vector<float> values;
    std::int64_t rows, cols;
    Matrix(std::int64_t r, std::int64_t c) : values(static_cast<std::size_t>(r * c)), rows(r), cols(c) {}
    MatrixView<float> view() { return {values.data(), rows, cols}; }
};

inline Matrix randomMatrix(std::int64_t rows, std::int64_t cols, std::uint32_t seed) {
    Matrix matrix(rows, cols);
    std::mt19937 rng(seed);
    std::normal_distribution<float> normal;
    for (float& value : matrix.values) value = normal(rng);
    return matrix;
}

/// |device − cpu| of each y[t,o] against what f32 sums of I products in any order may differ by: each is within
/// I·ε·Σ|x·w| of the exact sum, hence 2·I·ε·‖x_t‖·‖w_o‖ apart; one ε more of |y| for the accumulated start.
inline void expectClose(MatrixView<const float> x, MatrixView<const float> w, MatrixView<const float> device,
                        MatrixView<const float> cpu) {
    const auto norm = [](std::span<const float> v) {
        double sum = 0;
        for (const float value : v) sum += static_cast<double>(value) * static_cast<double>(value);
        return std::sqrt(sum);
    };
    constexpr double eps = 1.1920929e-7;
    double worst = 0;
    for (std::int64_t t = 0; t < x.rows; ++t)
        for (std::int64_t o = 0; o < w.rows; ++o) {
            const auto reference = static_cast<double>(cpu(t, o));
            const double allowed = 2 * static_cast<double>(x.cols) * eps * norm(x.rowSpan(t)) * norm(w.rowSpan(o)) +
                                   2 * eps * std::abs(reference);
            worst = std::max(worst, std::abs(static_cast<double>(device(t, o)) - reference) / allowed);
        }
    EXPECT_LE(worst, 1.0) << "error as a share of what is allowed, T=" << x.rows << " O=" << w.rows << " I=" << x.cols;
}

} // namespace bw::test
