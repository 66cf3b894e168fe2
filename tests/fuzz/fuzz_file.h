// SPDX-License-Identifier: GPL-3.0-or-later
// A fuzzer's input as a file in memory, since everything under test opens files by name; and the rule that a bw::Error is
// the only way to refuse one.
#pragma once

#include "core/base/error.h"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <fcntl.h>
#include <string>
#include <unistd.h>

namespace bw::fuzz {

/// A folder of this process, made once: in BITWRIGHT_FUZZ_FOLDER, which run.sh removes, or under /dev/shm (memory, so an
/// input costs microseconds).
inline const std::string& folder() {
    static const std::string path = [] {
        const char* given = std::getenv("BITWRIGHT_FUZZ_FOLDER");
        std::string name = std::string(given != nullptr ? given : "/dev/shm") + "/bitwright-fuzz-XXXXXX";
        if (::mkdtemp(name.data()) == nullptr) std::abort();
        return name;
    }();
    return path;
}

/// Writes the input under a fixed name of the folder and gives its path.
inline std::string writeInput(const char* name, const std::uint8_t* data, std::size_t size) {
    const std::string path = folder() + "/" + name;
    const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (file < 0 || ::write(file, data, size) != static_cast<ssize_t>(size)) std::abort();
    ::close(file);
    return path;
}

/// Refusals are fine; any other exception ends the process and so is a finding.
template <class Body>
int expectOnlyErrors(Body&& body) {
    try {
        body();
    } catch (const Error&) {
    }
    return 0;
}

} // namespace bw::fuzz
