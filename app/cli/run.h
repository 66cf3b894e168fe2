// SPDX-License-Identifier: GPL-3.0-or-later
// Running a recipe or a plan with progress, the same way for every command.
#pragma once

#include "app/cli/context.h"
#include "app/cli/progress.h"

#include <utility>

namespace bw::cli {

template <class Body>
auto withProgress(Context& context, Body&& body) {
    const ProgressPrinter progress(context.job, context.common.quiet);
    const JobScope scope(&context.job);
    return std::forward<Body>(body)();
}

/// Runs the recipe as a logged run.
RunOutcome runRecipe(Context& context, const Recipe& recipe, RunId resume = {});
/// Prints what the recipe would do; the exit code.
int printPlan(Context& context, const Recipe& recipe);
/// The whole of a command that is one recipe: its plan with --dry-run, else the run, printed as JSON or by `print` for
/// people. The exit code.
int planOrRun(Context& context, const Recipe& recipe, void (*print)(const Json&));
/// "log: … · run 7" under a result for people.
void printWhere(Context& context, RunId run);

} // namespace bw::cli
