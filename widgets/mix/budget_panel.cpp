// SPDX-License-Identifier: GPL-3.0-or-later
#include "widgets/mix/budget_panel.h"

#include "widgets/mix/interval_bars.h"
#include "widgets/plots/number_text.h"
#include "widgets/session/engine_words.h"
#include "widgets/theme/elided_label.h"

#include <QEvent>
#include <QFrame>
#include <QHBoxLayout>
#include <QLabel>
#include <QSignalBlocker>
#include <QVBoxLayout>
#include <cmath>

namespace bw {
namespace {

constexpr int kSteps = 2000;          ///< finer than the pixels of any screen
constexpr int kRestMilliseconds = 120; ///< of no movement before the exact solve
constexpr int kMergeId = 7101;        ///< undo: one drag is one step

QLabel* label(QWidget* parent, const char* role) {
    auto* l = new QLabel(parent);
    l->setProperty("role", QLatin1String(role));
    l->setTextFormat(Qt::PlainText);
    return l;
}

QHBoxLayout* pair(QWidget* left, QWidget* right) {
    auto* row = new QHBoxLayout;
    row->addWidget(left);
    row->addStretch(1);
    row->addWidget(right);
    return row;
}

} // namespace

BudgetPanel::BudgetPanel(Session* session, MixState* model, QWidget* parent)
    : QWidget(parent), session_(session), model_(model), slider_(new QSlider(Qt::Horizontal, this)),
      size_(label(this, "figures")), low_(label(this, "muted")), high_(label(this, "muted")),
      predicted_(label(this, "title")), measured_(label(this, "good")), bars_(new IntervalBars(this)), explanation_(new ElidedLabel(this)) {
    explanation_->setProperty("role", QStringLiteral("muted"));
    explanation_->setObjectName(QStringLiteral("budget.why"));
    auto* panel = new QFrame(this);
    panel->setProperty("role", QStringLiteral("panel"));
    panel->setAccessibleName(tr("Budget"));
    auto* body = new QVBoxLayout(panel);
    body->setContentsMargins(16, 12, 16, 12);
    body->setSpacing(6);
    auto* whole = new QVBoxLayout(this);
    whole->setContentsMargins(0, 0, 0, 0);
    whole->addWidget(panel);
    auto* title = label(panel, "title");
    title->setText(tr("Budget"));
    body->addLayout(pair(title, size_));
    body->addWidget(slider_);
    body->addLayout(pair(low_, high_));
    body->addWidget(explanation_);
    body->addWidget(predicted_);
    body->addWidget(measured_);
    body->addWidget(bars_);
    measured_->setStyleSheet(QStringLiteral("font-size: 12px; font-weight: 600;"));
    slider_->setRange(0, kSteps);
    slider_->setPageStep(kSteps / 20);
    slider_->setSingleStep(kSteps / 200);
    slider_->setAccessibleName(tr("Size of the file"));
    slider_->installEventFilter(this);
    rest_.setSingleShot(true);
    rest_.setInterval(kRestMilliseconds);
    connect(slider_, &QSlider::valueChanged, this, &BudgetPanel::slide);
    connect(&rest_, &QTimer::timeout, this, [this] {
        if (model_->problem()) ask();
    });
    connect(&solver_, &MixSolver::solved, this, [this](const AssignSolution& solution, quint64 bytes, const QString& why) {
        why_ = why;
        const int merge = std::exchange(solvedByButton_, false) ? -1 : kMergeId;
        model_->takeChoice(solution.choice, bytes, tr("Solve for %1").arg(bytesText(double(bytes))), merge);
    });
    connect(&solver_, &MixSolver::failed, this, [this](const QString& message) {
        solvedByButton_ = false;
        Q_EMIT session_->messageRequested(message);
    });
    connect(model_, &MixState::mapChanged, this, &BudgetPanel::reload);
    connect(model_, &MixState::mixChanged, this, &BudgetPanel::refresh);
    reload();
}

quint64 BudgetPanel::budget() const {
    const BudgetRange range = model_->range();
    return range.floor + quint64(std::llround(double(range.ceiling - range.floor) * slider_->value() / kSteps));
}

int BudgetPanel::positionOf(quint64 bytes) const {
    const BudgetRange range = model_->range();
    if (range.ceiling <= range.floor) return 0;
    // Rounded up, so that the budget at this position holds the mix it shows.
    return int(std::ceil(kSteps * (double(bytes) - double(range.floor)) / double(range.ceiling - range.floor)));
}

void BudgetPanel::slide() {
    const int at = model_->frontIndex(budget());
    if (at < 0) return;
    solver_.cancel();
    model_->takeChoice(model_->front()[std::size_t(at)].choice, budget(), tr("Budget %1").arg(bytesText(double(budget()))), kMergeId);
    rest_.start();
}

void BudgetPanel::solveNow() {
    if (!model_->problem()) return;
    rest_.stop();
    solvedByButton_ = true;
    ask();
}

void BudgetPanel::ask() {
    // Without projections the sum is all there is, and the additive optimum is the best.
    const auto predictor = model_->predictsInteractions() && session_->recipe().assignment.interactions ? model_->predictor() : nullptr;
    solver_.start(model_->problem(), budget(), predictor, model_->predictorChoice());
}

void BudgetPanel::reload() {
    solver_.cancel();
    rest_.stop();
    refresh();
}

QString BudgetPanel::predictedText() const {
    const MixTotals& totals = model_->totals();
    if (!model_->hasMap()) return tr("predicted: no map yet");
    if (totals.unknown > 0 && !(totals.damage > 0)) return tr("predicted: the map does not know these formats");
    QString text = tr("predicted %1").arg(withError(totals.damage, totals.standardError));
    if (totals.unknown > 0) text += tr(" + %n unknown", nullptr, totals.unknown);
    return text;
}

/// What the prediction is made of.
QString BudgetPanel::predictedTip() const {
    const Prediction& p = model_->totals().prediction;
    QString text = tr("Predicted damage of the whole mix, %1, ± one standard error.\nSum of what each site does alone: %2")
                       .arg(model_->unit(), withError(p.sum, p.sumSe));
    if (model_->predictsInteractions())
        text += tr("\nSites acting together: %1 (%2 % of it believed, the rest may be noise of the probes)")
                    .arg(signedWithError(p.interaction, 0)).arg(qRound(100 * p.shrinkage));
    if (p.kl < 0.99 * (p.sum + p.interaction)) text += tr("\nLarge damage levels off: %1 becomes %2").arg(figureText(p.sum + p.interaction), figureText(p.kl));
    if (model_->totals().unknown > 0) text += tr("\nSites whose format is not in the map are not counted: %1").arg(model_->totals().unknown);
    return text;
}

void BudgetPanel::refresh() {
    const MixTotals& totals = model_->totals();
    const BudgetRange range = model_->range();
    size_->setText(model_->hasModel() ? tr("%1  ·  %2").arg(bytesText(double(totals.bytes)), bitsText(totals.bitsPerWeight)) : QString());
    size_->setToolTip(tr("%1 bytes in all tensors of this mix").arg(totals.bytes));
    slider_->setEnabled(!model_->front().empty());
    if (model_->front().empty()) {
        low_->setText(model_->problemError());
        high_->clear();
    } else {
        low_->setText(tr("%1 min").arg(bytesText(double(range.floor))));
        high_->setText(tr("%1 max").arg(bytesText(double(range.ceiling))));
        high_->setToolTip(tr("More bytes than this buy nothing that the map can see."));
        // While the hand is on it the slider says what is wanted; otherwise it follows the mix.
        if (!slider_->isSliderDown() && !rest_.isActive() && !slider_->hasFocus()) {
            const QSignalBlocker quiet(slider_);
            slider_->setValue(positionOf(totals.bytes));
        }
    }
    predicted_->setText(predictedText());
    predicted_->setToolTip(predictedTip());
    const MeasuredMix* run = model_->measuredNow();
    measured_->setText(run ? tr("measured %1 ✓").arg(withError(run->damage, run->standardError)) : QString());
    measured_->setVisible(run != nullptr);
    measured_->setToolTip(run ? tr("KL against the baseline, nats per token, run %1").arg(run->run.value()) : QString());
    const bool beside = run && model_->comparable() && totals.unknown == 0;
    bars_->setVisible(beside);
    if (beside) {
        bars_->setValues(totals.damage, totals.standardError, run->damage, run->standardError);
        const QString ratio = run->damage > 0 ? tr("predicted / measured %1").arg(QString::number(totals.damage / run->damage, 'f', 2)) : QString();
        bars_->setToolTip(tr("above: predicted, below: measured, each ± one standard error\n%1").arg(ratio));
        bars_->setAccessibleName(ratio);
    }
    const bool solved = !why_.isEmpty() && model_->isSolved();
    explanation_->setVisible(solved);
    explanation_->setText(solved ? engineText(why_.toStdString()) : QString());
    setAccessibleDescription(size_->text() + QLatin1Char(' ') + predicted_->text() + QLatin1Char(' ') + measured_->text());
}

/// Leaving the slider lets it follow the mix again.
bool BudgetPanel::eventFilter(QObject* object, QEvent* event) {
    if (object == slider_ && event->type() == QEvent::FocusOut) QTimer::singleShot(0, this, &BudgetPanel::refresh);
    return QWidget::eventFilter(object, event);
}

} // namespace bw
