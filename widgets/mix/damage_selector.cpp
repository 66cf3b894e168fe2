// SPDX-License-Identifier: GPL-3.0-or-later
#include "widgets/mix/damage_selector.h"

#include <QMenu>

namespace bw {
namespace {

/// What a column holds, or what it waits for.
QString aboutColumn(DamageBy by, const DamageMap& map) {
    if (map.empty()) return by == DamageBy::output ? DamageSelector::tr("no output-error sweep yet")
                          : by == DamageBy::fisher ? DamageSelector::tr("no Fisher sweep yet")
                          : by == DamageBy::measured ? DamageSelector::tr("no KL sweep yet") : DamageSelector::tr("no sweep yet");
    QStringList parts;
    for (const CellSource source : {CellSource::measured, CellSource::fisher, CellSource::scaled, CellSource::output}) {
        if (const qsizetype count = map.cells(source); count > 0) parts << DamageSelector::tr("%1 of %2").arg(count).arg(sourceText(source));
    }
    return DamageSelector::tr("cells: %1 · run %2").arg(parts.join(QStringLiteral(", "))).arg(map.run.value());
}

} // namespace

QString DamageSelector::nameOf(DamageBy by) {
    switch (by) {
    case DamageBy::fisher: return tr("Fisher estimate");
    case DamageBy::measured: return tr("measured KL");
    case DamageBy::output: return tr("output error");
    default: return tr("best known");
    }
}

DamageSelector::DamageSelector(Session* session, MixState* model, QWidget* parent)
    : QToolButton(parent), session_(session), model_(model), menu_(new QMenu(this)) {
    setProperty("role", QStringLiteral("button"));
    setObjectName(QStringLiteral("mix.damageBy"));
    setToolButtonStyle(Qt::ToolButtonTextOnly);
    setPopupMode(QToolButton::InstantPopup);
    setMenu(menu_);
    menu_->setToolTipsVisible(true);
    connect(menu_, &QMenu::aboutToShow, this, &DamageSelector::fillMenu);
    connect(model_, &MixState::mapChanged, this, &DamageSelector::refresh);
    refresh();
}

void DamageSelector::fillMenu() {
    menu_->clear();
    for (const DamageBy by : {DamageBy::best, DamageBy::fisher, DamageBy::measured, DamageBy::output}) {
        const DamageMap& map = session_->damageTable().column(by);
        QAction* entry = menu_->addAction(QStringLiteral("%1\t%2").arg(nameOf(by), aboutColumn(by, map)),
                                          this, [this, by] { session_->setDamageBy(by); });
        entry->setCheckable(true);
        entry->setChecked(session_->damageTable().by() == by);
        entry->setEnabled(!map.empty());
    }
    menu_->actions().first()->setToolTip(tr("Measured where it was, the Fisher estimate elsewhere, output errors when there is nothing else"));
}

void DamageSelector::refresh() {
    const DamageBy by = session_->damageTable().by();
    setText(tr("%1  ▾").arg(nameOf(by)));
    setAccessibleName(tr("Damage by %1").arg(nameOf(by)));
    setToolTip(aboutColumn(by, model_->map()));
    setEnabled(!session_->damageTable().column(DamageBy::best).empty());
}

} // namespace bw
