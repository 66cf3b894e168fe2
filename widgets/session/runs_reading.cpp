// SPDX-License-Identifier: GPL-3.0-or-later
#include "widgets/session/runs_reading.h"

#include "core/base/error.h"

#include <QCoreApplication>
#include <QElapsedTimer>
#include <QPointer>
#include <QThreadPool>
#include <algorithm>

namespace bw {
namespace {

constexpr std::int64_t kPage = 1000;  ///< runs in one read transaction: about 10 ms
constexpr int kPausePerRead = 20;     ///< times as long as reading took, before it is read again

std::vector<RunSummary> allRuns(const std::string& path) {
    const LogReader log(path);
    std::vector<RunSummary> all;
    for (RunId before;;) {
        std::vector<RunSummary> page = log.runs(kPage, before);
        const bool last = page.size() < std::size_t(kPage);
        if (!page.empty()) before = page.back().id;
        all.insert(all.end(), std::make_move_iterator(page.begin()), std::make_move_iterator(page.end()));
        if (last) return all;
    }
}

} // namespace

RunsReading::RunsReading(QObject* parent) : QObject(parent) {
    pause_.setSingleShot(true);
    connect(&pause_, &QTimer::timeout, this, [this] {
        if (wanted_) start();
    });
}

void RunsReading::setLog(const QString& path) {
    path_ = path;
    known_ = {};
    ++number_;
    running_ = wanted_ = false;
    pause_.stop();
}

void RunsReading::request(const RunList& known) {
    known_ = known;
    wanted_ = true;
    if (!running_ && !pause_.isActive() && !path_.isEmpty()) start();
}

void RunsReading::start() {
    running_ = true;
    wanted_ = false;
    QPointer<RunsReading> reading(this);
    QThreadPool::globalInstance()->start([reading, number = number_, path = path_.toStdString(), known = known_] {
        QElapsedTimer clock;
        clock.start();
        RunList runs;
        QString problem;
        try {
            runs = known.renewed(allRuns(path), true);
        } catch (const Error& error) {
            problem = QString::fromStdString(error.oneLine());
        } catch (const std::exception& error) {
            problem = QString::fromUtf8(error.what());
        }
        const qint64 took = clock.elapsed();
        QMetaObject::invokeMethod(qApp, [reading, number, runs, problem, took] {
            if (reading) reading->finish(number, runs, problem, took);
        }, Qt::QueuedConnection);
    });
}

void RunsReading::finish(quint64 number, const RunList& runs, const QString& problem, qint64 milliseconds) {
    if (number != number_) return;
    running_ = false;
    known_ = {};
    pause_.start(int(std::clamp<qint64>(kPausePerRead * milliseconds, 1, 60000)));
    if (problem.isEmpty()) Q_EMIT done(runs);
    else Q_EMIT failed(problem);
}

} // namespace bw
