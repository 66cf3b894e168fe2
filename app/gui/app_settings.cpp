// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/gui/app_settings.h"

#include <QFileInfo>
#include <QGuiApplication>
#include <QMainWindow>
#include <QScreen>

namespace bw {
namespace {

// Raised when docks or bars change, so that an older layout is not forced on a newer window.
constexpr int kLayoutVersion = 1;
constexpr qsizetype kMostRecent = 8;

bool visibleSomewhere(const QRect& frame) {
    // A title bar that can be grabbed: 160×32 px of the window's top must lie on a screen.
    const QRect top(frame.left(), frame.top(), frame.width(), 32);
    for (const QScreen* screen : QGuiApplication::screens()) {
        const QRect seen = screen->availableGeometry().intersected(top);
        if (seen.width() >= 160 && seen.height() >= 16) return true;
    }
    return false;
}

} // namespace

AppSettings::AppSettings()
    : settings_(QSettings::IniFormat, QSettings::UserScope, QStringLiteral("bitwright"), QStringLiteral("bitwright")) {}

Theme::Mode AppSettings::theme() const {
    const QString name = settings_.value(QStringLiteral("theme")).toString();
    if (name == QLatin1String("dark")) return Theme::Mode::dark;
    if (name == QLatin1String("light")) return Theme::Mode::light;
    return Theme::Mode::system;
}

void AppSettings::setTheme(Theme::Mode mode) {
    const char* name = mode == Theme::Mode::dark ? "dark" : mode == Theme::Mode::light ? "light" : "system";
    settings_.setValue(QStringLiteral("theme"), QString::fromLatin1(name));
}

Language AppSettings::language() const { return languageFrom(settings_.value(QStringLiteral("language")).toString(), Language::system); }

void AppSettings::setLanguage(Language language) { settings_.setValue(QStringLiteral("language"), languageName(language)); }

ComputeSettings AppSettings::compute() const {
    const auto value = [this](const char* name, const QVariant& usual) { return settings_.value(QStringLiteral("compute/") + QString::fromLatin1(name), usual); };
    ComputeSettings read;
    read.device = value("device", read.device).toString();
    read.gpuMemory = value("gpuMemory", read.gpuMemory).toULongLong();
    read.threads = value("threads", read.threads).toInt();
    read.memory = value("memory", read.memory).toULongLong();
    read.cacheFolder = value("cacheFolder", read.cacheFolder).toString();
    read.cacheLimit = value("cacheLimit", read.cacheLimit).toULongLong();
    return checkedCompute(read);
}

void AppSettings::setCompute(const ComputeSettings& settings) {
    settings_.setValue(QStringLiteral("compute/device"), settings.device);
    settings_.setValue(QStringLiteral("compute/gpuMemory"), settings.gpuMemory);
    settings_.setValue(QStringLiteral("compute/threads"), settings.threads);
    settings_.setValue(QStringLiteral("compute/memory"), settings.memory);
    settings_.setValue(QStringLiteral("compute/cacheFolder"), settings.cacheFolder);
    settings_.setValue(QStringLiteral("compute/cacheLimit"), settings.cacheLimit);
}

QStringList AppSettings::recentCheckpoints() const {
    QStringList paths = settings_.value(QStringLiteral("recentCheckpoints")).toStringList();
    paths.removeAll(QString());
    return paths.mid(0, kMostRecent);
}

void AppSettings::addRecentCheckpoint(const QString& path) {
    QStringList paths = recentCheckpoints();
    paths.removeAll(path);
    paths.prepend(path);
    settings_.setValue(QStringLiteral("recentCheckpoints"), paths.mid(0, kMostRecent));
}

void AppSettings::removeRecentCheckpoint(const QString& path) {
    QStringList paths = recentCheckpoints();
    paths.removeAll(path);
    settings_.setValue(QStringLiteral("recentCheckpoints"), paths);
}

QString AppSettings::lastCheckpoint() const { return settings_.value(QStringLiteral("lastCheckpoint")).toString(); }

void AppSettings::setLastCheckpoint(const QString& path) {
    settings_.setValue(QStringLiteral("lastCheckpoint"), path);
}

QString AppSettings::takeInterruptedJob() {
    const QString json = settings_.value(QStringLiteral("interruptedJob")).toString();
    settings_.remove(QStringLiteral("interruptedJob"));
    return json;
}

void AppSettings::setInterruptedJob(const QString& recipeJson) {
    settings_.setValue(QStringLiteral("interruptedJob"), recipeJson);
}

QString AppSettings::workspace() const { return settings_.value(QStringLiteral("workspace")).toString(); }

void AppSettings::setWorkspace(const QString& name) { settings_.setValue(QStringLiteral("workspace"), name); }

QString AppSettings::unwritableFolder() const {
    return settings_.isWritable() ? QString() : QFileInfo(settings_.fileName()).absolutePath();
}

void AppSettings::saveWindow(const QMainWindow& window, const QMainWindow& docks) {
    settings_.setValue(QStringLiteral("window/geometry"), window.saveGeometry());
    settings_.setValue(QStringLiteral("window/state"), docks.saveState(kLayoutVersion));
}

bool AppSettings::restoreWindow(QMainWindow& window, QMainWindow& docks) const {
    const QByteArray geometry = settings_.value(QStringLiteral("window/geometry")).toByteArray();
    const QByteArray state = settings_.value(QStringLiteral("window/state")).toByteArray();
    const QRect before = window.geometry();
    if (geometry.isEmpty() || !window.restoreGeometry(geometry)) return false;
    const QSize least = window.minimumSize();
    const bool sane = window.width() >= least.width() && window.height() >= least.height();
    if (!sane || !visibleSomewhere(window.frameGeometry())) {
        window.setWindowState(Qt::WindowNoState);
        window.setGeometry(before);
        return false;
    }
    return docks.restoreState(state, kLayoutVersion);
}

} // namespace bw
