// SPDX-License-Identifier: GPL-3.0-or-later
// A line of text that shortens itself with "…" where there is no room, instead of being cut or widening the page; the
// whole text is in the tool tip.
#pragma once

#include <QLabel>

namespace bw {

class ElidedLabel : public QLabel {
    Q_OBJECT
public:
    explicit ElidedLabel(QWidget* parent = nullptr, Qt::TextElideMode mode = Qt::ElideRight);
    /// Room for a few letters; the layout may give it less than its text wants.
    QSize minimumSizeHint() const override;

protected:
    bool event(QEvent* event) override;
    void paintEvent(QPaintEvent* event) override;

private:
    QString shown() const;
    Qt::TextElideMode mode_;
};

} // namespace bw
