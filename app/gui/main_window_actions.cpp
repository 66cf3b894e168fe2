// SPDX-License-Identifier: GPL-3.0-or-later
// What the person starts from the menu, the palette or a key: opening, saving, running, copying.
#include "app/common/resources.h"
#include "app/gui/command_line.h"
#include "app/gui/command_palette.h"
#include "app/gui/error_dialog.h"
#include "app/gui/help_window.h"
#include "app/gui/job_strip.h"
#include "app/gui/main_window.h"
#include "app/gui/plan_dialog.h"
#include "app/gui/rail.h"
#include "app/gui/settings_dialog.h"
#include "app/gui/start_page.h"
#include "core/base/error.h"
#include "core/base/text.h"
#include "widgets/plots/plot_export.h"

#include <QAction>
#include <QApplication>
#include <QClipboard>
#include <QDir>
#include <QFileDialog>
#include <QMenu>
#include <QMessageBox>
#include <QPushButton>
#include <QStackedWidget>

namespace bw {

QAction* MainWindow::action(const QString& name, const QString& text, const QKeySequence& key, std::function<void()> run) {
    auto* made = new QAction(text, this);
    made->setObjectName(name);
    made->setShortcut(key);
    connect(made, &QAction::triggered, this, std::move(run));
    addAction(made);
    actions_ << made;
    return made;
}

void MainWindow::buildActions() {
    const auto all = workspaces();
    for (int i = 0; i < all.size(); ++i)
        action(QStringLiteral("go.") + all[i].name, tr("Go to %1").arg(all[i].label),
               QKeySequence(Qt::CTRL | static_cast<Qt::Key>(Qt::Key_1 + i)), [this, i] { showPage(i); });
    action(QStringLiteral("palette"), tr("Command palette"), QKeySequence(QStringLiteral("Ctrl+K")), [this] { showPalette(); });
    QUndoStack* undo = studio_.session().undoStack();
    QAction* undoAction = undo->createUndoAction(this);
    undoAction->setShortcut(QKeySequence(QStringLiteral("Ctrl+Z")));
    QAction* redoAction = undo->createRedoAction(this);
    redoAction->setShortcuts({QKeySequence(QStringLiteral("Ctrl+Shift+Z")), QKeySequence(QStringLiteral("Ctrl+Y"))});
    for (QAction* made : {undoAction, redoAction}) {
        addAction(made);
        actions_ << made;
    }
}

void MainWindow::buildMenu() {
    runMenu_ = new QMenu(this);
    runMenu_->setToolTipsVisible(true);
    const auto run = [this](const char* kind, const QString& text) {
        QAction* made = action(QStringLiteral("run.") + QString::fromLatin1(kind), text, {}, [this, k = QString::fromLatin1(kind)] { runKind(k); });
        runMenu_->addAction(made);
        if (QLatin1String(kind) != QLatin1String("quantize")) forwardActions_ << made;
    };
    run("calibrate", tr("Calibrate: statistics of every input"));
    run("sweep", tr("Map: what every site costs in every format"));
    run("quantize", tr("Quantize: write the checkpoint…"));
    run("evaluate", tr("Evaluate: perplexity of the checkpoint"));
    runMenu_->addSeparator();
    runMenu_->addAction(action(QStringLiteral("run.mix"), tr("The whole road: calibrate, measure, mix, quantize, compare…"), {},
                               [this] { runMix(); }));
    forwardActions_ << runMenu_->actions().last();

    menu_ = new QMenu(this);
    menu_->addAction(action(QStringLiteral("open.folder"), tr("Open checkpoint folder…"), QKeySequence(QStringLiteral("Ctrl+Shift+O")),
                            [this] { openFolder(); }));
    menu_->addAction(action(QStringLiteral("open.file"), tr("Open file…"), QKeySequence::Open, [this] { openFile(); }));
    menu_->addAction(action(QStringLiteral("open.demo"), tr("Try the demo model"), {}, [this] { studio_.openDemo(); }));
    menu_->addSeparator();
    menu_->addAction(action(QStringLiteral("recipe.open"), tr("Open recipe…"), {}, [this] { openRecipe(); }));
    menu_->addAction(action(QStringLiteral("recipe.save"), tr("Save recipe as…"), QKeySequence(QStringLiteral("Ctrl+S")),
                            [this] { saveRecipe(); }));
    menu_->addAction(action(QStringLiteral("log.open"), tr("Open or create a log…"), {}, [this] { openLog(); }));
    menu_->addSeparator();
    QMenu* theme = menu_->addMenu(tr("Theme"));
    theme->addAction(action(QStringLiteral("theme.system"), tr("Theme: as the system"), {}, [this] { setTheme(Theme::Mode::system); }));
    theme->addAction(action(QStringLiteral("theme.dark"), tr("Theme: dark"), {}, [this] { setTheme(Theme::Mode::dark); }));
    theme->addAction(action(QStringLiteral("theme.light"), tr("Theme: light"), {}, [this] { setTheme(Theme::Mode::light); }));
    menu_->addAction(action(QStringLiteral("settings"), tr("Settings…"), QKeySequence(QStringLiteral("Ctrl+,")), [this] { showSettings(); }));
    menu_->addSeparator();
    menu_->addAction(action(QStringLiteral("help"), tr("Manual"), QKeySequence(QKeySequence::HelpContents), [this] { showHelp(); }));
    menu_->addAction(action(QStringLiteral("about"), tr("About Bitwright"), {}, [this] { showAbout(); }));
    menu_->addAction(action(QStringLiteral("quit"), tr("Quit"), QKeySequence::Quit, [this] { close(); }));
    action(QStringLiteral("run.current"), tr("Run"), QKeySequence(QStringLiteral("Ctrl+R")), [this] { runCurrent(); });
}

void MainWindow::openFolder() {
    const QString path = QFileDialog::getExistingDirectory(this, tr("Open checkpoint folder"));
    if (!path.isEmpty()) studio_.open(sortInputs(QStringList{path}));
}

void MainWindow::openFile() {
    const QStringList paths = QFileDialog::getOpenFileNames(
        this, tr("Open"), {},
        tr("Everything that is read here (*.gguf *.safetensors *.index.json *.txt *.jsonl *.md *.json *.db);;All files (*)"));
    if (!paths.isEmpty()) studio_.open(sortInputs(paths));
}

void MainWindow::addTexts(bool evaluation) {
    const QStringList paths =
        QFileDialog::getOpenFileNames(this, evaluation ? tr("Add evaluation text") : tr("Add calibration text"), {},
                                      tr("Text (*.txt *.md *.jsonl *.text);;All files (*)"));
    if (!paths.isEmpty()) studio_.addTexts(paths, evaluation);
}

void MainWindow::openRecipe() {
    const QString path = QFileDialog::getOpenFileName(this, tr("Open recipe"), {}, tr("Recipes (*.json)"));
    if (!path.isEmpty()) studio_.openRecipe(path);
}

void MainWindow::saveRecipe() {
    const QString path = QFileDialog::getSaveFileName(this, tr("Save recipe"), QStringLiteral("recipe.json"), tr("Recipes (*.json)"));
    if (path.isEmpty()) return;
    const QString text = QString::fromStdString(studio_.session().recipe().toJson().dump(2)) + QLatin1Char('\n');
    const QString problem = saveText(text, path);
    if (!problem.isEmpty()) showError(tr("The recipe could not be saved"), {QStringLiteral("writeFailed"), problem, {}, problem, false});
}

void MainWindow::openLog() {
    QFileDialog dialog(this, tr("Open or create a log"), {}, tr("Experiment logs (*.db);;All files (*)"));
    dialog.setFileMode(QFileDialog::AnyFile);
    dialog.setLabelText(QFileDialog::Accept, tr("Open"));
    dialog.setDefaultSuffix(QStringLiteral("db"));
    if (dialog.exec() == QDialog::Accepted && !dialog.selectedFiles().isEmpty()) studio_.openLog(dialog.selectedFiles().first());
}

void MainWindow::saveReport(RunId run, RunId other) {
    const QString name = other == RunId() ? QStringLiteral("run-%1.html").arg(run.value()) : QStringLiteral("runs-%1-%2.html").arg(run.value()).arg(other.value());
    QString path = QFileDialog::getSaveFileName(this, tr("Write report"), QDir::home().filePath(name), tr("HTML page (*.html)"));
    if (path.isEmpty()) return;
    if (!path.endsWith(QLatin1String(".html"))) path += QStringLiteral(".html");
    studio_.writeReport(run, other, path, true);
}

void MainWindow::showPalette() {
    QList<PaletteEntry> entries;
    for (QAction* known : std::as_const(actions_)) {
        if (!known->isEnabled() || known->objectName() == QLatin1String("palette")) continue;
        QString text = known->text();
        text.remove(QLatin1Char('&'));
        entries << PaletteEntry{text, known->shortcut().toString(QKeySequence::NativeText), [known] { known->trigger(); }};
    }
    Session& session = studio_.session();
    if (const auto model = session.model()) {
        for (const Site& site : model->sites()) {
            const QString name = QString::fromStdString(escapeForDisplay(site.name, 60));
            entries << PaletteEntry{name, tr("site"), [this, &session, id = QString::fromStdString(site.name)] {
                                        session.selectSite(id);
                                        if (page_ > 2) showPage(0);
                                    }};
        }
    }
    auto* palette = new CommandPalette(std::move(entries), this);
    palette->show();
}

/// One manual window; each call brings it to the page of the workspace on screen.
void MainWindow::showHelp() {
    if (!help_) {
        QString folder;
        try {
            folder = QString::fromStdString(resourcesFolder()) + QStringLiteral("/help");
        } catch (const Error&) { // the window says that there is none
        }
        help_ = new HelpWindow(folder, this);
        help_->setAttribute(Qt::WA_DeleteOnClose);
    }
    const bool start = pages_->currentWidget() == start_;
    help_->showPage(start ? QStringLiteral("index.md") : workspace() + QStringLiteral(".md"));
    help_->show();
    help_->raise();
    help_->activateWindow();
}

void MainWindow::showSettings() {
    if (!settingsDialog_) {
        settingsDialog_ = new SettingsDialog(settings_.compute(), settings_.theme(), settings_.language(), this);
        settingsDialog_->setAttribute(Qt::WA_DeleteOnClose);
        connect(settingsDialog_, &SettingsDialog::themeChanged, this, &MainWindow::setTheme);
        connect(settingsDialog_, &SettingsDialog::languageChanged, this, [this](Language language) {
            settings_.setLanguage(language);
            Q_EMIT languageChosen(language);
        });
        connect(settingsDialog_, &SettingsDialog::computeChanged, this, [this](const ComputeSettings& changed) {
            settings_.setCompute(changed);
            studio_.setCompute(changed);
        });
    }
    settingsDialog_->show();
    settingsDialog_->raise();
    settingsDialog_->activateWindow();
}

void MainWindow::showAbout() {
    QMessageBox box(QMessageBox::NoIcon, tr("About Bitwright"),
                    tr("Bitwright %1\nA workbench for quantizing language models.\n\nFree software under the GNU General Public License, "
                       "version 3 or later, without any warranty. Nothing leaves this computer.")
                        .arg(QApplication::applicationVersion()),
                    QMessageBox::Close, this);
    box.setTextFormat(Qt::PlainText);
    box.setIconPixmap(QIcon(QStringLiteral(":/icons/bitwright.svg")).pixmap(64, 64));
    box.exec();
}

Recipe MainWindow::recipeFor(const QString& kind) const {
    Recipe recipe = const_cast<Studio&>(studio_).session().recipe();
    recipe.kind = kind.toStdString();
    if (kind == QLatin1String("sweep") && recipe.sweep.formats.empty()) { // nothing was asked for: the estimate in nats
        recipe.sweep.formats = {"q4_0", "q4_1", "q5_0", "q5_1", "q8_0"};
        recipe.sweep.metric = "fisher";
    }
    return recipe;
}

/// What is missing of the two is asked for in one question. @return whether all is there now.
bool MainWindow::askForTexts(bool calibration, bool evaluation) {
    const auto missing = [this](bool evaluationTexts) {
        const Recipe& r = studio_.session().recipe();
        return (evaluationTexts ? r.evaluation.files : r.calibration.files).empty();
    };
    const bool calibrate = calibration && missing(false), evaluate = evaluation && missing(true);
    if (!calibrate && !evaluate) return true;
    const QString why = calibrate && evaluate ? tr("This needs calibration texts, a few hundred kilobytes of what the model will be used for, and other texts to judge the result on.")
                        : evaluate            ? tr("Evaluating needs a text that was not used for calibration.")
                                              : tr("This needs calibration texts: a few hundred kilobytes of what the model will be used for.");
    QMessageBox ask(QMessageBox::NoIcon, tr("A text is needed"), why, QMessageBox::Cancel, this);
    ask.setObjectName(QStringLiteral("texts"));
    QPushButton* choose = ask.addButton(tr("Choose files…"), QMessageBox::AcceptRole);
    QPushButton* demo = ask.addButton(tr("Use the demo texts"), QMessageBox::AcceptRole);
    demo->setObjectName(QStringLiteral("texts.demo"));
    ask.exec();
    for (const bool forEvaluation : {false, true}) {
        if (!(forEvaluation ? evaluate : calibrate)) continue;
        if (ask.clickedButton() == static_cast<QAbstractButton*>(choose)) addTexts(forEvaluation);
        if (ask.clickedButton() == static_cast<QAbstractButton*>(demo))
            studio_.addTexts(Studio::demoTexts(forEvaluation ? QStringLiteral("eval") : QStringLiteral("calib")), forEvaluation);
    }
    return !(calibrate && missing(false)) && !(evaluate && missing(true));
}

bool MainWindow::askForExport(Recipe& recipe) {
    const auto open = studio_.session().checkpoint();
    const QString name = QStringLiteral("%1-%2.gguf").arg(QString::fromStdString(open->displayName()),
                                                          QString::fromStdString(recipe.assignment.format).replace(QLatin1Char(':'), QLatin1Char('-')));
    const QString path = QFileDialog::getSaveFileName(this, tr("Write the quantized checkpoint to"), QDir::home().filePath(name),
                                                      tr("GGUF file (*.gguf);;safetensors folder (*)"));
    if (path.isEmpty()) return false;
    recipe.exporting.path = path.toStdString();
    recipe.exporting.replace = QFileInfo::exists(path); // the dialog asked already
    return true;
}

void MainWindow::runCurrent() {
    if (!studio_.session().checkpoint()) return;
    const QString why = studio_.session().whyNoForward();
    if ((page_ == 1 || page_ == 4) && !why.isEmpty()) {
        strip_->showMessage(why);
        return;
    }
    runKind(page_ == 1 ? QStringLiteral("calibrate") : page_ == 4 ? QStringLiteral("evaluate") : QStringLiteral("quantize"));
}

void MainWindow::runKind(const QString& kind) {
    if (!studio_.session().checkpoint()) {
        strip_->showMessage(tr("Open a checkpoint first."));
        return;
    }
    const bool quantize = kind == QLatin1String("quantize");
    const bool needsText = !quantize || studio_.session().recipe().rounder == "weighted";
    const bool evaluate = kind == QLatin1String("evaluate");
    if (needsText && !askForTexts(!evaluate, evaluate)) return;
    Recipe recipe = recipeFor(kind);
    if (!quantize) {
        studio_.run(recipe);
        return;
    }
    if (recipe.exporting.path.empty() && !askForExport(recipe)) return;
    planAndRun(recipe);
}

void MainWindow::planAndRun(const Recipe& recipe) {
    strip_->showMessage(tr("Planning…"));
    plans_.run<Json>(
        [this, recipe] { return studio_.plan(recipe); },
        [this, recipe](Json plan) {
            PlanDialog dialog(plan, commandFor(recipe, studio_.session().logPath()), this);
            if (dialog.exec() == QDialog::Accepted) studio_.run(recipe);
        },
        [this](const JobError& error) { showError(tr("This can't be quantized"), error); });
}

void MainWindow::runMix() {
    if (!studio_.session().checkpoint()) {
        strip_->showMessage(tr("Open a checkpoint first."));
        return;
    }
    if (!askForTexts(true, true)) return;
    Recipe recipe = recipeFor(QStringLiteral("sweep"));
    if (!askForExport(recipe)) return;
    Runner::MixOptions options;
    options.checkpoint = recipe.checkpoint;
    options.outPath = recipe.exporting.path;
    options.replace = recipe.exporting.replace;
    options.formats = recipe.sweep.formats;
    options.calibrationFiles = recipe.calibration.files;
    options.evaluationFiles = recipe.evaluation.files;
    options.samples = recipe.calibration.samples;
    options.length = recipe.calibration.length;
    options.protocol = recipe.evaluation.protocol;
    options.evaluationTokens = recipe.evaluation.tokens;
    if (!recipe.assignment.budget.empty()) options.budget = recipe.assignment.budget;
    options.seed = recipe.seed;
    options.device = recipe.device;
    options.runtime = recipe.evaluation.runtime;
    studio_.runMix(options, tr("mix · the whole road"));
}

void MainWindow::copyCommand(const Recipe& recipe, RunId resume) {
    const QString command = commandFor(recipe, studio_.session().logPath(), resume.value());
    QApplication::clipboard()->setText(command);
    strip_->showMessage(tr("Copied: %1").arg(command));
}

void MainWindow::showError(const QString& title, const JobError& error) {
    auto* dialog = new ErrorDialog(title, error, this);
    dialog->setObjectName(QStringLiteral("error"));
    dialog->open();
}

void MainWindow::tellIgnored(const QStringList& lines) {
    strip_->showMessage(tr("Ignored: %1").arg(lines.join(QStringLiteral("; "))));
    auto* box = new QMessageBox(QMessageBox::NoIcon, tr("Not everything was taken"),
                                tr("These were left out:\n\n%1").arg(lines.join(QLatin1Char('\n'))), QMessageBox::Ok, this);
    box->setObjectName(QStringLiteral("ignored"));
    box->setTextFormat(Qt::PlainText);
    box->setAttribute(Qt::WA_DeleteOnClose);
    box->open();
    Q_EMIT dropIgnored(lines);
}

} // namespace bw
