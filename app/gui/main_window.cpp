// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/gui/main_window.h"

#include "app/common/diagnostics.h"
#include "app/gui/command_line.h"
#include "app/gui/drop_overlay.h"
#include "app/gui/inspector.h"
#include "app/gui/job_strip.h"
#include "app/gui/notice_bar.h"
#include "app/gui/rail.h"
#include "app/gui/start_page.h"
#include "app/gui/top_bar.h"
#include "app/gui/settings_dialog.h"
#include "core/base/text.h"
#include "widgets/calibrate/calibrate_page.h"
#include "widgets/compare/compare_page.h"
#include "widgets/mix/mix_page.h"
#include "widgets/model/model_page.h"
#include "widgets/runs/runs_page.h"

#include <QAction>
#include <QCloseEvent>
#include <QDockWidget>
#include <QDropEvent>
#include <QFileInfo>
#include <QHBoxLayout>
#include <QMenu>
#include <QMessageBox>
#include <QMimeData>
#include <QPlainTextEdit>
#include <QPushButton>
#include <QStackedWidget>
#include <QTime>
#include <QVBoxLayout>
#include <cstdio>

namespace bw {
namespace {
constexpr int kStartPage = 5, kCalibratePage = 1, kRunsPage = 3, kComparePage = 4;
}

MainWindow::MainWindow(QWidget* parent) : QMainWindow(parent) {
    setObjectName(QStringLiteral("window"));
    setWindowTitle(tr("Bitwright"));
    setWindowIcon(QIcon(QStringLiteral(":/icons/bitwright.svg")));
    setAcceptDrops(true);
    setMinimumSize(1100, 700);
    resize(1440, 900);
    buildActions();
    buildMenu();
    buildLayout();
    connectBars();
    connectStudio();
    connectDevices();
    store_ = std::make_unique<SessionStore>(studio_.session(), studio_.jobs(), *this);
    layoutLater_.setSingleShot(true);
    layoutLater_.setInterval(1000); // dragging an edge sends many
    connect(&layoutLater_, &QTimer::timeout, this, &MainWindow::keepLayout);
    for (QDockWidget* dock : {inspector_, notes_}) {
        const auto changed = [this] {
            if (keeping_) layoutLater_.start();
        };
        connect(dock, &QDockWidget::visibilityChanged, this, changed);
        connect(dock, &QDockWidget::dockLocationChanged, this, changed);
        connect(dock, &QDockWidget::topLevelChanged, this, changed);
    }
    refreshStart();
    refreshRun();
    rail_->setCurrent(0);
    showPage(0);
    docks_->setFocus(); // not the first button, which would look chosen
}

MainWindow::~MainWindow() {
    store_.reset();
    // Pages look at the session until they are gone; it lives in studio_, which would go first.
    delete takeCentralWidget();
}

void MainWindow::buildLayout() {
    Session& session = studio_.session();
    rail_ = new Rail(menu_, this);
    bar_ = new TopBar(session, this);
    bar_->setRunMenu(runMenu_);
    notices_ = new NoticeBar(this);
    pages_ = new QStackedWidget(this);
    pages_->addWidget(new ModelPage(&session, this));
    pages_->addWidget(new CalibratePage(&session, this));
    pages_->addWidget(new MixPage(&session, this));
    pages_->addWidget(new RunsPage(&session, this));
    pages_->addWidget(new ComparePage(&session, this));
    start_ = new StartPage(this);
    pages_->addWidget(start_);

    docks_ = new QMainWindow(this, Qt::Widget);
    docks_->setObjectName(QStringLiteral("docks"));
    docks_->setCentralWidget(pages_);
    docks_->setDockOptions(QMainWindow::AnimatedDocks | QMainWindow::AllowTabbedDocks);
    inspector_ = new QDockWidget(tr("Inspector"), docks_);
    inspector_->setObjectName(QStringLiteral("dock.inspector"));
    inspector_->setWidget(new Inspector(session, inspector_));
    docks_->addDockWidget(Qt::RightDockWidgetArea, inspector_);
    noteText_ = new QPlainTextEdit(docks_);
    noteText_->setReadOnly(true);
    noteText_->setMaximumBlockCount(2000);
    noteText_->setAccessibleName(tr("Messages"));
    notes_ = new QDockWidget(tr("Messages"), docks_);
    notes_->setObjectName(QStringLiteral("dock.messages"));
    notes_->setWidget(noteText_);
    docks_->addDockWidget(Qt::BottomDockWidgetArea, notes_);
    notes_->hide();
    docks_->resizeDocks({inspector_}, {268}, Qt::Horizontal);

    strip_ = new JobStrip(studio_.jobs(), this);
    const auto rule = [this](bool horizontal) {
        auto* line = new QFrame(this);
        line->setProperty("role", QStringLiteral("rule"));
        horizontal ? line->setFixedHeight(1) : line->setFixedWidth(1);
        return line;
    };
    auto* right = new QVBoxLayout;
    right->setSpacing(0);
    right->addWidget(bar_);
    right->addWidget(rule(true));
    right->addWidget(notices_);
    right->addWidget(docks_, 1);
    auto* upper = new QHBoxLayout;
    upper->setSpacing(0);
    upper->addWidget(rail_);
    upper->addWidget(rule(false));
    upper->addLayout(right, 1);
    auto* middle = new QWidget(this);
    auto* all = new QVBoxLayout(middle);
    all->setContentsMargins(0, 0, 0, 0);
    all->setSpacing(0);
    all->addLayout(upper, 1);
    all->addWidget(rule(true));
    all->addWidget(strip_);
    setCentralWidget(middle);
    overlay_ = new DropOverlay(this);
    QAction* showInspector = inspector_->toggleViewAction();
    showInspector->setText(tr("Inspector"));
    showInspector->setShortcut(QKeySequence(QStringLiteral("Ctrl+I")));
    QAction* showNotes = notes_->toggleViewAction();
    for (QAction* toggle : {showInspector, showNotes}) {
        menu_->insertAction(menu_->actions().value(menu_->actions().size() - 2), toggle);
        addAction(toggle);
        actions_ << toggle;
    }
}

void MainWindow::connectBars() {
    connect(rail_, &Rail::chosen, this, &MainWindow::showPage);
    connect(bar_, &TopBar::runClicked, this, &MainWindow::runCurrent);
    connect(bar_, &TopBar::paletteClicked, this, &MainWindow::showPalette);
    connect(bar_, &TopBar::addTextsRequested, this, &MainWindow::addTexts);
    connect(bar_, &TopBar::openRecipeRequested, this, &MainWindow::openRecipe);
    connect(bar_, &TopBar::saveRecipeRequested, this, &MainWindow::saveRecipe);
    connect(bar_, &TopBar::demoTextsRequested, this, [this] {
        studio_.addTexts(Studio::demoTexts(QStringLiteral("calib")), false);
        studio_.addTexts(Studio::demoTexts(QStringLiteral("eval")), true);
    });
    connect(bar_, &TopBar::copyCommandRequested, this, [this] {
        copyCommand(recipeFor(page_ == kCalibratePage ? QStringLiteral("calibrate") : QStringLiteral("quantize")), {});
    });
    connect(start_, &StartPage::openFolderRequested, this, &MainWindow::openFolder);
    connect(start_, &StartPage::openFileRequested, this, &MainWindow::openFile);
    connect(start_, &StartPage::demoRequested, &studio_, &Studio::openDemo);
    connect(start_, &StartPage::recentRequested, &studio_, &Studio::openCheckpoint);
    connect(start_, &StartPage::forgetRequested, this, [this](const QString& path) {
        settings_.removeRecentCheckpoint(path);
        refreshStart();
    });
}

void MainWindow::connectStudio() {
    Session& session = studio_.session();
    connect(&studio_, &Studio::failed, this, &MainWindow::showError);
    connect(&studio_, &Studio::ignored, this, &MainWindow::tellIgnored);
    const auto tell = [this](const QString& text) {
        strip_->showMessage(text);
        noteText_->appendPlainText(QTime::currentTime().toString(QStringLiteral("HH:mm:ss  ")) + text);
    };
    connect(&studio_, &Studio::message, this, tell);
    connect(&session, &Session::messageRequested, this, tell);
    connect(&studio_.jobs(), &JobQueue::noted, this, tell);
    connect(&studio_, &Studio::openingChanged, this, [this] {
        strip_->setOpening(studio_.opening());
        start_->setOpening(studio_.opening());
    });
    connect(&studio_, &Studio::checkpointOpened, this, [this](const QString& path) {
        settings_.addRecentCheckpoint(path);
        settings_.setLastCheckpoint(path);
        refreshStart();
        restoreKept();
        offerRoad();
    });
    connect(&session, &Session::checkpointChanged, this, [this] {
        const auto open = studio_.session().checkpoint();
        setWindowTitle(open ? tr("%1 – Bitwright").arg(QString::fromStdString(open->displayName())) : tr("Bitwright"));
        refreshRun();
        showPage(page_);
    });
    connect(&session, &Session::logChanged, this, [this] { strip_->setLogPath(studio_.session().logPath()); });
    connect(&session, &Session::workspaceRequested, this, &MainWindow::showWorkspace);
    connect(&session, &Session::compareRequested, this, [this](RunId a, RunId b) {
        studio_.session().selectRuns(a, b);
        showPage(kComparePage);
    });
    connect(&session, &Session::reportRequested, this, &MainWindow::saveReport);
    connect(&session, &Session::copyCommandRequested, this, &MainWindow::copyCommand);
    connect(&studio_.jobs(), &JobQueue::stopped, this, [this](const QString& title, const QString& again) {
        notices_->add(QStringLiteral("stopped"), tr("%1 was stopped. What is finished is kept; it can go on from there.").arg(title), tr("Go on"),
                      [this, again] { studio_.goOn(again); });
    });
    connect(&studio_.jobs(), &JobQueue::started, this, [this] {
        for (const char* id : {"stopped", "road", "mix"}) notices_->remove(QString::fromLatin1(id));
    });
    connect(&studio_.jobs(), &JobQueue::failed, this, [this](int, const JobError& error) {
        if (error.cancelled)
            strip_->showMessage(tr("Cancelled. What was finished is in the log."));
        else
            showError(tr("The job failed"), error);
    });
    connect(&studio_.jobs(), &JobQueue::finished, this,
            [this](int, const RunOutcome& outcome) {
                strip_->showMessage(tr("Run %1 is done.").arg(outcome.run.value()));
                tellMix(outcome.result);
            });
}

void MainWindow::showPage(int index) {
    page_ = index;
    if (keeping_) layoutLater_.start();
    rail_->setCurrent(index);
    const bool anything = studio_.session().checkpoint() != nullptr;
    // Runs and comparisons can be read without a checkpoint.
    const bool start = !anything && index != kRunsPage && index != kComparePage, bare = !anything;
    pages_->setCurrentIndex(start ? kStartPage : index);
    // Without a checkpoint there is nothing to inspect, and a table of runs wants the width.
    if (bare && !inspector_->isHidden()) {
        inspector_->setProperty("hiddenByStart", true);
        inspector_->hide();
    } else if (!bare && inspector_->property("hiddenByStart").toBool()) {
        inspector_->setProperty("hiddenByStart", false);
        inspector_->show();
    }
    refreshRun();
}

void MainWindow::showWorkspace(const QString& name) {
    const auto all = workspaces();
    for (int i = 0; i < all.size(); ++i)
        if (all[i].name == name) showPage(i);
}

QString MainWindow::workspace() const { return workspaces().value(page_).name; }

void MainWindow::refreshStart() {
    start_->setRecent(settings_.recentCheckpoints());
    start_->setDemoAvailable(!Studio::demoFolder().isEmpty());
}

void MainWindow::refreshRun() {
    const bool calibrate = page_ == kCalibratePage, compare = page_ == kComparePage;
    // Without a forward pass weights can be rounded and written, and nothing can be measured.
    const QString why = studio_.session().whyNoForward();
    const bool needsForward = calibrate || compare;
    bar_->setRunText(calibrate ? tr("Calibrate") : compare ? tr("Evaluate") : tr("Quantize"),
                     needsForward && !why.isEmpty() ? why
                     : calibrate ? tr("Collect statistics of every site's inputs (Ctrl+R)")
                     : compare   ? tr("Measure perplexity and KL of the open checkpoint (Ctrl+R)")
                                 : tr("Plan, then write the quantized checkpoint (Ctrl+R)"));
    bar_->setRunEnabled(studio_.session().checkpoint() != nullptr && (needsForward ? why.isEmpty() : studio_.session().model() != nullptr));
    for (QAction* run : std::as_const(forwardActions_)) {
        run->setEnabled(why.isEmpty());
        run->setToolTip(why.isEmpty() ? run->text() : why);
    }
}

void MainWindow::restoreSession(bool reopen) {
    if (!settings_.restoreWindow(*this, *docks_)) docks_->resizeDocks({inspector_}, {268}, Qt::Horizontal);
    showPage(page_); // the stored layout may show the inspector over the start page
    if (!reopen) return;
    showWorkspace(settings_.workspace());
    kept_ = store_->read();
    if (kept_ && !kept_->closed && !kept_->jobs.isEmpty()) offerUnfinished();
    const QString interrupted = settings_.takeInterruptedJob();
    if (!interrupted.isEmpty()) {
        studio_.goOn(interrupted);
        return;
    }
    const QString last = settings_.lastCheckpoint();
    if (last.isEmpty()) return restoreKept();
    if (QFileInfo::exists(last))
        studio_.openCheckpoint(last); // what was kept comes back when it is open
    else
        notice(QStringLiteral("recent"), tr("The last checkpoint is not there any more: %1").arg(last), tr("Forget it"), [this, last] {
            settings_.removeRecentCheckpoint(last);
            settings_.setLastCheckpoint({});
            refreshStart();
        });
}

/// What the program was doing when it was cut off. A job that had not begun is as welcome as the one that had.
void MainWindow::offerUnfinished() {
    QStringList titles;
    for (const auto& [title, again] : std::as_const(kept_->jobs)) titles << title;
    notices_->add(QStringLiteral("unfinished"), tr("Not finished when the program ended: %1. What was done is in the log.").arg(titles.join(QStringLiteral(", "))), tr("Continue"),
                  [this, jobs = kept_->jobs] {
                      for (const auto& [title, again] : jobs) studio_.goOn(again);
                  });
}

/// A checkpoint that nothing was measured of yet: how to get a first result.
void MainWindow::offerRoad() {
    const Session& session = studio_.session();
    const auto open = session.checkpoint();
    const auto measured = [&](const char* kind) { return session.log() && session.log()->latest(kind, open->path()) != RunId(); };
    const bool known = !open || measured("calibrate") || measured("sweep") || measured("quantize") || measured("evaluate");
    notices_->remove(QStringLiteral("road"));
    if (known || !session.model() || !session.whyNoForward().isEmpty() || studio_.jobs().busy()) return;
    notices_->addTip(QStringLiteral("road"), tr("The whole road leads to a first result: it calibrates, measures every layer, solves a mix, writes it and compares it."),
                     tr("Start…"), [this] { runMix(); });
}

void MainWindow::restoreKept() {
    if (!kept_) return;
    const KeptSession kept = *std::exchange(kept_, std::nullopt);
    store_->apply(kept);
    if (!kept.closed && kept.done > 0 && studio_.session().undoStack()->index() > 0)
        strip_->showMessage(tr("The recipe is as it was when the program ended, with %1 steps that can be undone.").arg(studio_.session().undoStack()->index()));
}

void MainWindow::keepSession() {
    keeping_ = true;
    keepLayout();
    if (kept_ && studio_.opening()) {
        // Not before what was kept is back: it would be written over.
        auto* once = new QObject(this);
        connect(&studio_, &Studio::openingChanged, once, [this, once] {
            if (studio_.opening()) return;
            once->deleteLater();
            kept_.reset();
            store_->begin();
        }, Qt::QueuedConnection);
        return;
    }
    store_->begin();
}

/// Also while it runs: a program that is killed has no time for it.
void MainWindow::keepLayout() {
    settings_.saveWindow(*this, *docks_);
    settings_.setWorkspace(workspace());
}

void MainWindow::tellCrash(const QString& path, const QString& report) {
    notice(QStringLiteral("crash"), tr("The program crashed at its last run. What is known of it is in %1; nothing was sent anywhere.").arg(path), tr("Show"), [this, path, report] {
        showError(tr("The last run crashed"), {QStringLiteral("crash"), tr("Please report it with these details and what you were doing."), path, report, false});
    });
}

/// What the whole road came to, with the proof a click away.
void MainWindow::tellMix(const Json& result) {
    if (!result.contains("chosen") || !result.contains("measured_kl")) return;
    const QString kl = QString::number(result.at("measured_kl").get<double>(), 'g', 3);
    const QString name = QString::fromStdString(result.at("chosen").get<std::string>());
    const QString path = result.contains("path") ? QString::fromStdString(result.at("path").get<std::string>()) : QString();
    notices_->addTip(QStringLiteral("mix"), path.isEmpty() ? tr("The mix is done: %1 measures KL %2 nats per token against the original.").arg(name, kl)
                                                        : tr("The mix is done: %1 measures KL %2 nats per token against the original. It is written to %3 and was read back.").arg(name, kl, path),
                  tr("Show the proof"), [this] { showPage(kComparePage); });
}

void MainWindow::notice(const QString& id, const QString& text, const QString& actionText, std::function<void()> action) {
    notices_->add(id, text, actionText, std::move(action));
    noteEvent("notice: " + text.toStdString());
    std::fprintf(stderr, "bitwright: %s\n", escapeForDisplay(text.toStdString(), 1000).c_str());
}

Handover MainWindow::handOver() {
    Handover left{studio_.session().logPath(), {}, noteText_->toPlainText(), store_->now(), keeping_};
    left.checkpoint = left.kept.checkpoint;
    layoutLater_.stop();
    keepLayout();
    store_->end();
    return left;
}

void MainWindow::takeOver(const Handover& former) {
    if (!former.messages.isEmpty()) noteText_->setPlainText(former.messages);
    restoreSession(false);
    showWorkspace(settings_.workspace());
    openStartLog(former.log);
    kept_ = former.kept;
    kept_->closed = true; // nothing was lost
    if (former.checkpoint.isEmpty())
        restoreKept();
    else
        studio_.openCheckpoint(former.checkpoint); // what was kept comes back when it is open
    if (former.keeping) keepSession();
}

void MainWindow::openStartLog(const QString& path) {
    const QString problem = studio_.openLogOrTemporary(path);
    if (!problem.isEmpty()) notice(QStringLiteral("log"), problem, tr("Open a log…"), [this] { openLog(); });
    notices_->remove(QStringLiteral("second"));
    if (const qint64 process = store_->holder(); process != 0)
        notice(QStringLiteral("second"), tr("Another window has this log open (process %1). Both can run jobs; what is open and selected is kept for that one only.").arg(process));
    const QString folder = settings_.unwritableFolder();
    if (!folder.isEmpty())
        notice(QStringLiteral("settings"), tr("Nothing can be written to %1: the window's layout and recent files are not kept.").arg(folder));
}

void MainWindow::useSettings() { studio_.setCompute(settings_.compute()); }

/// Which device jobs use, and a notice when it is not the one that was asked for.
void MainWindow::connectDevices() {
    connect(strip_, &JobStrip::settingsRequested, this, &MainWindow::showSettings);
    connect(&studio_, &Studio::computeApplied, this, [this] {
        const QString device = settings_.compute().device;
        notices_->remove(QStringLiteral("device"));
        strip_->setDevice(device == QLatin1String("cpu") ? QString() : device);
    });
    connect(&studio_.devices(), &DeviceDesk::used, this,
            [this](const QString& name, const QString& description) { strip_->setDevice(name == QLatin1String("cpu") ? QString() : description); });
    connect(&studio_.devices(), &DeviceDesk::missing, this, [this](const QString& asked, const QString& why) {
        const QString told = tr("%1 was asked for and can't be used, so jobs compute on the processor. The reason: %2").arg(asked, why);
        strip_->setDevice({}, told);
        notice(QStringLiteral("device"), told, tr("Settings…"), [this] { showSettings(); });
    });
    connect(&studio_.devices(), &DeviceDesk::failed, this, [this](const QString& name, const QString& why) {
        const QString told = tr("The device %1 failed. The job goes on on the processor, and so will those after it; nothing is lost. What is known: %2").arg(name, why);
        strip_->setDevice({}, told);
        notice(QStringLiteral("device"), told, tr("Try the device again"), [this] {
            studio_.devices().forgive();
            strip_->setDevice(settings_.compute().device);
        });
    });
}

void MainWindow::setTheme(Theme::Mode mode) {
    settings_.setTheme(mode);
    Theme::instance().apply(mode);
}

void MainWindow::dragEnterEvent(QDragEnterEvent* event) {
    if (!event->mimeData()->hasUrls()) return;
    event->acceptProposedAction();
    const auto urls = event->mimeData()->urls();
    overlay_->setText(urls.size() == 1 ? tr("Drop to open %1").arg(urls.first().fileName())
                                       : tr("Drop %1 files").arg(urls.size()));
    overlay_->setGeometry(rect());
    overlay_->raise();
    overlay_->show();
}

void MainWindow::dragMoveEvent(QDragMoveEvent* event) {
    if (event->mimeData()->hasUrls()) event->acceptProposedAction();
}

void MainWindow::dragLeaveEvent(QDragLeaveEvent*) { overlay_->hide(); }

void MainWindow::dropEvent(QDropEvent* event) {
    overlay_->hide();
    if (!event->mimeData()->hasUrls()) return;
    event->acceptProposedAction();
    studio_.open(sortInputs(event->mimeData()->urls()));
}

void MainWindow::resizeEvent(QResizeEvent* event) {
    QMainWindow::resizeEvent(event);
    overlay_->setGeometry(rect());
    if (keeping_) layoutLater_.start();
}

void MainWindow::moveEvent(QMoveEvent* event) {
    QMainWindow::moveEvent(event);
    if (keeping_) layoutLater_.start();
}

void MainWindow::closeEvent(QCloseEvent* event) {
    if (const Job* job = studio_.jobs().currentJob()) {
        QMessageBox ask(QMessageBox::Question, tr("A job is running"),
                        !job->again.isEmpty() ? tr("%1 is running. If you close now it stops, what is finished stays in the log, and it "
                                            "goes on at the next start.")
                                             .arg(job->title)
                                       : tr("%1 is running. If you close now it stops; what is finished stays in the log.")
                                             .arg(job->title),
                        QMessageBox::NoButton, this);
        ask.setTextFormat(Qt::PlainText);
        QPushButton* close = ask.addButton(tr("Stop and close"), QMessageBox::AcceptRole);
        ask.addButton(tr("Keep running"), QMessageBox::RejectRole);
        ask.exec();
        if (ask.clickedButton() != static_cast<QAbstractButton*>(close)) {
            event->ignore();
            return;
        }
        const Job* still = studio_.jobs().currentJob(); // it may have ended while the question stood
        if (still && !still->again.isEmpty()) settings_.setInterruptedJob(still->again);
        studio_.jobs().cancelAll();
    }
    layoutLater_.stop();
    keepLayout();
    store_->end();
    event->accept();
}

} // namespace bw
