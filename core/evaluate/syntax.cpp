// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/evaluate/syntax.h"

#include "core/base/error.h"
#include "core/base/json.h"

#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <fcntl.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

extern char** environ; // NOLINT: POSIX's own name

namespace bw {
namespace {

constexpr std::chrono::seconds kPatience{10};
constexpr int kParses = 0, kDoesNot = 1;

/// Exit status of a program that is fed `input`; nullopt when it can't be started or takes too long.
std::optional<int> statusOf(const std::array<const char*, 6>& command, const std::string& input) {
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) return std::nullopt; // a pipe's SIGPIPE would end this program
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ends[0], STDIN_FILENO);
    posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    pid_t child = 0;
    const int failure = posix_spawnp(&child, command[0], &actions, nullptr, const_cast<char* const*>(command.data()), environ);
    posix_spawn_file_actions_destroy(&actions);
    close(ends[0]);
    if (failure != 0) {
        close(ends[1]);
        return std::nullopt;
    }
    const auto deadline = std::chrono::steady_clock::now() + kPatience;
    std::size_t written = 0;
    int status = 0;
    bool open = true, ended = false;
    while (!ended && std::chrono::steady_clock::now() < deadline) {
        if (open && written < input.size()) {
            const ssize_t count = send(ends[1], input.data() + written, input.size() - written, MSG_NOSIGNAL | MSG_DONTWAIT);
            if (count > 0) written += static_cast<std::size_t>(count);
            else if (errno != EAGAIN && errno != EINTR) written = input.size(); // it does not read any more
        }
        if (open && written == input.size()) {
            close(ends[1]);
            open = false;
        }
        ended = waitpid(child, &status, WNOHANG) == child;
        if (!ended) std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    if (open) close(ends[1]);
    if (!ended) {
        kill(child, SIGKILL);
        waitpid(child, &status, 0);
        return std::nullopt;
    }
    return WIFEXITED(status) ? std::optional(WEXITSTATUS(status)) : std::nullopt;
}

} // namespace

std::string codeIn(std::string_view answer) {
    const std::size_t fence = answer.find("```");
    if (fence == std::string_view::npos) return std::string(answer);
    const std::size_t line = answer.find('\n', fence);
    if (line == std::string_view::npos) return {};
    const std::size_t end = answer.find("```", line);
    return std::string(answer.substr(line + 1, end == std::string_view::npos ? end : end - line - 1));
}

std::optional<bool> isPython(const std::string& code) {
    static const char* const kProgram = "import sys\ntry:\n compile(sys.stdin.buffer.read(), 'answer', 'exec', dont_inherit=True)\nexcept (SyntaxError, ValueError, MemoryError, RecursionError, OverflowError):\n sys.exit(1)\n";
    const std::optional<int> status = statusOf({"python3", "-I", "-S", "-c", kProgram, nullptr}, code);
    if (status == kParses) return true;
    if (status == kDoesNot) return false;
    return std::nullopt;
}

bool isJson(std::string_view text) {
    try {
        parseJson(text, "answer");
        return true;
    } catch (const Error&) {
        return false;
    }
}

} // namespace bw
