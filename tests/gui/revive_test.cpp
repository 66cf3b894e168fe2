// SPDX-License-Identifier: GPL-3.0-or-later
// The real program, killed or crashed while a job runs, and started again: everything is where it was, and the job ends as it would
// have without.
#include "app/gui/main_window.h"
#include "app/gui/notice_bar.h"
#include "tests/gui/gui_fixture.h"

#include <QDialog>
#include <QFile>
#include <QProcess>
#include <QPushButton>
#include <QSettings>
#include <QSignalSpy>
#include <csignal>

using namespace bw;
using test::home;

namespace {

constexpr int kPatience = 60000; // only bounds a hang on a loaded machine
constexpr double kSame = 1e-12;  // the same kernels on the same data: not a bit may differ

Recipe sweep() {
    Recipe recipe;
    recipe.kind = "sweep";
    recipe.checkpoint = test::resource("demo").toStdString();
    recipe.calibration = {{test::resource("texts/calib_prose.txt").toStdString()}, 6, 64};
    recipe.sweep.metric = "kl";
    recipe.sweep.formats = {"q4_0", "q8_0"};
    recipe.sweep.sites = {"blk.*.attn_v", "blk.*.ffn_down"};
    return recipe;
}

/// A running program on this log; ends with this object.
class Program {
public:
    explicit Program(const QString& log) {
        QProcessEnvironment environment = QProcessEnvironment::systemEnvironment();
        environment.insert(QStringLiteral("QT_QPA_PLATFORM"), QStringLiteral("offscreen"));
        process_.setProcessEnvironment(environment);
        process_.start(QStringLiteral(BW_PROGRAM), {QStringLiteral("--log"), log, QStringLiteral("--workspace"), QStringLiteral("mix")});
    }
    ~Program() { end(SIGKILL); }
    qint64 id() const { return process_.processId(); }
    bool running() { return process_.state() == QProcess::Running; }
    void end(int signal) {
        if (process_.state() == QProcess::NotRunning) return;
        ::kill(pid_t(process_.processId()), signal);
        process_.waitForFinished(kPatience);
    }
    QString errors() { return errors_ += QString::fromLocal8Bit(process_.readAllStandardError()); }

private:
    QProcess process_;
    QString errors_;
};

std::size_t cellsIn(const QString& log, RunId run = RunId(1)) {
    try {
        return LogReader(log.toStdString()).sensitivities(run).size();
    } catch (const Error&) {
        return 0; // not made yet
    }
}

/// What the window left of itself, once it names what it works on.
bool keeps(const QString& log, const QByteArray& words) {
    QFile file(log + QStringLiteral(".window.json"));
    return file.open(QIODevice::ReadOnly) && file.readAll().contains(words);
}

} // namespace

class ReviveTest final : public QObject {
    Q_OBJECT

private Q_SLOTS:
    void init() {
        test::noWarnings();
        QFile::remove(home().settingsFile());
    }

    void killedInASweepItGoesOnWhereItWas() {
        const QString log = home().file(QStringLiteral("killed.db"));
        AppSettings().setInterruptedJob(QString::fromStdString(sweep().toJson().dump())); // as closing had left it: it goes on at the start
        QSettings(home().settingsFile(), QSettings::IniFormat).sync();
        std::size_t before = 0;
        {
            Program program(log);
            const bool amid = QTest::qWaitFor([&] { return (before = cellsIn(log)) >= 2 && keeps(log, "sweep \xc2\xb7"); }, kPatience);
            QVERIFY2(amid && program.running(), qPrintable(program.errors()));
            QTRY_VERIFY_WITH_TIMEOUT(QSettings(home().settingsFile(), QSettings::IniFormat).contains(QStringLiteral("window/geometry")), kPatience);
            program.end(SIGKILL);
        }
        before = cellsIn(log);
        const std::size_t all = 24; // two formats of twelve sites
        QVERIFY2(before < all, "killed too late to say anything");
        QVERIFY(AppSettings().takeInterruptedJob().isEmpty());

        MainWindow window;
        window.openStartLog(log);
        QSignalSpy opened(&window.studio(), &Studio::checkpointOpened), finished(&window.studio().jobs(), &JobQueue::finished);
        window.restoreSession(false); // the layout first, as the program does it
        window.show();
        window.restoreSession(true);
        QTRY_COMPARE_WITH_TIMEOUT(opened.count(), 1, kPatience);
        Session& session = window.studio().session();
        QCOMPARE(QString::fromStdString(session.checkpoint()->path()), test::resource("demo"));
        QVERIFY(!session.selectedSite().isEmpty());
        QCOMPARE(window.workspace(), QStringLiteral("mix"));
        QCOMPARE(window.size(), QSize(1440, 900));
        auto* notices = window.findChild<NoticeBar*>();
        QVERIFY2(notices->texts().join(QString()).contains(QStringLiteral("sweep")), qPrintable(notices->texts().join(QLatin1Char('|'))));
        QCOMPARE(QString::fromStdString(session.runs().front().status), QStringLiteral("interrupted"));
        notices->findChild<QPushButton*>()->click(); // "Continue"
        QTRY_COMPARE_WITH_TIMEOUT(finished.count(), 1, kPatience);
        QCOMPARE(session.log()->runs().size(), std::size_t{1}); // the same run, no second one
        const auto resumed = session.log()->sensitivities(RunId(1));
        QCOMPARE(resumed.size(), all);

        QVERIFY(window.studio().openLog(home().file(QStringLiteral("whole.db")))); // without an interruption
        window.studio().run(sweep());
        QTRY_COMPARE_WITH_TIMEOUT(finished.count(), 2, kPatience);
        for (const SensitivityRow& row : session.log()->sensitivities(RunId(1))) {
            const auto same = std::find_if(resumed.begin(), resumed.end(), [&](const SensitivityRow& r) { return r.site == row.site && r.format == row.format; });
            QVERIFY2(same != resumed.end() && std::abs(same->value - row.value) <= kSame * std::abs(row.value), row.site.c_str());
        }
        QTRY_VERIFY_WITH_TIMEOUT(window.studio().quiet(), kPatience);
    }

    void aSecondWindowOnTheLogIsToldAndBothWork() {
        const QString log = home().file(QStringLiteral("two.db"));
        AppSettings().setInterruptedJob(QString::fromStdString(sweep().toJson().dump()));
        QSettings(home().settingsFile(), QSettings::IniFormat).sync();
        Program first(log);
        QTRY_VERIFY_WITH_TIMEOUT(cellsIn(log) >= 1 && keeps(log, "sweep \xc2\xb7"), kPatience);
        QTRY_VERIFY_WITH_TIMEOUT(QSettings(home().settingsFile(), QSettings::IniFormat).contains(QStringLiteral("window/geometry")), kPatience);
        MainWindow window;
        window.openStartLog(log);
        window.restoreSession(true);
        const QString told = window.findChild<NoticeBar*>()->texts().join(QLatin1Char('|'));
        QVERIFY2(told.contains(QStringLiteral("process %1").arg(first.id())), qPrintable(told));
        QVERIFY2(!told.contains(QStringLiteral("Not finished")), "a job that runs elsewhere is not offered");
        Recipe recipe = sweep();
        recipe.kind = "calibrate";
        recipe.calibration.samples = 1;
        QSignalSpy opened(&window.studio(), &Studio::checkpointOpened), finished(&window.studio().jobs(), &JobQueue::finished);
        window.studio().openCheckpoint(test::resource("demo"));
        QTRY_COMPARE_WITH_TIMEOUT(opened.count(), 1, kPatience);
        window.studio().run(recipe);
        QTRY_COMPARE_WITH_TIMEOUT(finished.count(), 1, kPatience);
        QTRY_COMPARE_WITH_TIMEOUT(QString::fromStdString(LogReader(log.toStdString()).run(RunId(1)).summary.status), QStringLiteral("done"), kPatience);
        QTRY_VERIFY_WITH_TIMEOUT(window.studio().quiet(), kPatience);
        first.end(SIGKILL);
        window.openStartLog(log); // the lock of a dead process is none
        QVERIFY(!window.findChild<NoticeBar*>()->texts().join(QString()).contains(QStringLiteral("Another window")));
    }

    void aCrashIsShownAtTheNextStart() {
        const QString log = home().file(QStringLiteral("crash.db"));
        const QString report = home().file(QStringLiteral("state/bitwright/bitwright.crash"));
        {
            Program program(log);
            QTRY_VERIFY_WITH_TIMEOUT(QFile::exists(log + QStringLiteral(".window.json")), kPatience); // it is up
            program.end(SIGSEGV);
        }
        QFile file(report);
        QVERIFY2(file.open(QIODevice::ReadOnly), qPrintable(report));
        const QByteArray text = file.readAll();
        for (const char* part : {"bitwright " BW_VERSION, "Qt 6", "SIGSEGV", "stack:\n", "libQt6"}) QVERIFY2(text.contains(part), text.constData());
        Program again(log);
        QTRY_VERIFY_WITH_TIMEOUT(!QFile::exists(report), kPatience); // taken
        QTRY_VERIFY_WITH_TIMEOUT(again.errors().contains(QStringLiteral("bitwright.crash.last")), kPatience);
    }
};

int main(int argc, char** argv) { return test::run<ReviveTest>(argc, argv); }
#include "revive_test.moc"
