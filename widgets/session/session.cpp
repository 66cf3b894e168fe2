// SPDX-License-Identifier: GPL-3.0-or-later
#include "widgets/session/session.h"

#include "core/base/error.h"
#include "core/base/text.h"
#include "core/quantize/assignment.h"

#include <QElapsedTimer>
#include <QThreadPool>
#include <QUndoCommand>
#include <algorithm>
#include <utility>

namespace bw {

/// One change of the recipe: both states are kept (a recipe is a few kilobytes).
class RecipeCommand final : public QUndoCommand {
public:
    RecipeCommand(Session& session, const QString& text, Recipe before, Recipe after, int mergeId)
        : QUndoCommand(text), session_(session), before_(std::move(before)), after_(std::move(after)), mergeId_(mergeId) {
        age_.start();
    }
    int id() const override { return mergeId_; }
    bool mergeWith(const QUndoCommand* other) override {
        // A drag sends changes far faster than this; a second visit to the same slider is a step of its own.
        constexpr qint64 kMergeMilliseconds = 1000;
        if (other->id() != mergeId_ || age_.elapsed() > kMergeMilliseconds) return false;
        after_ = static_cast<const RecipeCommand*>(other)->after_;
        age_.restart();
        return true;
    }
    void undo() override { session_.applyRecipe(before_); }
    void redo() override { session_.applyRecipe(after_); }
    const Recipe& before() const { return before_; }
    const Recipe& after() const { return after_; }

private:
    Session& session_;
    Recipe before_, after_;
    int mergeId_;
    QElapsedTimer age_;
};

namespace {

/// Appends the rule or replaces the last one that names exactly this site.
void putRule(std::vector<FormatRule>& rules, const std::string& site, const std::string& format) {
    const auto same = std::find_if(rules.rbegin(), rules.rend(), [&](const FormatRule& r) { return r.pattern == site; });
    if (same != rules.rend()) {
        // It must stay the last word: a broader rule may have been put behind it since.
        rules.erase(std::next(same).base());
    }
    rules.push_back({site, format});
}

} // namespace

Session::Session(QObject* parent) : QObject(parent) {
    qRegisterMetaType<bw::RunId>();
    qRegisterMetaType<bw::Recipe>();
    connect(&older_, &RunsReading::done, this, &Session::takeRuns);
    connect(&older_, &RunsReading::failed, this, &Session::messageRequested);
}

Session::~Session() { undo_.clear(); }

void Session::editRecipe(const QString& text, Recipe changed, int mergeId) {
    undo_.push(new RecipeCommand(*this, text, recipe_, std::move(changed), mergeId));
}

QVector<Session::Edit> Session::edits(int most) const {
    const auto innermost = [](const QUndoCommand* command, bool last) {
        while (command->childCount() > 0) command = command->child(last ? command->childCount() - 1 : 0);
        return dynamic_cast<const RecipeCommand*>(command); // null: a macro in which nothing changed
    };
    QVector<Edit> out;
    for (int i = std::max(0, undo_.count() - most); i < undo_.count(); ++i) {
        const QUndoCommand* command = undo_.command(i);
        if (innermost(command, true)) out << Edit{command->text(), innermost(command, false)->before(), innermost(command, true)->after()};
    }
    return out;
}

void Session::restoreEdits(const QVector<Edit>& edits, int done) {
    for (qsizetype i = 1; i < edits.size(); ++i)
        if (!(edits[i].before == edits[i - 1].after)) return;
    undo_.clear();
    for (const Edit& edit : edits) undo_.push(new RecipeCommand(*this, edit.text, edit.before, edit.after, -1));
    undo_.setIndex(std::clamp(done, 0, undo_.count()));
}

void Session::setSiteFormat(const QString& site, const QString& format) {
    if (siteFormat(site) == format) return;
    Recipe changed = recipe_;
    putRule(changed.assignment.rules, site.toStdString(), format.toStdString());
    editRecipe(tr("%1 to %2").arg(site, format), std::move(changed));
}

void Session::setSiteFormats(const QHash<QString, QString>& formats, const QString& text) {
    if (formats.isEmpty()) return;
    Recipe changed = recipe_;
    QStringList sites = formats.keys();
    sites.sort(); // a hash's order differs from run to run; a recipe must not
    for (const QString& site : sites)
        putRule(changed.assignment.rules, site.toStdString(), formats.value(site).toStdString());
    editRecipe(text, std::move(changed));
}

QString Session::siteFormat(const QString& site) const {
    const std::string name = site.toStdString();
    const auto& a = recipe_.assignment;
    const bool byRules = !a.format.starts_with("mix:") && a.tensorTypes.empty() && a.output.empty() && a.embedding.empty();
    if (!byRules && model_) return resolvedFormat(site);
    std::string format = a.format;
    if (!a.head.empty() && (name == "token_embd" || name == "output")) format = a.head;
    for (const FormatRule& rule : a.rules)
        if (globMatches(rule.pattern, name)) format = rule.format;
    return QString::fromStdString(format);
}

/// Named mixes and patterns over tensor names need the whole model: worked out once for all sites.
QString Session::resolvedFormat(const QString& site) const {
    const auto& a = recipe_.assignment;
    if (!resolved_) {
        resolved_.emplace();
        try {
            const FormatRequest request{a.format, a.tensorTypes, a.head, a.output, a.embedding, a.rules, recipe_.rounder == "weighted"};
            for (const SiteFormat& format : resolveFormats(*model_, request))
                resolved_->insert(QString::fromStdString(model_->site(format.site).name), QString::fromStdString(format.asked));
        } catch (const Error&) { // a recipe from a file may ask for anything; running it says so
        }
    }
    return resolved_->value(site, QString::fromStdString(a.format));
}

const WeightView* Session::weightView(const QString& site) const {
    const auto it = views_.constFind(site);
    return it == views_.constEnd() ? nullptr : &it.value();
}

void Session::setCheckpoint(std::shared_ptr<const Checkpoint> checkpoint, std::shared_ptr<const Model> model, const QString& why) {
    checkpoint_ = std::move(checkpoint);
    model_ = std::move(model);
    whyNoForward_ = why;
    try {
        if (model_ && why.isEmpty()) model_->requireForward();
    } catch (const Error& error) {
        whyNoForward_ = QString::fromStdString(error.message());
    }
    resolved_.reset();
    views_.clear();
    facts_.clear();
    site_.clear();
    const std::string path = checkpoint_ ? checkpoint_->path() : std::string();
    if (recipe_.checkpoint != path) {
        // Rules name sites of the former checkpoint; data sets and evaluation are the person's and stay.
        recipe_.checkpoint = path;
        recipe_.base.clear();
        recipe_.assignment = {};
        recipe_.exporting = {};
        recipe_.name.clear();
    }
    undo_.clear();
    calibrationRun_ = latestCalibration_ = RunId();
    forgetReadings();
    adoptLatestRuns();
    Q_EMIT checkpointChanged();
    Q_EMIT recipeChanged();
    Q_EMIT siteSelected(site_);
    Q_EMIT logChanged();
}

void Session::setLog(const QString& path) {
    log_.reset();
    logPath_ = path;
    logVersion_ = -1;
    runA_ = runB_ = calibrationRun_ = latestCalibration_ = RunId();
    runs_ = {};
    older_.setLog(path);
    Q_EMIT runsChanged();
    forgetReadings();
    log_ = std::make_unique<LogReader>(path.toStdString());
    refreshLog();
}

void Session::refreshLog() {
    if (!log_) return;
    const std::int64_t version = log_->dataVersion();
    if (version == logVersion_) return;
    logVersion_ = version;
    if (readNewest()) older_.request(runs_);
    adoptLatestRuns();
    Q_EMIT logChanged();
}

void Session::adoptLatestRuns() {
    if (!log_ || !checkpoint_) return;
    const RunId latest = log_->latest("calibrate", checkpoint_->path());
    if (latest != latestCalibration_) calibrationRun_ = latestCalibration_ = latest; // else what the person chose stays
    readStatistics();
    readMaps();
}

bool Session::hasRun(RunId run) const {
    if (runs_.find(run)) return true;
    try {
        return log_ && log_->run(run).summary.id == run;
    } catch (const Error&) {
        return false;
    }
}

bool Session::readNewest() {
    constexpr std::int64_t kNewest = 200; // about 2 ms
    try {
        std::vector<RunSummary> newest = log_->runs(kNewest);
        const bool more = newest.size() == std::size_t(kNewest);
        RunList runs = runs_.renewed(std::move(newest), !more);
        if (!(runs == runs_)) {
            runs_ = std::move(runs);
            Q_EMIT runsChanged();
        }
        return more;
    } catch (const Error& error) {
        Q_EMIT messageRequested(QString::fromStdString(error.oneLine()));
        return false;
    }
}

void Session::takeRuns(const RunList& runs) {
    if (!log_ || runs == runs_) return;
    // Freeing ten thousand runs takes a while too.
    QThreadPool::globalInstance()->start([old = std::exchange(runs_, runs)] { static_cast<void>(old); });
    readNewest(); // may have changed since
    adoptLatestRuns();
    Q_EMIT runsChanged();
    Q_EMIT logChanged();
}

void Session::forgetReadings() {
    statisticsRun_ = RunId();
    table_.clear();
    statistics_.clear();
    dataWarnings_.clear();
    coverage_.clear();
    ++mapRevision_;
    Q_EMIT statisticsChanged();
}

void Session::readStatistics() {
    if (calibrationRun_ == statisticsRun_ && (!statistics_.empty() || statisticsRun_ == RunId())) return;
    statisticsRun_ = calibrationRun_;
    statistics_.clear();
    dataWarnings_.clear();
    coverage_.clear();
    try {
        if (calibrationRun_ != RunId()) {
            statistics_ = log_->siteStatistics(calibrationRun_);
            dataWarnings_ = log_->warnings(calibrationRun_);
            coverage_ = log_->expertCoverage(calibrationRun_);
        }
    } catch (const Error& error) {
        Q_EMIT messageRequested(QString::fromStdString(error.oneLine()));
    }
    Q_EMIT statisticsChanged();
}

void Session::readMaps() {
    try {
        if (table_.update(*log_, runs_, checkpoint_->path())) ++mapRevision_;
    } catch (const Error& error) {
        table_.clear();
        ++mapRevision_;
        Q_EMIT messageRequested(QString::fromStdString(error.oneLine()));
    }
}

void Session::applyRecipe(const Recipe& recipe) {
    recipe_ = recipe;
    recipe_.device = device_;
    resolved_.reset();
    Q_EMIT recipeChanged();
}

void Session::setDevice(const QString& name) {
    device_ = name.toStdString();
    if (recipe_.device != device_) applyRecipe(Recipe(recipe_));
}

void Session::replaceRecipe(const Recipe& recipe) {
    undo_.clear();
    applyRecipe(recipe);
}

void Session::selectSite(const QString& site) {
    if (site == site_) return;
    site_ = site;
    Q_EMIT siteSelected(site_);
}

void Session::selectRuns(RunId a, RunId b) {
    if (a == runA_ && b == runB_) return;
    runA_ = a;
    runB_ = b;
    Q_EMIT runsSelected();
}

void Session::setCalibrationRun(RunId run) {
    if (run == calibrationRun_) return;
    calibrationRun_ = run;
    readStatistics();
    Q_EMIT logChanged();
}

void Session::setSweepRun(RunId run) {
    if (run == sweepRun() || !log_) return;
    try {
        table_.prefer(*log_, run);
    } catch (const Error& error) {
        Q_EMIT messageRequested(QString::fromStdString(error.oneLine()));
    }
    ++mapRevision_;
    Q_EMIT logChanged();
}

void Session::setDamageBy(DamageBy by) {
    if (!table_.setBy(by)) return;
    ++mapRevision_;
    Q_EMIT logChanged();
}

void Session::setWeightView(const WeightView& view) {
    views_.insert(view.site, view);
    Q_EMIT weightViewChanged(view.site);
}

void Session::setWhatIfInput(std::shared_ptr<const WhatIfInput> input, const QString& why) {
    whatIf_ = std::move(input);
    whyNoWhatIf_ = why;
    Q_EMIT whatIfInputChanged();
}

void Session::setSiteFacts(const QString& site, const SiteFacts& facts) {
    facts_.insert(site, facts);
    Q_EMIT siteFactsChanged(site);
}

} // namespace bw
