// SPDX-License-Identifier: GPL-3.0-or-later
// The real program started in poor surroundings: it comes up with little work, shows a window and says what is missing.
#include "tests/gui/gui_fixture.h"

#include <QApplication>
#include <QFile>
#include <QImage>
#include <QProcess>
#include <QSet>
#include <QTest>
#include <sys/resource.h>

using namespace bw;

namespace {

/// Processor time of a start, user and system: what a person waits for on an idle machine. About 0.4 s is usual.
constexpr double kMostSeconds = 2.0;

struct Started {
    int exitCode = -1;
    bool crashed = true;
    QString errors;
    double cpuSeconds = 0;
    QImage picture;
};

double childSeconds() {
    rusage use{};
    getrusage(RUSAGE_CHILDREN, &use);
    const auto seconds = [](const timeval& t) { return double(t.tv_sec) + double(t.tv_usec) * 1e-6; };
    return seconds(use.ru_utime) + seconds(use.ru_stime);
}

} // namespace

class StartTest final : public QObject {
    Q_OBJECT

private Q_SLOTS:
    void comesUpAndSaysWhatIsMissing_data() {
        QTest::addColumn<QStringList>("set");   // NAME=value
        QTest::addColumn<QStringList>("unset");
        QTest::addColumn<QStringList>("told");  // on the terminal, as in the window's notices
        QTest::newRow("usual") << QStringList() << QStringList() << QStringList();
        QTest::newRow("no D-Bus") << QStringList{QStringLiteral("DBUS_SYSTEM_BUS_ADDRESS=unix:path=/nowhere")}
                                  << QStringList{QStringLiteral("DBUS_SESSION_BUS_ADDRESS"), QStringLiteral("XDG_RUNTIME_DIR")} << QStringList();
        QTest::newRow("dead Wayland") << QStringList{QStringLiteral("WAYLAND_DISPLAY=wayland-nowhere"), QStringLiteral("XDG_SESSION_TYPE=wayland")}
                                      << QStringList() << QStringList();
        QTest::newRow("no Vulkan driver") << QStringList{QStringLiteral("VK_ICD_FILENAMES=/nowhere.json"), QStringLiteral("VK_DRIVER_FILES=/nowhere.json")}
                                          << QStringList() << QStringList();
        QTest::newRow("no fonts") << QStringList{QStringLiteral("FONTCONFIG_FILE=") + emptyFontConfig()} << QStringList()
                                  << QStringList{QStringLiteral("fonts")};
        const QString blocked = home_.file(QStringLiteral("blocked")) + QStringLiteral("/x"); // below a file, so not even root can write
        QTest::newRow("home can't be written")
            << QStringList{QStringLiteral("HOME=") + blocked, QStringLiteral("XDG_CONFIG_HOME=") + blocked, QStringLiteral("XDG_DATA_HOME=") + blocked,
                           QStringLiteral("XDG_STATE_HOME=") + blocked, QStringLiteral("XDG_CACHE_HOME=") + blocked}
            << QStringList() << QStringList{QStringLiteral("experiment log can't be used"), QStringLiteral("recent files are not kept")};
    }

    void comesUpAndSaysWhatIsMissing() {
        QFETCH(QStringList, set);
        QFETCH(QStringList, unset);
        QFETCH(QStringList, told);
        const Started started = start(set, unset, {QStringLiteral("--screenshot"), home_.file(QStringLiteral("start.png"))});
        QVERIFY2(!started.crashed, qPrintable(started.errors));
        QVERIFY2(started.exitCode == 0, qPrintable(started.errors));
        for (const QString& words : told) QVERIFY2(started.errors.contains(words), qPrintable(started.errors));
        if (told.isEmpty()) QCOMPARE(started.errors, QString());
        QCOMPARE(started.picture.size(), QSize(1440, 900));
        QVERIFY2(test::differentColors(started.picture) > 40, "letters have many shades; without them there are few");
        QVERIFY2(started.cpuSeconds < kMostSeconds, qPrintable(QString::number(started.cpuSeconds)));
    }

    void withoutAnyDisplayOneLineSaysSo_data() {
        QTest::addColumn<QStringList>("set");
        QTest::newRow("none") << QStringList();
        QTest::newRow("dead X") << QStringList{QStringLiteral("DISPLAY=:59999")};
        QTest::newRow("dead Wayland, then X") << QStringList{QStringLiteral("WAYLAND_DISPLAY=wayland-nowhere"), QStringLiteral("QT_QPA_PLATFORM=wayland;xcb")};
    }

    void withoutAnyDisplayOneLineSaysSo() {
        QFETCH(QStringList, set);
        const Started started = start(set, {QStringLiteral("DISPLAY"), QStringLiteral("WAYLAND_DISPLAY"), QStringLiteral("QT_QPA_PLATFORM")}, {});
        QVERIFY2(!started.crashed, qPrintable(started.errors));
        QCOMPARE(started.exitCode, 1);
        QVERIFY2(started.errors.startsWith(QStringLiteral("bitwright: no display could be opened")), qPrintable(started.errors));
    }

private:
    QString emptyFontConfig() {
        QFile file(home_.file(QStringLiteral("fonts.conf")));
        if (file.open(QIODevice::WriteOnly))
            file.write("<?xml version=\"1.0\"?>\n<!DOCTYPE fontconfig SYSTEM \"fonts.dtd\">\n<fontconfig></fontconfig>\n");
        QFile block(home_.file(QStringLiteral("blocked")));
        if (!block.exists() && block.open(QIODevice::WriteOnly)) block.write("a file");
        return file.fileName();
    }

    Started start(const QStringList& set, const QStringList& unset, const QStringList& arguments) {
        QProcessEnvironment environment = QProcessEnvironment::systemEnvironment();
        for (const QString& name : unset) environment.remove(name);
        for (const QString& pair : set) environment.insert(pair.section(QLatin1Char('='), 0, 0), pair.section(QLatin1Char('='), 1));
        QProcess process;
        process.setProcessEnvironment(environment);
        QFile::remove(home_.file(QStringLiteral("start.png")));
        const double before = childSeconds();
        process.start(QStringLiteral(BW_PROGRAM), arguments);
        Started started;
        if (!process.waitForFinished(60000)) { // bounds a hang only
            process.kill();
            process.waitForFinished();
        }
        started.cpuSeconds = childSeconds() - before;
        started.crashed = process.exitStatus() != QProcess::NormalExit;
        started.exitCode = process.exitCode();
        started.errors = QString::fromLocal8Bit(process.readAllStandardError());
        started.picture.load(home_.file(QStringLiteral("start.png")));
        return started;
    }

    test::Home home_;
};

int main(int argc, char** argv) {
    QCoreApplication app(argc, argv);
    StartTest test;
    return QTest::qExec(&test, argc, argv);
}
#include "start_test.moc"
