// SPDX-License-Identifier: GPL-3.0-or-later
// What a program leaves behind when it crashes: signal, versions and stack in a file beside the diary, written by calls that are
// allowed in a signal handler. The next start can show it. Nothing is sent anywhere.
#pragma once

#include <string>

namespace bw {

/// Watches for SIGSEGV, SIGBUS, SIGILL, SIGFPE and SIGABRT; the program then still dies of the signal. Without a writable folder nothing
/// is watched. @param about lines for the head of the file: versions. Call once, from main(), before threads start.
void watchCrashes(const std::string& program, const std::string& about);

/// The file of an earlier crash of `program` and its text (at most 64 KiB); both empty when there was none. It is then kept under
/// another name, so that it is told once.
struct CrashReport {
    std::string path, text;
};
CrashReport takeCrashReport(const std::string& program);

} // namespace bw
