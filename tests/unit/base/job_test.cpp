// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/base/job.h"
#include "core/base/parallel.h"

#include "tests/support/expect_error.h"

#include <atomic>
#include <thread>

using namespace bw;
using namespace bw::test;

TEST(JobContext, ReportsProgress) {
    JobContext job;
    job.beginStage("sweep", 10, "cells");
    job.advance(4);
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
    const Progress p = job.snapshot();
    EXPECT_EQ("sweep", p.stage);
    EXPECT_EQ(4, p.done);
    EXPECT_EQ(10, p.total);
    EXPECT_GT(p.rate, 0);
    EXPECT_NEAR(p.secondsLeft, 6 / p.rate, 1e-9);
}

TEST(JobContext, StopThrowsAtTheNextCheckpoint) {
    JobContext job;
    EXPECT_NO_THROW(job.checkpoint());
    job.requestStop();
    expectError(ErrorCode::cancelled, [&] { job.checkpoint(); });
}

TEST(JobContext, PauseHoldsAndDoesNotCount) {
    JobContext job;
    job.beginStage("x", 10, "y");
    job.setPaused(true);
    std::atomic<bool> through{false};
    std::thread worker([&] {
        job.checkpoint();
        through = true;
    });
    std::this_thread::sleep_for(std::chrono::milliseconds(60));
    EXPECT_FALSE(through);
    EXPECT_LT(job.snapshot().elapsedSeconds, 0.05);
    job.setPaused(false);
    worker.join();
    EXPECT_TRUE(through);
}

TEST(JobContext, StopEndsAPause) {
    JobContext job;
    job.setPaused(true);
    job.requestStop();
    expectError(ErrorCode::cancelled, [&] { job.checkpoint(); });
}

TEST(JobContext, NotesAreTakenOnce) {
    JobContext job;
    job.note("a");
    job.note("b");
    EXPECT_EQ((std::vector<std::string>{"a", "b"}), job.takeNotes());
    EXPECT_TRUE(job.takeNotes().empty());
}

TEST(JobScope, ReachesEveryPieceOfALoop) {
    for (const int threads : {1, 3}) {
        setThreadCount(threads);
        JobContext job;
        std::atomic<int> looks{0}, done{0};
        job.setProbe([&] {
            if (++looks == 5) job.requestStop();
        });
        const auto loop = [&] { parallelFor(1000, 1, [&](std::int64_t, std::int64_t) { ++done; }); };
        {
            const JobScope scope(&job);
            expectError(ErrorCode::cancelled, loop);
            EXPECT_LT(done, 5 + threads);
            const JobScope nobody(nullptr);
            loop(); // asks nobody
        }
        EXPECT_EQ(JobScope::current(), nullptr);
        done = 0;
        loop();
        EXPECT_EQ(done, 1000);
    }
    setThreadCount(0);
}

TEST(JobScope, NestedLoopsOnOtherThreadsAskTheSameJob) {
    setThreadCount(4);
    JobContext job;
    std::atomic<int> looks{0};
    job.setProbe([&] { ++looks; });
    {
        const JobScope scope(&job);
        parallelFor(8, 1, [](std::int64_t, std::int64_t) { parallelFor(4, 1, [](std::int64_t, std::int64_t) {}); });
    }
    EXPECT_EQ(looks, 8 + 8 * 4);
    setThreadCount(0);
}
