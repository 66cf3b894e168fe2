// SPDX-License-Identifier: GPL-3.0-or-later
// Running bitwright-cli the way a person does: through a shell, in a folder of its own, with its own home.
#pragma once

#include "tests/support/temp_folder.h"

#include <string>
#include <sys/types.h>

namespace bw::test {

struct CommandResult {
    int exitCode = -1; ///< 128 + signal when a signal ended it
    std::string out, err;
};

/// A folder with HOME and log in it; `{demo}`, `{texts}` and `{tmp}` in commands are replaced.
class Shell {
public:
    CommandResult run(const std::string& command) const;
    /// Starts without waiting; the program itself is the process (exec), so signals reach it.
    pid_t start(const std::string& command, const std::string& name) const;
    CommandResult wait(pid_t process, const std::string& name) const;
    std::string expand(std::string text) const;
    std::string file(const std::string& name) const { return folder_.file(name); }
    const TempFolder& folder() const { return folder_; }

private:
    TempFolder folder_;
};

std::string readWhole(const std::string& path);

} // namespace bw::test
