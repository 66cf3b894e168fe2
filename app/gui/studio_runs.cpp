// SPDX-License-Identifier: GPL-3.0-or-later
// Studio: what is asked of runs that the log already holds, i.e. reports, outputs side by side, diagnoses.
#include "app/gui/outputs_job.h"
#include "app/gui/studio.h"
#include "core/base/error.h"
#include "core/report/report.h"

#include <QDesktopServices>
#include <QUrl>

namespace bw {

void Studio::writeReport(RunId run, RunId other, const QString& path, bool open) {
    background_.run<bool>(
        [log = session_.logPath().toStdString(), run, other, file = path.toStdString()] {
            const LogReader reader(log);
            bw::writeReport(other == RunId() ? runReport(reader, run) : comparisonReport(reader, run, other), file, true);
            return true;
        },
        [this, path, open](bool) {
            Q_EMIT message(tr("Written: %1").arg(path));
            Q_EMIT reportWritten(path);
            if (open) QDesktopServices::openUrl(QUrl::fromLocalFile(path));
        },
        [this](const JobError& error) { Q_EMIT failed(tr("The report could not be written"), error); });
}

void Studio::compareOutputs(const OutputsWish& wish) {
    try {
        std::vector<std::string> prompts;
        for (const QString& file : wish.files) prompts.push_back(file.toStdString());
        if (!wish.typed.isEmpty()) prompts.push_back(savePrompts(wish.typed));
        for (const RunId run : wish.runs) submitOutputs({run.value(), prompts, wish.maxTokens, session_.recipe().device});
    } catch (...) {
        Q_EMIT failed(tr("The prompts could not be saved"), describeError(std::current_exception()));
    }
}

void Studio::submitOutputs(const OutputsJob& asked) {
    Job job;
    job.title = tr("outputs · run %1").arg(asked.run);
    job.again = QString::fromStdString(Json{{"outputs", {{"run", asked.run}, {"prompts", asked.prompts}, {"max_tokens", asked.maxTokens}, {"device", asked.device}}}}.dump());
    job.work = [asked, log = log_.get()](Runner& runner, JobContext& context) { return judgeOutputs(*log, runner, asked, context); }; // the log outlives the queue
    jobs_.submit(std::move(job));
}

void Studio::diagnose(RunId run) {
    constexpr std::int64_t kWorst = 6; // tokens traced to their sites: each costs a few walks
    try {
        Recipe recipe = Recipe::fromJson(session_.log()->run(run).recipe);
        recipe.kind = "diagnose";
        recipe.exporting = {};
        recipe.device = session_.recipe().device;
        recipe.diagnosis = {};
        recipe.diagnosis.run = run.value();
        recipe.diagnosis.worst = kWorst;
        this->run(recipe);
    } catch (...) {
        Q_EMIT failed(tr("This run can't be diagnosed"), describeError(std::current_exception()));
    }
}

} // namespace bw
