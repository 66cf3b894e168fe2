// SPDX-License-Identifier: GPL-3.0-or-later
// Tells whether the process that began a run is still there, across reused process ids and restarts of the machine.
#pragma once

#include <cstdint>
#include <string>

namespace bw {

struct ProcessIdentity {
    std::int64_t pid = 0;
    std::int64_t start = 0; ///< clock ticks since boot (field 22 of /proc/PID/stat); 0 = not known
    std::string bootId;     ///< /proc/sys/kernel/random/boot_id
};

ProcessIdentity thisProcess();
/// Same boot, a process with that id, started at that tick.
bool isAlive(const ProcessIdentity& process);

} // namespace bw
