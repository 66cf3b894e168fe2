// SPDX-License-Identifier: GPL-3.0-or-later
// Every bad file must give its error, name itself, and cost less than 64 MB and a second (six under a sanitizer).
#pragma once

#include "core/checkpoint/checkpoint.h"
#include "tests/support/bad_files.h"
#include "tests/support/cpu_timer.h"
#include "tests/support/expect_error.h"

#include <fstream>
#include <string>

namespace bw::test {

/// Resets the kernel's memory of the peak, then reads it: kB in use at most since the reset.
class PeakMemory {
public:
    PeakMemory() {
        std::ofstream("/proc/self/clear_refs") << "5";
        start_ = value("VmRSS:");
    }
    long growthKb() const { return value("VmHWM:") - start_; }

private:
    static long value(const std::string& key) {
        std::ifstream status("/proc/self/status");
        std::string word;
        long kb = 0;
        while (status >> word)
            if (word == key && status >> kb) return kb;
        return 0;
    }
    long start_ = 0;
};

inline constexpr double kMostSeconds = 1.0 * kSlowdown;

inline void expectRefused(const BadFiles& files) {
    EXPECT_FALSE(files.empty());
    for (const auto& file : files) {
        SCOPED_TRACE(file.label);
        const PeakMemory memory;
        const CpuTimer timer;
        const Error error = expectError(file.expected, [&] { Checkpoint::open(file.path); });
        EXPECT_LT(timer.seconds(), kMostSeconds);
        EXPECT_LT(memory.growthKb(), 64 * 1024);
        EXPECT_NE((error.message() + " " + error.hint()).find(file.mentions), std::string::npos) << error.oneLine();
        EXPECT_FALSE(error.hint().empty()) << error.oneLine();
    }
}

} // namespace bw::test
