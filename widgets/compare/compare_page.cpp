// SPDX-License-Identifier: GPL-3.0-or-later
#include "widgets/compare/compare_page.h"

#include "widgets/compare/comparison_tables.h"
#include "widgets/compare/fairness_badge.h"
#include "widgets/compare/output_pair.h"
#include "widgets/compare/run_chooser.h"
#include "widgets/compare/token_curve.h"
#include "widgets/compare/token_text.h"
#include "widgets/plots/heatmap_plot.h"
#include "widgets/plots/number_text.h"
#include "widgets/plots/plot_export.h"
#include "widgets/session/session.h"
#include "widgets/session/shown_refresh.h"
#include "widgets/theme/panel.h"

#include "core/base/error.h"

#include <QApplication>
#include <QClipboard>
#include <QFileDialog>
#include <QFrame>
#include <QHBoxLayout>
#include <QLabel>
#include <QMessageBox>
#include <QPointer>
#include <QPushButton>
#include <QScrollArea>
#include <QStackedWidget>
#include <QThreadPool>
#include <QVBoxLayout>
#include <algorithm>
#include <cmath>
#include <limits>

namespace bw {
namespace {

/// Runs that hold figures to compare.
bool comparable(const RunSummary& run) { return run.status == runStatusName(RunStatus::done) && !run.metrics.empty(); }

bool hasKl(const RunSummary& run) {
    return std::any_of(run.metrics.begin(), run.metrics.end(), [](const MetricRow& m) { return m.name == "kl_mean"; });
}

QPushButton* link(const QString& text, QWidget* parent) {
    auto* button = new QPushButton(text, parent);
    button->setProperty("role", QStringLiteral("link"));
    button->setCursor(Qt::PointingHandCursor);
    return button;
}

} // namespace

ComparePage::ComparePage(Session* session, QWidget* parent)
    : QWidget(parent), session_(session), stack_(new QStackedWidget(this)), a_(new RunChooser(RunChooser::Side::a, this)),
      b_(new RunChooser(RunChooser::Side::b, this)), badge_(new FairnessBadge(this)) {
    setProperty("role", QStringLiteral("ground"));
    setAccessibleName(tr("Compare"));
    auto* head = new QHBoxLayout;
    head->setSpacing(12);
    head->addWidget(a_, 4);
    auto* swap = new QPushButton(QStringLiteral("⇄"), this);
    swap->setProperty("role", QStringLiteral("flat"));
    swap->setAccessibleName(tr("Swap A and B"));
    swap->setToolTip(swap->accessibleName());
    head->addWidget(swap);
    head->addWidget(b_, 4);
    head->addWidget(badge_, 2);
    stack_->addWidget(buildEmpty());
    auto* scroll = new QScrollArea(this);
    scroll->setWidgetResizable(true);
    scroll->setFrameShape(QFrame::NoFrame);
    scroll->setHorizontalScrollBarPolicy(Qt::ScrollBarAlwaysOff);
    scroll->setWidget(buildContents());
    stack_->addWidget(scroll);
    auto* all = new QVBoxLayout(this);
    all->setContentsMargins(16, 12, 16, 12);
    all->setSpacing(12);
    all->addLayout(head);
    all->addWidget(stack_, 1);

    connect(a_, &RunChooser::chosen, this, [this](RunId run) { session_->selectRuns(run, session_->runB()); });
    connect(b_, &RunChooser::chosen, this, [this](RunId run) { session_->selectRuns(session_->runA(), run); });
    connect(swap, &QPushButton::clicked, this, [this] { session_->selectRuns(session_->runB(), session_->runA()); });
    connect(session_, &Session::runsSelected, this, &ComparePage::reload);
    auto* news = new ShownRefresh(this, [this] { reloadRuns(); });
    connect(session_, &Session::runsChanged, news, &ShownRefresh::request);
    connect(session_, &Session::checkpointChanged, this, &ComparePage::loadTokenizer);
    loadTokenizer();
    reloadRuns();
    reload();
}

QWidget* ComparePage::buildEmpty() {
    auto* page = new QWidget(this);
    emptyTitle_ = new QLabel(page);
    emptyTitle_->setProperty("role", QStringLiteral("heading"));
    emptyTitle_->setAlignment(Qt::AlignCenter);
    emptyText_ = new QLabel(page);
    emptyText_->setProperty("role", QStringLiteral("muted"));
    emptyText_->setAlignment(Qt::AlignCenter);
    emptyText_->setWordWrap(true);
    auto* runs = new QPushButton(tr("Go to the runs"), page);
    connect(runs, &QPushButton::clicked, this, [this] { Q_EMIT session_->workspaceRequested(QStringLiteral("runs")); });
    auto* all = new QVBoxLayout(page);
    all->addStretch(1);
    all->addWidget(emptyTitle_);
    all->addWidget(emptyText_);
    all->addSpacing(8);
    all->addWidget(runs, 0, Qt::AlignHCenter);
    all->addStretch(1);
    return page;
}

QWidget* ComparePage::buildContents() {
    constexpr int kLeastHeight = 690; // px; tables of two rows help nobody: a lower window scrolls
    auto* page = new QWidget(this);
    page->setProperty("role", QStringLiteral("ground"));
    page->setMinimumHeight(kLeastHeight);
    auto* metricPanel = new Panel(tr("Metrics"), page);
    metricPanel->setMinimumWidth(376); // both figures and the difference stay readable
    metrics_ = new MetricTable(metricPanel);
    metricPanel->body()->addWidget(metrics_);
    curvePanel_ = new Panel(tr("KL per token"), page);
    curve_ = new TokenCurve(curvePanel_);
    curvePanel_->body()->addWidget(curve_);
    mapPanel_ = new Panel(tr("Error by site, B − A"), page);
    siteMap_ = new HeatmapPlot(mapPanel_);
    siteMap_->setDiverging(true);
    siteMap_->setAccessibleName(tr("Difference of error by site"));
    mapPanel_->body()->addWidget(siteMap_);
    textPanel_ = new Panel(tr("Text"), page);
    text_ = new TokenText(textPanel_);
    outputs_ = new OutputPair(textPanel_);
    textPanel_->body()->addWidget(text_, 1);
    textPanel_->body()->addWidget(outputs_, 1);
    auto* recipePanel = new QFrame(page);
    recipePanel->setProperty("role", QStringLiteral("panel"));
    auto* recipeTitle = new QLabel(tr("What differs in the recipes"), recipePanel);
    recipeTitle->setProperty("role", QStringLiteral("title"));
    auto* recipeHead = new QHBoxLayout;
    recipeHead->addWidget(recipeTitle);
    recipeHead->addWidget(buildLinks(), 1);
    recipe_ = new RecipeTable(recipePanel);
    auto* recipeBody = new QVBoxLayout(recipePanel);
    recipeBody->setContentsMargins(16, 8, 16, 12);
    recipeBody->setSpacing(4);
    recipeBody->addLayout(recipeHead);
    recipeBody->addWidget(recipe_, 1);

    auto* top = upperRow_ = new QHBoxLayout;
    top->setSpacing(12);
    top->addWidget(metricPanel, 46);
    top->addWidget(curvePanel_, 27);
    top->addWidget(mapPanel_, 27);
    auto* all = new QVBoxLayout(page);
    all->setContentsMargins(0, 0, 0, 0);
    all->setSpacing(12);
    all->addLayout(top, 11);
    all->addWidget(textPanel_, 8);
    lowerRow_ = new QHBoxLayout;
    lowerRow_->setSpacing(12);
    lowerRow_->addWidget(recipePanel, 60);
    all->addLayout(lowerRow_, 7);

    const auto follow = [this](qsizetype token) {
        text_->setCurrent(token);
        curve_->setCurrent(token);
        textPanel_->setHint(text_->describe(token).replace(QLatin1Char('\n'), QStringLiteral(" · ")));
    };
    connect(curve_, &TokenCurve::tokenChosen, this, follow);
    connect(text_, &TokenText::tokenChosen, this, follow);
    connect(siteMap_, &HeatmapPlot::cellClicked, this, [this](int row, int col) {
        const QString site = mapSites_.value(qsizetype(row) * siteMap_->columns() + col);
        if (!site.isEmpty()) session_->selectSite(site);
    });
    return page;
}

QWidget* ComparePage::buildLinks() {
    auto* row = new QWidget(this);
    auto* all = new QHBoxLayout(row);
    all->setContentsMargins(0, 0, 0, 0);
    auto* command = link(tr("copy command"), row);
    auto* markdown = link(tr("Markdown"), row);
    auto* csv = link(tr("CSV…"), row);
    markdown->setToolTip(tr("Copy the whole comparison as Markdown"));
    csv->setToolTip(tr("Save the metrics as a CSV table"));
    all->addStretch(1);
    for (QPushButton* button : {command, markdown, csv}) all->addWidget(button);
    connect(markdown, &QPushButton::clicked, this, [this] {
        QApplication::clipboard()->setText(comparison_.markdown());
        Q_EMIT session_->messageRequested(tr("The comparison is on the clipboard as Markdown."));
    });
    connect(command, &QPushButton::clicked, this, [this] {
        QApplication::clipboard()->setText(QStringLiteral("bitwright-cli compare %1 %2 --log '%3'").arg(comparison_.a.value()).arg(comparison_.b.value()).arg(session_->logPath()));
        Q_EMIT session_->messageRequested(tr("The command is on the clipboard."));
    });
    connect(csv, &QPushButton::clicked, this, [this] {
        const QString proposed = QStringLiteral("compare-%1-%2.csv").arg(comparison_.a.value()).arg(comparison_.b.value());
        const QString path = QFileDialog::getSaveFileName(window(), tr("Save the comparison"), proposed, tr("CSV table (*.csv)"));
        if (path.isEmpty()) return;
        const QString problem = saveText(comparison_.csv(), path);
        if (!problem.isEmpty()) QMessageBox::warning(window(), tr("Not saved"), problem);
    });
    return row;
}

/// Three panels side by side need room; without it the map of sites goes down beside the recipes.
void ComparePage::resizeEvent(QResizeEvent* event) {
    constexpr int kWide = 940;
    QWidget::resizeEvent(event);
    QHBoxLayout* home = width() >= kWide ? upperRow_ : lowerRow_;
    if (home->indexOf(mapPanel_) >= 0) return;
    (home == upperRow_ ? lowerRow_ : upperRow_)->removeWidget(mapPanel_);
    home->addWidget(mapPanel_, home == upperRow_ ? 31 : 40);
}

void ComparePage::reloadRuns() {
    runs_.clear();
    for (const RunSummary& run : session_->runs()) {
        if (comparable(run)) runs_.push_back(run);
    }
    a_->setRuns(runs_);
    b_->setRuns(runs_);
    if (session_->runA() == RunId() && session_->runB() == RunId()) {
        // Nothing chosen: the two newest that were scored against a baseline.
        std::vector<RunId> newest;
        for (const RunSummary& run : runs_) {
            if (hasKl(run)) newest.push_back(run.id);
        }
        if (newest.size() >= 2) return session_->selectRuns(newest[0], newest[1]);
    }
    if (comparison_.empty()) reload();
}

void ComparePage::reload() {
    comparison_ = {};
    QString problem;
    try {
        if (session_->log()) comparison_ = Comparison::read(*session_->log(), session_->runA(), session_->runB());
    } catch (const std::exception& error) {
        comparison_ = {};
        const auto* known = dynamic_cast<const Error*>(&error);
        problem = known ? QString::fromStdString(known->oneLine()) : QString::fromUtf8(error.what());
    }
    a_->setCurrent(session_->runA());
    b_->setCurrent(session_->runB());
    const bool none = comparison_.empty();
    badge_->setVisible(!none);
    stack_->setCurrentIndex(none ? 0 : 1);
    if (none) {
        const bool enough = runs_.size() >= 2;
        emptyTitle_->setText(!problem.isEmpty() ? tr("These runs can't be compared") : enough ? tr("Choose two runs") : tr("Nothing to compare yet"));
        emptyText_->setText(!problem.isEmpty() ? problem
                            : enough ? tr("Pick A and B above, or select two runs in the table and press C.")
                                     : tr("Two finished runs are needed. Quantize a checkpoint in two ways, or try the demo model."));
        return;
    }
    badge_->setFair(comparison_.fair, comparison_.reasons);
    metrics_->setLines(comparison_.metrics);
    recipe_->setLines(comparison_.recipe);
    showSites();
    showTexts();
}

void ComparePage::showSites() {
    QStringList kinds, columns;
    int blocks = 0;
    for (const SiteLine& site : std::as_const(comparison_.sites)) {
        if (site.block < 0) continue;
        if (!kinds.contains(site.kind)) kinds << site.kind;
        blocks = std::max(blocks, site.block + 1);
    }
    for (int b = 0; b < blocks; ++b) columns << QString::number(b);
    QVector<double> values(qsizetype(kinds.size()) * blocks, std::numeric_limits<double>::quiet_NaN());
    mapSites_ = QVector<QString>(values.size());
    QStringList notes(values.size());
    for (const SiteLine& site : std::as_const(comparison_.sites)) {
        if (site.block < 0) continue;
        const qsizetype cell = kinds.indexOf(site.kind) * blocks + site.block;
        values[cell] = site.difference;
        mapSites_[cell] = site.site;
        notes[cell] = site.formatA == site.formatB ? tr("both %1").arg(site.formatA) : tr("A %1 · B %2").arg(site.formatA, site.formatB);
    }
    siteMap_->setRowLabels(kinds);
    siteMap_->setColumnLabels(columns);
    siteMap_->setMatrix(int(kinds.size()), blocks, values);
    siteMap_->setCellNotes(notes);
    siteMap_->setUnit(tr("‖W−Ŵ‖²/‖W‖²"));
    siteMap_->setEmptyText(tr("These runs have no formats by site in common."));
    mapPanel_->setHint(kinds.isEmpty() ? QString() : tr("blue: more in A · amber: more in B"));
}

void ComparePage::showTexts() {
    const bool both = !comparison_.tokensA.kl.empty() && !comparison_.tokensB.kl.empty();
    curve_->setScores(comparison_.tokensA.kl, comparison_.tokensB.kl, comparison_.sameTokens || comparison_.tokensA.kl.empty(),
                      tr("Neither run was scored against a baseline."));
    curvePanel_->setHint(both && !comparison_.sameTokens ? tr("different texts: only A is drawn") : tr("linked to the text below"));
    outputs_->setOutputs(comparison_.outputsA, comparison_.outputsB);
    const bool outputs = outputs_->prompts() > 0;
    outputs_->setVisible(outputs);
    text_->setVisible(!outputs);
    textPanel_->setTitle(outputs ? tr("Outputs") : tr("Text, coloured where one run moved further"));
    textPanel_->setHint({});
    if (comparison_.sameTokens) text_->setScores(comparison_.tokensA, comparison_.tokensB, tokenizer_);
    else text_->setScores({}, {}, tokenizer_);
    const qsizetype worst = text_->worst();
    if (worst < 0) return;
    text_->setCurrent(worst);
    curve_->setCurrent(worst);
    textPanel_->setHint(text_->describe(worst).replace(QLatin1Char('\n'), QStringLiteral(" · ")));
}

/// Beside the window's thread: a large vocabulary takes a while to read.
void ComparePage::loadTokenizer() {
    const auto checkpoint = session_->checkpoint();
    const QString path = checkpoint ? QString::fromStdString(checkpoint->path()) : QString();
    if (path == tokenizerOf_) return;
    tokenizerOf_ = path;
    tokenizer_.reset();
    text_->setTokenizer({});
    if (!checkpoint) return;
    QPointer<ComparePage> page(this);
    QThreadPool::globalInstance()->start([page, checkpoint, path] {
        std::shared_ptr<const Tokenizer> tokenizer;
        try {
            tokenizer = Tokenizer::open(*checkpoint);
        } catch (const std::exception&) {
            return; // ids are shown then; opening the checkpoint has told why
        }
        QMetaObject::invokeMethod(qApp, [page, tokenizer, path] {
            if (!page || page->tokenizerOf_ != path) return;
            page->tokenizer_ = tokenizer;
            page->text_->setTokenizer(tokenizer);
            if (!page->comparison_.empty()) page->showTexts();
        }, Qt::QueuedConnection);
    });
}

} // namespace bw
