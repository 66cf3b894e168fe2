// SPDX-License-Identifier: GPL-3.0-or-later
#include "widgets/calibrate/what_if_panel.h"

#include "core/base/error.h"
#include "core/base/text.h"
#include "widgets/calibrate/activation_panel.h"
#include "widgets/calibrate/what_if_plot.h"
#include "widgets/plots/number_text.h"
#include "widgets/session/counted.h"
#include "widgets/session/session.h"
#include "widgets/theme/elided_label.h"
#include "widgets/theme/panel.h"
#include "widgets/theme/theme.h"

#include <QClipboard>
#include <QComboBox>
#include <QGridLayout>
#include <QGuiApplication>
#include <QHBoxLayout>
#include <QLabel>
#include <QPushButton>
#include <QSlider>
#include <QStyle>
#include <QVBoxLayout>
#include <cmath>

namespace bw {
namespace {

enum Method { kPlain, kSmooth, kSplit, kRotate };
constexpr int kAlphaSteps = 20;       ///< of 0.05
constexpr int kThresholdSteps = 40;   ///< from 1 to 100, even in the logarithm
constexpr int kClipSteps = 100;       ///< percent

double thresholdAt(int step) { return std::pow(10.0, 2.0 * step / kThresholdSteps); }
int stepOf(double threshold) { return qRound(kThresholdSteps * std::log10(threshold) / 2); }

QLabel* label(const QString& words, const char* role, QWidget* parent) {
    auto* made = new QLabel(words, parent);
    made->setTextFormat(Qt::PlainText);
    made->setProperty("role", QString::fromLatin1(role));
    return made;
}

/// The name of a row: gives way to the figures in a narrow panel.
QLabel* rowName(const QString& words, const char* role, QWidget* parent) {
    auto* made = new ElidedLabel(parent);
    made->setText(words);
    made->setProperty("role", QString::fromLatin1(role));
    made->setSizePolicy(QSizePolicy::Preferred, QSizePolicy::Preferred);
    return made;
}

QSlider* slider(int low, int high, int value, const QString& name, QWidget* parent) {
    auto* made = new QSlider(Qt::Horizontal, parent);
    made->setRange(low, high);
    made->setValue(value);
    made->setPageStep(std::max(1, (high - low) / 10));
    made->setAccessibleName(name);
    made->setMinimumWidth(80);
    return made;
}

/// Style sheets are slow to apply: only when it is another role.
void showRole(QLabel* cell, const char* role) {
    const QString wanted = QString::fromLatin1(role);
    if (cell->property("role").toString() == wanted) return;
    cell->setProperty("role", wanted);
    cell->style()->unpolish(cell);
    cell->style()->polish(cell);
    cell->setFont(Theme::instance().figures());
}

} // namespace

WhatIfPanel::WhatIfPanel(Session* session, QWidget* parent) : QWidget(parent), session_(session) {
    panel_ = new Panel(tr("What if"), this);
    panel_->setHint(tr("predicted from stored statistics, nothing is run"));
    plot_ = new WhatIfPlot(this);
    plot_->setObjectName(QStringLiteral("calibrate.whatif"));
    buildControls();
    buildTable();
    parts_ = new QGridLayout;
    panel_->body()->addLayout(parts_, 1);
    setWide(false);
    auto* all = new QVBoxLayout(this);
    all->setContentsMargins(0, 0, 0, 0);
    all->addWidget(panel_);
    connect(session_, &Session::siteSelected, this, &WhatIfPanel::request);
    connect(session_, &Session::statisticsChanged, this, &WhatIfPanel::request);
    connect(session_, &Session::whatIfInputChanged, this, &WhatIfPanel::take);
    startFromRecipe();
    request();
}

/// Narrow: questions, plot, figures; wide: questions over figures, the plot at their right.
void WhatIfPanel::setWide(bool wide) {
    for (QWidget* part : {questions_, figures_, static_cast<QWidget*>(plot_)}) parts_->removeWidget(part);
    parts_->setHorizontalSpacing(20);
    parts_->setVerticalSpacing(8);
    if (wide) {
        parts_->addWidget(questions_, 0, 0);
        parts_->addWidget(figures_, 1, 0);
        parts_->addWidget(plot_, 0, 1, 2, 1);
    } else {
        parts_->addWidget(plot_, 1, 0, 1, 2);
        parts_->addWidget(figures_, 2, 0, 1, 2);
        parts_->addWidget(questions_, 0, 0, 1, 2);
    }
    parts_->setColumnStretch(0, wide ? 5 : 1);
    parts_->setColumnStretch(1, wide ? 6 : 0);
    parts_->setRowStretch(1, 1);
}

void WhatIfPanel::buildControls() {
    questions_ = new QWidget(this);
    method_ = new QComboBox(questions_);
    method_->setObjectName(QStringLiteral("calibrate.whatif.method"));
    method_->setAccessibleName(tr("What is changed"));
    method_->addItems({tr("nothing moved"), tr("smooth"), tr("keep outliers apart"), tr("rotate")});
    method_->setItemData(kSmooth, tr("SmoothQuant: difficulty moves from the inputs into the weights, by α"), Qt::ToolTipRole);
    method_->setItemData(kSplit, tr("LLM.int8(): channels with values beyond the threshold stay in 16 bits"), Qt::ToolTipRole);
    method_->setItemData(kRotate, tr("Hadamard: channels are mixed so that none stands out"), Qt::ToolTipRole);
    strength_ = slider(0, kAlphaSteps, kAlphaSteps / 2, tr("Strength"), questions_);
    strength_->setObjectName(QStringLiteral("calibrate.whatif.strength"));
    clip_ = slider(5, kClipSteps, kClipSteps, tr("Clip, percent of the largest"), questions_);
    clip_->setObjectName(QStringLiteral("calibrate.whatif.clip"));
    strengthText_ = label({}, "figures", questions_);
    clipText_ = label({}, "figures", questions_);
    for (QLabel* text : {strengthText_, clipText_}) {
        text->setMinimumWidth(text->fontMetrics().horizontalAdvance(tr("100 % of max")) + 4);
        text->setAlignment(Qt::AlignRight | Qt::AlignVCenter);
    }
    auto* controls = new QGridLayout(questions_);
    controls->setContentsMargins(0, 0, 0, 0);
    controls->setHorizontalSpacing(8);
    controls->setVerticalSpacing(4);
    controls->addWidget(method_, 0, 0);
    controls->addWidget(strength_, 0, 1);
    controls->addWidget(strengthText_, 0, 2);
    auto* clipName = label(tr("clip the range at"), "muted", questions_);
    controls->addWidget(clipName, 1, 0);
    controls->addWidget(clip_, 1, 1);
    controls->addWidget(clipText_, 1, 2);
    controls->setColumnStretch(1, 1);
    connect(method_, &QComboBox::currentIndexChanged, this, [this](int method) {
        chooseMethod(method);
        show();
    });
    connect(strength_, &QSlider::valueChanged, this, &WhatIfPanel::show);
    connect(clip_, &QSlider::valueChanged, this, &WhatIfPanel::show);
    connect(plot_, &WhatIfPlot::clipMoved, this, [this](double share) { clip_->setValue(qRound(share * kClipSteps)); });
}

/// The slider's range and its usual place: α 0.5, threshold 6.
void WhatIfPanel::chooseMethod(int method) {
    const QSignalBlocker quiet(strength_);
    strength_->setRange(0, method == kSplit ? kThresholdSteps : kAlphaSteps);
    strength_->setValue(method == kSplit ? stepOf(6.0) : kAlphaSteps / 2);
}

/// The recipe's transform is the first question; without one, what most ask first.
void WhatIfPanel::startFromRecipe() {
    WhatIf asked;
    try {
        asked = parseWhatIf(session_->recipe().transform);
    } catch (const Error&) { // a transform that needs a search has no answer beforehand
    }
    const QSignalBlocker quiet(method_), still(strength_);
    method_->setCurrentIndex(asked.rotate ? kRotate : asked.threshold ? kSplit : kSmooth);
    chooseMethod(method_->currentIndex());
    if (asked.alpha) strength_->setValue(qRound(*asked.alpha * kAlphaSteps));
    if (asked.threshold) strength_->setValue(stepOf(*asked.threshold));
}

void WhatIfPanel::buildTable() {
    figures_ = new QWidget(this);
    auto* table = new QGridLayout;
    table->setHorizontalSpacing(12);
    table->setVerticalSpacing(2);
    const QStringList heads{tr("error at the outputs"), tr("as it is"), tr("after"), tr("change")};
    for (int c = 0; c < heads.size(); ++c) {
        QLabel* head = c == 0 ? rowName(heads[c], "muted", figures_) : label(heads[c], c == 2 ? "accent" : "muted", figures_); // in the colours of the curves
        if (c > 0) head->setAlignment(Qt::AlignRight | Qt::AlignVCenter);
        table->addWidget(head, 0, c);
    }
    table->itemAtPosition(0, 0)->widget()->setToolTip(tr("of all sites that read this input: squared, as a share of their output; channels count as uncorrelated"));
    const QStringList rows{tr("inputs, 8 bits, one range"), tr("inputs, 8 bits, by token"), tr("inputs, 4 bits, by token"), tr("weights, 8 bits, one grid")};
    for (int r = 0; r < rows.size(); ++r) {
        table->addWidget(rowName(rows[r], "body", figures_), r + 1, 0);
        QList<QLabel*> cells;
        for (int c = 1; c <= 3; ++c) {
            cells << label({}, "figures", figures_);
            cells.last()->setAlignment(Qt::AlignRight | Qt::AlignVCenter);
            cells.last()->setMinimumWidth(cells.last()->fontMetrics().horizontalAdvance(c < 3 ? QStringLiteral("0.000000") : QStringLiteral("+000 %")));
            table->addWidget(cells.last(), r + 1, c);
        }
        cells_ << cells;
    }
    for (int r = 0; r < cells_.size(); ++r) cells_[r][1]->setObjectName(QStringLiteral("calibrate.whatif.error%1").arg(r));
    table->setColumnStretch(0, 1);
    facts_ = new ElidedLabel(figures_);
    facts_->setProperty("role", QStringLiteral("muted"));
    facts_->setObjectName(QStringLiteral("calibrate.whatif.facts"));
    use_ = new QPushButton(tr("use in recipe"), figures_);
    use_->setObjectName(QStringLiteral("calibrate.whatif.use"));
    copy_ = new QPushButton(tr("copy as command"), figures_);
    for (QPushButton* button : {use_, copy_}) button->setProperty("role", QStringLiteral("link"));
    auto* foot = new QHBoxLayout;
    foot->setSpacing(12);
    foot->addStretch(1);
    foot->addWidget(use_);
    foot->addWidget(copy_);
    auto* all = new QVBoxLayout(figures_);
    all->setContentsMargins(0, 0, 0, 0);
    all->setSpacing(4);
    all->addLayout(table);
    all->addWidget(facts_);
    all->addStretch(1);
    all->addLayout(foot);
    connect(use_, &QPushButton::clicked, this, &WhatIfPanel::useIt);
    connect(copy_, &QPushButton::clicked, this, &WhatIfPanel::copyCommand);
}

QString WhatIfPanel::groupOfSite() const {
    for (const SiteStatisticsRow& row : session_->statistics())
        if (sitesOf(row).contains(session_->selectedSite())) return QString::fromStdString(row.group);
    return {};
}

void WhatIfPanel::request() {
    const QString group = groupOfSite();
    const QString key = group.isEmpty() ? QString() : QStringLiteral("%1 %2").arg(session_->calibrationRun().value()).arg(group);
    if (key == wanted_ && input_) return;
    wanted_ = key;
    input_.reset();
    if (!group.isEmpty()) Q_EMIT session_->whatIfInputRequested(session_->calibrationRun(), group);
    show();
}

void WhatIfPanel::take() {
    input_ = session_->whatIfInput();
    if (input_ && QString::fromStdString(input_->group()) != groupOfSite()) input_.reset();
    if (input_) before_ = input_->ask({});
    show();
}

WhatIf WhatIfPanel::question() const {
    WhatIf out;
    if (method_->currentIndex() == kSmooth) out.alpha = double(strength_->value()) / kAlphaSteps;
    if (method_->currentIndex() == kSplit) out.threshold = std::round(thresholdAt(strength_->value()) * 100) / 100;
    out.rotate = method_->currentIndex() == kRotate;
    if (clip_->value() < kClipSteps) {
        out.clip = WhatIf::Clip::share;
        out.clipValue = clip_->value() / 100.0;
    }
    return out;
}

void WhatIfPanel::show() {
    const WhatIf asked = question();
    const bool changed = !(asked == WhatIf{});
    Q_EMIT this->asked(asked);
    strength_->setEnabled(asked.alpha || asked.threshold);
    strengthText_->setText(asked.alpha ? QStringLiteral("α %1").arg(*asked.alpha, 0, 'f', 2) : asked.threshold ? QStringLiteral("|x| > %1").arg(figureText(*asked.threshold)) : QString());
    clipText_->setText(asked.clip == WhatIf::Clip::share ? tr("%1 % of max").arg(clip_->value()) : tr("max"));
    use_->setVisible(asked.alpha || asked.rotate || asked.threshold);
    copy_->setEnabled(input_ != nullptr);
    if (!input_) {
        for (const QList<QLabel*>& row : std::as_const(cells_))
            for (QLabel* cell : row) cell->setText(QStringLiteral("–"));
        facts_->clear();
        const QString why = session_->whyNoWhatIf();
        plot_->setMessage(session_->statistics().empty() ? tr("Calibrate, then move the sliders")
                          : groupOfSite().isEmpty()      ? tr("No statistics of this site")
                          : why.isEmpty()                ? tr("reading the statistics …")
                                                         : why);
        return;
    }
    const WhatIfResult after = changed ? input_->ask(asked) : before_;
    const WhatIfPlot::Curve now{before_.histogram, before_.absMax, before_.bits8.clip}, then{after.histogram, after.absMax, after.bits8.clip};
    plot_->setCurves(now, changed ? &then : nullptr);
    showFigures(after, changed);
}

void WhatIfPanel::showFigures(const WhatIfResult& after, bool changed) {
    const std::pair<double, double> errors[] = {{before_.bits8.tensor, after.bits8.tensor}, {before_.bits8.token, after.bits8.token},
                                                {before_.bits4.token, after.bits4.token}, {before_.bits8.weight, after.bits8.weight}};
    for (int r = 0; r < cells_.size(); ++r) {
        const auto [was, is] = errors[r];
        cells_[r][0]->setText(figureText(was));
        cells_[r][1]->setText(changed ? figureText(is) : QStringLiteral("–"));
        const bool known = changed && was > 0;
        const double ratio = known ? is / was : 1;
        cells_[r][2]->setText(!known ? QString() : withMinus(QStringLiteral("%1%2 %").arg(ratio >= 1 ? QStringLiteral("+") : QString()).arg(100 * (ratio - 1), 0, 'f', std::abs(ratio - 1) < 0.1 ? 1 : 0)));
        showRole(cells_[r][2], ratio < 0.995 ? "good" : ratio > 1.005 ? "bad" : "muted");
    }
    QStringList facts;
    if (changed) facts << tr("max |x| %1 → %2").arg(figureText(before_.absMax), figureText(after.absMax)) << tr("outlier channels %1 → %2").arg(before_.outlierChannels).arg(after.outlierChannels);
    else facts << tr("max |x| %1").arg(figureText(before_.absMax)) << counted(before_.outlierChannels, tr("1 outlier channel"), tr("%1 outlier channels"));
    if (question().threshold) facts << counted(after.keptChannels, tr("1 channel in 16 bits"), tr("%1 channels in 16 bits"));
    if (after.clippedShare > 0) facts << tr("%1 % clipped").arg(figureText(100 * after.clippedShare));
    facts_->setText(facts.join(QStringLiteral(" · ")));
}

void WhatIfPanel::useIt() {
    const WhatIf asked = question();
    Recipe recipe = session_->recipe();
    WhatIf moved = asked; // a clip is no transform: it belongs to the scheme of the inputs
    moved.clip = WhatIf::Clip::none;
    recipe.transform = moved.text();
    session_->editRecipe(tr("Transform %1").arg(QString::fromStdString(recipe.transform)), std::move(recipe));
    Q_EMIT session_->messageRequested(tr("The recipe's transform is now %1.").arg(QString::fromStdString(session_->recipe().transform)));
}

void WhatIfPanel::copyCommand() {
    const QString command = QStringLiteral("bitwright-cli calibrate --run %1 --what-if %2 --log '%3'")
                                .arg(session_->calibrationRun().value())
                                .arg(QString::fromStdString(question().text()), QString(session_->logPath()).replace(QLatin1Char('\''), QStringLiteral("'\\''")));
    QGuiApplication::clipboard()->setText(command);
    Q_EMIT session_->messageRequested(tr("Copied: %1").arg(command));
}

} // namespace bw
