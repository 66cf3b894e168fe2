// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/gui/rail.h"

#include "widgets/theme/theme.h"

#include <QButtonGroup>
#include <QMenu>
#include <QToolButton>
#include <QVBoxLayout>

namespace bw {
namespace {

QToolButton* railButton(const QString& icon, const QString& label, QWidget* parent) {
    auto* button = new QToolButton(parent);
    button->setProperty("role", QStringLiteral("rail"));
    button->setIcon(Theme::instance().icon(icon));
    button->setIconSize({22, 22});
    button->setText(label);
    button->setAccessibleName(label);
    button->setToolButtonStyle(Qt::ToolButtonTextUnderIcon);
    button->setFixedSize(72, 60);
    return button;
}

} // namespace

QList<WorkspaceInfo> workspaces() {
    return {{QStringLiteral("model"), QStringLiteral("model"), Rail::tr("Model")},
            {QStringLiteral("calibrate"), QStringLiteral("calibrate"), Rail::tr("Calibrate")},
            {QStringLiteral("mix"), QStringLiteral("mix"), Rail::tr("Mix")},
            {QStringLiteral("runs"), QStringLiteral("runs"), Rail::tr("Runs")},
            {QStringLiteral("compare"), QStringLiteral("compare"), Rail::tr("Compare")}};
}

Rail::Rail(QMenu* menu, QWidget* parent) : QWidget(parent), buttons_(new QButtonGroup(this)) {
    setProperty("role", QStringLiteral("bar"));
    setAttribute(Qt::WA_StyledBackground);
    setFixedWidth(72);
    auto* column = new QVBoxLayout(this);
    column->setContentsMargins(0, 48, 0, 8);
    column->setSpacing(4);
    int index = 0;
    for (const WorkspaceInfo& info : workspaces()) {
        auto* button = railButton(info.icon, info.label, this);
        button->setCheckable(true);
        button->setObjectName(QStringLiteral("rail.") + info.name);
        button->setToolTip(tr("%1 (Ctrl+%2)").arg(info.label).arg(index + 1));
        buttons_->addButton(button, index++);
        column->addWidget(button);
    }
    column->addStretch(1);
    auto* more = railButton(QStringLiteral("menu"), tr("Menu"), this);
    more->setObjectName(QStringLiteral("rail.menu"));
    more->setMenu(menu);
    more->setPopupMode(QToolButton::InstantPopup);
    column->addWidget(more);
    connect(buttons_, &QButtonGroup::idClicked, this, &Rail::chosen);
}

void Rail::setCurrent(int index) {
    if (QAbstractButton* button = buttons_->button(index)) button->setChecked(true);
}

} // namespace bw
