// SPDX-License-Identifier: GPL-3.0-or-later
#include "widgets/runs/runs_page.h"

#include "core/base/error.h"
#include "core/base/text.h"
#include "widgets/plots/plot_export.h"
#include "widgets/runs/run_details.h"
#include "widgets/runs/runs_export.h"
#include "widgets/runs/runs_model.h"
#include "widgets/session/counted.h"
#include "widgets/session/session.h"
#include "widgets/session/shown_refresh.h"
#include "widgets/theme/panel.h"
#include "widgets/theme/theme.h"

#include <QAction>
#include <QCheckBox>
#include <QClipboard>
#include <QFileDialog>
#include <QGuiApplication>
#include <QHBoxLayout>
#include <QHeaderView>
#include <QInputDialog>
#include <QLabel>
#include <QLineEdit>
#include <QMenu>
#include <QPushButton>
#include <QScrollBar>
#include <QToolButton>
#include <QTreeView>
#include <QVBoxLayout>
#include <algorithm>

namespace bw {
namespace {

// Figures nobody asks for at first; the columns menu brings them back.
const QStringList kShownMetrics{QStringLiteral("bits_per_weight"), QStringLiteral("bytes"), QStringLiteral("kl_mean"),
                                QStringLiteral("same_top1"), QStringLiteral("perplexity")};

/// Room for a value with its error, or for a plain figure.
int metricWidth(const QString& key) {
    if (key == QLatin1String("kl_mean")) return 140;
    if (key == QLatin1String("same_top1")) return 112;
    return key == QLatin1String("bytes") ? 78 : 92;
}

} // namespace

RunsPage::RunsPage(Session* session, QWidget* parent) : QWidget(parent), session_(session), columns_(new QMenu(this)) {
    runs_ = new RunsModel(this);
    panel_ = new Panel(tr("Experiments"), this);
    buildTable();
    empty_ = new QLabel(tr("No runs yet. Everything that is calibrated, measured, mixed, quantized or evaluated is listed here.\nDrop a checkpoint on the window to begin, or a log of earlier runs to see them."), this);
    empty_->setProperty("role", QStringLiteral("muted"));
    empty_->setAlignment(Qt::AlignCenter);
    empty_->setWordWrap(true);
    panel_->body()->addWidget(makeToolRow());
    panel_->body()->addWidget(table_, 1);
    panel_->body()->addWidget(empty_, 1);
    details_ = new RunDetails(this);
    auto* all = new QVBoxLayout(this);
    all->setContentsMargins(16, 16, 16, 16);
    all->setSpacing(12);
    all->addWidget(panel_, 3);
    all->addWidget(details_, 1);

    auto* refresh = new ShownRefresh(this, [this] { reload(); });
    connect(session_, &Session::runsChanged, refresh, &ShownRefresh::request);
    connect(runs_, &RunsModel::modelAboutToBeReset, this, &RunsPage::keepChosen);
    connect(runs_, &RunsModel::modelReset, this, &RunsPage::restoreChosen);
    connect(&Theme::instance(), &Theme::changed, this, [this] { table_->viewport()->update(); });
    reload();
}

QWidget* RunsPage::makeToolRow() {
    auto* bar = new QWidget(this);
    auto* row = new QHBoxLayout(bar);
    row->setContentsMargins(0, 0, 0, 0);
    row->setSpacing(8);
    filter_ = new QLineEdit(bar);
    filter_->setPlaceholderText(tr("Filter: kind, name, status, checkpoint, tag, “star” …"));
    filter_->setClearButtonEnabled(true);
    filter_->setAccessibleName(tr("Filter runs"));
    filter_->setObjectName(QStringLiteral("runs.filter"));
    filter_->addAction(Theme::instance().icon(QStringLiteral("search")), QLineEdit::LeadingPosition)->setText(tr("Filter"));
    grouped_ = new QCheckBox(tr("group by checkpoint"), bar);
    auto* columns = new QToolButton(bar);
    columns->setProperty("role", QStringLiteral("button"));
    columns->setText(tr("Columns  ▾"));
    columns->setMenu(columns_);
    columns->setPopupMode(QToolButton::InstantPopup);
    compare_ = new QPushButton(tr("Compare (C)"), bar);
    compare_->setObjectName(QStringLiteral("runs.compare"));
    compare_->setToolTip(tr("Select two runs with Ctrl+click"));
    open_ = new QPushButton(tr("Open"), bar);
    row->addWidget(filter_, 1);
    row->addWidget(grouped_);
    row->addWidget(columns);
    row->addWidget(open_);
    row->addWidget(compare_);
    connect(filter_, &QLineEdit::textChanged, runs_, &RunsModel::setFilter);
    connect(grouped_, &QCheckBox::toggled, this, [this](bool on) {
        runs_->setGrouped(on);
        table_->setRootIsDecorated(on);
    });
    connect(columns_, &QMenu::aboutToShow, this, &RunsPage::fillColumnsMenu);
    connect(compare_, &QPushButton::clicked, this, &RunsPage::compareChosen);
    connect(open_, &QPushButton::clicked, this, [this] {
        if (const auto chosen = chosenRuns(); !chosen.isEmpty()) openRun(chosen.first());
    });
    refreshButtons();
    return bar;
}

void RunsPage::buildTable() {
    table_ = new QTreeView(this);
    table_->setObjectName(QStringLiteral("runs.table"));
    table_->setAccessibleName(tr("Runs"));
    table_->setModel(runs_);
    table_->setRootIsDecorated(false);
    table_->setUniformRowHeights(true);
    table_->setAllColumnsShowFocus(true);
    table_->setSelectionMode(QAbstractItemView::ExtendedSelection);
    table_->setSortingEnabled(true);
    table_->sortByColumn(RunsModel::kId, Qt::DescendingOrder);
    table_->setContextMenuPolicy(Qt::CustomContextMenu);
    table_->header()->setStretchLastSection(false);
    table_->header()->setSectionsMovable(true);
    table_->header()->setMinimumSectionSize(28);
    connect(table_, &QTreeView::doubleClicked, this, [this](const QModelIndex& at) {
        const QVariant run = at.data(RunsModel::kRunRole);
        if (run.isValid() && at.column() != RunsModel::kStar) openRun(RunId(run.toLongLong()));
    });
    connect(table_, &QTreeView::clicked, this, [this](const QModelIndex& at) {
        const QVariant run = at.data(RunsModel::kRunRole);
        if (run.isValid() && at.column() == RunsModel::kStar) toggleStar(RunId(run.toLongLong()));
    });
    connect(table_, &QTreeView::customContextMenuRequested, this, [this](const QPoint& at) {
        QMenu menu(this);
        fillContextMenu(&menu);
        menu.exec(table_->viewport()->mapToGlobal(at));
    });
    connect(table_->selectionModel(), &QItemSelectionModel::selectionChanged, this, &RunsPage::refreshButtons);
    const auto key = [this](const QKeySequence& keys, auto&& act) {
        auto* action = new QAction(table_);
        action->setShortcut(keys);
        action->setShortcutContext(Qt::WidgetShortcut);
        table_->addAction(action);
        connect(action, &QAction::triggered, this, act);
    };
    key(QKeySequence(Qt::Key_C), [this] { compareChosen(); });
    key(QKeySequence(Qt::Key_S), [this] {
        for (const RunId run : chosenRuns()) toggleStar(run);
    });
    key(QKeySequence(Qt::Key_T), [this] { editTag(); });
    key(QKeySequence(Qt::Key_N), [this] { editNote(); });
    key(QKeySequence(Qt::Key_Return), [this] {
        if (const auto chosen = chosenRuns(); !chosen.isEmpty()) openRun(chosen.first());
    });
}

void RunsPage::reload() {
    const QStringList known = runs_->metricNames();
    const int at = table_->verticalScrollBar()->value();
    runs_->setRuns(session_->runs());
    for (const QString& metric : runs_->metricNames())
        if (!known.contains(metric) && !kShownMetrics.contains(metric)) hidden_ << metric;
    applyColumns();
    table_->verticalScrollBar()->setValue(at);
    const bool any = !session_->runs().empty();
    table_->setVisible(any);
    empty_->setVisible(!any);
    refreshButtons();
}

/// Rows move when something new is read, sorted or filtered; what was chosen stays chosen where it is still shown.
void RunsPage::keepChosen() {
    kept_ = chosenRuns();
    keptCurrent_ = RunId(table_->currentIndex().data(RunsModel::kRunRole).toLongLong());
}

void RunsPage::restoreChosen() {
    applyColumns();
    if (grouped_->isChecked()) table_->expandAll();
    QItemSelection selection;
    for (const RunId run : std::as_const(kept_))
        if (const QModelIndex at = runs_->indexOf(run); at.isValid()) selection.append(QItemSelectionRange(at));
    QItemSelectionModel* chosen = table_->selectionModel();
    if (const QModelIndex at = runs_->indexOf(keptCurrent_); at.isValid()) chosen->setCurrentIndex(at, QItemSelectionModel::NoUpdate);
    if (!selection.isEmpty()) chosen->select(selection, QItemSelectionModel::Select | QItemSelectionModel::Rows);
    kept_.clear();
    showCount();
    refreshButtons();
}

void RunsPage::showCount() {
    const qint64 all = qint64(session_->runs().size()), shown = runs_->shownRuns();
    panel_->setHint(all == 0 ? QString() : shown == all ? counted(all, tr("1 run"), tr("%1 runs")) : tr("%1 of %2 runs").arg(shown).arg(all));
}

void RunsPage::applyColumns() {
    QHeaderView* header = table_->header();
    static const int widths[] = {36, 58, 74, 138, 88, 120, 132, 66, 90, 140};
    for (int column = 0; column < runs_->columnCount(); ++column) {
        const QString key = runs_->columnKey(column);
        header->setSectionHidden(column, hidden_.contains(key));
        if (!header->property(key.toUtf8().constData()).isValid()) {
            header->setProperty(key.toUtf8().constData(), true); // once: later widths are the person's
            header->resizeSection(column, column < RunsModel::kFirstMetric ? widths[column] : metricWidth(key));
        }
    }
    if (!named_ && runs_->rowCount() > 0) { // once, by the names that are there
        named_ = true;
        const QAbstractItemView* view = table_;
        header->resizeSection(RunsModel::kKind, std::max(view->sizeHintForColumn(RunsModel::kKind) + 8, widths[RunsModel::kKind]));
        header->resizeSection(RunsModel::kName, std::clamp(view->sizeHintForColumn(RunsModel::kName) + 8, widths[RunsModel::kName], 260));
    }
    // What a person compares stands before when and where it was made; afterwards the order is theirs.
    if (!ordered_ && !runs_->metricNames().isEmpty()) {
        ordered_ = true;
        int place = RunsModel::kStatus + 1;
        for (int i = 0; i < kShownMetrics.size(); ++i)
            header->moveSection(header->visualIndex(RunsModel::kFirstMetric + i), place++);
        header->moveSection(header->visualIndex(RunsModel::kSeconds), place);
    }
}

void RunsPage::fillColumnsMenu() {
    columns_->clear();
    for (int column = RunsModel::kKind; column < runs_->columnCount(); ++column) {
        const QString key = runs_->columnKey(column);
        QAction* entry = columns_->addAction(runs_->headerData(column, Qt::Horizontal, Qt::DisplayRole).toString());
        entry->setCheckable(true);
        entry->setChecked(!hidden_.contains(key));
        connect(entry, &QAction::toggled, this, [this, key](bool on) {
            on ? static_cast<void>(hidden_.removeAll(key)) : hidden_.append(key);
            applyColumns();
        });
    }
}

QVector<int> RunsPage::shownColumns() const {
    QVector<int> columns;
    for (int visual = 0; visual < runs_->columnCount(); ++visual) {
        const int column = table_->header()->logicalIndex(visual);
        if (column != RunsModel::kStar && !table_->header()->isSectionHidden(column)) columns << column;
    }
    return columns;
}

void RunsPage::fillContextMenu(QMenu* menu) {
    const auto chosen = chosenRuns();
    const auto entry = [&](const QString& text, bool enabled, auto act) {
        QAction* made = menu->addAction(text);
        made->setEnabled(enabled);
        connect(made, &QAction::triggered, this, act);
    };
    entry(tr("Open\tReturn"), chosen.size() == 1, [this, chosen] { openRun(chosen.first()); });
    const RunSummary* one = chosen.size() == 1 ? runs_->runAt(runs_->indexOf(chosen.first())) : nullptr;
    const bool stopped = one && one->kind == "sweep" && (one->status == runStatusName(RunStatus::cancelled) || one->status == runStatusName(RunStatus::interrupted));
    entry(tr("Go on where it stopped"), stopped, [this, chosen] { goOn(chosen.first()); });
    entry(tr("Compare\tC"), chosen.size() == 2, [this] { compareChosen(); });
    entry(tr("Write report…"), chosen.size() == 1 || chosen.size() == 2, [this, chosen] { Q_EMIT session_->reportRequested(chosen.first(), chosen.size() == 2 ? chosen.last() : RunId()); });
    const bool evaluated = one && one->status == runStatusName(RunStatus::done) && (one->kind == "quantize" || one->kind == "evaluate");
    entry(tr("Find out why it lost what it lost"), evaluated, [this, chosen] { Q_EMIT session_->diagnoseRequested(chosen.first()); });
    entry(tr("Star or unstar\tS"), !chosen.isEmpty(), [this, chosen] {
        for (const RunId run : chosen) toggleStar(run);
    });
    entry(tr("Tag…\tT"), !chosen.isEmpty(), [this] { editTag(); });
    entry(tr("Note…\tN"), chosen.size() == 1, [this] { editNote(); });
    entry(tr("Copy as command"), chosen.size() == 1, [this, chosen] { copyRunCommand(chosen.first()); });
    menu->addSeparator();
    entry(tr("Copy table as Markdown"), true,
          [this] { QGuiApplication::clipboard()->setText(runsAsMarkdown(*runs_, shownColumns())); });
    entry(tr("Save table as CSV…"), true, [this] {
        const QString path = QFileDialog::getSaveFileName(this, tr("Save table"), QStringLiteral("runs.csv"), tr("CSV (*.csv)"));
        if (path.isEmpty()) return;
        QVector<QString> keys;
        for (const int column : shownColumns()) keys << runs_->columnKey(column);
        const QString problem = saveText(runsAsCsv(*runs_, shownColumns(), keys), path);
        Q_EMIT session_->messageRequested(problem.isEmpty() ? tr("Saved %1").arg(path) : problem);
    });
}

QList<RunId> RunsPage::chosenRuns() const {
    QList<RunId> runs;
    const QModelIndexList rows = table_->selectionModel()->selectedRows(RunsModel::kId);
    for (const QModelIndex& at : rows)
        if (const QVariant run = at.data(RunsModel::kRunRole); run.isValid()) runs << RunId(run.toLongLong());
    return runs;
}

void RunsPage::refreshButtons() {
    const auto chosen = chosenRuns();
    compare_->setEnabled(chosen.size() == 2);
    open_->setEnabled(chosen.size() == 1);
    showDetails();
}

/// Of the one run that is chosen; a running one gets them when it is done.
void RunsPage::showDetails() {
    if (!details_) return; // the buttons are made before it
    const auto chosen = chosenRuns();
    details_->clear();
    try {
        if (chosen.size() == 1 && session_->log()) details_->showRun(*session_->log(), chosen.first());
    } catch (const Error& e) {
        Q_EMIT session_->messageRequested(QString::fromStdString(escapeForDisplay(e.message())));
    }
}

void RunsPage::openRun(RunId run) {
    const LogReader* log = session_->log();
    if (!log) return;
    try {
        const RunDetail detail = log->run(run);
        const auto open = session_->checkpoint();
        if (!open || open->path() != detail.checkpoint.path)
            Q_EMIT session_->openRequested({QString::fromStdString(detail.checkpoint.path)});
        const std::string& kind = detail.summary.kind;
        if (kind == "calibrate") {
            session_->setCalibrationRun(run);
            Q_EMIT session_->workspaceRequested(QStringLiteral("calibrate"));
        } else if (kind == "sweep" || kind == "assign") {
            if (kind == "sweep") session_->setSweepRun(run);
            Q_EMIT session_->workspaceRequested(QStringLiteral("mix"));
        } else {
            session_->selectRuns(run, session_->runB() == run ? RunId() : session_->runB());
            Q_EMIT session_->workspaceRequested(QStringLiteral("compare"));
        }
    } catch (const Error& e) {
        Q_EMIT session_->messageRequested(QString::fromStdString(escapeForDisplay(e.message())));
    }
}

void RunsPage::goOn(RunId run) {
    try {
        if (session_->log()) Q_EMIT session_->runRequested(Recipe::fromJson(session_->log()->run(run).recipe), run);
    } catch (const Error& e) {
        Q_EMIT session_->messageRequested(QString::fromStdString(escapeForDisplay(e.message())));
    }
}

void RunsPage::compareChosen() {
    const auto chosen = chosenRuns();
    if (chosen.size() != 2) {
        Q_EMIT session_->messageRequested(tr("Select two runs with Ctrl+click, then press C."));
        return;
    }
    Q_EMIT session_->compareRequested(chosen[0], chosen[1]);
}

void RunsPage::toggleStar(RunId run) {
    if (const RunSummary* row = runs_->runAt(runs_->indexOf(run))) Q_EMIT session_->starRequested(run, !row->starred);
}

void RunsPage::editTag() {
    const auto chosen = chosenRuns();
    if (chosen.isEmpty()) return;
    bool ok = false;
    const QString tag = QInputDialog::getText(this, tr("Tag"), tr("Tag to add, or to take away where it is there:"), QLineEdit::Normal,
                                              QString(), &ok)
                            .trimmed();
    if (!ok || tag.isEmpty()) return;
    for (const RunId run : chosen) {
        const RunSummary* row = runs_->runAt(runs_->indexOf(run));
        const bool there = row && std::find(row->tags.begin(), row->tags.end(), tag.toStdString()) != row->tags.end();
        Q_EMIT session_->tagRequested(run, tag, !there);
    }
}

void RunsPage::editNote() {
    const auto chosen = chosenRuns();
    if (chosen.size() != 1) return;
    const RunSummary* row = runs_->runAt(runs_->indexOf(chosen.first()));
    bool ok = false;
    const QString before = row ? QString::fromStdString(row->note) : QString();
    const QString note = QInputDialog::getMultiLineText(this, tr("Note"), tr("Note for run %1:").arg(chosen.first().value()), before, &ok);
    if (ok) Q_EMIT session_->noteRequested(chosen.first(), note);
}

void RunsPage::copyRunCommand(RunId run) {
    const LogReader* log = session_->log();
    if (!log) return;
    try {
        const RunDetail detail = log->run(run);
        const QString line = QString::fromStdString(escapeForDisplay(detail.commandLine, 4000));
        if (!line.isEmpty()) {
            QGuiApplication::clipboard()->setText(line);
            Q_EMIT session_->messageRequested(tr("Copied: %1").arg(line));
        }
    } catch (const Error& e) {
        Q_EMIT session_->messageRequested(QString::fromStdString(escapeForDisplay(e.message())));
    }
}

} // namespace bw
