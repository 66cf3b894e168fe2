// SPDX-License-Identifier: GPL-3.0-or-later
// The window: rail, bar, workspaces, inspector and the strip with jobs, put together and kept in step. What the pages wish
// is done by Studio; this class only shows and asks.
#pragma once

#include "app/gui/app_settings.h"
#include "app/gui/session_store.h"
#include "app/gui/studio.h"

#include <QHash>
#include <QMainWindow>
#include <QPointer>
#include <QTimer>

class QDockWidget;
class QMenu;
class QPlainTextEdit;
class QStackedWidget;

namespace bw {

class DropOverlay;
class HelpWindow;
class JobStrip;
class NoticeBar;
class Rail;
class SettingsDialog;
class StartPage;
class TopBar;

/// What a window leaves to the one that takes its place.
struct Handover {
    QString log, checkpoint, messages;
    KeptSession kept;
    bool keeping = false;
};

class MainWindow final : public QMainWindow {
    Q_OBJECT
public:
    explicit MainWindow(QWidget* parent = nullptr);
    ~MainWindow() override;

    Studio& studio() { return studio_; }
    /// Layout, theme and, when `reopen`, the last checkpoint with what was selected, the recipe and its undo steps, and a job that
    /// closing had stopped; one that was cut off is offered again.
    void restoreSession(bool reopen);
    /// From now on what is done is kept for the next start.
    void keepSession();
    void showWorkspace(const QString& name);
    QString workspace() const;
    /// Device, threads, memory and caches as the person set them; without it the program's defaults hold.
    void useSettings();
    /// A line under the top bar, and in the diary and on the terminal: something is missing at the start.
    void notice(const QString& id, const QString& text, const QString& actionText = {}, std::function<void()> action = {});
    /// Opens the log, or one in the temporary folder and a notice. @param path empty for the person's own.
    void openStartLog(const QString& path);

    /// The layout is stored and everything that is open told; to be destroyed next. Only while no job runs.
    Handover handOver();
    /// Goes on where the former window was: log, checkpoint, recipe with its undo steps, selections, tabs and messages.
    void takeOver(const Handover& former);

    /// The last start ended in a crash: a notice, its report at hand.
    void tellCrash(const QString& path, const QString& report);

Q_SIGNALS:
    void languageChosen(bw::Language language); ///< and stored; the window itself stays as it is
    void dropIgnored(const QStringList& lines); ///< after the window has told the person

protected:
    void dragEnterEvent(QDragEnterEvent* event) override;
    void dragMoveEvent(QDragMoveEvent* event) override;
    void dragLeaveEvent(QDragLeaveEvent* event) override;
    void dropEvent(QDropEvent* event) override;
    void resizeEvent(QResizeEvent* event) override;
    void moveEvent(QMoveEvent* event) override;
    void closeEvent(QCloseEvent* event) override;

private:
    void buildLayout();
    void buildActions();
    void buildMenu();
    void connectStudio();
    void connectBars();
    QAction* action(const QString& name, const QString& text, const QKeySequence& key, std::function<void()> run);
    void showPage(int index);
    void restoreKept();
    void offerUnfinished();
    void offerRoad();
    void refreshStart();
    void refreshRun();
    void keepLayout();
    void tellMix(const Json& result);
    void setTheme(Theme::Mode mode);

    // main_window_actions.cpp: what the person starts
    void openFolder();
    void openFile();
    void addTexts(bool evaluation);
    void openRecipe();
    void saveRecipe();
    void openLog();
    void saveReport(RunId run, RunId other);
    void showPalette();
    void showHelp();
    void showAbout();
    void showSettings();
    void connectDevices();
    void runCurrent();
    void runKind(const QString& kind);
    void runMix();
    Recipe recipeFor(const QString& kind) const;
    bool askForTexts(bool calibration, bool evaluation);
    bool askForExport(Recipe& recipe);
    void planAndRun(const Recipe& recipe);
    void copyCommand(const Recipe& recipe, RunId resume);
    void showError(const QString& title, const JobError& error);
    void tellIgnored(const QStringList& lines);

    AppSettings settings_;
    Studio studio_;
    Background plans_;
    std::unique_ptr<SessionStore> store_; ///< after everything with tabs was built
    std::optional<KeptSession> kept_;     ///< waits for its checkpoint
    Rail* rail_;
    TopBar* bar_;
    JobStrip* strip_;
    NoticeBar* notices_;
    StartPage* start_;
    QStackedWidget* pages_;   ///< 0 … 4 the workspaces, 5 the start page
    QMainWindow* docks_;      ///< holds the pages and the docks
    QDockWidget *inspector_, *notes_;
    QPlainTextEdit* noteText_;
    DropOverlay* overlay_;
    QPointer<HelpWindow> help_;
    QPointer<SettingsDialog> settingsDialog_;
    QMenu *menu_, *runMenu_;
    QList<QAction*> actions_; ///< in the order of the palette
    QList<QAction*> forwardActions_; ///< those that need a forward pass
    QTimer layoutLater_; ///< runs once the layout is to be kept and changed
    bool keeping_ = false;
    int page_ = 0;            ///< workspace chosen, also while the start page is shown
};

} // namespace bw
