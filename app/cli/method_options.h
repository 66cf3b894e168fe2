// SPDX-License-Identifier: GPL-3.0-or-later
// Options that say how weights are rounded and how an export is laid out; the same for every command that has them.
#pragma once

#include "app/cli/context.h"

namespace bw::cli {

struct MethodArguments {
    std::optional<std::string> transform, rounder, outliers, activations, kvCache, layout, profile, runtime;
    std::optional<double> damping, correction;
    std::optional<std::int64_t> minimumTokens, sweeps;
    bool indexOrder = false, notSequential = false, refitScales = false;
};

/// --transform, --outliers, --rounder and those of GPTQ.
void addRoundingOptions(CLI::App& command, MethodArguments& given);
/// --activations and --kv-cache.
void addRuntimeOptions(CLI::App& command, MethodArguments& given);
/// --runtime, for commands that evaluate. @param runtime that was given.
void addRuntimeProfile(CLI::App& command, std::optional<std::string>& runtime);
/// --layout and --profile.
void addLayoutOptions(CLI::App& command, MethodArguments& given);
/// What was given replaces the recipe's; the rest of the recipe holds. @throws Error(usage) for options that exclude each other.
void applyMethod(const MethodArguments& given, Recipe& recipe);

} // namespace bw::cli
