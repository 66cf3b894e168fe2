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
    all->setContentsMargins(0, 0, 4, 0); // off the scroll bar
    all->setSpacing(12);
    auto* table = new MethodsTable(session, model, page);
    table->setMinimumHeight(kTableHeight);
    method_ = new MethodPanel(session, page);
    guide_ = new MethodGuide(session, page);
    all->addWidget(method_);
    all->addWidget(guide_);
    all->addWidget(table, 1);
    setWidget(page);
}

/// The view decides, not its parts: their own width is never less than what they need in a row.
void MethodsView::resizeEvent(QResizeEvent* event) {
    constexpr int kNarrow = 560; ///< px below which no sentence fits beside a box
    const bool narrow = viewport()->width() < kNarrow;
    method_->setNarrow(narrow);
    guide_->setNarrow(narrow);
    QScrollArea::resizeEvent(event);
}

} // namespace bw
