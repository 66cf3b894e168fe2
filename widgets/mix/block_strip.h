// SPDX-License-Identifier: GPL-3.0-or-later
// Bytes of each block as stacked bars coloured by format: where the file's weight lies.
#pragma once

#include "widgets/mix/mix_state.h"

#include <QWidget>

namespace bw {

class BlockStrip final : public QWidget {
    Q_OBJECT
public:
    BlockStrip(Session* session, MixState* model, QWidget* parent = nullptr);
    QSize sizeHint() const override { return {620, 130}; }
    QSize minimumSizeHint() const override { return {200, 70}; }
    QString csv() const;

protected:
    void paintEvent(QPaintEvent* event) override;
    void mousePressEvent(QMouseEvent* event) override;
    bool event(QEvent* event) override;

private:
    QRectF area() const;
    int siteAt(const QPointF& position) const;
    quint64 largestBlock() const;
    Session* session_;
    MixState* model_;
};

} // namespace bw
