// SPDX-License-Identifier: GPL-3.0-or-later
#include "widgets/compare/output_texts.h"

#include "core/base/error.h"
#include "widgets/compare/comparison.h"

#include <QCoreApplication>
#include <algorithm>
#include <cmath>

namespace bw {
namespace {

/// Members of a log that may come from anywhere: what has another type counts as not there.
double numberOf(const Json& json, const char* name, double otherwise) {
    const auto it = json.find(name);
    return it != json.end() && it->is_number() ? it->get<double>() : otherwise;
}

const Json& memberOf(const Json& json, const char* name) {
    static const Json none = Json::object();
    const auto it = json.find(name);
    return it != json.end() ? *it : none;
}

template <class Value>
std::vector<Value> listOf(const Json& json, const char* name) {
    std::vector<Value> out;
    for (const Json& value : memberOf(json, name)) {
        if (!value.is_number()) return {};
        out.push_back(value.get<Value>());
    }
    return out;
}

QVector<OutputText::Candidate> candidatesOf(const Json& json, const char* name) {
    QVector<OutputText::Candidate> out;
    for (const Json& value : memberOf(json, name))
        if (value.is_object()) out << OutputText::Candidate{TokenId(numberOf(value, "id", 0)), std::exp(numberOf(value, "log_probability", -99))};
    return out;
}

/// @param which "base" or "model".
OutputText textOf(const OutputPairRow& row, const char* which) {
    const Json& json = memberOf(row.json, which);
    const Json& collapse = memberOf(json, "collapse");
    OutputText out;
    out.judged = true;
    if (const Json& text = memberOf(json, "text"); text.is_string()) out.text = QString::fromStdString(text.get<std::string>());
    out.ids = listOf<TokenId>(json, "ids");
    out.underBase = listOf<float>(json, "under_base");
    out.underModel = listOf<float>(json, "under_model");
    if (out.underBase.size() != out.ids.size() || out.underModel.size() != out.ids.size()) out.ids.clear();
    out.longestLoop = std::int64_t(numberOf(collapse, "longest_loop", 0));
    out.distinct2 = numberOf(collapse, "distinct_2", 1);
    if (const Json& collapsed = memberOf(collapse, "collapsed"); collapsed.is_boolean()) out.collapsed = collapsed.get<bool>();
    out.divergence = row.divergence;
    out.cosine = row.cosine;
    out.lowestCosine = numberOf(row.json, "lowest_cosine", 1);
    out.topBase = candidatesOf(row.json, "top_base");
    out.topModel = candidatesOf(row.json, "top_model");
    return out;
}

bool has(const RunSummary& run, const std::string& tag) { return std::find(run.tags.begin(), run.tags.end(), tag) != run.tags.end(); }

bool wroteOutputs(const RunSummary& run) {
    return run.status == runStatusName(RunStatus::done) && std::any_of(run.metrics.begin(), run.metrics.end(), [](const MetricRow& m) { return m.name == "outputs_same"; });
}

/// Of whom a run's outputs are: the run that its tag names, else itself.
RunId ownerOf(const RunSummary& run) {
    for (const std::string& tag : run.tags) {
        const QString text = QString::fromStdString(tag);
        bool ok = false;
        const qint64 owner = text.startsWith(QStringLiteral("outputs-of-")) ? text.mid(11).toLongLong(&ok) : 0;
        if (ok) return RunId(owner);
    }
    return run.id;
}

/// The prompt's row of this prompt, or a new one that begins with the original's text.
OutputPrompt& promptOf(QVector<OutputPrompt>& prompts, const OutputPairRow& row) {
    const QString text = QString::fromStdString(row.prompt);
    for (OutputPrompt& known : prompts)
        if (known.prompt == text) return known;
    OutputText base = textOf(row, "base");
    base.side = OutputText::Side::base;
    base.title = QCoreApplication::translate("bw::OutputTexts", "original");
    base.divergence = -1;
    prompts << OutputPrompt{QString::fromStdString(row.promptId), text, {base}};
    return prompts.last();
}

/// Texts without a judgement: runs that only generated.
void addPlain(QVector<OutputPrompt>& prompts, const std::vector<OutputRow>& rows, OutputText::Side side, RunId run, const QString& title) {
    for (const OutputRow& row : rows) {
        const QString text = QString::fromStdString(row.prompt);
        auto known = std::find_if(prompts.begin(), prompts.end(), [&](const OutputPrompt& p) { return p.prompt == text; });
        if (known == prompts.end()) known = prompts.insert(prompts.end(), OutputPrompt{{}, text, {}});
        const bool there = std::any_of(known->texts.begin(), known->texts.end(), [&](const OutputText& t) { return t.run == run; });
        if (there) continue;
        OutputText out;
        out.side = side;
        out.run = run;
        out.title = title;
        out.text = QString::fromStdString(row.text);
        known->texts << out;
    }
}

} // namespace

std::string outputsTag(RunId run) { return "outputs-of-" + std::to_string(run.value()); }

QVector<OutputPrompt> readOutputs(const LogReader& log, const RunList& runs, RunId a, RunId b) {
    const auto titleOf = [&](RunId run) {
        const auto found = std::find_if(runs.begin(), runs.end(), [&](const RunSummary& r) { return r.id == run; });
        return found == runs.end() ? QStringLiteral("%1").arg(run.value()) : runTitle(*found);
    };
    // The newest outputs of each run; A's and B's come first.
    std::vector<std::pair<RunId, RunId>> sources; // whose, where
    for (const RunId wanted : {a, b}) {
        const auto found = std::find_if(runs.begin(), runs.end(), [&](const RunSummary& r) { return wroteOutputs(r) && (r.id == wanted || has(r, outputsTag(wanted))); });
        const bool twice = !sources.empty() && sources.front().first == wanted; // a run beside itself
        if (found != runs.end() && wanted != RunId() && !twice) sources.emplace_back(wanted, found->id);
    }
    const bool any = !sources.empty();
    for (const RunSummary& run : runs) {
        const RunId owner = ownerOf(run);
        const bool known = std::any_of(sources.begin(), sources.end(), [&](const auto& s) { return s.first == owner || s.second == run.id; });
        if (any && sources.size() < std::size_t(kMostOutputRuns) && !known && wroteOutputs(run)) sources.emplace_back(owner, run.id);
    }
    QVector<OutputPrompt> prompts;
    for (const auto& [owner, where] : sources) {
        const OutputText::Side side = owner == a ? OutputText::Side::a : owner == b ? OutputText::Side::b : OutputText::Side::other;
        for (const OutputPairRow& row : log.outputPairs(where)) {
            OutputText text = textOf(row, "model");
            text.side = side;
            text.run = owner;
            text.title = titleOf(owner);
            if (side == OutputText::Side::other) { // only beside A or B, and only when it was held against the same original
                const auto same = std::find_if(prompts.begin(), prompts.end(), [&](const OutputPrompt& p) { return p.prompt == QString::fromStdString(row.prompt); });
                if (same == prompts.end() || same->texts.first().text != textOf(row, "base").text) continue;
                same->texts << text;
            } else {
                promptOf(prompts, row).texts << text;
            }
        }
    }
    addPlain(prompts, log.run(a).outputs, OutputText::Side::a, a, titleOf(a));
    addPlain(prompts, log.run(b).outputs, OutputText::Side::b, b, titleOf(b));
    // One text alone compares nothing.
    prompts.erase(std::remove_if(prompts.begin(), prompts.end(), [](const OutputPrompt& p) { return p.texts.size() < 2; }), prompts.end());
    return prompts;
}

} // namespace bw
