// SPDX-License-Identifier: GPL-3.0-or-later
// Makes the window as the command line and the settings ask, and makes it anew when another language is chosen: with what was open,
// selected and undone before, once no job runs.
#pragma once

#include "app/common/crash.h"
#include "app/gui/language.h"
#include "widgets/theme/theme.h"

#include <QObject>
#include <QStringList>
#include <memory>
#include <optional>

namespace bw {

class MainWindow;

struct LaunchOptions {
    QStringList paths;        ///< checkpoints, texts, recipes, logs
    QString log;              ///< empty: the person's own
    QString workspace;        ///< empty: the last one
    QString screenshot;       ///< file of a picture; nothing is kept then, and the program ends
    std::optional<Theme::Mode> theme;  ///< none: as set
    std::optional<Language> language;  ///< none: as set
    bool demo = false;
    QString fontProblem;      ///< told once the window is there
    CrashReport crash;        ///< of the start before, likewise
};

class Launcher final : public QObject {
    Q_OBJECT
public:
    explicit Launcher(LaunchOptions options, QObject* parent = nullptr);
    ~Launcher() override;
    /// Shows the window; log and files follow after its first frame.
    void start();
    MainWindow* window() { return window_.get(); }

Q_SIGNALS:
    void windowChanged(); ///< another one stands in its place

private:
    void make();
    void open();
    void changeLanguage(Language language);
    void changeWhenQuiet();

    LaunchOptions options_;
    std::unique_ptr<MainWindow> window_;
    std::optional<Language> wanted_; ///< waits until no job runs
};

} // namespace bw
