// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/base/job.h"

#include "tests/support/expect_error.h"

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
