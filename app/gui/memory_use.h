// SPDX-License-Identifier: GPL-3.0-or-later
// Memory of this process and of the machine, for the strip at the bottom.
#pragma once

#include <cstdint>

namespace bw {

struct MemoryUse { std::uint64_t resident = 0, machine = 0; }; ///< bytes; 0 = the system doesn't tell
MemoryUse memoryUse();

} // namespace bw
