// SPDX-License-Identifier: GPL-3.0-or-later
// Memory lent to a device for as long as a scope lasts.
#pragma once

#include "core/compute/device.h"

namespace bw {

/// Memory that a device keeps the values of, for as long as this lives.
class Lent {
public:
    /// @param x  without gaps between its rows, and in nobody else's loan.
    Lent(Device& device, MatrixView<float> x, bool hasValues) : device_(device), memory_(x.data, static_cast<std::size_t>(x.size())) {
        device_.lend(memory_);
        if (hasValues) device_.hostWrote(x);
    }
    ~Lent() { device_.reclaim(memory_); }
    Lent(const Lent&) = delete;
    Lent& operator=(const Lent&) = delete;

private:
    Device& device_;
    std::span<float> memory_;
};

} // namespace bw
