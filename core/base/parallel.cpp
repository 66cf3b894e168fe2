// SPDX-License-Identifier: GPL-3.0-or-later
// One task arena for the whole process; simple_partitioner so that pieces depend on the grain only.
#include "core/base/parallel.h"

#include "core/base/job.h"

#include <algorithm>
#include <atomic>
#include <memory>
#include <mutex>
#include <tbb/blocked_range.h>
#include <tbb/global_control.h>
#include <tbb/parallel_for.h>
#include <tbb/task_arena.h>
#include <thread>

namespace bw {

namespace {

struct Pool {
    std::unique_ptr<tbb::global_control> control;
    std::unique_ptr<tbb::task_arena> arena;
    int threads = 0;
};

std::mutex poolMutex;
std::shared_ptr<Pool> pool;

std::shared_ptr<Pool> makePool(int threads) {
    auto made = std::make_shared<Pool>();
    const int cores = std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
    made->threads = threads > 0 ? threads : cores;
    // More threads than cores are allowed when asked for: results may not depend on the number, and tests check that.
    if (made->threads > cores)
        made->control = std::make_unique<tbb::global_control>(tbb::global_control::max_allowed_parallelism,
                                                              static_cast<std::size_t>(made->threads));
    made->arena = std::make_unique<tbb::task_arena>(made->threads);
    return made;
}

std::shared_ptr<Pool> currentPool() {
    const std::lock_guard lock(poolMutex);
    if (!pool) pool = makePool(0);
    return pool;
}

} // namespace

void setThreadCount(int threads) {
    const std::lock_guard lock(poolMutex);
    pool = makePool(threads);
}

int threadCount() { return currentPool()->threads; }

void parallelFor(std::int64_t count, std::int64_t grain, const std::function<void(std::int64_t, std::int64_t)>& body) {
    if (count <= 0) return;
    grain = std::max<std::int64_t>(1, grain);
    const auto active = currentPool();
    JobContext* const job = JobScope::current();
    const auto piece = [&](std::int64_t begin) {
        if (job != nullptr) job->throwIfStopped();
        body(begin, std::min(count, begin + grain));
    };
    if (count <= grain || active->threads == 1) {
        // Same pieces as in the parallel case, so that a body whose result depends on its range stays deterministic.
        for (std::int64_t begin = 0; begin < count; begin += grain) piece(begin);
        return;
    }
    const std::int64_t pieces = (count + grain - 1) / grain;
    active->arena->execute([&] {
        tbb::parallel_for(
            tbb::blocked_range<std::int64_t>(0, pieces, 1),
            [&](const tbb::blocked_range<std::int64_t>& range) {
                const JobScope scope(job); // on a worker thread, and so that nested loops ask the same job
                for (std::int64_t p = range.begin(); p != range.end(); ++p) piece(p * grain);
            },
            tbb::simple_partitioner());
    });
}

} // namespace bw
