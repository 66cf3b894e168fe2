// SPDX-License-Identifier: GPL-3.0-or-later
// Draws the profile of a site's channel maxima in a cell of the tree.
#pragma once

#include <QStyledItemDelegate>

namespace bw {

class SparklineDelegate final : public QStyledItemDelegate {
    Q_OBJECT
public:
    using QStyledItemDelegate::QStyledItemDelegate;
    void paint(QPainter* painter, const QStyleOptionViewItem& option, const QModelIndex& index) const override;
};

} // namespace bw
