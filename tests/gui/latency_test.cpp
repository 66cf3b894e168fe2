// SPDX-License-Identifier: GPL-3.0-or-later
// How soon the window answers while a sweep runs in it. Another thread posts keys at times of its own; the time
// until the event is handled and its widget painted again is reported. What is asserted is processor time of the window's
// thread per turn of its event loop: it does not depend on what else the machine does.
// BW_LATENCY_MODEL=PATH takes another checkpoint than the demo, BW_LATENCY_EVENTS=N that many events per workspace.
#include "app/gui/main_window.h"
#include "tests/gui/gui_fixture.h"
#include "tests/gui/turn_meter.h"
#include "widgets/mix/bits_grid.h"

#include <QAbstractScrollArea>
#include <QElapsedTimer>
#include <QEventLoop>
#include <QSignalSpy>
#include <QSpinBox>
#include <QThread>
#include <QTimer>
#include <QTreeView>
#include <algorithm>
#include <atomic>
#include <random>

using namespace bw;

namespace {

constexpr int kPatience = 900000;         ///< ms; bounds a hang only, also with a large model
constexpr double kMostTurnSeconds = 0.05; ///< a person notices from about here on

/// Posts events from a thread of its own, the next one some time after the widget has painted the last.
class Prober final : public QObject {
public:
    Prober(QWidget* target, std::function<QEvent*(int)> make) : target_(target), painted_(target), make_(std::move(make)) {
        if (auto* area = qobject_cast<QAbstractScrollArea*>(target)) painted_ = area->viewport();
        target_->installEventFilter(this);
        if (painted_ != target_) painted_->installEventFilter(this);
    }

    /// @return milliseconds from post to painted, one for each event.
    std::vector<double> run(int events) {
        std::unique_ptr<QThread> poster(QThread::create([this, events] {
            std::mt19937 random(7);
            std::uniform_int_distribution<unsigned long> pause(5, 60); // ms, out of step with every timer of the window
            for (int i = 0; i < events && !stop_; ++i) {
                QThread::msleep(pause(random));
                handled_ = false;
                waiting_ = true;
                clock_.start();
                QCoreApplication::postEvent(target_, make_(i));
                while (waiting_ && !stop_) QThread::usleep(200);
            }
        }));
        QEventLoop loop;
        connect(poster.get(), &QThread::finished, &loop, &QEventLoop::quit);
        QTimer::singleShot(kPatience, &loop, &QEventLoop::quit);
        poster->start();
        loop.exec();
        stop_ = true;
        poster->wait();
        return milliseconds_;
    }

protected:
    bool eventFilter(QObject* object, QEvent* event) override {
        if (!waiting_) return false;
        if (object == target_ && event->type() == QEvent::KeyPress) {
            handled_ = true;
            painted_->update(); // an event that changes nothing is painted too
        } else if (object == painted_ && event->type() == QEvent::Paint && handled_) {
            handled_ = false;
            // Comes after the paint and whatever else was waiting: never too early.
            QMetaObject::invokeMethod(this, [this] { stopClock(); }, Qt::QueuedConnection);
        }
        return false;
    }

private:
    void stopClock() {
        milliseconds_.push_back(double(clock_.nsecsElapsed()) * 1e-6);
        waiting_ = false;
    }

    QWidget *target_, *painted_; ///< takes the keys; is painted
    std::function<QEvent*(int)> make_;
    QElapsedTimer clock_;
    std::atomic<bool> waiting_ = false, stop_ = false;
    std::atomic<bool> handled_ = false;
    std::vector<double> milliseconds_;
};

QEvent* key(int code) { return new QKeyEvent(QEvent::KeyPress, code, Qt::NoModifier); }

} // namespace

class LatencyTest final : public QObject {
    Q_OBJECT

private Q_SLOTS:
    void initTestCase() {
        delete key(Qt::Key_Down); // makes Qt's keyboard on this thread, not on the poster's
        window_ = std::make_unique<MainWindow>();
        window_->show();
        Studio& studio = window_->studio();
        QVERIFY(studio.openLog(test::home().file(QStringLiteral("latency.db"))));
        studio.openCheckpoint(qEnvironmentVariable("BW_LATENCY_MODEL", test::resource("demo")));
        QTRY_VERIFY_WITH_TIMEOUT(studio.session().model() && studio.quiet(), kPatience);
        Recipe recipe = studio.session().recipe();
        recipe.kind = "sweep";
        recipe.calibration.files = {test::resource("texts/calib_prose.txt").toStdString()};
        recipe.calibration.samples = 2;
        recipe.calibration.length = 64;
        recipe.sweep.formats = {"q4_0", "q4_1", "q5_0", "q5_1", "q8_0"};
        recipe.sweep.metric = "output"; // a finished map first, so that the mix page has all its work to do
        QSignalSpy finished(&studio.jobs(), &JobQueue::finished);
        studio.run(recipe);
        QTRY_COMPARE_WITH_TIMEOUT(finished.count(), 1, kPatience);
        recipe.sweep.metric = "kl";
        recipe.calibration.samples = 64;
        recipe.calibration.length = 256;
        studio.run(recipe); // longer than this test; cancelled at its end
        QTRY_VERIFY_WITH_TIMEOUT(studio.session().runs().size() == 2 && studio.jobs().progress().done > 0, kPatience);
    }

    void answersWhileASweepRuns_data() {
        QTest::addColumn<QString>("workspace");
        for (const char* name : {"model", "calibrate", "mix", "runs", "compare"}) QTest::newRow(name) << QString::fromLatin1(name);
    }

    void answersWhileASweepRuns() {
        QFETCH(QString, workspace);
        test::noWarnings();
        window_->showWorkspace(workspace);
        QCoreApplication::processEvents();
        QWidget* target = targetOf(workspace);
        QVERIFY(target && target->isVisible());
        target->setFocus();
        test::TurnMeter turns;
        Prober prober(target, [workspace](int i) { return eventOf(workspace, i); });
        const int events = std::max(1, qEnvironmentVariableIntValue("BW_LATENCY_EVENTS") ? qEnvironmentVariableIntValue("BW_LATENCY_EVENTS") : 40);
        std::vector<double> times = prober.run(events);
        QCOMPARE(int(times.size()), events);
        QVERIFY2(window_->studio().jobs().busy(), "the sweep must outlast the probes");
        std::sort(times.begin(), times.end());
        const auto at = [&](double share) { return times[std::min(times.size() - 1, std::size_t(share * double(times.size())))]; };
        qInfo("%s: post to painted, median %.1f ms, 99 %% %.1f ms, worst %.1f ms; longest turn of %zu: %.1f ms of processor time",
              qPrintable(workspace), at(0.5), at(0.99), times.back(), turns.turns(), turns.longest() * 1e3);
        QVERIFY(turns.turns() > 10);
        QVERIFY2(turns.longest() < kMostTurnSeconds, qPrintable(QString::number(turns.longest() * 1e3)));
    }

    void cleanupTestCase() {
        QSignalSpy failed(&window_->studio().jobs(), &JobQueue::failed);
        window_->studio().jobs().cancelAll();
        QTRY_VERIFY_WITH_TIMEOUT(!window_->studio().jobs().busy(), kPatience);
        window_.reset();
    }

private:
    QWidget* targetOf(const QString& workspace) const {
        if (workspace == QLatin1String("model")) return window_->findChild<QTreeView*>(QStringLiteral("model.tree"));
        if (workspace == QLatin1String("mix")) return window_->findChild<BitsGrid*>();
        if (workspace == QLatin1String("runs")) return window_->findChild<QTreeView*>(QStringLiteral("runs.table"));
        if (workspace == QLatin1String("calibrate")) return window_->findChild<QSpinBox*>();
        return window_->findChild<QWidget*>(QStringLiteral("rail.compare")); // two finished runs are needed to fill the page
    }

    /// Steps through sites and rows, and on the mix page changes formats as well.
    static QEvent* eventOf(const QString& workspace, int i) {
        if (workspace == QLatin1String("mix") && i % 2 == 1) return key(i % 4 == 1 ? Qt::Key_8 : Qt::Key_5);
        return key(i % 7 == 6 ? Qt::Key_Up : Qt::Key_Down);
    }

    std::unique_ptr<MainWindow> window_;
};

int main(int argc, char** argv) { return test::run<LatencyTest>(argc, argv); }
#include "latency_test.moc"
