// SPDX-License-Identifier: GPL-3.0-or-later
// report: a logged run, or two side by side, as one HTML page with its figures as JSON beside it.
#include "app/cli/output.h"
#include "app/cli/run.h"
#include "app/cli/signals.h"
#include "core/report/report.h"

#include <filesystem>
#include <fmt/format.h>

namespace bw::cli {
namespace {

struct ReportArguments {
    std::int64_t run = 0, other = 0;
    std::string out;
    bool replace = false;
};

int runReportCommand(Context& context, const ReportArguments& given) {
    const LogReader log(context.logPath());
    const Report report = given.other == 0 ? runReport(log, RunId(given.run)) : comparisonReport(log, RunId(given.run), RunId(given.other));
    writeReport(report, given.out, given.replace);
    const std::string json = std::filesystem::path(given.out).replace_extension(".json").string();
    if (context.common.json)
        printJson({{"path", given.out}, {"json", json}, {"bytes", report.html.size()}});
    else
        printLine(fmt::format("{}\n{}", given.out, json));
    return kExitOk;
}

} // namespace

void addReportCommand(CLI::App& app, Context& context) {
    auto given = std::make_shared<ReportArguments>();
    CLI::App* command = app.add_subcommand("report", "A logged run, or two side by side, as one HTML page");
    command->add_option("RUN", given->run, "run")->required();
    command->add_option("OTHER", given->other, "run to compare it with: OTHER against RUN");
    command->add_option("--out", given->out, "page to write; its figures come beside it as .json")->required()->type_name("FILE.html");
    command->add_flag("--replace", given->replace, "overwrite both files");
    addCommon(*command, context.common);
    command->footer("Examples:\n  bitwright-cli report 7 --out run7.html\n  bitwright-cli report 7 8 --out comparison.html");
    command->callback([&context, given] { context.action = [&context, given] { return runReportCommand(context, *given); }; });
}

} // namespace bw::cli
