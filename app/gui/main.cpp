// SPDX-License-Identifier: GPL-3.0-or-later
// `bitwright`: the window. Command line of the window only; the headless program is app/cli.
#include "app/common/crash.h"
#include "app/common/diagnostics.h"
#include "app/gui/app_settings.h"
#include "app/gui/display.h"
#include "app/gui/fonts.h"
#include "app/gui/language.h"
#include "app/gui/launcher.h"
#include "app/gui/rail.h"

#include <QApplication>
#include <QCommandLineParser>
#include <QSysInfo>
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

namespace {

QString text(const char* words) { return QApplication::translate("main", words); }

[[noreturn]] void refuse(const char* option, const QString& taken) {
    std::fprintf(stderr, "bitwright: %s takes %s\n", option, qPrintable(taken));
    std::exit(2);
}

/// What --language asks for, before anything is said in it: --help speaks it too.
bw::Language askedLanguage(const QStringList& words) {
    bw::Language language = bw::AppSettings().language();
    for (qsizetype i = 1; i < words.size(); ++i) {
        const QString prefix = QStringLiteral("--language");
        if (words[i] == prefix) language = bw::languageFrom(words.value(i + 1), language);
        if (words[i].startsWith(prefix + QLatin1Char('='))) language = bw::languageFrom(words[i].mid(prefix.size() + 1), language);
    }
    return language;
}

bw::LaunchOptions parse(const QApplication& app) {
    QCommandLineParser parser;
    parser.setApplicationDescription(text(QT_TRANSLATE_NOOP("main", "A workbench for quantizing language models.")));
    parser.addHelpOption();
    parser.addVersionOption();
    const QCommandLineOption log(QStringLiteral("log"), text(QT_TRANSLATE_NOOP("main", "Experiment log to use (default: the user's).")), QStringLiteral("FILE"));
    const QCommandLineOption workspace(QStringLiteral("workspace"), text(QT_TRANSLATE_NOOP("main", "model, calibrate, mix, runs or compare.")), QStringLiteral("NAME"));
    const QCommandLineOption theme(QStringLiteral("theme"), text(QT_TRANSLATE_NOOP("main", "dark, light or system.")), QStringLiteral("NAME"));
    const QCommandLineOption language(QStringLiteral("language"), text(QT_TRANSLATE_NOOP("main", "de, en or system, for this start.")), QStringLiteral("CODE"));
    const QCommandLineOption shot(QStringLiteral("screenshot"), text(QT_TRANSLATE_NOOP("main", "Save a picture of the window once it shows its data, then quit.")),
                                  QStringLiteral("FILE.png"));
    const QCommandLineOption demo(QStringLiteral("demo"), text(QT_TRANSLATE_NOOP("main", "Open the demo model; run its experiments unless the log has them.")));
    parser.addOptions({log, workspace, theme, language, shot, demo});
    parser.addPositionalArgument(QStringLiteral("PATH"), text(QT_TRANSLATE_NOOP("main", "Checkpoints, texts, recipes or logs to open.")), QStringLiteral("[PATH…]"));
    parser.process(app);
    bw::LaunchOptions options;
    options.paths = parser.positionalArguments();
    options.log = parser.value(log);
    options.workspace = parser.value(workspace);
    options.screenshot = parser.value(shot);
    options.demo = parser.isSet(demo);
    QStringList names;
    for (const bw::WorkspaceInfo& info : bw::workspaces()) names << info.name;
    if (!options.workspace.isEmpty() && !names.contains(options.workspace)) refuse("--workspace", names.join(QStringLiteral(", ")));
    for (const auto& [name, mode] : {std::pair("dark", bw::Theme::Mode::dark), std::pair("light", bw::Theme::Mode::light), std::pair("system", bw::Theme::Mode::system)})
        if (parser.value(theme) == QLatin1String(name)) options.theme = mode;
    if (parser.isSet(language)) {
        options.language = bw::languageFrom(parser.value(language), bw::Language::system);
        if (bw::languageName(*options.language) != parser.value(language)) refuse("--language", QStringLiteral("de, en, system"));
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
    bw::speak(askedLanguage(QApplication::arguments()));
    bw::LaunchOptions options = parse(app);
    bw::startDiagnostics("bitwright");
    bw::noteEvent("started, version " BW_VERSION);
    options.crash = bw::takeCrashReport("bitwright");
    bw::watchCrashes("bitwright", std::string("bitwright " BW_VERSION ", Qt ") + qVersion() + ", " + QSysInfo::prettyProductName().toStdString() + ", " +
                                      QSysInfo::kernelVersion().toStdString() + ", " + QSysInfo::currentCpuArchitecture().toStdString());
    options.fontProblem = bw::ensureFonts();
    bw::Launcher launcher(std::move(options));
    launcher.start();
    return QApplication::exec();
}
