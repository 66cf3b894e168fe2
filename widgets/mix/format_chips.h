// SPDX-License-Identifier: GPL-3.0-or-later
// Legend and brushes in one: a coloured chip for 2 3 4 5 6 8 16 bits. A chip pressed is the brush of the grid; its menu
// chooses which format of these bits it stands for.
#pragma once

#include "widgets/mix/mix_state.h"

#include <QAbstractButton>
#include <QWidget>

namespace bw {

class FormatChip final : public QAbstractButton {
    Q_OBJECT
public:
    FormatChip(int bits, QWidget* parent);
    int bits() const { return bits_; }
    QSize sizeHint() const override { return {34, 22}; }
    QSize minimumSizeHint() const override { return {22, 20}; }

protected:
    void paintEvent(QPaintEvent* event) override;

private:
    int bits_;
};

class FormatChips final : public QWidget {
    Q_OBJECT
public:
    explicit FormatChips(MixState* model, QWidget* parent = nullptr);
    void clearBrush();

Q_SIGNALS:
    void brushChosen(const QString& format); ///< empty: none

private:
    void reload();
    void openMenu(FormatChip* chip, const QPoint& position);
    MixState* model_;
    QVector<FormatChip*> chips_;
};

} // namespace bw
