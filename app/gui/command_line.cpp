// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/gui/command_line.h"

#include <QRegularExpression>
#include <QStringList>

namespace bw {
namespace {

class Line {
public:
    explicit Line(const QString& command) { words_ << QStringLiteral("bitwright-cli") << command; }
    void word(const std::string& text) { words_ << shellQuoted(QString::fromStdString(text)); }
    void option(const char* name, const std::string& value) {
        if (value.empty()) return;
        words_ << QString::fromLatin1(name);
        word(value);
    }
    void option(const char* name, std::int64_t value) { option(name, std::to_string(value)); }
    void each(const char* name, const std::vector<std::string>& values) {
        for (const std::string& value : values) option(name, value);
    }
    void flag(const char* name, bool on) {
        if (on) words_ << QString::fromLatin1(name);
    }
    QString text() const { return words_.join(QLatin1Char(' ')); }

private:
    QStringList words_;
};

std::string joined(const std::vector<std::string>& parts) {
    std::string out;
    for (const std::string& part : parts) out += (out.empty() ? "" : ",") + part;
    return out;
}

void calibrationOptions(Line& line, const Recipe& r) {
    const Recipe::CalibrationSet& set = r.calibrationSet;
    for (const std::string& file : r.calibration.files) {
        const auto weight = set.weights.find(file);
        line.option("--text", weight == set.weights.end() ? file : file + "=" + QString::number(weight->second, 'g', 17).toStdString());
    }
    if (r.calibration.files.empty()) return;
    line.option("--samples", r.calibration.samples);
    line.option("--length", r.calibration.length);
    line.option("--field", set.field);
    line.each("--include", set.include);
    if (set.minLength > 0) line.option("--min-length", set.minLength);
    line.flag("--deduplicate", set.deduplicate);
    if (set.sampling != "even") line.option("--sampling", set.sampling);
    if (set.expertFloor > 0) line.option("--expert-floor", set.expertFloor);
    line.flag("--grams", set.grams);
}

void rounderOptions(Line& line, const Recipe& r) {
    line.option("--rounder", r.rounder);
    line.flag("--no-clip-search", !r.clipSearch);
}

void methodOptions(Line& line, const Recipe& r) {
    if (r.transform != "none") line.option("--transform", r.transform);
    line.option("--rounder", r.search == "reference" ? std::string("reference") : r.rounder);
    line.flag("--no-clip-search", !r.clipSearch);
    if (r.activations != "none") line.option("--activations", r.activations);
    if (r.kvCache != "none") line.option("--kv-cache", r.kvCache);
    if (r.rounder != "gptq") return;
    const Recipe::Gptq usual;
    if (r.gptq.damping != usual.damping) line.option("--damping", QString::number(r.gptq.damping, 'g', 12).toStdString());
    line.flag("--index-order", !r.gptq.activationOrder);
    line.flag("--no-sequential", !r.gptq.sequential);
    line.flag("--refit-scales", r.gptq.refitScales);
    if (r.gptq.sweeps != usual.sweeps) line.option("--sweeps", r.gptq.sweeps);
    if (r.gptq.correction != usual.correction) line.option("--correction", QString::number(r.gptq.correction, 'g', 12).toStdString());
    if (r.gptq.minimumTokens > 0) line.option("--minimum-tokens", r.gptq.minimumTokens);
}

void runtimeOption(Line& line, const Recipe& r) {
    if (r.evaluation.runtime != "ideal") line.option("--runtime", r.evaluation.runtime);
}

void evaluationOptions(Line& line, const Recipe& r, const char* text) {
    line.each(text, r.evaluation.files);
    if (r.evaluation.files.empty()) return;
    line.option("--protocol", r.evaluation.protocol);
    if (r.evaluation.tokens > 0) line.option("--tokens", r.evaluation.tokens);
    runtimeOption(line, r);
}

void sweepOptions(Line& line, const Recipe& r, std::int64_t resume) {
    calibrationOptions(line, r);
    line.option("--formats", joined(r.sweep.formats));
    line.option("--metric", r.sweep.metric);
    if (r.sweep.tokens > 0) line.option("--tokens", r.sweep.tokens);
    line.option("--sites", joined(r.sweep.sites));
    const Recipe::Sweep usual;
    if (r.sweep.metric == "fisher") {
        line.option("--probes", r.sweep.probes);
        line.option("--activations", joined(r.sweep.activations));
        line.option("--keys", joined(r.sweep.keys));
        line.option("--values", joined(r.sweep.values));
    } else if (r.sweep.metric == "kl") {
        if (r.sweep.context != usual.context) line.option("--context", r.sweep.context);
        line.option("--rest", r.sweep.rest);
        if (r.sweep.positions < usual.positions) line.option("--positions", QString::number(r.sweep.positions, 'g', 12).toStdString());
        if (r.sweep.shard != usual.shard) line.option("--shard", r.sweep.shard);
        if (r.sweep.orderRun != 0) line.option("--order-run", r.sweep.orderRun);
    }
    rounderOptions(line, r);
    if (resume != 0) line.option("--resume", resume);
}

void assignOptions(Line& line, const Recipe& r) {
    line.option("--run", r.assignment.sweepRun);
    if (r.assignment.scaleRun != 0) line.option("--scale-run", r.assignment.scaleRun);
    for (const std::int64_t run : r.assignment.measuredRuns) line.option("--measured", run);
    line.option("--budget", r.assignment.budget);
    for (const Recipe::Assignment::PartBudget& part : r.assignment.budgets) line.option("--part", part.sites + "=" + part.budget);
    for (const std::string& format : r.assignment.forbid) line.option("--forbid", format);
    line.flag("--additive", !r.assignment.interactions);
    if (r.assignment.tie != "none") line.option("--tie", r.assignment.tie);
    for (const auto& [pattern, format] : r.assignment.pins) line.option("--pin", pattern + "=" + format);
}

void quantizeOptions(Line& line, const Recipe& r) {
    line.option("--out", r.exporting.path);
    line.flag("--replace", r.exporting.replace);
    line.option("--format", r.assignment.format);
    line.option("--head", r.assignment.head);
    for (const FormatRule& rule : r.assignment.rules) line.option("--set", rule.pattern + "=" + rule.format);
    for (const auto& [pattern, format] : r.assignment.pins) line.option("--set", pattern + "=" + format); // the last one wins
    methodOptions(line, r);
    if (r.needsCalibration() || r.needsText()) calibrationOptions(line, r);
    evaluationOptions(line, r, "--eval-text");
}

} // namespace

QString shellQuoted(const QString& argument) {
    static const QRegularExpression plain(QStringLiteral("^[A-Za-z0-9_@%+=:,./-]+$"));
    if (plain.match(argument).hasMatch()) return argument;
    QString escaped = argument;
    escaped.replace(QLatin1Char('\''), QStringLiteral("'\\''"));
    return QLatin1Char('\'') + escaped + QLatin1Char('\'');
}

QString commandFor(const Recipe& r, const QString& logPath, std::int64_t resume) {
    const bool evaluate = r.kind == "evaluate";
    Line line(evaluate ? QStringLiteral("eval") : QString::fromStdString(r.kind));
    if (r.kind == "diagnose") line.word(std::to_string(r.diagnosis.run));
    else if (r.kind != "assign") line.word(r.checkpoint);
    if (r.kind == "calibrate") {
        calibrationOptions(line, r);
        line.each("--eval-text", r.evaluation.files);
    } else if (r.kind == "sweep") {
        sweepOptions(line, r, resume);
    } else if (r.kind == "assign") {
        assignOptions(line, r);
    } else if (r.kind == "quantize") {
        quantizeOptions(line, r);
    } else if (evaluate) {
        evaluationOptions(line, r, "--text");
        line.option("--base", r.base);
        line.each("--prompts", r.tasks.prompts);
        line.flag("--outputs", r.tasks.compare);
        if (!r.tasks.prompts.empty()) line.option("--max-tokens", r.tasks.maxTokens);
    } else if (r.kind == "diagnose") {
        const Recipe::Diagnosis usual;
        runtimeOption(line, r);
        if (r.diagnosis.tokens != usual.tokens) line.option("--tokens", r.diagnosis.tokens);
        if (r.diagnosis.worst > 0) line.option("--worst", r.diagnosis.worst);
    } else if (r.kind == "generate") {
        line.option("--prompt", r.generation.prompt);
        line.option("--max", r.generation.maxTokens);
    }
    if (r.device != "cpu") line.option("--device", r.device);
    line.option("--seed", static_cast<std::int64_t>(r.seed));
    line.option("--log", logPath.toStdString());
    return line.text();
}

} // namespace bw
