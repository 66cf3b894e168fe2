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

void quantizeOptions(Line& line, const Recipe& r) {
    line.option("--out", r.exporting.path);
    line.flag("--replace", r.exporting.replace);
    line.option("--format", r.assignment.format);
    for (const FormatRule& rule : r.assignment.rules) line.option("--set", rule.pattern + "=" + rule.format);
    line.option("--rounder", r.rounder);
    line.each("--text", r.calibration.files);
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
    if (r.kind != "assign") line.word(r.checkpoint);
    if (r.kind == "calibrate") {
        line.each("--text", r.calibration.files);
        line.option("--samples", r.calibration.samples);
        line.option("--length", r.calibration.length);
    } else if (r.kind == "sweep") {
        line.each("--text", r.calibration.files);
        line.option("--formats", joined(r.sweep.formats));
        line.option("--metric", r.sweep.metric);
        if (resume != 0) line.option("--resume", resume);
    } else if (r.kind == "assign") {
        line.option("--run", r.assignment.sweepRun);
        line.option("--budget", r.assignment.budget);
        if (r.assignment.tie != "none") line.option("--tie", r.assignment.tie);
        for (const auto& [pattern, format] : r.assignment.pins) line.option("--pin", pattern + "=" + format);
    } else if (r.kind == "quantize") {
        quantizeOptions(line, r);
    } else if (evaluate) {
        line.each("--text", r.evaluation.files);
        line.option("--base", r.base);
        line.option("--protocol", r.evaluation.protocol);
        if (r.evaluation.tokens > 0) line.option("--tokens", r.evaluation.tokens);
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
