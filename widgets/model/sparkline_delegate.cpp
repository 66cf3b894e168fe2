// SPDX-License-Identifier: GPL-3.0-or-later
#include "widgets/model/sparkline_delegate.h"

#include "widgets/model/site_tree_model.h"
#include "widgets/theme/theme.h"

#include <QPainter>
#include <QPainterPath>
#include <algorithm>

namespace bw {

void SparklineDelegate::paint(QPainter* painter, const QStyleOptionViewItem& option, const QModelIndex& index) const {
    QStyledItemDelegate::paint(painter, option, index);
    const auto values = index.data(SiteTreeModel::kSparklineRole).value<QVector<float>>();
    if (values.size() < 2) return;
    const float top = *std::max_element(values.begin(), values.end());
    if (!(top > 0)) return;
    const QRectF box = QRectF(option.rect).adjusted(4, 4, -6, -4);
    QPainterPath line;
    for (qsizetype i = 0; i < values.size(); ++i) {
        const QPointF at(box.left() + box.width() * static_cast<double>(i) / static_cast<double>(values.size() - 1),
                         box.bottom() - box.height() * static_cast<double>(values[i] / top));
        i == 0 ? line.moveTo(at) : line.lineTo(at);
    }
    painter->save();
    painter->setRenderHint(QPainter::Antialiasing);
    painter->setPen(QPen(Theme::instance().tokens().accent, 1.2));
    painter->drawPath(line);
    painter->restore();
}

} // namespace bw
