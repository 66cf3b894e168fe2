// SPDX-License-Identifier: GPL-3.0-or-later
// Ten thousand clicks, drags, keys, turns of the wheel and sizes, at random from fixed seeds, on the real window with real results and
// jobs that begin and are stopped: no crash, no warning of Qt, and the log is whole at the end. BW_MONKEY_SEED=N plays one seed.
#include "app/gui/main_window.h"
#include "tests/gui/gui_fixture.h"

#include <QAbstractItemView>
#include <QDialog>
#include <QMenu>
#include <QPointer>
#include <QSignalSpy>
#include <QTimer>
#include <QWheelEvent>
#include <random>

using namespace bw;

namespace {

constexpr int kPatience = 60000, kEvents = 2000; // of each seed
constexpr int kStopJobsEvery = 100;

/// Answers for nobody: closes menus and dialogs that opened, so that whoever waits for them goes on.
class Closer final : public QObject {
public:
    Closer() {
        timer_.setInterval(1);
        connect(&timer_, &QTimer::timeout, this, [] {
            if (QWidget* popup = QApplication::activePopupWidget()) popup->close();
            else if (QWidget* dialog = QApplication::activeModalWidget()) dialog->close();
        });
        timer_.start();
    }

private:
    QTimer timer_;
};

} // namespace

class MonkeyTest final : public QObject {
    Q_OBJECT

private Q_SLOTS:
    void initTestCase() {
        window_ = std::make_unique<MainWindow>();
        window_->show();
        Studio& studio = window_->studio();
        QVERIFY(studio.openLog(test::home().file(QStringLiteral("monkey.db"))));
        studio.openCheckpoint(test::resource("demo"));
        QTRY_VERIFY_WITH_TIMEOUT(studio.session().model() && studio.quiet(), kPatience);
        Recipe recipe = studio.session().recipe();
        recipe.calibration = {{test::resource("texts/calib_prose.txt").toStdString()}, 2, 32};
        recipe.evaluation = {{test::resource("texts/eval_prose.txt").toStdString()}, "windows:32", 64};
        recipe.sweep.formats = {"q4_0", "q8_0"};
        recipe.sweep.metric = "output";
        studio.session().replaceRecipe(recipe);
        QSignalSpy finished(&studio.jobs(), &JobQueue::finished);
        for (const char* kind : {"calibrate", "sweep", "quantize"}) {
            recipe.kind = kind;
            studio.run(recipe);
        }
        QTRY_COMPARE_WITH_TIMEOUT(finished.count(), 3, kPatience);
    }

    void tenThousandEvents_data() {
        QTest::addColumn<unsigned>("seed");
        for (const unsigned seed : {11u, 12u, 13u, 14u, 15u}) QTest::addRow("seed %u", seed) << seed;
    }

    void tenThousandEvents() {
        QFETCH(unsigned, seed);
        if (qEnvironmentVariableIsSet("BW_MONKEY_SEED") && unsigned(qEnvironmentVariableIntValue("BW_MONKEY_SEED")) != seed) QSKIP("another seed was asked for");
        test::noWarnings();
        const Closer closer;
        random_.seed(seed);
        for (int i = 0; i < kEvents; ++i) {
            act();
            if (i % 4 == 0) QCoreApplication::processEvents();
            if (i % kStopJobsEvery == 0) window_->studio().jobs().cancelAll();
            if (!window_->isVisible()) window_->show(); // it was closed
        }
        window_->studio().jobs().cancelAll();
        QTRY_VERIFY_WITH_TIMEOUT(window_->studio().quiet(), kPatience);
        QVERIFY(window_->isVisible() && window_->width() >= 1100 && window_->height() >= 700);
        QVERIFY(test::differentColors(window_->grab().toImage()) > 40);
        Session& session = window_->studio().session();
        QVERIFY(session.log());
        for (const RunSummary& run : session.log()->runs()) QVERIFY2(run.status != "running", "every run has ended");
        Recipe::fromJson(session.recipe().toJson()); // what was clicked together is a recipe
        qInfo("%d steps of undo, %zu runs in the log", session.undoStack()->count(), session.log()->runs().size());
    }

    void cleanupTestCase() { window_.reset(); }

private:
    int below(int count) { return int(random_() % unsigned(std::max(1, count))); }

    QWidget* someWidget() {
        QWidgetList shown;
        for (QWidget* widget : window_->findChildren<QWidget*>())
            if (widget->isVisible() && widget->isEnabled() && widget->width() > 2 && widget->height() > 2) shown << widget;
        return shown.isEmpty() ? window_.get() : shown[below(int(shown.size()))];
    }

    void mouse(QWidget* widget, QEvent::Type type, QPoint at, Qt::MouseButton button, bool down) {
        QMouseEvent event(type, at, widget->mapToGlobal(at), button, down ? button : Qt::NoButton, Qt::NoModifier);
        QCoreApplication::sendEvent(widget, &event);
    }

    void act() {
        QPointer<QWidget> widget = someWidget(); // an event may end the widget that it was for
        const QPoint at(below(widget->width()), below(widget->height())), to(below(widget->width()), below(widget->height()));
        const int kind = below(100);
        const auto send = [&](QEvent::Type type, QPoint where, Qt::MouseButton button, bool down) {
            if (widget) mouse(widget, type, where, button, down);
        };
        if (kind < 40) {
            const Qt::MouseButton button = kind < 36 ? Qt::LeftButton : Qt::RightButton;
            send(QEvent::MouseButtonPress, at, button, true);
            send(QEvent::MouseButtonRelease, at, button, false);
            if (kind < 4) send(QEvent::MouseButtonDblClick, at, button, true);
            if (kind < 4) send(QEvent::MouseButtonRelease, at, button, false);
        } else if (kind < 55) {
            send(QEvent::MouseMove, at, Qt::NoButton, false);
        } else if (kind < 65) {
            send(QEvent::MouseButtonPress, at, Qt::LeftButton, true);
            for (const QPoint& step : {(at + to) / 2, to}) send(QEvent::MouseMove, step, Qt::LeftButton, true);
            send(QEvent::MouseButtonRelease, to, Qt::LeftButton, false);
        } else if (kind < 75) {
            QWheelEvent event(at, widget->mapToGlobal(at), {}, {0, below(2) ? 120 : -120}, Qt::NoButton, below(4) ? Qt::NoModifier : Qt::ControlModifier, Qt::NoScrollPhase, false);
            QCoreApplication::sendEvent(widget, &event);
        } else if (kind < 95) {
            static constexpr int kKeys[] = {Qt::Key_Left, Qt::Key_Right, Qt::Key_Up, Qt::Key_Down, Qt::Key_Tab, Qt::Key_Return, Qt::Key_Escape, Qt::Key_Space, Qt::Key_Delete,
                                            Qt::Key_Home, Qt::Key_End, Qt::Key_PageDown, Qt::Key_2, Qt::Key_4, Qt::Key_8, Qt::Key_F, Qt::Key_C, Qt::Key_Z, Qt::Key_Y, Qt::Key_K, Qt::Key_I};
            const int code = kKeys[below(int(std::size(kKeys)))];
            const Qt::KeyboardModifiers held = below(4) == 0 ? Qt::ControlModifier : below(6) == 0 ? Qt::ShiftModifier : Qt::NoModifier;
            for (const QEvent::Type type : {QEvent::KeyPress, QEvent::KeyRelease}) {
                QKeyEvent event(type, code, held, held == Qt::NoModifier && code < 0x80 ? QString(QChar(code)) : QString());
                if (widget) QCoreApplication::sendEvent(widget, &event);
            }
        } else if (kind < 97) {
            window_->resize(1100 + below(600), 700 + below(400));
        } else {
            static const char* const kNames[] = {"model", "calibrate", "mix", "runs", "compare"};
            window_->showWorkspace(QString::fromLatin1(kNames[below(5)]));
        }
    }

    std::unique_ptr<MainWindow> window_;
    std::mt19937 random_;
};

int main(int argc, char** argv) { return test::run<MonkeyTest>(argc, argv); }
#include "monkey_test.moc"
