// SPDX-License-Identifier: GPL-3.0-or-later
// bitwright-cli: parses the command line, runs one command, turns errors into one line (or one JSON object) and an exit
// code: 0 ok, 1 failed, 2 usage, 3 a threshold broke, 130 interrupted.
#include "app/cli/cache_command.h"
#include "app/cli/context.h"
#include "app/cli/methods_command.h"
#include "app/cli/output.h"
#include "app/cli/plot_command.h"
#include "app/cli/signals.h"
#include "app/common/diagnostics.h"
#include "core/base/error.h"

#include <cstdio>
#include <cstring>
#include <new>

namespace bw::cli {
namespace {

/// The command line as a person could paste it: words with anything unusual in single quotes.
std::string joinedCommandLine(int argc, char** argv) {
    constexpr const char* kPlain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-+=./,:@%";
    std::string line = "bitwright-cli";
    for (int i = 1; i < argc; ++i) {
        const std::string word = argv[i];
        if (!word.empty() && word.find_first_not_of(kPlain) == std::string::npos) {
            line += " " + word;
            continue;
        }
        line += " '";
        for (const char c : word)
            line += c == '\'' ? std::string("'\\''") : std::string(1, c);
        line += "'";
    }
    return line;
}

bool wantsJson(int argc, char** argv) {
    for (int i = 1; i < argc; ++i)
        if (std::strcmp(argv[i], "--json") == 0)
            return true;
    return false;
}

int report(const Error& error, bool json) {
    noteError(std::string(errorCodeName(error.code())) + ": " + error.oneLine());
    if (json)
        printJson(errorJson(error));
    else
        std::fprintf(stderr, "error: %s\n", error.oneLine().c_str());
    switch (error.code()) {
    case ErrorCode::cancelled: return kExitInterrupted;
    case ErrorCode::usage: return kExitUsage;
    default: return kExitFailed;
    }
}

void addCommands(CLI::App& app, Context& context) {
    addInfoCommands(app, context);
    addTextCommands(app, context);
    addModelCommands(app, context);
    addMeasureCommands(app, context);
    addSweepCommand(app, context);
    addAssignCommand(app, context);
    addMixCommands(app, context);
    addGuideCommand(app, context);
    addMethodsCommand(app, context);
    addQuantizeCommand(app, context);
    addImatrixCommand(app, context);
    addVerifyCommand(app, context);
    addDiagnoseCommand(app, context);
    addReportCommand(app, context);
    addRunsCommands(app, context);
    addUpkeepCommands(app, context);
    addPlotCommand(app, context);
    addCacheCommand(app, context);
}

int parseAndRun(int argc, char** argv, Context& context, bool json) {
    CLI::App app("Bitwright: a workbench for quantizing language models.", "bitwright-cli");
    app.require_subcommand(1);
    app.footer("Start with:\n  bitwright-cli demo\n  bitwright-cli info model.gguf\n"
               "'bitwright-cli COMMAND --help' shows a command's options and examples.");
    addCommands(app, context);
    // Said here because CLI11 would only say that a subcommand is required.
    if (argc > 1 && argv[1][0] != '-' && app.get_subcommands([&](const CLI::App* command) { return command->check_name(argv[1]); }).empty())
        return report(Error(ErrorCode::usage, "there is no command \"" + std::string(argv[1]) + "\"", "bitwright-cli --help lists the commands"), json);
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& e) {
        if (e.get_exit_code() == 0)
            return app.exit(e); // --help
        if (json)
            return report(Error(ErrorCode::usage, e.what(), "see bitwright-cli --help"), true);
        app.exit(e);
        return kExitUsage;
    }
    context.applyLimits();
    return context.action();
}

/// Also when the command went well: a result that never reached its file is a failure.
int flushed(int code) {
    const bool failed = std::ferror(stdout) != 0 || std::fflush(stdout) != 0;
    if (!failed)
        return code;
    std::fputs("error: the result could not be written to standard output\n", stderr);
    return code == kExitOk ? kExitFailed : code;
}

} // namespace
} // namespace bw::cli

int main(int argc, char** argv) {
    using namespace bw;
    using namespace bw::cli;
    static Context context; // outlives every signal
    context.commandLine = joinedCommandLine(argc, argv);
    startDiagnostics("bitwright-cli");
    noteEvent(context.commandLine);
    stopOnSignals(context.job);
    const bool json = wantsJson(argc, argv);
    try {
        return flushed(parseAndRun(argc, argv, context, json));
    } catch (const Error& e) {
        return flushed(report(e, json));
    } catch (const std::bad_alloc&) {
        return flushed(report(Error(ErrorCode::outOfMemory, "out of memory", "use shorter or fewer windows, or --memory to spill earlier"), json));
    } catch (const std::exception& e) {
        return flushed(report(Error(ErrorCode::internal, e.what(), "please report this with the command line"), json));
    }
}
