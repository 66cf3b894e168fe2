// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/gui/launcher.h"

#include "app/gui/main_window.h"
#include "app/gui/screenshot.h"

#include <QApplication>
#include <QFileInfo>
#include <QTimer>

namespace bw {
namespace {
constexpr int kAgain = 200; ///< ms
}

Launcher::Launcher(LaunchOptions options, QObject* parent) : QObject(parent), options_(std::move(options)) {}

Launcher::~Launcher() = default;

void Launcher::make() {
    window_ = std::make_unique<MainWindow>();
    // Queued: the window that asks is destroyed.
    connect(window_.get(), &MainWindow::languageChosen, this, &Launcher::changeLanguage, Qt::QueuedConnection);
    connect(&window_->studio(), &Studio::becameQuiet, this, &Launcher::changeWhenQuiet, Qt::QueuedConnection);
    window_->useSettings();
}

void Launcher::start() {
    speak(options_.language.value_or(AppSettings().language()));
    Theme::instance().apply(options_.theme.value_or(AppSettings().theme()));
    make();
    if (options_.screenshot.isEmpty()) window_->restoreSession(false);
    window_->show();
    // After the first frame: the window is there at once, whatever the log and the files take.
    QTimer::singleShot(0, this, &Launcher::open);
}

void Launcher::open() {
    MainWindow& window = *window_;
    const bool picture = !options_.screenshot.isEmpty();
    if (!options_.fontProblem.isEmpty()) window.notice(QStringLiteral("fonts"), options_.fontProblem);
    window.openStartLog(options_.log.isEmpty() ? QString() : QFileInfo(options_.log).absoluteFilePath());
    if (!options_.crash.path.empty()) window.tellCrash(QString::fromStdString(options_.crash.path), QString::fromStdString(options_.crash.text));
    if (!options_.workspace.isEmpty()) window.showWorkspace(options_.workspace);
    if (options_.demo) window.studio().openDemo();
    if (!options_.paths.isEmpty())
        window.studio().open(sortInputs(options_.paths));
    else if (!picture && !options_.demo)
        window.restoreSession(true);
    if (!options_.workspace.isEmpty()) window.showWorkspace(options_.workspace);
    if (!picture) window.keepSession();
    if (picture) new Screenshot(window, options_.screenshot);
}

void Launcher::changeLanguage(Language language) {
    wanted_ = language;
    if (window_->studio().quiet())
        changeWhenQuiet();
    else
        window_->notice(QStringLiteral("language"), tr("The window changes its language once nothing is being computed or opened."));
}

void Launcher::changeWhenQuiet() {
    if (!wanted_ || !window_->studio().quiet()) return;
    if (QApplication::activeModalWidget() || QApplication::activePopupWidget()) { // whoever opened it waits for its answer
        QTimer::singleShot(kAgain, this, &Launcher::changeWhenQuiet);
        return;
    }
    speak(*wanted_);
    wanted_.reset();
    const Handover left = window_->handOver();
    const bool quits = QApplication::quitOnLastWindowClosed();
    QApplication::setQuitOnLastWindowClosed(false);
    window_.reset(); // before the next: it holds the log's lock
    make();
    window_->takeOver(left);
    window_->show();
    QApplication::setQuitOnLastWindowClosed(quits);
    Q_EMIT windowChanged();
}

} // namespace bw
