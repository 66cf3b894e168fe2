// SPDX-License-Identifier: GPL-3.0-or-later
// Signal handlers: only atomics and async-signal-safe calls inside.
#include "app/cli/signals.h"

#include <atomic>
#include <csignal>
#include <string_view>
#include <unistd.h>

namespace bw::cli {
namespace {

std::atomic<JobContext*> stoppable{nullptr};
std::atomic<int> signalsSeen{0};

void say(std::string_view text) {
    // A full or closed stderr must not keep the signal from working.
    [[maybe_unused]] const ssize_t written = write(STDERR_FILENO, text.data(), text.size());
}

void onSignal(int) {
    if (signalsSeen.fetch_add(1) > 0)
        _exit(kExitInterrupted);
    if (JobContext* job = stoppable.load())
        job->requestStop();
    say("\nstopping at the next safe point (again to stop at once)\n");
}

} // namespace

void stopOnSignals(JobContext& job) {
    stoppable.store(&job);
    struct sigaction action {};
    action.sa_handler = onSignal;
    sigemptyset(&action.sa_mask);
    action.sa_flags = SA_RESTART; // reads and writes of the engine go on to their own safe point
    sigaction(SIGINT, &action, nullptr);
    sigaction(SIGTERM, &action, nullptr);
    // Past a file size limit (ulimit -f) a write shall fail with an error that can be told, not end the program.
    std::signal(SIGXFSZ, SIG_IGN);
}

} // namespace bw::cli
