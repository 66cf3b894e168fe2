// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/model/buffer_pool.h"

#include <algorithm>

namespace bw {
namespace {

/// One block in flight takes seven buffers; two threads may each run one. What exceeds that is freed.
constexpr std::size_t kKeptBuffers = 16;

} // namespace

Matrix BufferPool::take(std::int64_t values) {
    {
        const std::lock_guard lock(mutex_);
        // The smallest that is large enough.
        auto best = free_.end();
        for (auto it = free_.begin(); it != free_.end(); ++it)
            if (it->size() >= values && (best == free_.end() || it->size() < best->size())) best = it;
        if (best != free_.end()) {
            Matrix found = std::move(*best);
            free_.erase(best);
            return found;
        }
    }
    return Matrix(1, values);
}

void BufferPool::give(Matrix memory) {
    const std::lock_guard lock(mutex_);
    if (free_.size() == kKeptBuffers)
        free_.erase(std::min_element(free_.begin(), free_.end(),
                                     [](const Matrix& a, const Matrix& b) { return a.size() < b.size(); }));
    free_.push_back(std::move(memory));
}

} // namespace bw
