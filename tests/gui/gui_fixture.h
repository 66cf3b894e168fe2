// SPDX-License-Identifier: GPL-3.0-or-later
// A home of its own for every test program: settings, log and results go to a temporary folder, never to the person's.
#pragma once

#include <QDir>
#include <QDragEnterEvent>
#include <QDropEvent>
#include <QMimeData>
#include <QCoreApplication>
#include <QStandardPaths>
#include <QTemporaryDir>
#include <QUrl>

namespace bw::test {

/// Construct before QApplication reads settings; lives as long as main().
class Home {
public:
    Home() {
        qputenv("XDG_CONFIG_HOME", folder_.filePath(QStringLiteral("config")).toUtf8());
        qputenv("XDG_DATA_HOME", folder_.filePath(QStringLiteral("data")).toUtf8());
        qputenv("XDG_RUNTIME_DIR", folder_.path().toUtf8());
        QDir(folder_.path()).mkpath(QStringLiteral("config/bitwright"));
    }
    QString file(const QString& name) const { return folder_.filePath(name); }
    QString settingsFile() const { return folder_.filePath(QStringLiteral("config/bitwright/bitwright.ini")); }

private:
    QTemporaryDir folder_;
};

inline QString resource(const char* name) { return QStringLiteral(BW_RESOURCES "/") + QString::fromLatin1(name); }

/// Drags over the widget and drops, as the window system does it. @return whether the drop was taken.
inline bool drop(QWidget* target, const QList<QUrl>& urls) {
    QMimeData mime;
    mime.setUrls(urls);
    const QPoint at = target->rect().center();
    QDragEnterEvent enter(at, Qt::CopyAction, &mime, Qt::LeftButton, Qt::NoModifier);
    QCoreApplication::sendEvent(target, &enter);
    if (!enter.isAccepted()) return false;
    QDropEvent event(at, Qt::CopyAction, &mime, Qt::LeftButton, Qt::NoModifier);
    QCoreApplication::sendEvent(target, &event);
    return event.isAccepted();
}

} // namespace bw::test
