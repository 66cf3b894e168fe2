// SPDX-License-Identifier: GPL-3.0-or-later
#include "widgets/session/session.h"

#include "core/base/text.h"

#include <QElapsedTimer>
#include <QUndoCommand>
#include <algorithm>

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
    std::string format = a.format;
    if (!a.head.empty() && (name == "token_embd" || name == "output")) format = a.head;
    for (const FormatRule& rule : a.rules)
        if (globMatches(rule.pattern, name)) format = rule.format;
    return QString::fromStdString(format);
}

const WeightView* Session::weightView(const QString& site) const {
    const auto it = views_.constFind(site);
    return it == views_.constEnd() ? nullptr : &it.value();
}

void Session::setCheckpoint(std::shared_ptr<const Checkpoint> checkpoint, std::shared_ptr<const Model> model) {
    checkpoint_ = std::move(checkpoint);
    model_ = std::move(model);
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
    calibrationRun_ = sweepRun_ = latestCalibration_ = latestSweep_ = RunId();
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
    runA_ = runB_ = calibrationRun_ = sweepRun_ = latestCalibration_ = latestSweep_ = RunId();
    log_ = std::make_unique<LogReader>(path.toStdString());
    refreshLog();
}

void Session::refreshLog() {
    if (!log_) return;
    const std::int64_t version = log_->dataVersion();
    if (version == logVersion_) return;
    logVersion_ = version;
    adoptLatestRuns();
    Q_EMIT logChanged();
}

void Session::adoptLatestRuns() {
    if (!log_ || !checkpoint_) return;
    const auto follow = [this](const char* kind, RunId& seen, RunId& shown) {
        const RunId latest = log_->latest(kind, checkpoint_->path());
        if (latest == seen) return; // nothing new: what the person chose stays
        seen = shown = latest;
    };
    follow("calibrate", latestCalibration_, calibrationRun_);
    follow("sweep", latestSweep_, sweepRun_);
}

void Session::applyRecipe(const Recipe& recipe) {
    recipe_ = recipe;
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
    Q_EMIT logChanged();
}

void Session::setSweepRun(RunId run) {
    if (run == sweepRun_) return;
    sweepRun_ = run;
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
