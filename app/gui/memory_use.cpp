// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/gui/memory_use.h"

#include <fstream>
#include <unistd.h>

namespace bw {

MemoryUse memoryUse() {
    MemoryUse use;
    const long page = sysconf(_SC_PAGESIZE), pages = sysconf(_SC_PHYS_PAGES);
    if (page <= 0) return use;
    if (pages > 0) use.machine = static_cast<std::uint64_t>(pages) * static_cast<std::uint64_t>(page);
    // statm: total and resident size in pages.
    std::ifstream statm("/proc/self/statm");
    std::uint64_t total = 0, resident = 0;
    if (statm >> total >> resident) use.resident = resident * static_cast<std::uint64_t>(page);
    return use;
}

} // namespace bw
