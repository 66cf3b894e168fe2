// SPDX-License-Identifier: GPL-3.0-or-later
#include "widgets/compare/diagnosis_view.h"

#include "widgets/model/mini_plots.h"
#include "widgets/plots/number_text.h"
#include "widgets/session/counted.h"
#include "widgets/theme/theme.h"

#include <QHBoxLayout>
#include <QLabel>
#include <QPushButton>
#include <QScrollArea>
#include <QVBoxLayout>
#include <cmath>

namespace bw {
namespace {

constexpr qsizetype kMostBars = 6;

QLabel* label(const char* role, QWidget* parent) {
    auto* made = new QLabel(parent);
    made->setProperty("role", QString::fromLatin1(role));
    made->setTextFormat(Qt::PlainText);
    made->setWordWrap(true);
    made->setTextInteractionFlags(Qt::TextSelectableByMouse);
    return made;
}

} // namespace

DiagnosisView::DiagnosisView(QWidget* parent) : QWidget(parent) {
    auto* all = new QHBoxLayout(this);
    all->setContentsMargins(0, 0, 0, 0);
    all->setSpacing(16);
    build(a_, QStringLiteral("a"));
    build(b_, QStringLiteral("b"));
}

void DiagnosisView::build(Half& half, const QString& letter) {
    auto* scroll = new QScrollArea(this);
    scroll->setWidgetResizable(true);
    scroll->setFrameShape(QFrame::NoFrame);
    scroll->setHorizontalScrollBarPolicy(Qt::ScrollBarAlwaysOff);
    auto* body = new QWidget(scroll);
    body->setProperty("role", QStringLiteral("bar"));
    half.title = label("title", body);
    half.words = label("muted", body);
    half.bars = new BarList(body);
    half.bars->setAccessibleName(tr("Sites behind the loss"));
    half.raise = new QPushButton(body);
    half.raise->setObjectName(QStringLiteral("compare.raise.") + letter);
    half.find = new QPushButton(tr("Find out why"), body);
    half.find->setObjectName(QStringLiteral("compare.diagnose.") + letter);
    half.find->setToolTip(tr("Measures which sites' original weights win the loss back, and the worst tokens. Nothing is written but the log."));
    half.findings = new QVBoxLayout;
    half.findings->setSpacing(8);
    auto* column = new QVBoxLayout(body);
    column->setContentsMargins(0, 0, 8, 0);
    column->setSpacing(6);
    column->addWidget(half.title);
    column->addWidget(half.bars);
    column->addWidget(half.words);
    auto* buttons = new QHBoxLayout;
    buttons->addWidget(half.raise);
    buttons->addWidget(half.find);
    buttons->addStretch(1);
    column->addLayout(buttons);
    column->addLayout(half.findings);
    column->addStretch(1);
    scroll->setWidget(body);
    layout()->addWidget(scroll);
    connect(half.find, &QPushButton::clicked, this, [this, &half] { Q_EMIT diagnoseWanted(half.side.diagnosis.of); });
    connect(half.raise, &QPushButton::clicked, this, [this, &half] {
        QStringList sites;
        for (const Diagnosis::Share& culprit : std::as_const(half.side.diagnosis.culprits)) sites << culprit.site;
        Q_EMIT raiseWanted(half.side.diagnosis.of, sites, half.side.diagnosis.raiseFormat);
    });
}

void DiagnosisView::setSides(const Side& a, const Side& b) {
    a_.side = a;
    b_.side = b;
    show(a_);
    show(b_);
}

void DiagnosisView::show(Half& half) {
    const Diagnosis& d = half.side.diagnosis;
    const Tokens& t = Theme::instance().tokens();
    const bool first = &half == &a_;
    half.title->setText((first ? QStringLiteral("A · ") : QStringLiteral("B · ")) + half.side.title);
    QList<BarList::Bar> bars;
    for (const Diagnosis::Share& culprit : d.culprits.mid(0, kMostBars)) {
        if (!std::isfinite(culprit.share)) continue; // not measured alone: there is nothing to draw
        const QString share = QStringLiteral("%1 %").arg(100 * culprit.share, 0, 'f', 0);
        bars << BarList::Bar{culprit.site, share, tr("%1: putting its original weights back wins %2 of the loss").arg(culprit.site, share), std::clamp(culprit.share, 0.0, 1.0), first ? t.accent : t.amber, false};
    }
    half.bars->setBars(bars);
    half.bars->setVisible(!bars.isEmpty());
    const bool raise = !d.raiseFormat.isEmpty() && !d.culprits.isEmpty();
    half.raise->setVisible(raise);
    half.raise->setText(counted(d.culprits.size(), tr("Raise this site to %1").arg(d.raiseFormat), tr("Raise these %1 to %2").arg(QStringLiteral("%1"), d.raiseFormat)));
    half.raise->setToolTip(tr("Takes this run's mix into the recipe with these sites raised, as one step that can be undone."));
    half.find->setVisible(!d.known() && half.side.whyNot.isEmpty());
    if (!d.known()) {
        half.words->setText(!half.side.whyNot.isEmpty() ? half.side.whyNot : tr("Not diagnosed yet: which sites cost this run what it lost, and at which tokens?"));
    } else if (raise) {
        half.words->setText(tr("KL %1 → %2 for %3 more").arg(figureText(d.klBefore), figureText(d.klAfter), bytesText(d.raiseBytes)));
    } else {
        half.words->clear();
    }
    half.words->setVisible(!half.words->text().isEmpty());
    while (QLayoutItem* item = half.findings->takeAt(0)) {
        if (item->widget()) item->widget()->deleteLater();
        delete item;
    }
    for (const Diagnosis::Finding& finding : d.findings) {
        QWidget* parent = half.title->parentWidget();
        auto* head = label("stage", parent);
        head->setText(finding.title);
        auto* rest = label("muted", parent);
        rest->setText(finding.evidence + QStringLiteral("\n→ ") + finding.advice);
        half.findings->addWidget(head);
        half.findings->addWidget(rest);
    }
}

} // namespace bw
