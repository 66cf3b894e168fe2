// SPDX-License-Identifier: GPL-3.0-or-later
// Child processes with their output in files.
#include "tests/cli/command.h"

#include <cstdlib>
#include <fcntl.h>
#include <iterator>
#include <sys/wait.h>
#include <unistd.h>

namespace bw::test {
namespace {

void redirect(const std::string& path, int descriptor) {
    const int file = open(path.c_str(), O_CREAT | O_TRUNC | O_WRONLY, 0644);
    if (file < 0 || dup2(file, descriptor) < 0)
        _exit(126);
}

void replaceAll(std::string& text, const std::string& what, const std::string& with) {
    for (std::size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + with.size()))
        text.replace(at, what.size(), with);
}

} // namespace

std::string readWhole(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
}

std::string Shell::expand(std::string text) const {
    replaceAll(text, "{demo}", std::string(BW_RESOURCES) + "/demo");
    replaceAll(text, "{texts}", std::string(BW_RESOURCES) + "/texts");
    replaceAll(text, "{tmp}", folder_.path().string());
    return text;
}

pid_t Shell::start(const std::string& command, const std::string& name) const {
    const std::string line = expand(command);
    const std::string home = folder_.path().string(), data = file("data"), out = file(name + ".out"), err = file(name + ".err");
    const std::string path = std::filesystem::path(BW_CLI).parent_path().string() + ":" + std::getenv("PATH");
    const std::string script = "exec " + line;
    const pid_t child = fork();
    if (child != 0)
        return child;
    setenv("HOME", home.c_str(), 1);
    setenv("XDG_DATA_HOME", data.c_str(), 1);
    setenv("BITWRIGHT_RESOURCES", BW_RESOURCES, 1);
    setenv("PATH", path.c_str(), 1);
    if (chdir(home.c_str()) != 0)
        _exit(126);
    if (const int null = open("/dev/null", O_RDONLY); null < 0 || dup2(null, STDIN_FILENO) < 0)
        _exit(126);
    redirect(out, STDOUT_FILENO);
    redirect(err, STDERR_FILENO);
    const bool isPlain = line.find_first_of("|;&<>") == std::string::npos;
    execl("/bin/bash", "bash", "-c", isPlain ? script.c_str() : line.c_str(), nullptr);
    _exit(127);
}

CommandResult Shell::wait(pid_t process, const std::string& name) const {
    int status = 0;
    waitpid(process, &status, 0);
    return {WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), readWhole(file(name + ".out")), readWhole(file(name + ".err"))};
}

CommandResult Shell::run(const std::string& command) const { return wait(start(command, "command"), "command"); }

} // namespace bw::test
