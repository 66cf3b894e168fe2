// SPDX-License-Identifier: GPL-3.0-or-later
// Processor time that the window's thread spends between two waits for events: how long a person waits for it, whatever else the
// machine does.
#pragma once

#include <QAbstractEventDispatcher>
#include <QDeadlineTimer>
#include <QEventLoop>
#include <QObject>
#include <QTimer>
#include <algorithm>
#include <ctime>
#include <functional>
#include <vector>

namespace bw::test {

inline double threadSeconds() {
    timespec t{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return double(t.tv_sec) + 1e-9 * double(t.tv_nsec);
}

/// Sanitizers make everything several times as slow; a limit is multiplied by this.
#if defined(__SANITIZE_ADDRESS__)
inline constexpr double kSlower = 6;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
inline constexpr double kSlower = 6;
#else
inline constexpr double kSlower = 1;
#endif
#else
inline constexpr double kSlower = 1;
#endif

/// Processor time of this thread in every turn of its loop, from one wait for events to the next: waiting costs none.
class TurnMeter final : public QObject {
public:
    TurnMeter() : began_(threadSeconds()) {
        connect(QAbstractEventDispatcher::instance(), &QAbstractEventDispatcher::aboutToBlock, this, [this] { end(); });
    }
    double longest() const { return turns_.empty() ? 0 : *std::max_element(turns_.begin(), turns_.end()); }
    std::size_t turns() const { return turns_.size(); }
    /// Begins anew: what was until now is not counted.
    void reset() {
        turns_.clear();
        began_ = threadSeconds();
    }

private:
    void end() {
        const double now = threadSeconds();
        turns_.push_back(now - began_);
        began_ = now;
    }
    double began_;
    std::vector<double> turns_;
};

/// Runs the event loop as the program does, which waits for events, until `done` says so or the patience ends. @return done().
inline bool spin(const std::function<bool()>& done, int milliseconds) {
    QEventLoop loop;
    QTimer look;
    const QDeadlineTimer patience(milliseconds);
    QObject::connect(&look, &QTimer::timeout, &loop, [&] {
        if (done() || patience.hasExpired()) loop.quit();
    });
    look.start(5);
    loop.exec();
    return done();
}

} // namespace bw::test
