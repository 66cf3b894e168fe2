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

namespace bw {

MixActions::MixActions(Session* session, MixState* model, QWidget* parent)
    : QWidget(parent), session_(session), model_(model), source_(new ElidedLabel(this)), verify_(new QPushButton(tr("Verify mix"), this)),
      solve_(new QPushButton(tr("Solve budget"), this)), presets_(new QPushButton(tr("Presets ▾"), this)),
      presetMenu_(new QMenu(this)), command_(new ElidedLabel(this)) {
    source_->setProperty("role", QStringLiteral("muted"));
    verify_->setProperty("role", QStringLiteral("accent"));
    verify_->setToolTip(tr("Quantizes in memory and measures KL and perplexity against the checkpoint"));
    solve_->setToolTip(tr("The least predicted damage that fits the budget; pinned sites stay"));
    presets_->setToolTip(tr("Start from one format everywhere, or measure another map"));
    presets_->setMenu(presetMenu_);
    presets_->setStyleSheet(QStringLiteral("QPushButton::menu-indicator { image: none; width: 0; }"));
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
    all->addLayout(buttons);
    all->addLayout(line);

    connect(verify_, &QPushButton::clicked, this, [this] { Q_EMIT session_->runRequested(model_->verifyRecipe(), RunId()); });
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
    presetMenu_->addAction(tr("Measure a map by output error"), this, [this] { Q_EMIT session_->runRequested(model_->sweepRecipe("output"), RunId()); });
    presetMenu_->addAction(tr("Measure a map by KL"), this, [this] { Q_EMIT session_->runRequested(model_->sweepRecipe("kl"), RunId()); });
}

void MixActions::refresh() {
    const DamageMap& map = model_->map();
    QString source = tr("No map: damage is not known.");
    if (!map.empty()) {
        const qsizetype all = map.measured + map.estimated;
        source = map.estimated > 0 ? tr("Prediction: KL, %1 % of %2 cells measured, the rest scaled by output error · run %3")
                                         .arg(100 * map.measured / all).arg(all).arg(session_->sweepRun().value())
                                   : tr("Prediction: %1, %2 cells · run %3")
                                         .arg(model_->comparable() ? tr("measured KL") : tr("output error")).arg(all).arg(session_->sweepRun().value());
    }
    source_->setText(source);
    verify_->setEnabled(model_->hasModel());
    solve_->setEnabled(model_->problem() != nullptr);
    const QString command = model_->hasModel() ? model_->command() : QString();
    command_->setToolTip(command.left(2000));
    command_->setAccessibleName(command);
    command_->setText((QStringLiteral("$ ") + command).left(2000));
}

} // namespace bw
