// SPDX-License-Identifier: GPL-3.0-or-later
// Everything that needs memory is made ready at the start; the handler only opens, writes and closes.
#include "app/common/crash.h"

#include "app/common/diagnostics.h"

#include <algorithm>
#include <array>
#include <csignal>
#include <cstring>
#include <execinfo.h>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <unistd.h>

namespace bw {
namespace {

namespace fs = std::filesystem;

constexpr std::array kSignals{SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT};
constexpr std::size_t kMostText = 64 << 10, kAlternateStack = 64 << 10; ///< of a stack that overflowed nothing is left to stand on
constexpr int kMostFrames = 64;

std::array<char, 4096> crashPath{}, crashHead{};
std::array<char, kAlternateStack> alternateStack{};

void put(int file, const char* text) {
    std::size_t left = std::strlen(text);
    while (left > 0) {
        const ssize_t written = ::write(file, text, left);
        if (written <= 0) return;
        text += written;
        left -= static_cast<std::size_t>(written);
    }
}

const char* nameOf(int signal) {
    switch (signal) {
    case SIGSEGV: return "SIGSEGV (memory that is not there)";
    case SIGBUS: return "SIGBUS (a mapped file became shorter, or its disk failed)";
    case SIGILL: return "SIGILL (an instruction that this processor does not have)";
    case SIGFPE: return "SIGFPE (an impossible division)";
    case SIGABRT: return "SIGABRT (the program gave up)";
    default: return "a signal";
    }
}

extern "C" void onCrash(int signal) {
    const int file = ::open(crashPath.data(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (file >= 0) {
        put(file, crashHead.data());
        put(file, "signal: ");
        put(file, nameOf(signal));
        put(file, "\nstack:\n");
        std::array<void*, kMostFrames> frames{};
        ::backtrace_symbols_fd(frames.data(), ::backtrace(frames.data(), kMostFrames), file); // no malloc after the first backtrace()
        ::close(file);
    }
    ::signal(signal, SIG_DFL);
    ::raise(signal);
}

std::string crashFile(const std::string& program) {
    const std::string diary = diagnosticsPath();
    return diary.empty() ? std::string() : (fs::path(diary).parent_path() / (program + ".crash")).string();
}

} // namespace

void watchCrashes(const std::string& program, const std::string& about) {
    const std::string path = crashFile(program);
    if (path.empty() || path.size() >= crashPath.size()) return;
    std::copy(path.begin(), path.end(), crashPath.begin());
    const std::string head = about.substr(0, crashHead.size() - 2) + '\n';
    std::copy(head.begin(), head.end(), crashHead.begin());
    void* warm = nullptr;
    ::backtrace(&warm, 1); // loads what it needs, which takes memory
    stack_t stack{};
    stack.ss_sp = alternateStack.data();
    stack.ss_size = alternateStack.size();
    ::sigaltstack(&stack, nullptr);
    for (const int signal : kSignals) {
        struct sigaction action{};
        action.sa_handler = &onCrash;
        action.sa_flags = static_cast<int>(SA_ONSTACK | SA_RESETHAND);
        ::sigaction(signal, &action, nullptr);
    }
}

CrashReport takeCrashReport(const std::string& program) {
    const std::string path = crashFile(program);
    std::error_code failure;
    if (path.empty() || !fs::is_regular_file(path, failure)) return {};
    CrashReport report{path + ".last", {}};
    fs::rename(path, report.path, failure);
    if (failure) report.path = path;
    std::ifstream file(report.path, std::ios::binary);
    report.text.assign(std::istreambuf_iterator<char>(file), {});
    report.text.resize(std::min(report.text.size(), kMostText));
    return report;
}

} // namespace bw
