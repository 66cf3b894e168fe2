// SPDX-License-Identifier: GPL-3.0-or-later
// Hard use of the window: odd drops, damaged or foreign settings, windows left on screens that are gone.
#include "app/gui/main_window.h"
#include "app/gui/notice_bar.h"
#include "app/gui/start_page.h"
#include "core/base/json.h"
#include "tests/gui/gui_fixture.h"

#include <QDockWidget>
#include <QFile>
#include <QLabel>
#include <QMainWindow>
#include <QMessageBox>
#include <QPushButton>
#include <QScreen>
#include <QSettings>
#include <QSignalSpy>
#include <QTabBar>
#include <QToolButton>

using namespace bw;
using test::home;

namespace {

// Every wait is for a signal or a state; this only bounds a hang on a loaded machine.
constexpr int kPatience = 60000;

QString made(const QString& name, const QByteArray& content) {
    QFile file(home().file(name));
    if (!file.open(QIODevice::WriteOnly)) qFatal("can't write %s", qPrintable(name));
    file.write(content);
    return file.fileName();
}

} // namespace

class RobustTest final : public QObject {
    Q_OBJECT

private Q_SLOTS:
    void init() {
        test::noWarnings();
        QFile::remove(home().settingsFile());
        window_ = std::make_unique<MainWindow>();
        window_->show();
    }
    void cleanup() { window_.reset(); }

    // Drops ------------------------------------------------------------------------------------------------------------

    void textIsNoFileAndIsNotTaken() {
        QMimeData words;
        words.setText(QStringLiteral("Once upon a time"));
        QVERIFY(!test::drop(window_.get(), words));
        QVERIFY(window_->studio().session().recipe().calibration.files.empty());
    }

    void dropListsWhatItIgnores() {
        const QString photo = made(QStringLiteral("photo.png"), "\x89PNG");
        QDir().mkpath(home().file(QStringLiteral("empty folder")));
        const QString lines = ignoredOf({QUrl(QStringLiteral("https://example.org/model.gguf")), QUrl::fromLocalFile(photo),
                                         QUrl::fromLocalFile(home().file(QStringLiteral("empty folder"))),
                                         QUrl::fromLocalFile(home().file(QStringLiteral("nowhere.gguf")))});
        QVERIFY2(lines.contains(QStringLiteral("model.gguf: not on this computer")), qPrintable(lines));
        QVERIFY2(lines.contains(QStringLiteral("photo.png: not a file that is read here")), qPrintable(lines));
        QVERIFY2(lines.contains(QStringLiteral("empty folder: a folder without")), qPrintable(lines));
        QVERIFY2(lines.contains(QStringLiteral("nowhere.gguf: does not exist")), qPrintable(lines));
        QVERIFY(!window_->studio().opening());
        auto* box = window_->findChild<QMessageBox*>(QStringLiteral("ignored"));
        QVERIFY(box && box->textFormat() == Qt::PlainText);
        box->close();
    }

    void aThousandFilesAreSortedOutAndTheListStaysShort() {
        QList<QUrl> urls;
        QDir().mkpath(home().file(QStringLiteral("many")));
        for (int i = 0; i < 500; ++i) {
            urls << QUrl::fromLocalFile(made(QStringLiteral("many/%1.txt").arg(i), "some words\n"));
            urls << QUrl::fromLocalFile(made(QStringLiteral("many/%1.png").arg(i), "\x89PNG"));
        }
        const QString lines = ignoredOf(urls);
        QCOMPARE(lines.count(QLatin1Char('\n')) + 1, InputSet::kMostIgnored + 1);
        QVERIFY2(lines.contains(QStringLiteral("and 480 more")), qPrintable(lines));
        QCOMPARE(window_->studio().session().recipe().calibration.files.size(), std::size_t{500});
        QCOMPARE(window_->studio().session().undoStack()->count(), 1);
        auto* box = window_->findChild<QMessageBox*>(QStringLiteral("ignored"));
        QVERIFY(box && box->sizeHint().height() < 800);
        box->close();
    }

    void sameModelTwiceIsLoadedOnce() {
        QSignalSpy opened(&window_->studio(), &Studio::checkpointOpened);
        const QList<QUrl> twice{QUrl::fromLocalFile(test::resource("demo")), QUrl::fromLocalFile(test::resource("demo/"))};
        QVERIFY(test::drop(window_.get(), twice));
        QTRY_COMPARE_WITH_TIMEOUT(opened.count(), 1, kPatience);
        const auto first = window_->studio().session().checkpoint();
        QVERIFY(test::drop(window_.get(), twice));
        QCOMPARE(opened.count(), 2); // at once: nothing is read again
        QVERIFY(!window_->studio().opening());
        QCOMPARE(window_->studio().session().checkpoint().get(), first.get());
        QTRY_VERIFY_WITH_TIMEOUT(window_->studio().quiet(), kPatience);
    }

    void namesWithOddSignsAreShownHarmlessly() {
        const QString odd = made(QStringLiteral("<b>bold\x1b[31m\n.png"), "\x89PNG");
        const QString lines = ignoredOf({QUrl::fromLocalFile(odd)});
        QCOMPARE(lines.count(QLatin1Char('\n')), 0);
        QVERIFY(!lines.contains(QChar(0x1b)));
        window_->findChild<QMessageBox*>(QStringLiteral("ignored"))->close();
    }

    // Settings ---------------------------------------------------------------------------------------------------------

    void corruptSettingsGiveTheDefaultLayout() {
        window_.reset();
        made(QStringLiteral("config/bitwright/bitwright.ini"),
             "[window]\ngeometry=@ByteArray(\\x1\\x2garbage)\nstate=\"not a state\"\n[General]\ntheme=42\nworkspace=attic\n"
             "interruptedJob={\"kind\": \ntheme=\nrecentCheckpoints=\x01\x02\n\xff\xfe");
        restore(true);
        QVERIFY(window_->isVisible());
        QCOMPARE(window_->size(), QSize(1440, 900));
        QCOMPARE(window_->workspace(), QStringLiteral("model"));
    }

    void layoutOfANewerVersionIsLeftAlone() {
        auto* docks = window_->findChild<QMainWindow*>(QStringLiteral("docks"));
        auto* inspector = window_->findChild<QDockWidget*>(QStringLiteral("dock.inspector"));
        docks->addDockWidget(Qt::LeftDockWidgetArea, inspector);
        {
            QSettings settings(home().settingsFile(), QSettings::IniFormat);
            settings.setValue(QStringLiteral("window/geometry"), window_->saveGeometry());
            settings.setValue(QStringLiteral("window/state"), docks->saveState(9999));
        }
        restore(false);
        docks = window_->findChild<QMainWindow*>(QStringLiteral("docks"));
        QCOMPARE(docks->dockWidgetArea(window_->findChild<QDockWidget*>(QStringLiteral("dock.inspector"))), Qt::RightDockWidgetArea);
    }

    void layoutIsRemembered() {
        auto* docks = window_->findChild<QMainWindow*>(QStringLiteral("docks"));
        docks->addDockWidget(Qt::LeftDockWidgetArea, window_->findChild<QDockWidget*>(QStringLiteral("dock.inspector")));
        window_->close();
        restore(false);
        docks = window_->findChild<QMainWindow*>(QStringLiteral("docks"));
        QCOMPARE(docks->dockWidgetArea(window_->findChild<QDockWidget*>(QStringLiteral("dock.inspector"))), Qt::LeftDockWidgetArea);
    }

    void windowOfAScreenThatIsGoneComesBack_data() {
        QTest::addColumn<QRect>("left");
        QTest::newRow("far right") << QRect(50000, 50000, 1440, 900);
        QTest::newRow("far left") << QRect(-40000, 100, 1440, 900);
        QTest::newRow("title above the screen") << QRect(100, -5000, 1440, 900);
        QTest::newRow("4K") << QRect(3840, 0, 3840, 2160);
    }

    void windowOfAScreenThatIsGoneComesBack() {
        QFETCH(QRect, left);
        window_->setGeometry(left);
        AppSettings settings;
        settings.saveWindow(*window_, *window_->findChild<QMainWindow*>(QStringLiteral("docks")));
        restore(false);
        const QRect top(window_->frameGeometry().left(), window_->frameGeometry().top(), window_->width(), 32);
        QVERIFY(window_->screen()->availableGeometry().intersects(top));
        QVERIFY(window_->width() >= 1100 && window_->height() >= 700);
    }

    void missingRecentIsToldNotOpened() {
        window_.reset();
        const QString gone = home().file(QStringLiteral("gone.gguf"));
        AppSettings settings;
        settings.addRecentCheckpoint(gone);
        settings.setLastCheckpoint(gone);
        restore(true);
        QVERIFY(!window_->studio().opening());
        bool told = false;
        for (const QLabel* label : window_->findChild<StartPage*>()->findChildren<QLabel*>())
            told |= label->text().startsWith(QStringLiteral("missing:"));
        QVERIFY(told);
        auto* notices = window_->findChild<NoticeBar*>();
        QVERIFY(notices->isVisible());
        QCOMPARE(notices->texts().size(), 1);
        QVERIFY2(notices->texts().first().contains(gone), qPrintable(notices->texts().first()));
        for (QPushButton* button : notices->findChildren<QPushButton*>()) button->click(); // "Forget it"
        QVERIFY(!notices->isVisible());
        QVERIFY(AppSettings().lastCheckpoint().isEmpty());
        QVERIFY(AppSettings().recentCheckpoints().isEmpty());
    }

    // What was being done ----------------------------------------------------------------------------------------------

    void whatWasDoneComesBack_data() {
        QTest::addColumn<bool>("killed");
        QTest::newRow("after closing") << false;
        QTest::newRow("after a crash") << true;
    }

    void whatWasDoneComesBack() {
        QFETCH(bool, killed);
        const QString log = home().file(killed ? QStringLiteral("killed.db") : QStringLiteral("closed.db"));
        workAndGo(log, killed);
        window_ = std::make_unique<MainWindow>();
        window_->openStartLog(log);
        QSignalSpy opened(&window_->studio(), &Studio::checkpointOpened);
        window_->restoreSession(true);
        window_->show();
        QTRY_COMPARE_WITH_TIMEOUT(opened.count(), 1, kPatience);
        Session& session = window_->studio().session();
        QCOMPARE(session.selectedSite(), QStringLiteral("blk.1.ffn_up"));
        QCOMPARE(session.siteFormat(QStringLiteral("blk.1.ffn_up")), QStringLiteral("q8_0"));
        QCOMPARE(session.siteFormat(QStringLiteral("blk.0.ffn_up")), QStringLiteral("q5_0"));
        QCOMPARE(window_->findChild<QTabBar*>(QStringLiteral("compare.curves"))->currentIndex(), 2);
        QCOMPARE(session.undoStack()->count(), 3);
        QCOMPARE(session.undoStack()->index(), 2);
        session.undoStack()->undo();
        QVERIFY(session.siteFormat(QStringLiteral("blk.0.ffn_up")) != QStringLiteral("q5_0")); // the macro is one step
        QCOMPARE(session.siteFormat(QStringLiteral("blk.1.ffn_up")), QStringLiteral("q8_0"));
        session.undoStack()->redo();
        session.undoStack()->redo();
        QCOMPARE(session.siteFormat(QStringLiteral("blk.1.ffn_up")), QStringLiteral("q6_k"));
        QTRY_VERIFY_WITH_TIMEOUT(window_->studio().quiet(), kPatience);
    }

    void aJobThatWasCutOffIsOfferedAgain() {
        const QString log = home().file(QStringLiteral("cut.db"));
        window_->openStartLog(log);
        Recipe recipe;
        recipe.kind = "calibrate";
        recipe.checkpoint = test::resource("demo").toStdString();
        recipe.calibration.files = {test::resource("texts/calib_prose.txt").toStdString()};
        recipe.calibration.samples = 2;
        recipe.calibration.length = 32;
        KeptSession kept; // as a program that was killed leaves it
        kept.jobs << qMakePair(QStringLiteral("calibrate · demo"), QString::fromStdString(recipe.toJson().dump()));
        made(QStringLiteral("cut.db.window.json"), QByteArray::fromStdString(kept.toJson().dump()));
        window_->restoreSession(true);
        auto* notices = window_->findChild<NoticeBar*>();
        QCOMPARE(notices->texts().size(), 1);
        QVERIFY2(notices->texts().first().contains(QStringLiteral("calibrate · demo")), qPrintable(notices->texts().first()));
        QSignalSpy finished(&window_->studio().jobs(), &JobQueue::finished);
        notices->findChild<QPushButton*>()->click(); // "Continue"
        QTRY_COMPARE_WITH_TIMEOUT(finished.count(), 1, kPatience);
        QTRY_VERIFY_WITH_TIMEOUT(window_->studio().quiet(), kPatience);
        kept.closed = true; // closed by a person: nothing is offered
        made(QStringLiteral("cut.db.window.json"), QByteArray::fromStdString(kept.toJson().dump()));
        window_ = std::make_unique<MainWindow>();
        window_->openStartLog(log);
        window_->restoreSession(true);
        QVERIFY(window_->findChild<NoticeBar*>()->texts().isEmpty());
        QTRY_VERIFY_WITH_TIMEOUT(window_->studio().quiet(), kPatience);
    }

    void aDamagedSessionIsNone() {
        const QString log = home().file(QStringLiteral("damaged.db"));
        for (const char* text : {"", "{", "[]", "{\"version\":1}", "{\"version\":99}", "{\"version\":1,\"closed\":3,\"jobs\":{}}", "\xff\xfe"}) {
            made(QStringLiteral("damaged.db.window.json"), text);
            window_ = std::make_unique<MainWindow>();
            window_->openStartLog(log);
            window_->restoreSession(true);
            QVERIFY(window_->findChild<NoticeBar*>()->texts().isEmpty());
            QCOMPARE(window_->studio().session().undoStack()->count(), 0);
        }
    }

    void aLogThatCantBeUsedGivesWayToATemporaryOne() {
        const QString block = made(QStringLiteral("a file"), "x");
        window_->openStartLog(block + QStringLiteral("/log.db"));
        const QStringList told = window_->findChild<NoticeBar*>()->texts();
        QCOMPARE(told.size(), 1);
        const QString log = window_->studio().session().logPath();
        QVERIFY2(told.first().contains(log), qPrintable(told.first()));
        QVERIFY(QFileInfo(log).isFile() && window_->studio().session().log());
        window_.reset();
        QDir(QFileInfo(log).path()).removeRecursively();
    }

private:
    void openDemo() {
        QSignalSpy opened(&window_->studio(), &Studio::checkpointOpened);
        window_->studio().openCheckpoint(test::resource("demo"));
        QTRY_COMPARE_WITH_TIMEOUT(opened.count(), 1, kPatience);
    }

    /// A window that was working on the demo and has gone; `killed`: not by a person.
    void workAndGo(const QString& log, bool killed) {
        window_->openStartLog(log);
        openDemo();
        window_->keepSession();
        Session& session = window_->studio().session();
        session.selectSite(QStringLiteral("blk.1.ffn_up"));
        session.setSiteFormat(QStringLiteral("blk.1.ffn_up"), QStringLiteral("q8_0"));
        session.undoStack()->beginMacro(QStringLiteral("two at once"));
        session.setSiteFormat(QStringLiteral("blk.2.ffn_up"), QStringLiteral("q5_0"));
        session.setSiteFormat(QStringLiteral("blk.0.ffn_up"), QStringLiteral("q5_0"));
        session.undoStack()->endMacro();
        session.setSiteFormat(QStringLiteral("blk.1.ffn_up"), QStringLiteral("q6_k"));
        session.undoStack()->undo(); // one step stands ready to be done again
        window_->findChild<QTabBar*>(QStringLiteral("compare.curves"))->setCurrentIndex(2);
        if (killed) {
            const QString kept = log + QStringLiteral(".window.json");
            const auto complete = [&] {
                QFile file(kept);
                return file.open(QIODevice::ReadOnly) && file.readAll().contains("two at once") ;
            };
            QTRY_VERIFY_WITH_TIMEOUT(complete(), kPatience);
        } else {
            window_->close();
        }
        window_.reset(); // without close(): as a crash leaves it
    }

    void restore(bool reopen) {
        window_ = std::make_unique<MainWindow>();
        window_->restoreSession(reopen);
        window_->show();
    }

    QString ignoredOf(const QList<QUrl>& urls) {
        QSignalSpy told(window_.get(), &MainWindow::dropIgnored);
        if (!test::drop(window_.get(), urls) || told.count() != 1) return QStringLiteral("nothing told");
        return told.first().first().toStringList().join(QLatin1Char('\n'));
    }

    std::unique_ptr<MainWindow> window_;
};

int main(int argc, char** argv) { return test::run<RobustTest>(argc, argv); }
#include "robust_test.moc"
