// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/gui/outputs_job.h"

#include "core/base/error.h"
#include "core/base/hash.h"
#include "widgets/compare/output_texts.h"
#include "widgets/plots/plot_export.h"

#include <QDir>
#include <QFileInfo>
#include <QStandardPaths>
#include <QTemporaryDir>
#include <algorithm>
#include <fmt/format.h>

namespace bw {
namespace {

/// The file that a run wrote, if it is still there; empty otherwise.
std::string writtenBy(const RunDetail& run) {
    for (const ArtifactRow& artifact : run.artifacts) {
        const QFileInfo file(QString::fromStdString(artifact.path));
        if (artifact.state == "complete" && file.exists() && (file.isDir() || file.suffix() == QLatin1String("gguf"))) return artifact.path;
    }
    return {};
}

} // namespace

RunOutcome judgeOutputs(ExperimentLog& log, Runner& runner, const OutputsJob& job, JobContext& context) {
    const RunDetail run = LogReader(log.path()).run(RunId(job.run));
    if (run.summary.status != runStatusName(RunStatus::done) || (run.summary.kind != "quantize" && run.summary.kind != "evaluate"))
        throw Error(ErrorCode::usage, fmt::format("run {} is of kind '{}', {}: it has no model that could answer", job.run, run.summary.kind, run.summary.status),
                    "choose a finished quantize or evaluate run");
    const Recipe was = Recipe::fromJson(run.recipe);
    Recipe ask;
    ask.kind = "evaluate";
    ask.name = fmt::format("outputs of run {}", job.run);
    ask.seed = was.seed;
    ask.device = job.device;
    ask.nonFinite = was.nonFinite;
    ask.activations = was.activations;
    ask.kvCache = was.kvCache;
    ask.calibration = was.calibration; // static scales of inputs are of these texts
    ask.calibrationSet = was.calibrationSet;
    ask.tasks = {job.prompts, job.maxTokens, true, {}};
    QTemporaryDir scratch;
    if (run.summary.kind == "evaluate") {
        if (was.base.empty())
            throw Error(ErrorCode::usage, fmt::format("run {} measured a model without an original to compare it with", job.run), "evaluate it with a baseline first");
        ask.checkpoint = was.checkpoint;
        ask.base = was.base;
    } else {
        ask.base = was.checkpoint;
        ask.checkpoint = writtenBy(run);
        if (ask.checkpoint.empty()) {
            const bool folder = std::any_of(run.assignments.begin(), run.assignments.end(), [](const AssignmentRow& row) { return row.used.find(':') != std::string::npos; });
            Recipe write = was;
            write.name = fmt::format("written for the outputs of run {}", job.run);
            write.evaluation.files.clear();
            write.exporting = {};
            write.device = job.device;
            write.exporting.path = scratch.filePath(folder ? QStringLiteral("model") : QStringLiteral("model.gguf")).toStdString();
            runner.run(write, context, "bitwright (the window)");
            ask.checkpoint = write.exporting.path;
        }
    }
    const RunOutcome outcome = runner.run(ask, context, "bitwright (the window)");
    log.addTag(outcome.run, outputsTag(RunId(job.run)));
    return outcome;
}

std::string savePrompts(const QStringList& typed) {
    std::string lines;
    for (const QString& prompt : typed) lines += Json{{"prompt", prompt.toStdString()}}.dump() + "\n";
    QDir folder(QStandardPaths::writableLocation(QStandardPaths::GenericDataLocation) + QStringLiteral("/bitwright/prompts"));
    folder.mkpath(QStringLiteral("."));
    const QString path = folder.filePath(QString::fromStdString(sha256Hex(lines)).left(16) + QStringLiteral(".jsonl"));
    if (const QString problem = saveText(QString::fromStdString(lines), path); !problem.isEmpty())
        throw Error(ErrorCode::writeFailed, problem.toStdString(), "Choose a prompt set from a file instead.");
    return path.toStdString();
}

} // namespace bw
