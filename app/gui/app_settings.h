// SPDX-License-Identifier: GPL-3.0-or-later
// What the window remembers between starts. Everything read back is checked: a damaged or foreign settings file means
// the default, never a window that can't be seen.
#pragma once

#include "app/gui/compute_settings.h"
#include "app/gui/language.h"
#include "widgets/theme/theme.h"

#include <QByteArray>
#include <QSettings>
#include <QStringList>

class QMainWindow;

namespace bw {

class AppSettings {
public:
    AppSettings();

    Theme::Mode theme() const;
    void setTheme(Theme::Mode mode);

    Language language() const;
    void setLanguage(Language language);

    ComputeSettings compute() const;
    void setCompute(const ComputeSettings& settings);

    /// Newest first, at most eight; missing ones are still listed, the window greys them.
    QStringList recentCheckpoints() const;
    void addRecentCheckpoint(const QString& path);
    void removeRecentCheckpoint(const QString& path);
    /// Checkpoint that was open at the end; empty when none.
    QString lastCheckpoint() const;
    void setLastCheckpoint(const QString& path);

    /// Recipe (JSON) of a job that closing stopped; empty when none. Reading removes it.
    QString takeInterruptedJob();
    void setInterruptedJob(const QString& recipeJson);

    QString workspace() const;
    void setWorkspace(const QString& name);

    void saveWindow(const QMainWindow& window, const QMainWindow& docks);
    /// False when nothing usable was stored: the caller's default stays.
    bool restoreWindow(QMainWindow& window, QMainWindow& docks) const;

    /// The folder when nothing can be kept there; empty when all is well.
    QString unwritableFolder() const;

private:
    QSettings settings_;
};

} // namespace bw
