// SPDX-License-Identifier: GPL-3.0-or-later
// `bitwright`: the window. Command line of the window only; the headless program is app/cli.
#include "app/common/crash.h"
#include "app/common/diagnostics.h"
#include "app/gui/display.h"
#include "app/gui/fonts.h"
#include "app/gui/main_window.h"
#include "app/gui/rail.h"
#include "app/gui/screenshot.h"

#include <QApplication>
#include <QCommandLineParser>
#include <QFileInfo>
#include <QSysInfo>
#include <QTimer>
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string_view>
#include <vector>

namespace {

bw::Theme::Mode themeFrom(const QString& name, bw::Theme::Mode stored) {
    if (name == QLatin1String("dark")) return bw::Theme::Mode::dark;
    if (name == QLatin1String("light")) return bw::Theme::Mode::light;
    return name == QLatin1String("system") ? bw::Theme::Mode::system : stored;
}

struct Options {
    QStringList paths;
    QString log, workspace, theme, screenshot;
    bool demo = false;
};

Options parse(const QApplication& app) {
    QCommandLineParser parser;
    parser.setApplicationDescription(QApplication::translate("main", "A workbench for quantizing language models."));
    parser.addHelpOption();
    parser.addVersionOption();
    const auto tr = [](const char* text) { return QApplication::translate("main", text); };
    const QCommandLineOption log(QStringLiteral("log"), tr("Experiment log to use (default: the user's)."), QStringLiteral("FILE"));
    const QCommandLineOption workspace(QStringLiteral("workspace"), tr("model, calibrate, mix, runs or compare."), QStringLiteral("NAME"));
    const QCommandLineOption theme(QStringLiteral("theme"), tr("dark, light or system."), QStringLiteral("NAME"));
    const QCommandLineOption shot(QStringLiteral("screenshot"), tr("Save a picture of the window once it shows its data, then quit."),
                                  QStringLiteral("FILE.png"));
    const QCommandLineOption demo(QStringLiteral("demo"), tr("Open the demo model; run its experiments unless the log has them."));
    parser.addOptions({log, workspace, theme, shot, demo});
    parser.addPositionalArgument(QStringLiteral("PATH"), tr("Checkpoints, texts, recipes or logs to open."), QStringLiteral("[PATH…]"));
    parser.process(app);
    Options options{parser.positionalArguments(), parser.value(log), parser.value(workspace), parser.value(theme), parser.value(shot),
                    parser.isSet(demo)};
    QStringList names;
    for (const bw::WorkspaceInfo& info : bw::workspaces()) names << info.name;
    if (!options.workspace.isEmpty() && !names.contains(options.workspace)) {
        std::fprintf(stderr, "bitwright: --workspace takes %s\n", qPrintable(names.join(QStringLiteral(", "))));
        std::exit(2);
    }
    return options;
}

} // namespace

int main(int argc, char** argv) {
    const std::vector<std::string_view> words(argv + std::min(argc, 1), argv + argc);
    const auto asks = [](std::string_view word) { return word == "--help" || word == "-h" || word == "--version" || word == "-v"; };
    if (std::any_of(words.begin(), words.end(), asks)) qputenv("QT_QPA_PLATFORM", "offscreen"); // text needs no display
    auto watch = std::make_unique<bw::DisplayWatch>();
    QApplication app(argc, argv);
    watch.reset();
    QApplication::setApplicationName(QStringLiteral("bitwright"));
    QApplication::setApplicationDisplayName(QStringLiteral("Bitwright"));
    QApplication::setApplicationVersion(QStringLiteral(BW_VERSION));
    QApplication::setDesktopFileName(QStringLiteral("bitwright"));
    const Options options = parse(app);
    bw::startDiagnostics("bitwright");
    bw::noteEvent("started, version " BW_VERSION);
    const bw::CrashReport crash = bw::takeCrashReport("bitwright");
    bw::watchCrashes("bitwright", std::string("bitwright " BW_VERSION ", Qt ") + qVersion() + ", " + QSysInfo::prettyProductName().toStdString() + ", " +
                                      QSysInfo::kernelVersion().toStdString() + ", " + QSysInfo::currentCpuArchitecture().toStdString());
    const QString fontProblem = bw::ensureFonts();
    bw::Theme::instance().apply(themeFrom(options.theme, bw::AppSettings().theme()));

    bw::MainWindow window;
    bw::Studio& studio = window.studio();
    window.useSettings();
    const bool picture = !options.screenshot.isEmpty();
    if (!picture) window.restoreSession(false);
    const QString log = options.log.isEmpty() ? QString() : QFileInfo(options.log).absoluteFilePath();
    window.show();
    // After the first frame: the window is there at once, whatever the log and the files take.
    QTimer::singleShot(0, &window, [&] {
        if (!fontProblem.isEmpty()) window.notice(QStringLiteral("fonts"), fontProblem);
        window.openStartLog(log);
        if (!crash.path.empty()) window.tellCrash(QString::fromStdString(crash.path), QString::fromStdString(crash.text));
        if (!options.workspace.isEmpty()) window.showWorkspace(options.workspace);
        if (options.demo) studio.openDemo();
        if (!options.paths.isEmpty())
            studio.open(bw::sortInputs(options.paths));
        else if (!picture && !options.demo)
            window.restoreSession(true);
        if (!options.workspace.isEmpty()) window.showWorkspace(options.workspace);
        if (!picture) window.keepSession();
        if (picture) new bw::Screenshot(window, options.screenshot);
    });
    return QApplication::exec();
}
