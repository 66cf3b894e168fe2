// SPDX-License-Identifier: GPL-3.0-or-later
// The manual: every page has a title, every link leads somewhere, the search finds, F1 opens the page of the workspace.
#include "app/gui/help_window.h"
#include "app/gui/main_window.h"
#include "app/gui/rail.h"
#include "tests/gui/gui_fixture.h"

#include <QFileInfo>
#include <QLineEdit>
#include <QListWidget>
#include <QScrollBar>
#include <QSet>
#include <QTextBlock>
#include <QTextBrowser>

using namespace bw;

class HelpTest final : public QObject {
    Q_OBJECT

private Q_SLOTS:
    void init() { test::noWarnings(); }

    void everyPageHasATitleAndAnAnswerForEveryWorkspace() {
        const QList<HelpPage> pages = readHelp(test::resource("help"));
        QVERIFY(pages.size() >= 10);
        QCOMPARE(pages.first().file, QStringLiteral("index.md"));
        QSet<QString> names;
        for (const HelpPage& page : pages) {
            names << page.file;
            QVERIFY2(page.title != page.file, qPrintable(page.file));
            QVERIFY2(page.text.size() > 400, qPrintable(page.file));
        }
        for (const WorkspaceInfo& info : workspaces()) QVERIFY2(names.contains(info.name + QStringLiteral(".md")), qPrintable(info.name));
    }

    void everyLinkLeadsSomewhere() {
        HelpWindow help(test::resource("help"));
        help.show();
        static const QRegularExpression link(QStringLiteral("\\]\\(([^)\\s]+)\\)"));
        for (const HelpPage& page : readHelp(test::resource("help"))) {
            auto found = link.globalMatch(QString(page.text));
            while (found.hasNext()) {
                const QString target = found.next().captured(1);
                if (target.startsWith(QStringLiteral("http"))) continue;
                const QString file = target.section(QLatin1Char('#'), 0, 0), anchor = target.section(QLatin1Char('#'), 1);
                const QString where = file.isEmpty() ? page.file : file;
                const QByteArray what = (page.file + QStringLiteral(" → ") + target).toUtf8();
                QVERIFY2(QFileInfo::exists(test::resource("help/") + where), what.constData());
                if (anchor.isEmpty()) continue;
                help.showPage(where);
                bool there = false;
                for (QTextBlock block = help.browser()->document()->begin(); block.isValid(); block = block.next())
                    for (auto part = block.begin(); !part.atEnd(); ++part) there |= part.fragment().charFormat().anchorNames().contains(anchor);
                QVERIFY2(there, what.constData());
            }
        }
    }

    /// Neither at its usual size nor narrow, whatever code, tables and pictures a page has.
    void noPageIsWiderThanItsWindow() {
        HelpWindow help(test::resource("help"));
        help.show();
        QVERIFY(QTest::qWaitForWindowExposed(&help));
        for (const QSize& size : {QSize(1120, 800), QSize(760, 600)}) {
            help.resize(size);
            QCoreApplication::processEvents();
            for (const HelpPage& page : readHelp(test::resource("help"))) {
                help.showPage(page.file);
                QCoreApplication::processEvents();
                QVERIFY2(help.browser()->document()->size().width() > 100, qPrintable(page.file));
                QTRY_VERIFY2(help.browser()->horizontalScrollBar()->maximum() == 0,
                             qPrintable(QStringLiteral("%1 at %2").arg(page.file).arg(size.width())));
            }
        }
    }

    void searchFindsAndMarks() {
        HelpWindow help(test::resource("help"));
        help.show();
        const int all = help.contents()->count();
        QTest::keyClicks(help.searchField(), QStringLiteral("knapsack"));
        QVERIFY(help.contents()->count() >= 1 && help.contents()->count() < all);
        QCOMPARE(help.currentPage(), QStringLiteral("methods.md"));
        QVERIFY(!help.browser()->extraSelections().isEmpty());
        QTest::keyClick(help.searchField(), Qt::Key_Return);
        QCOMPARE(help.browser()->textCursor().selectedText().toLower(), QStringLiteral("knapsack"));
        help.searchField()->setText(QStringLiteral("words that stand nowhere in it"));
        QCOMPARE(help.contents()->count(), 0);
        help.searchField()->clear();
        QCOMPARE(help.contents()->count(), all);
    }

    void linksAndTheWayBack() {
        HelpWindow help(test::resource("help"));
        help.show();
        Q_EMIT help.browser()->anchorClicked(QUrl(QStringLiteral("mix.md")));
        QCOMPARE(help.currentPage(), QStringLiteral("mix.md"));
        QCOMPARE(help.contents()->currentItem()->text(), QStringLiteral("Mix"));
        help.browser()->backward();
        QCOMPARE(help.currentPage(), QStringLiteral("index.md"));
        help.showPage(QStringLiteral("no-such-page.md"));
        QCOMPARE(help.currentPage(), QStringLiteral("index.md"));
    }

    void withoutAManualTheWindowSaysSo() {
        HelpWindow help(test::home().file(QStringLiteral("nowhere")));
        help.show();
        QVERIFY(help.browser()->toPlainText().contains(QStringLiteral("not installed")));
        QTest::keyClicks(help.searchField(), QStringLiteral("x"));
    }

    void f1OpensThePageOfTheWorkspace() {
        MainWindow window;
        window.show();
        const auto f1 = [&] {
            for (QAction* action : window.actions())
                if (action->shortcut() == QKeySequence(QKeySequence::HelpContents)) action->trigger();
            return window.findChild<HelpWindow*>();
        };
        HelpWindow* help = f1();
        QVERIFY(help && help->isVisible());
        QCOMPARE(help->currentPage(), QStringLiteral("index.md")); // nothing is open yet
        window.showWorkspace(QStringLiteral("runs"));
        QCOMPARE(f1(), help);
        QCOMPARE(help->currentPage(), QStringLiteral("runs.md"));
    }
};

int main(int argc, char** argv) { return test::run<HelpTest>(argc, argv); }
#include "help_test.moc"
