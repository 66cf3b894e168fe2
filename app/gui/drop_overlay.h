// SPDX-License-Identifier: GPL-3.0-or-later
// Shown over the whole window while something is dragged over it: that it will be taken, and as what.
#pragma once

#include <QWidget>

namespace bw {

class DropOverlay final : public QWidget {
    Q_OBJECT
public:
    explicit DropOverlay(QWidget* parent);
    void setText(const QString& text);

protected:
    void paintEvent(QPaintEvent* event) override;

private:
    QString text_;
};

} // namespace bw
