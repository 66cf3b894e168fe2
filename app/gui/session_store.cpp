// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/gui/session_store.h"

#include "core/base/json.h"

#include <QFile>
#include <QLockFile>
#include <QSaveFile>
#include <QTabBar>
#include <QThreadPool>
#include <algorithm>
#include <atomic>
#include <mutex>

namespace bw {
namespace {

constexpr int kVersion = 1, kDelay = 1000; // ms
constexpr qint64 kLargest = 64 << 20;      // bytes; more was not written here
constexpr int kSteps = 40, kStepsOfLarge = 6;
constexpr std::size_t kLargeRecipe = 500;  // rules; copying many of such would be felt

QString text(const Json& json, const char* name) { return QString::fromStdString(json.at(name).get<std::string>()); }

} // namespace

/// Writes one state after the other, never an older one over a newer one.
struct SessionStore::Writer {
    std::mutex mutex;
    quint64 written = 0;
    std::atomic<quint64> asked = 0;

    void write(quint64 number, const KeptSession& kept, const QString& path) {
        const std::scoped_lock lock(mutex);
        if (number < written || (number < asked && !kept.closed)) return;
        written = number;
        const std::string bytes = kept.toJson().dump();
        QSaveFile file(path); // what can't be kept is no reason to disturb anybody
        if (file.open(QIODevice::WriteOnly) && file.write(bytes.data(), qint64(bytes.size())) == qint64(bytes.size())) file.commit();
    }
};

Json KeptSession::toJson() const {
    Json json{{"version", kVersion}, {"closed", closed}, {"checkpoint", checkpoint.toStdString()}, {"site", site.toStdString()}, {"run_a", runA.value()}, {"run_b", runB.value()},
              {"calibration_run", calibrationRun.value()}, {"recipe", recipe.toJson()}, {"done", done}};
    json["tabs"] = Json::object();
    for (auto it = tabs.cbegin(); it != tabs.cend(); ++it) json["tabs"][it.key().toStdString()] = it.value();
    json["jobs"] = Json::array();
    for (const auto& [title, again] : jobs) json["jobs"].push_back({{"title", title.toStdString()}, {"again", again.toStdString()}});
    json["edits"] = Json::array(); // each begins where the one before ended
    for (const Session::Edit& edit : edits) json["edits"].push_back({{"text", edit.text.toStdString()}, {"after", edit.after.toJson()}});
    if (!edits.isEmpty()) json["before"] = edits.first().before.toJson();
    return json;
}

KeptSession KeptSession::fromJson(const Json& json) {
    KeptSession kept;
    kept.closed = json.at("closed").get<bool>();
    kept.checkpoint = text(json, "checkpoint");
    kept.site = text(json, "site");
    kept.runA = RunId(json.at("run_a").get<std::int64_t>());
    kept.runB = RunId(json.at("run_b").get<std::int64_t>());
    kept.calibrationRun = RunId(json.at("calibration_run").get<std::int64_t>());
    kept.recipe = Recipe::fromJson(json.at("recipe"));
    for (const auto& [name, index] : json.at("tabs").items()) kept.tabs.insert(QString::fromStdString(name), index.get<int>());
    for (const Json& job : json.at("jobs")) kept.jobs << qMakePair(text(job, "title"), text(job, "again"));
    Recipe before = json.contains("before") ? Recipe::fromJson(json.at("before")) : Recipe();
    for (const Json& edit : json.at("edits")) {
        kept.edits << Session::Edit{text(edit, "text"), before, Recipe::fromJson(edit.at("after"))};
        before = kept.edits.last().after;
    }
    kept.done = json.at("done").get<int>();
    return kept;
}

SessionStore::SessionStore(Session& session, JobQueue& jobs, QWidget& window) : session_(session), jobs_(jobs), window_(window), writer_(std::make_shared<Writer>()) {
    later_.setSingleShot(true);
    later_.setInterval(kDelay);
    connect(&later_, &QTimer::timeout, this, [this] { save(false); });
    const auto changed = [this] {
        if (keeping_ && !later_.isActive()) later_.start();
    };
    connect(&session_, &Session::recipeChanged, this, changed);
    connect(&session_, &Session::siteSelected, this, changed);
    connect(&session_, &Session::runsSelected, this, changed);
    connect(&session_, &Session::checkpointChanged, this, changed);
    connect(&session_, &Session::statisticsChanged, this, changed);
    connect(&jobs_, &JobQueue::started, this, [this] { // at once: what is cut off first is what just began
        if (keeping_) save(false);
    });
    connect(&jobs_, &JobQueue::finished, this, changed);
    connect(&jobs_, &JobQueue::failed, this, changed);
    for (const QTabBar* tabs : window.findChildren<QTabBar*>())
        if (!tabs->objectName().isEmpty()) connect(tabs, &QTabBar::currentChanged, this, changed);
}

QString SessionStore::path() const { return session_.logPath().isEmpty() ? QString() : session_.logPath() + QStringLiteral(".window.json"); }

SessionStore::~SessionStore() = default;

qint64 SessionStore::holder() {
    if (path().isEmpty()) return 0;
    if (lockedPath_ != path()) {
        lockedPath_ = path();
        lock_ = std::make_unique<QLockFile>(lockedPath_ + QStringLiteral(".lock"));
        lock_->setStaleLockTime(0); // a living process keeps it for as long as it lives
    }
    if (lock_->isLocked() || lock_->tryLock(0) || lock_->error() != QLockFile::LockFailedError) return 0;
    qint64 process = 0;
    QString host, program;
    return lock_->getLockInfo(&process, &host, &program) ? process : 0;
}

std::optional<KeptSession> SessionStore::read() {
    if (holder() != 0) return std::nullopt;
    QFile file(path());
    if (path().isEmpty() || file.size() > kLargest || !file.open(QIODevice::ReadOnly)) return std::nullopt;
    try {
        const Json json = parseJson(file.readAll().toStdString(), "the kept session");
        if (json.at("version").get<int>() != kVersion) return std::nullopt;
        return KeptSession::fromJson(json);
    } catch (const std::exception&) { // damaged, or of another program: the window starts as if there were none
        return std::nullopt;
    }
}

KeptSession SessionStore::now() const {
    KeptSession kept;
    if (const auto open = session_.checkpoint()) kept.checkpoint = QString::fromStdString(open->path());
    kept.site = session_.selectedSite();
    kept.runA = session_.runA();
    kept.runB = session_.runB();
    kept.calibrationRun = session_.calibrationRun();
    for (const QTabBar* tabs : window_.findChildren<QTabBar*>())
        if (!tabs->objectName().isEmpty()) kept.tabs.insert(tabs->objectName(), tabs->currentIndex());
    kept.recipe = session_.recipe();
    const QUndoStack* undo = const_cast<Session&>(session_).undoStack();
    kept.edits = session_.edits(kept.recipe.assignment.rules.size() > kLargeRecipe ? kStepsOfLarge : kSteps);
    kept.done = std::max(0, int(kept.edits.size()) - (undo->count() - undo->index()));
    kept.jobs = jobs_.unfinished();
    return kept;
}

void SessionStore::apply(const KeptSession& kept) {
    for (QTabBar* tabs : window_.findChildren<QTabBar*>())
        if (const auto at = kept.tabs.constFind(tabs->objectName()); at != kept.tabs.cend() && *at >= 0 && *at < tabs->count()) tabs->setCurrentIndex(*at);
    const auto known = [&](RunId run) { return session_.hasRun(run); };
    if (known(kept.runA) && known(kept.runB)) session_.selectRuns(kept.runA, kept.runB);
    const auto open = session_.checkpoint();
    if (!open || QString::fromStdString(open->path()) != kept.checkpoint) return;
    session_.restoreEdits(kept.edits, kept.done);
    if (!(session_.recipe() == kept.recipe)) session_.replaceRecipe(kept.recipe);
    if (known(kept.calibrationRun)) session_.setCalibrationRun(kept.calibrationRun);
    if (session_.model() && session_.model()->findSite(kept.site.toStdString())) session_.selectSite(kept.site);
}

void SessionStore::begin() {
    keeping_ = true;
    later_.start();
}

void SessionStore::end() {
    later_.stop();
    if (keeping_) save(true);
    keeping_ = false;
}

/// Beside the window's thread: a large recipe takes longer than a frame, and so may the disk.
void SessionStore::save(bool closed) {
    if (path().isEmpty() || holder() != 0) return;
    KeptSession kept = now();
    kept.closed = closed;
    const quint64 number = ++writer_->asked;
    if (closed) return writer_->write(number, kept, path());
    QThreadPool::globalInstance()->start([writer = writer_, number, kept, file = path()] { writer->write(number, kept, file); });
}

} // namespace bw
