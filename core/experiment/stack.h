// SPDX-License-Identifier: GPL-3.0-or-later
// What a run ran on: program, compiler, libraries, processor, device, threads. Private to core/experiment, except that
// `bitwright-cli version` prints it.
#pragma once

#include "core/compute/device.h"
#include "core/experiment/log.h"

#include <string>

namespace bw {

std::string programVersion();        ///< "Bitwright 0.1.0 (Release)"
std::string compilerDescription();   ///< "GCC 12.2.0"
std::string libraryDescription();    ///< "SQLite 3.40.1, oneTBB 2021.8, …": versions found at run time where the library tells
StackRow describeStack(const Device& device);
/// What differs, a line each: "CPU: … → …". Empty: figures must come out again.
std::vector<std::string> stackChanges(const StackRow& was, const StackRow& is);

/// Tells this executable from every other build of it (the linker's build id; size and time of the file without one).
std::string buildIdentity();

/// Highest resident memory of this process so far, bytes; 0 where the system doesn't tell.
std::uint64_t peakMemoryBytes();

} // namespace bw
