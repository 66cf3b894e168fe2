// SPDX-License-Identifier: GPL-3.0-or-later
// What this processor is, in words, for the log and for reports. The kernels' own choice is made in gemm.cpp and by
// Highway.
#include "core/compute/cpu_device.h"

#include "core/compute/gemm.h"

#include <fstream>
#include <string>

namespace bw {
namespace {

std::string modelName() {
    std::ifstream file("/proc/cpuinfo");
    std::string line;
    while (std::getline(file, line)) {
        if (line.rfind("model name", 0) != 0) continue;
        const auto colon = line.find(": ");
        if (colon != std::string::npos) return line.substr(colon + 2);
    }
    return "unknown processor";
}

} // namespace

std::string cpuInstructionSet() {
    return gemmTable().name;
}

std::string cpuDescription() {
    std::string text = modelName() + ":";
#if defined(__x86_64__)
    __builtin_cpu_init();
    const auto flag = [&text](bool present, const char* name) {
        if (present) text += std::string(" ") + name;
    };
    flag(__builtin_cpu_supports("sse4.2") != 0, "sse4.2");
    flag(__builtin_cpu_supports("avx2") != 0, "avx2");
    flag(__builtin_cpu_supports("fma") != 0, "fma");
    flag(__builtin_cpu_supports("avx512f") != 0, "avx512f");
    flag(__builtin_cpu_supports("avx512bw") != 0, "avx512bw");
    flag(__builtin_cpu_supports("avx512dq") != 0, "avx512dq");
    flag(__builtin_cpu_supports("avx512vl") != 0, "avx512vl");
    flag(__builtin_cpu_supports("avx512vnni") != 0, "avx512vnni");
    flag(__builtin_cpu_supports("avx512bf16") != 0, "avx512bf16");
#endif
    return text;
}

} // namespace bw
