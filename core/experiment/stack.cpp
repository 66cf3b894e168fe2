// SPDX-License-Identifier: GPL-3.0-or-later
// Facts of the running program for the log.
#include "core/experiment/stack.h"

#include "core/base/parallel.h"
#include "core/compute/cpu_device.h"

#include <Eigen/Core>
#include <SQLiteCpp/SQLiteCpp.h>
#include <cstring>
#include <fmt/format.h>
#include <hwy/highway.h>
#include <link.h>
#include <nlohmann/json.hpp>
#include <sqlite3.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <tbb/version.h>

namespace bw {
namespace {

/// The build id among the notes [at, end) of a program header, as hex; empty when it is not there.
std::string buildIdIn(const char* at, const char* end) {
    const auto padded = [](std::size_t size) { return (size + 3) / 4 * 4; };
    while (end - at > static_cast<std::ptrdiff_t>(sizeof(ElfW(Nhdr)))) {
        ElfW(Nhdr) note;
        std::memcpy(&note, at, sizeof note);
        const char* name = at + sizeof note;
        const char* data = name + padded(note.n_namesz);
        if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == 4 && std::memcmp(name, "GNU", 4) == 0) {
            std::string hex;
            for (std::size_t i = 0; i < note.n_descsz; ++i)
                hex += fmt::format("{:02x}", static_cast<unsigned char>(data[i]));
            return hex;
        }
        at = data + padded(note.n_descsz);
    }
    return {};
}

/// Called for the program itself first; one is enough.
int readBuildId(dl_phdr_info* info, std::size_t, void* out) {
    for (int i = 0; i < info->dlpi_phnum; ++i) {
        const ElfW(Phdr)& header = info->dlpi_phdr[i];
        if (header.p_type != PT_NOTE)
            continue;
        const char* notes = reinterpret_cast<const char*>(info->dlpi_addr + header.p_vaddr); // mapped by the loader
        std::string id = buildIdIn(notes, notes + header.p_memsz);
        if (!id.empty())
            *static_cast<std::string*>(out) = std::move(id);
    }
    return 1;
}

} // namespace

std::string buildIdentity() {
    std::string id;
    dl_iterate_phdr(readBuildId, &id);
    if (!id.empty())
        return id;
    struct stat file {};
    if (stat("/proc/self/exe", &file) != 0)
        return programVersion();
    return fmt::format("{}-{}.{:09}", file.st_size, file.st_mtim.tv_sec, file.st_mtim.tv_nsec);
}

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

std::vector<std::string> stackChanges(const StackRow& was, const StackRow& is) {
    std::vector<std::string> out;
    const auto change = [&](const char* what, const std::string& a, const std::string& b) {
        if (a != b)
            out.push_back(fmt::format("{}: {} → {}", what, a, b));
    };
    change("program", was.program, is.program);
    change("compiler", was.compiler, is.compiler);
    change("libraries", was.libraries, is.libraries);
    change("CPU", was.cpu, is.cpu);
    change("device", was.device, is.device);
    return out;
}

} // namespace bw
