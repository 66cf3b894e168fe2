// SPDX-License-Identifier: GPL-3.0-or-later
// Facts of the running program for the log.
#include "core/experiment/stack.h"

#include "core/base/parallel.h"
#include "core/compute/cpu_device.h"

#include <Eigen/Core>
#include <SQLiteCpp/SQLiteCpp.h>
#include <fmt/format.h>
#include <hwy/highway.h>
#include <nlohmann/json.hpp>
#include <sqlite3.h>
#include <sys/resource.h>
#include <tbb/version.h>

namespace bw {

std::string programVersion() { return fmt::format("Bitwright {} ({})", BW_VERSION, BW_BUILD_TYPE); }

std::string compilerDescription() {
#if defined(__clang__)
    return fmt::format("Clang {}.{}.{}", __clang_major__, __clang_minor__, __clang_patchlevel__);
#else
    return fmt::format("GCC {}.{}.{}", __GNUC__, __GNUC_MINOR__, __GNUC_PATCHLEVEL__);
#endif
}

std::string libraryDescription() {
    return fmt::format("SQLite {}, SQLiteCpp {}, oneTBB {}, Eigen {}.{}.{}, Highway {}.{}.{}, nlohmann-json {}.{}.{}, fmt {}.{}.{}",
                       sqlite3_libversion(), SQLITECPP_VERSION, TBB_runtime_version(), EIGEN_WORLD_VERSION,
                       EIGEN_MAJOR_VERSION, EIGEN_MINOR_VERSION, HWY_MAJOR, HWY_MINOR, HWY_PATCH, NLOHMANN_JSON_VERSION_MAJOR,
                       NLOHMANN_JSON_VERSION_MINOR, NLOHMANN_JSON_VERSION_PATCH, FMT_VERSION / 10000, FMT_VERSION / 100 % 100,
                       FMT_VERSION % 100);
}

StackRow describeStack(const Device& device) {
    return {0, programVersion(), compilerDescription(), libraryDescription(), cpuDescription(), device.description(), threadCount()};
}

std::uint64_t peakMemoryBytes() {
    rusage usage{};
    if (getrusage(RUSAGE_SELF, &usage) != 0)
        return 0;
    return static_cast<std::uint64_t>(usage.ru_maxrss) * 1024; // Linux counts KiB
}

} // namespace bw
