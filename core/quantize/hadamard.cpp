// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/quantize/hadamard.h"

#include "core/base/random.h"

#include <cassert>
#include <cmath>

namespace bw {

HadamardMixing::HadamardMixing(std::int64_t width, std::uint64_t seed, bool keepsSum)
    : width_(width), odd_(width), keepsSum_(keepsSum), signs_(static_cast<std::size_t>(width)) {
    assert(width > 0);
    while (odd_ % 2 == 0) odd_ /= 2;
    Random random(seed);
    for (float& sign : signs_) sign = random.next() >> 63 ? -1.0f : 1.0f;
    if (keepsSum_) signs_[0] = 1.0f; // the first row of Q is constant
    if (odd_ == 1) return;
    hartley_.resize(static_cast<std::size_t>(odd_ * odd_));
    const double turn = 6.283185307179586 / static_cast<double>(odd_), scale = 1.0 / std::sqrt(static_cast<double>(odd_));
    for (std::int64_t i = 0; i < odd_; ++i)
        for (std::int64_t j = 0; j < odd_; ++j) {
            const double angle = turn * static_cast<double>(i * j % odd_);
            hartley_[static_cast<std::size_t>(i * odd_ + j)] = static_cast<float>(scale * (std::cos(angle) + std::sin(angle)));
        }
}

/// Channel a·m + b belongs to Hadamard index a and Hartley index b.
void HadamardMixing::applyQ(std::span<float> x) const {
    for (std::int64_t half = odd_; half < width_; half *= 2)
        for (std::int64_t start = 0; start < width_; start += 2 * half) {
            float* low = x.data() + start;
            float* high = low + half;
            for (std::int64_t i = 0; i < half; ++i) {
                const float a = low[i], b = high[i];
                low[i] = a + b;
                high[i] = a - b;
            }
        }
    const auto scale = static_cast<float>(1.0 / std::sqrt(static_cast<double>(width_ / odd_)));
    for (float& value : x) value *= scale;
    if (odd_ == 1) return;
    std::vector<float> run(static_cast<std::size_t>(odd_));
    for (std::int64_t start = 0; start < width_; start += odd_) {
        for (std::int64_t j = 0; j < odd_; ++j) {
            const float* row = hartley_.data() + j * odd_; // symmetric
            double sum = 0;
            for (std::int64_t i = 0; i < odd_; ++i)
                sum += static_cast<double>(row[i]) * static_cast<double>(x[static_cast<std::size_t>(start + i)]);
            run[static_cast<std::size_t>(j)] = static_cast<float>(sum);
        }
        std::copy(run.begin(), run.end(), x.begin() + start);
    }
}

void HadamardMixing::mix(std::span<float> x) const {
    assert(static_cast<std::int64_t>(x.size()) == width_);
    if (keepsSum_) applyQ(x);
    for (std::size_t i = 0; i < x.size(); ++i) x[i] *= signs_[i];
    applyQ(x);
}

} // namespace bw
