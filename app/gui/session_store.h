// SPDX-License-Identifier: GPL-3.0-or-later
// What the window was doing, kept in a file beside the log while it happens, so that the next start goes on there whether the
// window was closed or killed: selections, open tabs, the recipe with its undo steps, jobs that had not ended.
#pragma once

#include "app/gui/job_queue.h"
#include "widgets/session/session.h"

#include <QMap>
#include <QTimer>
#include <optional>

class QLockFile;
class QWidget;

namespace bw {

struct KeptSession {
    bool closed = false;          ///< by a person; false: the program ended by itself
    QString checkpoint, site;
    RunId runA, runB, calibrationRun;
    QMap<QString, int> tabs;      ///< by the tab bar's object name
    Recipe recipe;
    QVector<Session::Edit> edits;
    int done = 0;                 ///< so many of the edits are in the recipe
    QVector<QPair<QString, QString>> jobs; ///< title and what Studio::goOn takes; the running one first

    Json toJson() const;
    /// @throws Error, Json::exception for what is no kept session.
    static KeptSession fromJson(const Json& json);
};

class SessionStore final : public QObject {
    Q_OBJECT
public:
    /// @param window whose tab bars are kept; outlives this.
    SessionStore(Session& session, JobQueue& jobs, QWidget& window);
    ~SessionStore() override;
    /// The process whose window has this log open already, so that nothing is kept or read here; 0 for none. A lock that a
    /// killed one left is taken over.
    qint64 holder();
    /// Of the open log; none when there is no such file or it can't be read.
    std::optional<KeptSession> read();
    /// Selections and tabs at once; the recipe and the site only when their checkpoint is open.
    void apply(const KeptSession& kept);
    /// From now on changes are kept, a second after they happen.
    void begin();
    /// The window is closed by a person: nothing was lost.
    void end();
    QString path() const; ///< empty without a log
    /// As it would be written this moment.
    KeptSession now() const;

private:
    void save(bool closed);
    struct Writer;
    Session& session_;
    JobQueue& jobs_;
    QWidget& window_;
    QTimer later_;
    bool keeping_ = false;
    std::unique_ptr<QLockFile> lock_; ///< of lockedPath_, held by this window when it is locked
    QString lockedPath_;
    std::shared_ptr<Writer> writer_;
};

} // namespace bw
