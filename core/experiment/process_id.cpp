// SPDX-License-Identifier: GPL-3.0-or-later
// Reads /proc; where it is missing (containers without it) the process id alone decides.
#include "core/experiment/process_id.h"

#include <cerrno>
#include <csignal>
#include <fstream>
#include <sstream>
#include <unistd.h>

namespace bw {
namespace {

std::string readLine(const std::string& path) {
    std::ifstream in(path);
    std::string line;
    std::getline(in, line);
    return line;
}

std::int64_t startTicks(std::int64_t pid) {
    const std::string line = readLine("/proc/" + std::to_string(pid) + "/stat");
    // The second field is the program's name in parentheses and may hold anything: count from the last ')'.
    const std::size_t close = line.rfind(')');
    if (close == std::string::npos)
        return 0;
    std::istringstream rest(line.substr(close + 1));
    std::string field;
    for (int i = 3; i <= 22; ++i)
        if (!(rest >> field))
            return 0;
    return std::stoll(field);
}

} // namespace

ProcessIdentity thisProcess() {
    const std::int64_t pid = getpid();
    return {pid, startTicks(pid), readLine("/proc/sys/kernel/random/boot_id")};
}

bool isAlive(const ProcessIdentity& process) {
    if (process.pid <= 0 || process.bootId != readLine("/proc/sys/kernel/random/boot_id"))
        return false;
    if (kill(static_cast<pid_t>(process.pid), 0) != 0 && errno == ESRCH)
        return false;
    return process.start == 0 || startTicks(process.pid) == process.start;
}

} // namespace bw
