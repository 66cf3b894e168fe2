// SPDX-License-Identifier: GPL-3.0-or-later
// What a derived checkpoint reads through. Private to core/checkpoint; derived.h is the way to make one.
#pragma once

#include "core/checkpoint/checkpoint.h"

namespace bw {

class DerivedRows {
public:
    class State;
    explicit DerivedRows(std::shared_ptr<const State> state) : state_(std::move(state)) {}
    const Checkpoint& base() const;
    const std::string& identity() const;
    /// As Checkpoint::readRows(), whose checks have been made.
    void readRows(const TensorInfo& tensor, std::int64_t first, MatrixView<float> out) const;

private:
    std::shared_ptr<const State> state_;
};

} // namespace bw
