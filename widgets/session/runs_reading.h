// SPDX-License-Identifier: GPL-3.0-or-later
// Reads all runs of a log on another thread, for logs that are too long to be read between two frames. Not more often than a
// twentieth of its time allows: a job commits several times a second.
#pragma once

#include "widgets/session/run_list.h"

#include <QObject>
#include <QTimer>

namespace bw {

class RunsReading final : public QObject {
    Q_OBJECT
public:
    explicit RunsReading(QObject* parent = nullptr);
    /// What was under way is forgotten. @param path empty: no log.
    void setLog(const QString& path);
    /// There may be news. @param known  what is there already; runs that did not change keep their pointers.
    void request(const RunList& known);

Q_SIGNALS:
    /// All of them, newest first.
    void done(const bw::RunList& runs);
    void failed(const QString& why);

private:
    void start();
    void finish(quint64 number, const RunList& runs, const QString& problem, qint64 milliseconds);

    QString path_;
    RunList known_;
    quint64 number_ = 0; ///< of the log that is read: answers on earlier ones come too late
    bool running_ = false, wanted_ = false;
    QTimer pause_;
};

} // namespace bw
