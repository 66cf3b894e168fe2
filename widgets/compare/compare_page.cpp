// SPDX-License-Identifier: GPL-3.0-or-later
#include "widgets/compare/compare_page.h"

#include "widgets/compare/comparison_tables.h"
#include "widgets/compare/evidence_panel.h"
#include "widgets/compare/fairness_badge.h"
#include "widgets/compare/kl_histogram.h"
#include "widgets/compare/metrics_panel.h"
#include "widgets/compare/run_chooser.h"
#include "widgets/compare/token_curve.h"
#include "widgets/compare/token_text.h"
#include "widgets/plots/heatmap_plot.h"
#include "widgets/plots/number_text.h"
#include "widgets/plots/plot_export.h"
#include "widgets/plots/reliability_plot.h"
#include "widgets/session/session.h"
#include "widgets/session/shown_refresh.h"
#include "widgets/theme/elided_label.h"
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
#include <QTabBar>
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

MetricTable* ComparePage::metrics() const { return metrics_->metrics(); }

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
    emptyRuns_ = runs;
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
    metrics_ = new MetricsPanel(page);
    metrics_->setMinimumWidth(376); // both figures and the difference stay readable
    curvePanel_ = new Panel({}, page);
    curve_ = new TokenCurve(curvePanel_);
    reliability_ = new ReliabilityPlot(curvePanel_);
    reliability_->setObjectName(QStringLiteral("compare.reliability"));
    auto* curves = new QTabBar(curvePanel_);
    curves->setObjectName(QStringLiteral("compare.curves"));
    curves->setAccessibleName(tr("Curve"));
    curves->setDrawBase(false);
    curves->setExpanding(false);
    curves->addTab(tr("Tokens"));
    curves->addTab(tr("Reliability"));
    curves->addTab(tr("Spread"));
    curves->setTabToolTip(0, tr("KL of each token, linked to the text below"));
    curves->setTabToolTip(1, tr("Was each run as often right as it was sure? Below the diagonal it claims too much.\nBars: 95 % of the share that came true."));
    curves->setTabToolTip(2, tr("How many tokens have how much KL: a long tail at the right means that few carry most of the damage."));
    distribution_ = new KlHistogram(curvePanel_);
    distribution_->setObjectName(QStringLiteral("compare.distribution"));
    auto* shown = new QStackedWidget(curvePanel_);
    for (QWidget* plot : {static_cast<QWidget*>(curve_), static_cast<QWidget*>(reliability_), static_cast<QWidget*>(distribution_)}) shown->addWidget(plot);
    curvePanel_->body()->addWidget(curves);
    curvePanel_->body()->addWidget(shown, 1);
    curvePanel_->setAccessibleName(tr("Curves"));
    connect(curves, &QTabBar::currentChanged, shown, &QStackedWidget::setCurrentIndex);
    mapPanel_ = new Panel(tr("Error by site, B − A"), page);
    siteMap_ = new HeatmapPlot(mapPanel_);
    siteMap_->setDiverging(true);
    siteMap_->setAccessibleName(tr("Difference of error by site"));
    mapPanel_->body()->addWidget(siteMap_);
    evidence_ = new EvidencePanel(session_, page);
    auto* recipePanel = new QFrame(page);
    recipePanel->setProperty("role", QStringLiteral("panel"));
    auto* recipeTitle = new ElidedLabel(recipePanel); // beside the links it must not widen the page
    recipeTitle->setText(tr("What differs in the recipes"));
    recipeTitle->setProperty("role", QStringLiteral("title"));
    auto* recipeHead = new QHBoxLayout;
    recipeHead->addWidget(recipeTitle, 1);
    recipeHead->addWidget(buildLinks());
    recipe_ = new RecipeTable(recipePanel);
    auto* recipeBody = new QVBoxLayout(recipePanel);
    recipeBody->setContentsMargins(16, 8, 16, 12);
    recipeBody->setSpacing(4);
    recipeBody->addLayout(recipeHead);
    recipeBody->addWidget(recipe_, 1);

    auto* top = upperRow_ = new QHBoxLayout;
    top->setSpacing(12);
    top->addWidget(metrics_, 46);
    top->addWidget(curvePanel_, 27);
    top->addWidget(mapPanel_, 27);
    auto* all = new QVBoxLayout(page);
    all->setContentsMargins(0, 0, 0, 0);
    all->setSpacing(12);
    all->addLayout(top, 11);
    all->addWidget(evidence_, 11);
    lowerRow_ = new QHBoxLayout;
    lowerRow_->setSpacing(12);
    lowerRow_->addWidget(recipePanel, 60);
    all->addLayout(lowerRow_, 6);

    const auto follow = [this](qsizetype token) {
        evidence_->showToken(token);
        curve_->setCurrent(token);
    };
    connect(curve_, &TokenCurve::tokenChosen, this, follow);
    connect(evidence_, &EvidencePanel::tokenChosen, this, follow);
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
    auto* report = link(tr("Write report…"), row);
    report->setObjectName(QStringLiteral("compare.report"));
    report->setToolTip(tr("One HTML page on both runs, for people who do not have the program"));
    connect(report, &QPushButton::clicked, this, [this] { Q_EMIT session_->reportRequested(comparison_.a, comparison_.b); });
    markdown->setToolTip(tr("Copy the whole comparison as Markdown"));
    csv->setToolTip(tr("Save the metrics as a CSV table"));
    all->addStretch(1);
    for (QPushButton* button : {report, command, markdown, csv}) all->addWidget(button);
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
    runs_ = {};
    for (std::size_t i = 0; i < session_->runs().size(); ++i) {
        if (comparable(session_->runs()[i])) runs_.append(session_->runs().pointer(i));
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
    if (!comparison_.empty()) evidence_->refreshFindings(session_->runs()); // outputs and diagnoses come later than their runs
    else if (!reading_) reload();
}

/// Hundreds of thousands of tokens are paired and drawn anew thousands of times for the intervals; a long log is searched for
/// runs with other seeds.
bool ComparePage::takesLong(RunId a, RunId b) const {
    constexpr double kTokens = 20000;
    constexpr std::size_t kRuns = 199;
    const auto tokens = [&](RunId run) {
        const RunSummary* summary = session_->runs().find(run);
        if (!summary) return 0.0;
        const auto at = std::find_if(summary->metrics.begin(), summary->metrics.end(), [](const MetricRow& m) { return m.name == "evaluation_tokens"; });
        return at == summary->metrics.end() ? 0.0 : at->value;
    };
    return session_->runs().size() > kRuns || tokens(a) > kTokens || tokens(b) > kTokens;
}

namespace {

QString problemOf(const std::exception& error) {
    const auto* known = dynamic_cast<const Error*>(&error);
    return known ? QString::fromStdString(known->oneLine()) : QString::fromUtf8(error.what());
}

} // namespace

void ComparePage::reload() {
    ++asked_;
    const RunId a = session_->runA(), b = session_->runB();
    a_->setCurrent(a);
    b_->setCurrent(b);
    if (session_->log() && a != RunId() && b != RunId() && takesLong(a, b)) return readAside(a, b);
    Comparison comparison;
    QString problem;
    try {
        if (session_->log()) comparison = Comparison::read(*session_->log(), a, b);
    } catch (const std::exception& error) {
        comparison = {};
        problem = problemOf(error);
    }
    take(comparison, problem);
}

/// Beside the window's thread, with a reader of its own.
void ComparePage::readAside(RunId a, RunId b) {
    comparison_ = {};
    reading_ = true;
    badge_->hide();
    stack_->setCurrentIndex(0);
    emptyTitle_->setText(tr("Comparing …"));
    emptyText_->setText(tr("The tokens of both runs are paired, and the intervals worked out."));
    emptyRuns_->hide();
    QPointer<ComparePage> page(this);
    QThreadPool::globalInstance()->start([page, number = asked_, path = session_->logPath().toStdString(), a, b] {
        Comparison comparison;
        QString problem;
        try {
            comparison = Comparison::read(LogReader(path), a, b);
        } catch (const std::exception& error) {
            problem = problemOf(error);
        }
        QMetaObject::invokeMethod(qApp, [page, number, comparison, problem] {
            if (page && page->asked_ == number) page->take(comparison, problem);
        }, Qt::QueuedConnection);
    });
}

void ComparePage::take(const Comparison& comparison, const QString& problem) {
    comparison_ = comparison;
    reading_ = false;
    const bool none = comparison_.empty();
    badge_->setVisible(!none);
    stack_->setCurrentIndex(none ? 0 : 1);
    emptyRuns_->show();
    if (none) {
        const bool enough = runs_.size() >= 2;
        emptyTitle_->setText(!problem.isEmpty() ? tr("These runs can't be compared") : enough ? tr("Choose two runs") : tr("Nothing to compare yet"));
        emptyText_->setText(!problem.isEmpty() ? problem
                            : enough ? tr("Pick A and B above, or select two runs in the table and press C.")
                                     : tr("Two finished runs are needed. Quantize a checkpoint in two ways, or try the demo model."));
        return;
    }
    badge_->setFair(comparison_.fair, comparison_.reasons);
    metrics_->setComparison(comparison_);
    recipe_->setLines(comparison_.recipe);
    reliability_->setBins(comparison_.reliabilityA, comparison_.reliabilityB);
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
    curvePanel_->setHint(both && !comparison_.sameTokens ? tr("different texts: only A is drawn") : QString());
    distribution_->setScores(comparison_.tokensA.kl, comparison_.tokensB.kl);
    evidence_->setComparison(comparison_, tokenizer_);
    const qsizetype worst = evidence_->text()->worst();
    if (worst < 0) return;
    curve_->setCurrent(worst);
    evidence_->showToken(worst);
}

/// Beside the window's thread: a large vocabulary takes a while to read.
void ComparePage::loadTokenizer() {
    const auto checkpoint = session_->checkpoint();
    const QString path = checkpoint ? QString::fromStdString(checkpoint->path()) : QString();
    if (path == tokenizerOf_) return;
    tokenizerOf_ = path;
    tokenizer_.reset();
    evidence_->setTokenizer({});
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
            page->evidence_->setTokenizer(tokenizer);
            if (!page->comparison_.empty()) page->showTexts();
        }, Qt::QueuedConnection);
    });
}

} // namespace bw
