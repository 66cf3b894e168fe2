// SPDX-License-Identifier: GPL-3.0-or-later
#include "widgets/mix/methods_view.h"

#include "widgets/mix/method_guide.h"
#include "widgets/mix/method_panel.h"
#include "widgets/mix/methods_table.h"

#include <QVBoxLayout>

namespace bw {

MethodsView::MethodsView(Session* session, MixState* model, QWidget* parent) : QScrollArea(parent) {
    constexpr int kTableHeight = 180; ///< of a head and five rows
    setAccessibleName(tr("Methods"));
    setWidgetResizable(true);
    setFrameShape(QFrame::NoFrame);
    setHorizontalScrollBarPolicy(Qt::ScrollBarAlwaysOff);
    auto* page = new QWidget(this);
    page->setProperty("role", QStringLiteral("ground"));
    auto* all = new QVBoxLayout(page);
    all->setContentsMargins(0, 0, 0, 0);
    all->setSpacing(12);
    auto* table = new MethodsTable(session, model, page);
    table->setMinimumHeight(kTableHeight);
    all->addWidget(new MethodPanel(session, page));
    all->addWidget(new MethodGuide(session, page));
    all->addWidget(table, 1);
    setWidget(page);
}

} // namespace bw
