// SPDX-License-Identifier: GPL-3.0-or-later
#include "widgets/mix/mix_page.h"

#include "widgets/mix/bits_grid.h"
#include "widgets/mix/block_strip.h"
#include "widgets/mix/budget_panel.h"
#include "widgets/mix/format_chips.h"
#include "widgets/mix/mix_actions.h"
#include "widgets/mix/next_steps.h"
#include "widgets/mix/pareto_plot.h"
#include "widgets/session/shown_refresh.h"
#include "widgets/theme/elided_label.h"
#include "widgets/theme/panel.h"

#include <QHBoxLayout>
#include <QLabel>
#include <QPushButton>
#include <QVBoxLayout>

namespace bw {
namespace {

QLabel* label(const QString& text, const char* role, QWidget* parent) {
    auto* l = new QLabel(text, parent);
    l->setProperty("role", QLatin1String(role));
    l->setTextFormat(Qt::PlainText);
    return l;
}

} // namespace

MixPage::MixPage(Session* session, QWidget* parent) : QWidget(parent), session_(session), model_(new MixState(session, this)) {
    setProperty("role", QStringLiteral("ground"));
    setAccessibleName(tr("Mix"));
    auto* all = new QHBoxLayout(this);
    all->setContentsMargins(16, 12, 16, 12);
    all->setSpacing(16);
    all->addWidget(buildLeft(), 62);
    all->addWidget(buildRight(), 38);
    auto* news = new ShownRefresh(this, [this] { model_->readLog(); });
    connect(session_, &Session::logChanged, news, &ShownRefresh::request);
    connect(model_, &MixState::mapChanged, this, &MixPage::refresh);
    refresh();
}

QWidget* MixPage::buildLeft() {
    auto* left = new QWidget(this);
    grid_ = new BitsGrid(session_, model_, left);
    chips_ = new FormatChips(model_, left);
    auto* head = new QHBoxLayout;
    head->setSpacing(8);
    head->addWidget(label(tr("Bits per site"), "heading", left));
    hint_ = new ElidedLabel(left);
    hint_->setProperty("role", QStringLiteral("muted"));
    head->addWidget(hint_, 1);
    head->addWidget(chips_);
    auto* keys = label(QStringLiteral("?"), "badge", left);
    keys->setToolTip(tr("A chip pressed paints: click, or drag over cells, a row's name or a column's head.\n"
                        "Shift+click paints with the last chip. Keys: arrows move, 2 3 4 5 6 8 F set a format,\n"
                        "Shift+arrows carry it along, space pins, Esc drops the brush."));
    keys->setAccessibleName(keys->toolTip());
    head->addWidget(keys);
    auto* strip = new BlockStrip(session_, model_, left);
    auto* all = new QVBoxLayout(left);
    all->setContentsMargins(0, 0, 0, 0);
    all->setSpacing(8);
    all->addLayout(head);
    all->addWidget(grid_, 4);
    all->addWidget(label(tr("Bytes per block"), "title", left));
    all->addWidget(strip, 1);
    connect(chips_, &FormatChips::brushChosen, grid_, &BitsGrid::setBrush);
    connect(grid_, &BitsGrid::brushDropped, chips_, &FormatChips::clearBrush);
    return left;
}

QWidget* MixPage::buildRight() {
    auto* right = new QWidget(this);
    right->setMinimumWidth(356);
    right->setMaximumWidth(620);
    budget_ = new BudgetPanel(session_, model_, right);
    paretoPanel_ = new Panel(tr("Size against damage"), right);
    pareto_ = new ParetoPlot(model_, paretoPanel_);
    paretoPanel_->body()->addWidget(pareto_, 1);
    mapCall_ = buildMapCall();
    paretoPanel_->body()->addWidget(mapCall_);
    stepsPanel_ = new Panel(tr("What the next bytes buy"), right);
    steps_ = new NextSteps(session_, model_, stepsPanel_);
    auto* actions = new MixActions(session_, model_, stepsPanel_);
    stepsPanel_->body()->addWidget(steps_, 1);
    stepsPanel_->body()->addWidget(actions);
    auto* all = new QVBoxLayout(right);
    all->setContentsMargins(0, 0, 0, 0);
    all->setSpacing(12);
    all->addWidget(budget_);
    all->addWidget(paretoPanel_, 5);
    all->addWidget(stepsPanel_, 4);
    connect(actions, &MixActions::solveRequested, budget_, &BudgetPanel::solveNow);
    return right;
}

/// What to do while there is no map.
QWidget* MixPage::buildMapCall() {
    auto* call = new QWidget(paretoPanel_);
    auto* title = label(tr("No sensitivity map yet"), "heading", call);
    auto* text = label(tr("A sweep tries every site in every format and notes the damage. With it, the colours mean something, "
                          "the budget can be solved, and a mix is predicted before it is made."), "muted", call);
    text->setWordWrap(true);
    auto* quick = new QPushButton(tr("Run sweep (output error, one walk)"), call);
    quick->setProperty("role", QStringLiteral("accent"));
    quick->setObjectName(QStringLiteral("runSweep"));
    auto* exact = new QPushButton(tr("Measure KL site by site (slower, in nats)"), call);
    auto* all = new QVBoxLayout(call);
    all->setContentsMargins(0, 8, 0, 8);
    all->setSpacing(12);
    all->addStretch(1);
    for (QWidget* widget : {static_cast<QWidget*>(title), static_cast<QWidget*>(text), static_cast<QWidget*>(quick), static_cast<QWidget*>(exact)})
        all->addWidget(widget);
    all->addStretch(1);
    connect(quick, &QPushButton::clicked, this, [this] { Q_EMIT session_->runRequested(model_->sweepRecipe("output"), RunId()); });
    connect(exact, &QPushButton::clicked, this, [this] { Q_EMIT session_->runRequested(model_->sweepRecipe("kl"), RunId()); });
    return call;
}

void MixPage::refresh() {
    const bool map = model_->hasMap();
    pareto_->setVisible(map);
    mapCall_->setVisible(!map);
    mapCall_->setEnabled(model_->hasModel());
    paretoPanel_->setHint(map ? tr("log · click a point to take its mix") : QString());
    hint_->setText(map ? tr("colour: damage · label: format") : tr("label: format"));
}

void MixPage::showEvent(QShowEvent* event) {
    QWidget::showEvent(event);
    if (session_->selectedSite().isEmpty() && model_->siteAt(0, 0) >= 0) session_->selectSite(model_->sites()[model_->siteAt(0, 0)].name);
}

} // namespace bw
