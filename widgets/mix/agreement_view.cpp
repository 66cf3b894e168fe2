// SPDX-License-Identifier: GPL-3.0-or-later
#include "widgets/mix/agreement_view.h"

#include "widgets/mix/agreement_plot.h"
#include "widgets/mix/damage_selector.h"
#include "widgets/plots/number_text.h"
#include "widgets/session/shown_refresh.h"
#include "widgets/theme/elided_label.h"
#include "widgets/theme/panel.h"
#include "widgets/theme/theme.h"

#include <QComboBox>
#include <QHBoxLayout>
#include <QHeaderView>
#include <QLabel>
#include <QResizeEvent>
#include <QSignalBlocker>
#include <QStackedWidget>
#include <QTabBar>
#include <QTableWidget>
#include <QVBoxLayout>
#include <algorithm>
#include <cmath>
#include <map>

namespace bw {
namespace {

constexpr std::array kColumns{DamageBy::fisher, DamageBy::measured, DamageBy::output};
constexpr int kMostWorst = 50;

/// Cells that stand in for the column's own measure are left out: agreeing with oneself proves nothing.
bool isOwn(const DamageOption& option) { return option.source != CellSource::scaled; }

QTableWidget* table(const QStringList& heads, QWidget* parent) {
    auto* made = new QTableWidget(0, int(heads.size()), parent);
    made->setHorizontalHeaderLabels(heads);
    made->verticalHeader()->hide();
    made->verticalHeader()->setDefaultSectionSize(24);
    made->setShowGrid(false);
    made->setEditTriggers(QAbstractItemView::NoEditTriggers);
    made->setSelectionBehavior(QAbstractItemView::SelectRows);
    made->setSelectionMode(QAbstractItemView::SingleSelection);
    made->setHorizontalScrollBarPolicy(Qt::ScrollBarAlwaysOff);
    made->setTabKeyNavigation(false);
    made->horizontalHeader()->setSectionResizeMode(QHeaderView::ResizeToContents);
    made->horizontalHeader()->setSectionResizeMode(0, QHeaderView::Stretch);
    made->horizontalHeader()->setMinimumSectionSize(36);
    made->setWordWrap(false);
    made->horizontalHeader()->setHighlightSections(false);
    for (int c = 0; c < heads.size(); ++c)
        made->horizontalHeaderItem(c)->setTextAlignment((c == 0 ? Qt::AlignLeft : Qt::AlignRight) | Qt::AlignVCenter);
    return made;
}

void put(QTableWidget* table, int row, int column, const QString& text, const QString& tip = {}) {
    auto* cell = new QTableWidgetItem(text);
    cell->setFont(smallFigures());
    cell->setToolTip(tip);
    cell->setTextAlignment((column == 0 ? Qt::AlignLeft : Qt::AlignRight) | Qt::AlignVCenter);
    table->setItem(row, column, cell);
}

QString scoreText(double value) { return std::isnan(value) ? QStringLiteral("–") : QString::number(value, 'f', 3); }

} // namespace

Agreement agreementOf(const DamageMap& a, const DamageMap& b) {
    Agreement out{a.run, b.run, a.metric.toStdString(), b.metric.toStdString(), {}, {}};
    QStringList sites = a.sites.keys();
    sites.sort(); // a hash's order differs from run to run
    std::map<QString, std::vector<AgreementPair>> byFormat;
    for (const QString& site : std::as_const(sites)) {
        for (const DamageOption& option : a.sites[site]) {
            const DamageOption* other = b.find(site, option.format);
            if (!other || !isOwn(option) || !isOwn(*other)) continue;
            out.pairs.push_back({site.toStdString(), option.format.toStdString(), option.damage, other->damage, option.standardError, other->standardError});
            byFormat[option.format].push_back(out.pairs.back());
        }
    }
    if (out.pairs.empty()) return out;
    const bool sameUnit = a.inNats() == b.inNats();
    out.scores.push_back(agreementScore("", out.pairs, sameUnit));
    for (const QString& format : a.formats)
        if (byFormat.contains(format)) out.scores.push_back(agreementScore(format.toStdString(), byFormat[format], sameUnit));
    return out;
}

std::vector<std::size_t> byDisagreement(const std::vector<AgreementPair>& pairs, bool sameUnit) {
    const auto ratio = [&](std::size_t i) { return std::log(std::max(pairs[i].a, 1e-300) / std::max(pairs[i].b, 1e-300)); };
    std::map<std::string, std::vector<double>> ratios;
    for (std::size_t i = 0; i < pairs.size(); ++i) ratios[pairs[i].format].push_back(ratio(i));
    std::map<std::string, double> usual;
    for (auto& [format, values] : ratios) {
        std::nth_element(values.begin(), values.begin() + std::ptrdiff_t(values.size() / 2), values.end());
        usual[format] = sameUnit ? 0 : values[values.size() / 2];
    }
    struct Rank { bool explained; double distance; std::size_t pair; };
    std::vector<Rank> ranks;
    for (std::size_t i = 0; i < pairs.size(); ++i) {
        if (!(pairs[i].a > 0) && !(pairs[i].b > 0)) continue;
        const bool explained = sameUnit && std::fabs(pairs[i].a - pairs[i].b) < 2 * std::hypot(pairs[i].seA, pairs[i].seB);
        ranks.push_back({explained, std::fabs(ratio(i) - usual[pairs[i].format]), i});
    }
    std::stable_sort(ranks.begin(), ranks.end(), [](const Rank& x, const Rank& y) { return x.explained != y.explained ? y.explained : x.distance > y.distance; });
    std::vector<std::size_t> order;
    for (const Rank& rank : ranks) order.push_back(rank.pair);
    return order;
}

AgreementView::AgreementView(Session* session, QWidget* parent) : QWidget(parent), session_(session) {
    setAccessibleName(tr("Agreement"));
    empty_ = new QLabel(this);
    empty_->setProperty("role", QStringLiteral("muted"));
    empty_->setWordWrap(true);
    empty_->setAlignment(Qt::AlignCenter);
    empty_->setTextFormat(Qt::PlainText);
    empty_->setObjectName(QStringLiteral("agreement.empty"));
    stack_ = new QStackedWidget(this);
    stack_->addWidget(empty_);
    stack_->addWidget(buildFigures());
    auto* all = new QVBoxLayout(this);
    all->setContentsMargins(0, 0, 0, 0);
    all->addWidget(stack_);
    auto* news = new ShownRefresh(this, [this] { reload(); });
    connect(session_, &Session::logChanged, news, &ShownRefresh::request);
    connect(session_, &Session::checkpointChanged, news, &ShownRefresh::request);
    connect(session_, &Session::siteSelected, plot_, &AgreementPlot::setSelected);
    reload();
}

QWidget* AgreementView::buildFigures() {
    auto* figures = new QWidget(this);
    auto* scatter = new Panel(tr("Agreement"), figures);
    first_ = new QComboBox(scatter);
    second_ = new QComboBox(scatter);
    for (QComboBox* box : {first_, second_}) { // the smallest window has little room beside the inspector
        box->setSizeAdjustPolicy(QComboBox::AdjustToMinimumContentsLengthWithIcon);
        box->setMinimumContentsLength(8);
        box->setSizePolicy(QSizePolicy::Expanding, QSizePolicy::Fixed);
    }
    first_->setAccessibleName(tr("Along the side"));
    second_->setAccessibleName(tr("Along the bottom"));
    summary_ = new ElidedLabel(scatter);
    summary_->setProperty("role", QStringLiteral("figures"));
    auto* against = against_ = new QLabel(tr("against"), scatter);
    against->setProperty("role", QStringLiteral("muted"));
    auto* choice = new QHBoxLayout;
    choice->setSpacing(8);
    choice->addWidget(first_, 1);
    choice->addWidget(against);
    choice->addWidget(second_, 1);
    plot_ = new AgreementPlot(scatter);
    scatter->body()->addLayout(choice);
    scatter->body()->addWidget(summary_);
    scatter->body()->addWidget(plot_, 1);
    auto* scorePanel = scorePanel_ = new Panel(tr("By format"), figures);
    scores_ = table({tr("format"), QStringLiteral("ρ"), tr("ratio")}, scorePanel);
    scores_->horizontalHeaderItem(1)->setToolTip(tr("Spearman's rank correlation"));
    scores_->horizontalHeaderItem(2)->setToolTip(tr("median of the first over the second"));
    scores_->setAccessibleName(tr("Agreement by format"));
    scores_->setSelectionMode(QAbstractItemView::NoSelection);
    scores_->setFocusPolicy(Qt::NoFocus);
    scorePanel->body()->addWidget(scores_);
    auto* worstPanel = worstPanel_ = new Panel(tr("Most at odds"), figures);
    worst_ = table({tr("site"), tr("format"), tr("ratio")}, worstPanel);
    worst_->setAccessibleName(tr("Sites most at odds"));
    worst_->setObjectName(QStringLiteral("agreement.worst"));
    worstPanel->body()->addWidget(worst_);
    auto* below = new QHBoxLayout;
    below->setSpacing(12);
    below->addWidget(scorePanel, 4);
    below->addWidget(worstPanel, 5);
    auto* all = new QVBoxLayout(figures);
    all->setContentsMargins(0, 0, 0, 0);
    all->setSpacing(12);
    tables_ = new QTabBar(figures);
    tables_->setAccessibleName(tr("Table below"));
    tables_->setDrawBase(false);
    tables_->setExpanding(false);
    tables_->addTab(tr("By format"));
    tables_->addTab(tr("Most at odds"));
    auto* lower = new QVBoxLayout;
    lower->setSpacing(4);
    lower->addWidget(tables_);
    lower->addLayout(below, 1);
    all->addWidget(scatter, 3);
    all->addLayout(lower, 2);
    connect(tables_, &QTabBar::currentChanged, this, &AgreementView::arrange);
    for (QComboBox* box : {first_, second_}) {
        connect(box, &QComboBox::activated, this, [this] {
            chosen_ = true;
            reload();
        });
    }
    connect(plot_, &AgreementPlot::siteChosen, session_, &Session::selectSite);
    connect(worst_, &QTableWidget::currentCellChanged, this, [this](int row) {
        if (const QTableWidgetItem* item = worst_->item(row, 0)) session_->selectSite(item->data(Qt::UserRole).toString());
    });
    return figures;
}

void AgreementView::resizeEvent(QResizeEvent* event) {
    QWidget::resizeEvent(event);
    arrange();
}

/// Narrow: one of the tables, over the whole width; else both side by side.
void AgreementView::arrange() {
    constexpr int kBothFit = 480; ///< px of width from which sites and formats are not cut
    const bool both = width() >= kBothFit;
    tables_->setVisible(!both);
    against_->setVisible(both); // two boxes side by side say so
    scorePanel_->setVisible(both || tables_->currentIndex() == 0);
    worstPanel_->setVisible(both || tables_->currentIndex() == 1);
    scorePanel_->setTitle(both ? tr("By format") : QString()); // the tab says it
    worstPanel_->setTitle(both ? tr("Most at odds") : QString());
    scorePanel_->setAccessibleName(tr("By format"));
    worstPanel_->setAccessibleName(tr("Most at odds"));
}

/// Fills the two boxes with the columns there are; estimate against measurement when nothing was chosen.
void AgreementView::chooseColumns() {
    QList<DamageBy> there;
    for (const DamageBy by : kColumns)
        if (!session_->damageTable().column(by).empty()) there << by;
    const QSignalBlocker a(first_), b(second_);
    const auto fill = [&](QComboBox* box, qsizetype wanted) {
        const QVariant before = box->currentData();
        box->clear();
        for (const DamageBy by : std::as_const(there)) box->addItem(DamageSelector::nameOf(by), int(by));
        const int kept = chosen_ ? box->findData(before) : -1;
        box->setCurrentIndex(kept >= 0 ? kept : int(wanted));
    };
    fill(first_, 0);
    fill(second_, std::min<qsizetype>(1, there.size() - 1));
}

void AgreementView::reload() {
    chooseColumns();
    const auto columnOf = [this](const QComboBox* box) -> const DamageMap& { return session_->damageTable().column(DamageBy(box->currentData().toInt())); };
    data_ = {};
    if (first_->count() >= 2 && first_->currentIndex() != second_->currentIndex()) data_ = agreementOf(columnOf(first_), columnOf(second_));
    const bool sameUnit = (data_.metricA == "output") == (data_.metricB == "output");
    if (first_->count() < 2) {
        const QString why = session_->whyNoForward();
        empty_->setText(!why.isEmpty()          ? why
                        : first_->count() == 1 ? tr("There is one map of this model: %1.\nRun a second sweep (Presets ▾ on the right, or \"bitwright-cli sweep --metric …\"): "
                                                    "this page then shows how far the two agree, format by format and site by site.").arg(first_->currentText())
                                               : tr("No sweep of this model yet.\nRun two of them, the Fisher estimate and measured KL say: this page then shows how far "
                                                    "they agree, format by format and site by site."));
        stack_->setCurrentIndex(0);
        return;
    }
    stack_->setCurrentIndex(1);
    const auto axis = [](const QComboBox* box) {
        return box->currentData().toInt() == int(DamageBy::output) ? tr("%1, relative").arg(box->currentText()) : tr("%1, nats per token").arg(box->currentText());
    };
    plot_->setPairs(data_.pairs, axis(first_), axis(second_), sameUnit);
    plot_->setSelected(session_->selectedSite());
    showScores();
    showDisagreements();
}

void AgreementView::showScores() {
    scores_->setRowCount(0);
    summary_->setText(data_.pairs.empty() ? (first_->currentIndex() == second_->currentIndex() ? tr("choose two different ones") : tr("no cell in common")) : QString());
    for (const AgreementScore& score : data_.scores) {
        const int row = scores_->rowCount();
        scores_->insertRow(row);
        put(scores_, row, 0, score.format.empty() ? tr("all") : QString::fromStdString(score.format), tr("%1 cells").arg(score.pairs));
        put(scores_, row, 1, scoreText(score.spearman), tr("rank correlation; of logarithms: %1").arg(scoreText(score.logCorrelation)));
        put(scores_, row, 2, scoreText(score.medianRatio), std::isnan(score.medianRatio) ? tr("the two have no unit in common") : tr("median of %1 / %2").arg(first_->currentText(), second_->currentText()));
    }
    if (data_.scores.empty()) return;
    const AgreementScore& all = data_.scores.front();
    summary_->setText(std::isnan(all.medianRatio) ? tr("Spearman %1").arg(scoreText(all.spearman))
                                                  : tr("Spearman %1 · ratio %2").arg(scoreText(all.spearman), scoreText(all.medianRatio)));
}

void AgreementView::showDisagreements() {
    const QSignalBlocker quiet(worst_);
    worst_->setRowCount(0);
    const bool sameUnit = (data_.metricA == "output") == (data_.metricB == "output");
    for (const std::size_t at : byDisagreement(data_.pairs, sameUnit)) {
        const int row = worst_->rowCount();
        if (row == kMostWorst) break;
        const AgreementPair& pair = data_.pairs[at];
        worst_->insertRow(row);
        const QString tip = tr("%1: %2\n%3: %4").arg(first_->currentText(), withError(pair.a, pair.seA), second_->currentText(), withError(pair.b, pair.seB));
        put(worst_, row, 0, QString::fromStdString(pair.site), tip);
        worst_->item(row, 0)->setData(Qt::UserRole, QString::fromStdString(pair.site));
        put(worst_, row, 1, QString::fromStdString(pair.format), tip);
        put(worst_, row, 2, pair.b > 0 ? figureText(pair.a / pair.b) : QStringLiteral("∞"), tip);
    }
    worst_->setCurrentItem(nullptr);
}

} // namespace bw
