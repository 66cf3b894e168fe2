// SPDX-License-Identifier: GPL-3.0-or-later
// spdlog's rotating file without a console; its own errors are swallowed, since a diary must never stop the work.
#include "app/common/diagnostics.h"

#include "core/base/text.h"

#include <cstdlib>
#include <memory>
#include <spdlog/sinks/rotating_file_sink.h>
#include <spdlog/spdlog.h>

namespace bw {
namespace {

constexpr std::size_t kFileBytes = 1 << 20, kFiles = 3;

std::shared_ptr<spdlog::logger> diary;
std::string diaryPath;

std::string stateFolder() {
    if (const char* state = std::getenv("XDG_STATE_HOME"); state != nullptr && *state == '/') return std::string(state) + "/bitwright";
    if (const char* home = std::getenv("HOME"); home != nullptr && *home == '/') return std::string(home) + "/.local/state/bitwright";
    return {};
}

void write(spdlog::level::level_enum level, const std::string& line) noexcept {
    try {
        if (diary) diary->log(level, "{}", escapeForDisplay(line, 4000));
    } catch (...) { // out of memory at most
    }
}

} // namespace

void startDiagnostics(const std::string& program) {
    const std::string folder = stateFolder();
    if (folder.empty()) return;
    try {
        const std::string path = folder + "/" + program + ".log";
        diary = std::make_shared<spdlog::logger>(program, std::make_shared<spdlog::sinks::rotating_file_sink_mt>(path, kFileBytes, kFiles));
        diary->set_pattern("%Y-%m-%dT%H:%M:%S.%e%z [%P] %l: %v");
        diary->set_error_handler([](const std::string&) {});
        diary->flush_on(spdlog::level::info);
        diaryPath = path;
    } catch (const spdlog::spdlog_ex&) {
        diary.reset(); // no writable home
    }
}

void noteEvent(const std::string& line) noexcept { write(spdlog::level::info, line); }
void noteError(const std::string& line) noexcept { write(spdlog::level::err, line); }
std::string diagnosticsPath() { return diaryPath; }

} // namespace bw
