// SPDX-License-Identifier: GPL-3.0-or-later
// What every test program of the window needs: a home of its own (settings, log and results go to a temporary folder,
// never to the person's), the demo checkpoint, drops, and no tolerance for Qt's warnings.
#pragma once

#include "core/compute/cpu_device.h"
#include "core/model/model.h"
#include "widgets/theme/theme.h"

#include <QApplication>
#include <QDir>
#include <QDragEnterEvent>
#include <QDropEvent>
#include <QImage>
#include <QMimeData>
#include <QRegularExpression>
#include <QSet>
#include <QStandardPaths>
#include <QTemporaryDir>
#include <QTest>
#include <QUrl>
#include <QWidget>

namespace bw::test {

/// Construct before QApplication reads settings; lives as long as main().
class Home {
public:
    Home() {
        qputenv("XDG_CONFIG_HOME", folder_.filePath(QStringLiteral("config")).toUtf8());
        qputenv("XDG_DATA_HOME", folder_.filePath(QStringLiteral("data")).toUtf8());
        qputenv("XDG_STATE_HOME", folder_.filePath(QStringLiteral("state")).toUtf8());
        qputenv("XDG_CACHE_HOME", folder_.filePath(QStringLiteral("cache")).toUtf8());
        qputenv("XDG_RUNTIME_DIR", folder_.path().toUtf8());
        QDir(folder_.path()).mkpath(QStringLiteral("config/bitwright"));
    }
    QString file(const QString& name) const { return folder_.filePath(name); }
    QString settingsFile() const { return folder_.filePath(QStringLiteral("config/bitwright/bitwright.ini")); }

private:
    QTemporaryDir folder_;
};

inline Home& home() {
    static Home instance;
    return instance;
}

inline QString resource(const char* name) { return QStringLiteral(BW_RESOURCES "/") + QString::fromLatin1(name); }

/// The demo checkpoint as the pages see it.
struct Demo {
    std::shared_ptr<const Checkpoint> checkpoint = Checkpoint::open(resource("demo").toStdString());
    std::shared_ptr<Device> device = makeCpuDevice();
    std::shared_ptr<const Model> model = Model::open(checkpoint, device);
};

/// Until the end of this test function every message of Qt fails it: a painter without a device, a bad connection, a
/// missing icon. The offscreen platform's own remark on size hints says nothing about the program.
inline void noWarnings() { QTest::failOnWarning(QRegularExpression(QStringLiteral("^(?!This plugin does not support)"))); }

/// Drags over the widget and drops, as the window system does it. @return whether the drop was taken.
inline bool drop(QWidget* target, const QMimeData& mime) {
    const QPoint at = target->rect().center();
    QDragEnterEvent enter(at, Qt::CopyAction, &mime, Qt::LeftButton, Qt::NoModifier);
    QCoreApplication::sendEvent(target, &enter);
    if (!enter.isAccepted()) return false;
    QDropEvent event(at, Qt::CopyAction, &mime, Qt::LeftButton, Qt::NoModifier);
    QCoreApplication::sendEvent(target, &event);
    return event.isAccepted();
}

inline bool drop(QWidget* target, const QList<QUrl>& urls) {
    QMimeData mime;
    mime.setUrls(urls);
    return drop(target, mime);
}

/// Colours of every other pixel: a picture that shows something has many.
inline int differentColors(const QImage& image) {
    QSet<QRgb> colors;
    for (int y = 0; y < image.height(); y += 2)
        for (int x = 0; x < image.width(); x += 2) colors.insert(image.pixel(x, y));
    return int(colors.size());
}

/// The body of main(): the home first, then the application, then the tests.
template <class Test>
int run(int argc, char** argv) {
    home();
    QApplication app(argc, argv);
    Theme::instance().apply(Theme::Mode::dark);
    Test test;
    return QTest::qExec(&test, argc, argv);
}

} // namespace bw::test
