// SPDX-License-Identifier: GPL-3.0-or-later
#include "widgets/mix/mix_actions.h"

#include "core/quantize/presets.h"
#include "widgets/plots/number_text.h"
#include "widgets/theme/elided_label.h"

#include <QApplication>
#include <QClipboard>
#include <QHBoxLayout>
#include <QMenu>
#include <QPushButton>
#include <QVBoxLayout>
#include <cmath>

namespace bw {

MixActions::MixActions(Session* session, MixState* model, QWidget* parent)
    : QWidget(parent), session_(session), model_(model), source_(new ElidedLabel(this)), verify_(new QPushButton(tr("Verify mix"), this)),
      solve_(new QPushButton(tr("Solve budget"), this)), uncertain_(new QPushButton(tr("measure the uncertain"), this)), presets_(new QPushButton(tr("Presets ▾"), this)),
      presetMenu_(new QMenu(this)), command_(new ElidedLabel(this)) {
    source_->setProperty("role", QStringLiteral("muted"));
    verify_->setProperty("role", QStringLiteral("accent"));
    solve_->setToolTip(tr("The least predicted damage that fits the budget; pinned sites stay"));
    presets_->setToolTip(tr("Start from one format everywhere, or measure another map"));
    presets_->setMenu(presetMenu_);
    presets_->setStyleSheet(QStringLiteral("QPushButton::menu-indicator { image: none; width: 0; }"));
    uncertain_->setProperty("role", QStringLiteral("link"));
    uncertain_->setObjectName(QStringLiteral("mix.uncertain"));
    uncertain_->setCursor(Qt::PointingHandCursor);
    command_->setProperty("role", QStringLiteral("figures"));
    command_->setEnabled(false); // quiet; the whole line is in the tooltip and on the clipboard
    auto* copy = new QPushButton(tr("copy"), this);
    copy->setProperty("role", QStringLiteral("link"));
    copy->setAccessibleName(tr("Copy as command"));
    copy->setCursor(Qt::PointingHandCursor);

    auto* buttons = new QHBoxLayout;
    buttons->setSpacing(8);
    for (QPushButton* button : {verify_, solve_, presets_}) buttons->addWidget(button, int(button->text().size()));
    auto* line = new QHBoxLayout;
    line->addWidget(command_, 1);
    line->addWidget(copy);
    auto* all = new QVBoxLayout(this);
    all->setContentsMargins(0, 0, 0, 0);
    all->setSpacing(8);
    all->addWidget(source_);
    all->addWidget(uncertain_, 0, Qt::AlignLeft);
    all->addLayout(buttons);
    all->addLayout(line);

    connect(verify_, &QPushButton::clicked, this, [this] { Q_EMIT session_->runRequested(model_->verifyRecipe(), RunId()); });
    connect(uncertain_, &QPushButton::clicked, this, [this] { Q_EMIT session_->measureUncertainRequested(model_->assignRecipe()); });
    connect(solve_, &QPushButton::clicked, this, &MixActions::solveRequested);
    connect(copy, &QPushButton::clicked, this, [this] {
        QApplication::clipboard()->setText(model_->command());
        Q_EMIT session_->messageRequested(tr("The command is on the clipboard."));
    });
    connect(presetMenu_, &QMenu::aboutToShow, this, &MixActions::fillPresets);
    connect(model_, &MixState::mapChanged, this, &MixActions::refresh);
    connect(model_, &MixState::mixChanged, this, &MixActions::refresh);
    refresh();
}

void MixActions::fillPresets() {
    presetMenu_->clear();
    presetMenu_->addSection(tr("One format everywhere"));
    QStringList formats = model_->map().formats;
    if (formats.isEmpty()) formats = {QStringLiteral("q4_0"), QStringLiteral("q5_0"), QStringLiteral("q8_0")};
    for (const QString& format : std::as_const(formats)) presetMenu_->addAction(format, this, [this, format] { model_->takeUniform(format); });
    QMenu* named = presetMenu_->addMenu(tr("Mixes of llama.cpp"));
    for (const NamedMix& mix : namedMixes()) {
        const QString name = QString::fromUtf8(mix.name.data(), qsizetype(mix.name.size()));
        QAction* entry = named->addAction(name, this, [this, name] { model_->takeNamed(name); });
        entry->setToolTip(QString::fromUtf8(mix.about.data(), qsizetype(mix.about.size())));
    }
    named->setToolTipsVisible(true);
    presetMenu_->addSection(tr("Measured runs"));
    for (const MeasuredMix& run : model_->measured().mid(0, 8)) {
        const QString name = tr("run %1 · %2").arg(run.run.value()).arg(run.name);
        presetMenu_->addAction(name, this, [this, run] { model_->takeRun(run); });
    }
    if (model_->measured().isEmpty()) presetMenu_->addAction(tr("none yet"))->setEnabled(false);
    presetMenu_->addSection(tr("Map"));
    const auto sweep = [this](const QString& text, const char* metric) {
        QAction* entry = presetMenu_->addAction(text, this, [this, metric] { Q_EMIT session_->runRequested(model_->sweepRecipe(metric), RunId()); });
        entry->setEnabled(session_->whyNoForward().isEmpty());
    };
    sweep(tr("Estimate a map by Fisher sketch"), "fisher");
    sweep(tr("Measure a map by KL"), "kl");
    sweep(tr("Measure a map by output error"), "output");
}

/// "Prediction: Fisher, 256 probes × 8 segments · 41 % of cells measured · run 3".
QString MixActions::sourceLine() const {
    const DamageMap& map = model_->map();
    if (map.empty()) return tr("No map: damage is not known.");
    const qsizetype all = map.cells(), measured = map.cells(CellSource::measured), scaled = map.cells(CellSource::scaled);
    QStringList parts;
    if (map.cells(CellSource::fisher) > 0) {
        const FisherKnowledge& fisher = session_->damageTable().fisher();
        QString text = fisher.probes > 0 ? tr("Prediction: Fisher, %1 probes").arg(fisher.probes) : tr("Prediction: Fisher");
        if (fisher.probes > 0 && fisher.segments > 1) text += tr(" × %1 segments").arg(fisher.segments);
        parts << text;
        if (measured > 0) parts << tr("%1 % of %2 cells measured").arg(100 * measured / all).arg(all);
    } else if (model_->comparable()) {
        parts << (scaled > 0 ? tr("Prediction: KL, %1 % of %2 cells measured, the rest scaled by output error").arg(100 * measured / all).arg(all)
                             : tr("Prediction: measured KL, %1 cells").arg(all));
    } else {
        parts << tr("Prediction: output error, %1 cells").arg(all);
    }
    parts << tr("run %1").arg(map.run.value());
    return parts.join(QStringLiteral(" · "));
}

/// What a probe is, and what measured cells did to the estimates.
QString MixActions::sourceTip() const {
    const FisherKnowledge& fisher = session_->damageTable().fisher();
    const DamageMap& map = model_->map();
    if (map.cells(CellSource::fisher) == 0 || fisher.probes == 0) return {};
    QString tip = tr("A probe is a gradient of the model's log-likelihood at labels that it drew itself.");
    if (fisher.segments > 1)
        tip += tr("\nThe positions of its window are cut into %1 segments with a projection of every change each:\n%2 projections per cell.")
                   .arg(fisher.segments).arg(fisher.probes * fisher.segments);
    QStringList corrected;
    for (const QString& format : map.formats)
        if (const double factor = map.corrections.value(format, 1); std::abs(factor - 1) >= 0.005) corrected << tr("%1 × %2").arg(format).arg(factor, 0, 'f', 2);
    if (!corrected.isEmpty()) tip += tr("\nCorrected by the measured cells of each format: %1").arg(corrected.join(QStringLiteral(", ")));
    return tip;
}

void MixActions::refresh() {
    source_->setText(sourceLine());
    source_->setToolTip(sourceTip());
    const QString why = session_->whyNoForward();
    verify_->setEnabled(model_->hasModel() && why.isEmpty());
    verify_->setToolTip(why.isEmpty() ? tr("Quantizes in memory and measures KL and perplexity against the checkpoint") : why);
    solve_->setEnabled(model_->problem() != nullptr);
    const bool nats = model_->problem() && model_->comparable();
    uncertain_->setVisible(nats && why.isEmpty());
    uncertain_->setToolTip(tr("Measures the KL of the few cells whose error bars could change the mix of this size,\n"
                              "solves again on the better map, and so on until the mix stays."));
    const QString command = model_->hasModel() ? model_->command() : QString();
    command_->setToolTip(command.left(2000));
    command_->setAccessibleName(command);
    command_->setText((QStringLiteral("$ ") + command).left(2000));
}

} // namespace bw
