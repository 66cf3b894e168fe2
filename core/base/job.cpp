// SPDX-License-Identifier: GPL-3.0-or-later
// Progress bookkeeping: rates come from the whole stage, so a slow first unit does not make the estimate jump.
#include "core/base/job.h"

#include "core/base/error.h"

#include <thread>

namespace bw {

namespace {
thread_local JobContext* currentJob = nullptr;
}

JobScope::JobScope(JobContext* job) : outer_(currentJob) { currentJob = job; }
JobScope::~JobScope() { currentJob = outer_; }
JobContext* JobScope::current() { return currentJob; }

JobContext::JobContext() : started_(Clock::now()) {}
JobContext::~JobContext() = default;

void JobContext::beginStage(std::string stage, std::int64_t total, std::string unit) {
    checkpoint();
    const std::lock_guard lock(mutex_);
    stage_ = std::move(stage);
    unit_ = std::move(unit);
    total_ = total;
    done_.store(0, std::memory_order_relaxed);
    started_ = Clock::now();
    pausedTotal_ = {};
}

void JobContext::advance(std::int64_t by) { done_.fetch_add(by, std::memory_order_relaxed); }
void JobContext::setDone(std::int64_t done) { done_.store(done, std::memory_order_relaxed); }

void JobContext::note(std::string line) {
    const std::lock_guard lock(mutex_);
    notes_.push_back(std::move(line));
}

std::vector<std::string> JobContext::takeNotes() {
    const std::lock_guard lock(mutex_);
    return std::exchange(notes_, {});
}

void JobContext::checkpoint() {
    // 20 ms: short enough that a stop during a pause feels immediate, long enough to cost nothing.
    while (paused() && !stopRequested()) std::this_thread::sleep_for(std::chrono::milliseconds(20));
    throwIfStopped();
}

void JobContext::throwIfStopped() {
    if (probe_) probe_();
    if (stopRequested()) throw Error(ErrorCode::cancelled, "stopped on request", "the run can be resumed");
}

void JobContext::setPaused(bool paused) {
    const std::lock_guard lock(mutex_);
    if (paused == paused_.load(std::memory_order_relaxed)) return;
    if (paused)
        pausedSince_ = Clock::now();
    else
        pausedTotal_ += Clock::now() - pausedSince_;
    paused_.store(paused, std::memory_order_relaxed);
}

Progress JobContext::snapshot() const {
    const std::lock_guard lock(mutex_);
    Progress p;
    p.stage = stage_;
    p.unit = unit_;
    p.done = done_.load(std::memory_order_relaxed);
    p.total = total_;
    auto elapsed = Clock::now() - started_ - pausedTotal_;
    if (paused_.load(std::memory_order_relaxed)) elapsed -= Clock::now() - pausedSince_;
    p.elapsedSeconds = std::chrono::duration<double>(elapsed).count();
    if (p.done > 0 && p.elapsedSeconds > 0) p.rate = static_cast<double>(p.done) / p.elapsedSeconds;
    if (p.rate > 0 && p.total > 0) p.secondsLeft = static_cast<double>(std::max<std::int64_t>(0, p.total - p.done)) / p.rate;
    return p;
}

} // namespace bw
