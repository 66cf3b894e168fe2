// SPDX-License-Identifier: GPL-3.0-or-later
// The one place where work is spread over threads: one TBB arena, plain loops. Results never depend on the number of
// threads: callers give each index its own output and sum in index order.
#pragma once

#include <cstdint>
#include <functional>

namespace bw {

/// Sets how many threads all later loops use; 0 = one per core. Call once at start, not while work runs.
void setThreadCount(int threads);
int threadCount();

/// Calls body(begin, end) over [0, count) in pieces of at most `grain` (≥ 1); returns when all are done. Exceptions of a
/// piece are rethrown here. Inside a JobScope its job is asked for a stop before each piece, which may throw
/// Error(cancelled). Nested calls are fine. Below two pieces, or with one thread, runs inline.
void parallelFor(std::int64_t count, std::int64_t grain, const std::function<void(std::int64_t, std::int64_t)>& body);

} // namespace bw
