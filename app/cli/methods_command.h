// SPDX-License-Identifier: GPL-3.0-or-later
// What the commands that try methods share: the texts and protocol they are judged on, running and printing them.
#pragma once

#include "app/cli/cache_command.h"
#include "core/experiment/methods.h"

namespace bw::cli {

struct MethodsArguments {
    CacheArguments cache;
    std::string path, protocol = "windows:256", out;
    std::optional<std::string> format, head;
    std::vector<std::string> texts, evalTexts, recipes;
    std::int64_t samples = 128, length = 512, tokens = 0;
    bool replace = false, fresh = false;
};

/// PATH, texts, windows, protocol, --out and the cache.
void addTrialOptions(CLI::App& command, MethodsArguments& given, Context& context);
/// Checkpoint, texts, seed and evaluation that all trials share.
Recipe sharedRecipe(const Context& context, const MethodsArguments& given);
/// Runs and ranks the trials, or shows what would be done; the exit code. @throws Error(usage) without an evaluation text.
int runTrials(Context& context, const MethodsArguments& given, const std::vector<MethodTrial>& trials);

void addGuideCommand(CLI::App& app, Context& context); ///< guide

} // namespace bw::cli
