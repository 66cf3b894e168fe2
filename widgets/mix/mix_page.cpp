// SPDX-License-Identifier: GPL-3.0-or-later
#include "widgets/mix/mix_page.h"

#include "widgets/mix/agreement_view.h"
#include "widgets/mix/bits_grid.h"
#include "widgets/mix/block_strip.h"
#include "widgets/mix/budget_panel.h"
#include "widgets/mix/damage_selector.h"
#include "widgets/mix/format_chips.h"
#include "widgets/mix/methods_view.h"
#include "widgets/mix/mix_actions.h"
#include "widgets/mix/next_steps.h"
#include "widgets/mix/pareto_plot.h"
#include "widgets/session/shown_refresh.h"
#include "widgets/theme/elided_label.h"
#include "widgets/theme/panel.h"

#include <QHBoxLayout>
#include <QLabel>
#include <QPushButton>
#include <QStackedWidget>
#include <QTabBar>
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
    views_ = new QTabBar(left);
    views_->setObjectName(QStringLiteral("mix.views"));
    views_->addTab(tr("Bits"));
    views_->addTab(tr("Agreement"));
    views_->addTab(tr("Methods"));
    views_->setTabToolTip(0, tr("Bits per site"));
    views_->setTabToolTip(2, tr("How weights, activations and the cache are rounded, and what each method did to this model"));
    views_->setTabToolTip(1, tr("How two ways of judging damage agree on this model"));
    views_->setDrawBase(false);
    views_->setExpanding(false);
    views_->setUsesScrollButtons(false);
    auto* head = new QHBoxLayout;
    head->setSpacing(8);
    head->addWidget(views_);
    head->addStretch(1);
    auto* selector = new DamageSelector(session_, model_, left);
    head->addWidget(selector);
    auto* tools = new QHBoxLayout;
    tools->setSpacing(8);
    tools->addWidget(chips_);
    hint_ = new ElidedLabel(left);
    hint_->setProperty("role", QStringLiteral("muted"));
    tools->addWidget(hint_, 1);
    auto* keys = label(QStringLiteral("?"), "badge", left);
    keys->setToolTip(tr("A chip pressed paints: click, or drag over cells, a row's name or a column's head.\n"
                        "Shift+click paints with the last chip. Keys: arrows move, 2 3 4 5 6 8 F set a format,\n"
                        "Shift+arrows carry it along, space pins, Esc drops the brush."));
    keys->setAccessibleName(keys->toolTip());
    tools->addWidget(keys);
    auto* strip = new BlockStrip(session_, model_, left);
    auto* mix = new QWidget(left);
    auto* parts = new QVBoxLayout(mix);
    parts->setContentsMargins(0, 0, 0, 0);
    parts->setSpacing(8);
    parts->addLayout(tools);
    parts->addWidget(grid_, 4);
    parts->addWidget(label(tr("Bytes per block"), "title", mix));
    parts->addWidget(strip, 1);
    agreement_ = new AgreementView(session_, left);
    auto* stack = new QStackedWidget(left);
    stack->addWidget(mix);
    stack->addWidget(agreement_);
    stack->addWidget(new MethodsView(session_, model_, left));
    auto* all = new QVBoxLayout(left);
    all->setContentsMargins(0, 0, 0, 0);
    all->setSpacing(8);
    all->addLayout(head);
    all->addWidget(stack, 1);
    connect(views_, &QTabBar::currentChanged, stack, &QStackedWidget::setCurrentIndex);
    connect(views_, &QTabBar::currentChanged, selector, [selector](int view) { selector->setVisible(view < 2); }); // methods are ranked by what was measured
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
    callTitle_ = label({}, "heading", call);
    callText_ = label({}, "muted", call);
    callText_->setWordWrap(true);
    auto* all = new QVBoxLayout(call);
    all->setContentsMargins(0, 8, 0, 8);
    all->setSpacing(10);
    all->addStretch(1);
    all->addWidget(callTitle_);
    all->addWidget(callText_);
    const auto button = [&](const QString& text, const QString& tip, const char* metric) {
        auto* made = new QPushButton(text, call);
        made->setToolTip(tip);
        made->setObjectName(QStringLiteral("sweep.") + QLatin1String(metric));
        connect(made, &QPushButton::clicked, this, [this, metric] { Q_EMIT session_->runRequested(model_->sweepRecipe(metric), RunId()); });
        all->addWidget(made);
        sweeps_ << made;
        return made;
    };
    button(tr("Estimate all sites (Fisher, in nats)"), tr("One forward and backward walk over the calibration texts for all sites and formats"), "fisher")
        ->setProperty("role", QStringLiteral("accent"));
    button(tr("Measure KL site by site (exact, slow)"), tr("Every site in every format alone, compared with the original; partial results are of use"), "kl");
    button(tr("Output error (cheapest, not in nats)"), tr("One forward walk; ranks the formats of one site well, sites among each other less"), "output");
    all->addStretch(1);
    return call;
}

void MixPage::refresh() {
    const bool map = model_->hasMap();
    const QString why = session_->whyNoForward();
    pareto_->setVisible(map);
    mapCall_->setVisible(!map);
    callTitle_->setText(why.isEmpty() ? tr("No sensitivity map yet") : tr("Weights only"));
    callText_->setText(why.isEmpty() ? tr("A sweep tries every site in every format and notes the damage. With it, the colours mean something, the budget "
                                          "can be solved, and a mix is predicted before it is made.")
                                     : tr("%1.\nFormats can be painted, weighed against the size, and written with Quantize; damage can't be measured.").arg(why));
    for (QPushButton* sweep : std::as_const(sweeps_)) sweep->setVisible(why.isEmpty());
    mapCall_->setEnabled(model_->hasModel());
    paretoPanel_->setHint(!map ? QString() : model_->comparable() ? tr("● mix  ◆ uniform  ■ rule list") : tr("log · click takes a mix"));
    hint_->setText(map ? tr("colour: damage · label: format") : tr("label: format"));
}

void MixPage::showEvent(QShowEvent* event) {
    QWidget::showEvent(event);
    if (session_->selectedSite().isEmpty() && model_->siteAt(0, 0) >= 0) session_->selectSite(model_->sites()[model_->siteAt(0, 0)].name);
}

} // namespace bw
