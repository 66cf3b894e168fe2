// SPDX-License-Identifier: GPL-3.0-or-later
// Processor time for tests that guard against runaway work. Not for: figures of speed, which benches take.
#pragma once

#include <ctime>

namespace bw::test {

/// Processor seconds of this process since it was made: unlike the clock on the wall, the same on a busy machine.
/// Hangs are the test runner's time limit to find.
class CpuTimer {
public:
    double seconds() const { return now() - start_; }

private:
    static double now() {
        timespec t{};
        ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
        return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
    }
    double start_ = now();
};

/// How much longer the same work may take here: unoptimized code under the sanitizers runs three to six times slower.
#ifdef BW_SANITIZED
inline constexpr double kSlowdown = 6.0;
#else
inline constexpr double kSlowdown = 1.0;
#endif

} // namespace bw::test
