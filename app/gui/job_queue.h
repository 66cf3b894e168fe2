// SPDX-License-Identifier: GPL-3.0-or-later
// Long work, one job at a time on a thread of its own, sampled ten times a second for the window. A result is delivered
// on the window's thread with its job's number, so that whoever waits can tell a stale one. Knows nothing of widgets.
#pragma once

#include "app/gui/job_error.h"
#include "core/experiment/runner.h"

#include <QObject>
#include <QPair>
#include <QTimer>
#include <QVector>
#include <deque>
#include <functional>
#include <memory>

class QThread;

namespace bw {

struct Job {
    QString title; ///< "calibrate · SmolLM2"
    QString again; ///< what Studio::goOn takes to go on after a stop, JSON; empty: it would begin anew
    std::function<RunOutcome(Runner&, JobContext&)> work;
};

class JobQueue final : public QObject {
    Q_OBJECT
public:
    explicit JobQueue(DeviceFactory devices, QObject* parent = nullptr);
    ~JobQueue() override; ///< stops the running job and waits for it

    /// Jobs write here. Null: submitting fails with an error. Not to be changed while busy().
    void setLog(ExperimentLog* log) { log_ = log; }
    int submit(Job job); ///< its number, > 0
    bool busy() const { return current_ != nullptr; }
    int waiting() const { return static_cast<int>(queue_.size()); }
    const Job* currentJob() const;
    /// Title and Job::again of those that can go on, the running one first.
    QVector<QPair<QString, QString>> unfinished() const;
    Progress progress() const;
    bool paused() const;

public Q_SLOTS:
    void cancel();    ///< the running job
    void cancelAll(); ///< and those that wait
    void setPaused(bool paused);

Q_SIGNALS:
    void started(int number);
    void progressed(); ///< read progress()
    void noted(const QString& line);
    void finished(int number, const bw::RunOutcome& outcome);
    void stopped(const QString& title, const QString& again); ///< by a person, before failed; only when it can go on
    void failed(int number, const bw::JobError& error); ///< also when cancelled: error.cancelled
    void idle();

private:
    struct Running;
    void startNext();
    void sample();
    void deliver(int number, const RunOutcome& outcome, const JobError& error);

    DeviceFactory devices_;
    ExperimentLog* log_ = nullptr;
    std::deque<std::pair<int, Job>> queue_;
    std::unique_ptr<Running> current_;
    QTimer timer_;
    int lastNumber_ = 0;
};

} // namespace bw
