// SPDX-License-Identifier: GPL-3.0-or-later
// Progress and cancellation of long work. The engine writes plain values here; a front samples `snapshot()` at its own
// pace (about 10 Hz) and renders it. Not for: starting threads or queueing jobs (app/).
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <vector>

namespace bw {

/// One reading of a job's progress. `secondsLeft` < 0 means not known yet.
struct Progress {
    std::string stage;        ///< what is being done: "sweep blk.3"
    std::string unit;         ///< of done and total: "tokens", "cells", "bytes"
    std::int64_t done = 0;
    std::int64_t total = 0;   ///< 0 = unknown
    double elapsedSeconds = 0;///< of this stage, pauses excluded
    double rate = 0;          ///< units per second, smoothed
    double secondsLeft = -1;
};

/// Handed down through every long function. Thread safe; lives at least as long as the work.
class JobContext {
public:
    JobContext();
    ~JobContext();
    JobContext(const JobContext&) = delete;
    JobContext& operator=(const JobContext&) = delete;

    /// Starts a new stage; rate and estimate begin anew.
    void beginStage(std::string stage, std::int64_t total, std::string unit);
    void advance(std::int64_t by = 1);
    void setDone(std::int64_t done);
    /// A line for people ("2 sites fall back to q8_0"); kept for the front, in order.
    void note(std::string line);

    /// Asks the work to stop. Safe from a signal handler (only an atomic store).
    void requestStop() noexcept { stop_.store(true, std::memory_order_relaxed); }
    bool stopRequested() const noexcept { return stop_.load(std::memory_order_relaxed); }
    /// Waits here while paused; throws Error(cancelled) when a stop was requested. Call at least every 100 ms of work.
    void checkpoint();
    /// The same without waiting: for the pieces of a parallel loop.
    void throwIfStopped();
    /// Called at every look for a stop, on whatever thread looks: lets tests stop a job at any of them and measurements
    /// find the longest stretch without one. Set it before the work starts.
    void setProbe(std::function<void()> probe) { probe_ = std::move(probe); }

    void setPaused(bool paused);
    bool paused() const { return paused_.load(std::memory_order_relaxed); }

    Progress snapshot() const;
    /// Takes the notes that came since the last call.
    std::vector<std::string> takeNotes();

private:
    using Clock = std::chrono::steady_clock;
    std::atomic<bool> stop_{false};
    std::atomic<bool> paused_{false};
    std::atomic<std::int64_t> done_{0};
    mutable std::mutex mutex_;
    std::string stage_, unit_;
    std::int64_t total_ = 0;
    Clock::time_point started_, pausedSince_;
    Clock::duration pausedTotal_{};
    std::vector<std::string> notes_;
    std::function<void()> probe_;
};

/// While it lives, parallelFor on this thread (and the pieces it hands to others) asks `job` for a stop before each piece.
/// That reaches matrix products and encoders, which take no job. Scopes nest; null asks nobody.
class JobScope {
public:
    explicit JobScope(JobContext* job);
    ~JobScope();
    JobScope(const JobScope&) = delete;
    JobScope& operator=(const JobScope&) = delete;
    static JobContext* current();

private:
    JobContext* outer_;
};

} // namespace bw
