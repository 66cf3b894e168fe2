// SPDX-License-Identifier: GPL-3.0-or-later
#include "widgets/session/session.h"

#include "core/base/error.h"
#include "core/base/text.h"
#include "core/quantize/assignment.h"

#include <QElapsedTimer>
#include <QUndoCommand>
#include <algorithm>
#include <tuple>

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

bool sameRun(const RunSummary& a, const RunSummary& b) {
    const auto parts = [](const RunSummary& r) {
        return std::tie(r.id, r.kind, r.name, r.status, r.checkpoint, r.startedAt, r.seconds, r.error, r.tags, r.starred, r.note);
    };
    const auto sameMetric = [](const MetricRow& x, const MetricRow& y) {
        return std::tie(x.name, x.value, x.standardError, x.unit) == std::tie(y.name, y.value, y.standardError, y.unit);
    };
    return parts(a) == parts(b) && std::equal(a.metrics.begin(), a.metrics.end(), b.metrics.begin(), b.metrics.end(), sameMetric);
}

} // namespace

Session::Session(QObject* parent) : QObject(parent) {
    qRegisterMetaType<bw::RunId>();
    qRegisterMetaType<bw::Recipe>();
}

Session::~Session() { undo_.clear(); }

void Session::editRecipe(const QString& text, Recipe changed, int mergeId) {
    undo_.push(new RecipeCommand(*this, text, recipe_, std::move(changed), mergeId));
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
    runs_.clear();
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
    readRuns();
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

void Session::readRuns() {
    try {
        std::vector<RunSummary> runs = log_->runs();
        const bool same = std::equal(runs.begin(), runs.end(), runs_.begin(), runs_.end(), sameRun);
        runs_ = std::move(runs);
        if (!same) Q_EMIT runsChanged();
    } catch (const Error& error) {
        Q_EMIT messageRequested(QString::fromStdString(error.oneLine()));
    }
}

void Session::forgetReadings() {
    statisticsRun_ = RunId();
    table_.clear();
    statistics_.clear();
    ++mapRevision_;
    Q_EMIT statisticsChanged();
}

void Session::readStatistics() {
    if (calibrationRun_ == statisticsRun_ && (!statistics_.empty() || statisticsRun_ == RunId())) return;
    statisticsRun_ = calibrationRun_;
    statistics_.clear();
    try {
        if (calibrationRun_ != RunId()) statistics_ = log_->siteStatistics(calibrationRun_);
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
    resolved_.reset();
    Q_EMIT recipeChanged();
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

void Session::setSiteFacts(const QString& site, const SiteFacts& facts) {
    facts_.insert(site, facts);
    Q_EMIT siteFactsChanged(site);
}

} // namespace bw
