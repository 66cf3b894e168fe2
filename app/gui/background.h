// SPDX-License-Identifier: GPL-3.0-or-later
// Short work that must not block the window and needs no log: opening files, statistics of one weight. One thread,
// in order of priority; results come back on the window's thread. Not for: runs (job_queue.h).
#pragma once

#include "app/gui/job_error.h"

#include <QObject>
#include <QThreadPool>
#include <atomic>
#include <functional>
#include <memory>

namespace bw {

class Background final : public QObject {
    Q_OBJECT
public:
    explicit Background(QObject* parent = nullptr);
    ~Background() override; ///< drops what waits, finishes what runs

    /// `work` runs on the worker; `done(result)` or `failed(error)` then run here unless this object is gone.
    /// Higher `priority` first.
    template <class Result>
    void run(std::function<Result()> work, std::function<void(Result)> done,
             std::function<void(const JobError&)> failed = {}, int priority = 0) {
        start(
            [this, work = std::move(work), done = std::move(done), failed = std::move(failed)] {
                try {
                    auto result = std::make_shared<Result>(work());
                    deliver([result, done] { done(std::move(*result)); });
                } catch (...) {
                    deliver([error = describeError(std::current_exception()), failed] {
                        if (failed) failed(error);
                    });
                }
            },
            priority);
    }
    int pending() const { return pending_; }

Q_SIGNALS:
    void idle(); ///< nothing pending any more

private:
    void start(std::function<void()> work, int priority);
    void deliver(std::function<void()> result);
    QThreadPool pool_;
    int pending_ = 0;
};

} // namespace bw
