// SPDX-License-Identifier: GPL-3.0-or-later
// What every command gets: the common options, the job with its progress, the log, and where results go.
#pragma once

#include "core/experiment/runner.h"

#include <CLI/CLI.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <string>

namespace bw::cli {

/// Options that every command takes. What the person left out stays empty, so that a recipe's value holds.
struct CommonOptions {
    std::string log, memory, gpuMemory, recipe;
    std::optional<std::string> device;
    std::optional<std::uint64_t> seed;
    int threads = 0;
    std::optional<std::string> nonFinite;
    bool json = false, quiet = false, dryRun = false, strict = false;
};

class Context {
public:
    CommonOptions common;
    JobContext job;
    std::string commandLine;
    /// What the chosen command does; its value is the exit code. Set while parsing, called after it.
    std::function<int()> action;

    /// Threads and memory limits of the common options. @throws Error(usage).
    void applyLimits() const;
    /// --log, or the user's own log. Opened at the first call.
    ExperimentLog& log();
    std::string logPath() const;
    Runner runner();
    /// A runner for plans that leaves no trace on disk.
    Runner dryRunner();
    /// --recipe (or defaults) with kind, device and seed of this command line.
    Recipe baseRecipe(const std::string& kind) const;

private:
    void tellRecovered();
    std::unique_ptr<ExperimentLog> log_, scratch_;
};

/// Adds the common options to a command.
void addCommon(CLI::App& command, CommonOptions& common);

/// --non-finite, for commands that compute with weights.
void addNonFinite(CLI::App& command, CommonOptions& common);

/// "a,b,c" given once or several times.
std::vector<std::string> splitList(const std::vector<std::string>& given);
/// "1,2,3" → ids. @throws Error(usage).
std::vector<TokenId> parseIds(const std::string& text);
/// "blk.*.attn_v=q8_0" → rule. @throws Error(usage).
FormatRule parseRule(const std::string& text);

// One function per command group; each adds its commands to `app`.
void addInfoCommands(CLI::App& app, Context& context);     ///< info, formats, devices, version
void addTextCommands(CLI::App& app, Context& context);     ///< tokenize, detokenize
void addModelCommands(CLI::App& app, Context& context);    ///< logits, generate
void addMeasureCommands(CLI::App& app, Context& context);  ///< eval, calibrate
void addSweepCommand(CLI::App& app, Context& context);     ///< sweep
void addAssignCommand(CLI::App& app, Context& context);    ///< assign
void addAgreementCommand(CLI::App& runs, Context& context); ///< runs agreement
void addQuantizeCommand(CLI::App& app, Context& context);  ///< quantize
void addImatrixCommand(CLI::App& app, Context& context);   ///< imatrix
void addVerifyCommand(CLI::App& app, Context& context);    ///< verify
void addMethodsCommand(CLI::App& app, Context& context);  ///< methods
void addMixCommands(CLI::App& app, Context& context);      ///< mix, demo
void addUpkeepCommands(CLI::App& app, Context& context);   ///< runs tag, prune, vacuum; revalidate. After addRunsCommands
void addDiagnoseCommand(CLI::App& app, Context& context);  ///< diagnose
void addReportCommand(CLI::App& app, Context& context);    ///< report
void addRunsCommands(CLI::App& app, Context& context);     ///< runs, rerun
void addCompareCommands(CLI::App& app, Context& context);  ///< compare, runs outputs. After runs is there

} // namespace bw::cli
