// SPDX-License-Identifier: GPL-3.0-or-later
// Progress on stderr.
#include "app/cli/progress.h"

#include "app/cli/output.h"
#include "core/base/text.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

namespace bw::cli {
namespace {

constexpr auto kSample = std::chrono::milliseconds(100);
constexpr double kPlainEvery = 3.0;  ///< seconds between plain lines: a log file of an hour stays readable
constexpr double kFirstPlain = 1.0;  ///< short jobs print no progress at all
constexpr int kBarWidth = 20;

int terminalColumns() {
    winsize size{};
    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 20)
        return size.ws_col;
    return 80;
}

std::string barOf(double share) {
    const int full = static_cast<int>(std::lround(share * kBarWidth));
    std::string out;
    for (int i = 0; i < kBarWidth; ++i)
        out += i < full ? "█" : "░";
    return out;
}

} // namespace

std::string progressLine(const Progress& p, int columns, bool bar) {
    std::string line = escapeForDisplay(p.stage, 60);
    if (p.total > 0) {
        const double share = std::clamp(static_cast<double>(p.done) / static_cast<double>(p.total), 0.0, 1.0);
        line += bar ? "  " + barOf(share) + "  " : ": ";
        line += fmt::format("{:.0f} %", std::floor(share * 100));
    }
    if (p.rate > 0)
        line += fmt::format("  {} {}/s", groupDigits(p.rate), p.unit);
    if (p.secondsLeft >= 0)
        line += "  " + formatSeconds(p.secondsLeft) + " left";
    return clipToColumns(line, columns);
}

ProgressPrinter::ProgressPrinter(JobContext& job, bool quiet)
    : job_(job), quiet_(quiet), terminal_(isatty(STDERR_FILENO) == 1), nextPlain_(kFirstPlain), thread_([this] { loop(); }) {}

ProgressPrinter::~ProgressPrinter() {
    end_.store(true);
    thread_.join();
    clearLine();
    printNotes();
}

void ProgressPrinter::clearLine() {
    if (!drawn_)
        return;
    std::fputs("\r\033[K", stderr);
    std::fflush(stderr);
    drawn_ = false;
}

void ProgressPrinter::printNotes() {
    for (const std::string& note : job_.takeNotes()) {
        if (quiet_ && !note.starts_with("warning:"))
            continue;
        clearLine();
        std::fprintf(stderr, "%s\n", note.c_str());
    }
}

void ProgressPrinter::draw(const Progress& progress) {
    if (progress.stage.empty())
        return;
    const std::string line = progressLine(progress, terminalColumns() - 1, true);
    std::fprintf(stderr, "\r\033[K%s", line.c_str());
    std::fflush(stderr);
    drawn_ = true;
}

void ProgressPrinter::loop() {
    const auto begun = std::chrono::steady_clock::now();
    while (!end_.load()) {
        std::this_thread::sleep_for(kSample);
        printNotes();
        if (quiet_)
            continue;
        const Progress progress = job_.snapshot();
        if (terminal_) {
            draw(progress);
            continue;
        }
        const double now = std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();
        if (now < nextPlain_ || progress.stage.empty())
            continue;
        const std::string line = progressLine(progress, 100, false);
        if (line != lastPlain_)
            std::fprintf(stderr, "%s\n", line.c_str());
        lastPlain_ = line;
        nextPlain_ = now + kPlainEvery;
    }
}

} // namespace bw::cli
