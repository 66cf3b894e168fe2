// SPDX-License-Identifier: GPL-3.0-or-later
// Shows a job's progress on stderr: one line that is redrawn on a terminal, a plain line every few seconds otherwise.
#pragma once

#include "core/base/job.h"

#include <atomic>
#include <string>
#include <thread>

namespace bw::cli {

/// Samples the job from its own thread from construction to destruction. Quiet: warnings only.
class ProgressPrinter {
public:
    ProgressPrinter(JobContext& job, bool quiet);
    ~ProgressPrinter();
    ProgressPrinter(const ProgressPrinter&) = delete;
    ProgressPrinter& operator=(const ProgressPrinter&) = delete;

private:
    void loop();
    void printNotes();
    void draw(const Progress& progress);
    void clearLine();
    JobContext& job_;
    const bool quiet_, terminal_;
    bool drawn_ = false;
    double nextPlain_ = 0;   ///< seconds since start of the next plain line
    std::string lastPlain_;
    std::atomic<bool> end_{false};
    std::thread thread_;
};

/// "sweep blk.3  ███████░░░░░  41 %  1,234 tokens/s  2 min 10 s left", at most `columns` wide.
std::string progressLine(const Progress& progress, int columns, bool bar);

} // namespace bw::cli
