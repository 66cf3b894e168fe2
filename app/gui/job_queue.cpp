// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/gui/job_queue.h"

#include "core/base/error.h"
#include "core/base/text.h"

#include <QThread>

namespace bw {

struct JobQueue::Running {
    int number = 0;
    Job job;
    std::shared_ptr<JobContext> context = std::make_shared<JobContext>();
    std::unique_ptr<QThread> thread;
};

JobQueue::JobQueue(DeviceFactory devices, QObject* parent) : QObject(parent), devices_(std::move(devices)) {
    timer_.setInterval(100);
    connect(&timer_, &QTimer::timeout, this, &JobQueue::sample);
}

JobQueue::~JobQueue() {
    queue_.clear();
    if (!current_) return;
    current_->context->setPaused(false);
    current_->context->requestStop();
    current_->thread->wait();
}

int JobQueue::submit(Job job) {
    const int number = ++lastNumber_;
    queue_.emplace_back(number, std::move(job));
    startNext();
    return number;
}

void JobQueue::startNext() {
    if (current_ || queue_.empty()) return;
    current_ = std::make_unique<Running>();
    current_->number = queue_.front().first;
    current_->job = std::move(queue_.front().second);
    queue_.pop_front();

    const auto run = [this, number = current_->number, context = current_->context, work = current_->job.work] {
        RunOutcome outcome;
        JobError error;
        try {
            if (!log_)
                throw Error(ErrorCode::logCorrupt, "No experiment log is open, and a run must be logged.",
                            "Open or create a log file first.");
            Runner runner(*log_, devices_);
            outcome = work(runner, *context);
        } catch (...) {
            error = describeError(std::current_exception());
        }
        QMetaObject::invokeMethod(
            this, [this, number, outcome, error] { deliver(number, outcome, error); }, Qt::QueuedConnection);
    };
    current_->thread.reset(QThread::create(run));
    current_->thread->setObjectName(QStringLiteral("job"));
    current_->thread->start(QThread::LowPriority); // the window's thread is served first
    timer_.start();
    Q_EMIT started(current_->number);
}

void JobQueue::deliver(int number, const RunOutcome& outcome, const JobError& error) {
    if (!current_ || current_->number != number) return;
    sample(); // the last notes and figures
    timer_.stop();
    current_->thread->wait();
    const Job ended = std::move(current_->job);
    current_.reset();
    if (error.isEmpty()) {
        Q_EMIT finished(number, outcome);
    } else {
        if (error.cancelled && !ended.again.isEmpty()) Q_EMIT stopped(ended.title, ended.again);
        Q_EMIT failed(number, error);
    }
    startNext();
    if (!current_) Q_EMIT idle();
}

void JobQueue::sample() {
    if (!current_) return;
    for (const std::string& line : current_->context->takeNotes())
        Q_EMIT noted(QString::fromStdString(escapeForDisplay(line)));
    Q_EMIT progressed();
}

const Job* JobQueue::currentJob() const { return current_ ? &current_->job : nullptr; }

QVector<QPair<QString, QString>> JobQueue::unfinished() const {
    QVector<QPair<QString, QString>> all;
    if (current_ && !current_->job.again.isEmpty()) all << qMakePair(current_->job.title, current_->job.again);
    for (const auto& [number, job] : queue_)
        if (!job.again.isEmpty()) all << qMakePair(job.title, job.again);
    return all;
}

Progress JobQueue::progress() const { return current_ ? current_->context->snapshot() : Progress{}; }

bool JobQueue::paused() const { return current_ && current_->context->paused(); }

void JobQueue::cancel() {
    if (!current_) return;
    current_->context->setPaused(false);
    current_->context->requestStop();
}

void JobQueue::cancelAll() {
    queue_.clear();
    cancel();
}

void JobQueue::setPaused(bool paused) {
    if (!current_) return;
    current_->context->setPaused(paused);
    Q_EMIT progressed();
}

} // namespace bw
