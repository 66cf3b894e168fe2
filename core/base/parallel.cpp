// SPDX-License-Identifier: GPL-3.0-or-later
// One task arena for the whole process; simple_partitioner so that pieces depend on the grain only.
#include "core/base/parallel.h"

#include "core/base/job.h"

#include <algorithm>
#include <atomic>
#include <exception>
#include <memory>
#include <mutex>
#include <tbb/blocked_range.h>
#include <tbb/global_control.h>
#include <tbb/parallel_for.h>
#include <tbb/task_arena.h>
#include <thread>
#include <vector>

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

#if defined(__SANITIZE_THREAD__)
/// The thread sanitizer takes TBB's hand-overs, which it cannot see, for races; hiding what has TBB in its stack would hide
/// every piece. So in its build pieces go to plain threads, which it understands.
void runPieces(Pool& used, std::int64_t pieces, const std::function<void(std::int64_t)>& run) {
    std::atomic<std::int64_t> next{0};
    std::mutex mutex;
    std::exception_ptr failure;
    const auto work = [&] {
        try {
            for (std::int64_t p = next++; p < pieces; p = next++) run(p);
        } catch (...) {
            const std::lock_guard lock(mutex);
            if (!failure) failure = std::current_exception();
            next = pieces;
        }
    };
    {
        std::vector<std::jthread> helpers;
        for (int t = 1; t < used.threads && t < pieces; ++t) helpers.emplace_back(work);
        work();
    }
    if (failure) std::rethrow_exception(failure);
}
#else
void runPieces(Pool& used, std::int64_t pieces, const std::function<void(std::int64_t)>& run) {
    used.arena->execute([&] {
        tbb::parallel_for(
            tbb::blocked_range<std::int64_t>(0, pieces, 1),
            [&](const tbb::blocked_range<std::int64_t>& range) {
                for (std::int64_t p = range.begin(); p != range.end(); ++p) run(p);
            },
            tbb::simple_partitioner());
    });
}
#endif

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
    runPieces(*active, pieces, [&](std::int64_t p) {
        const JobScope scope(job); // on a worker thread, and so that nested loops ask the same job
        piece(p * grain);
    });
}

} // namespace bw
