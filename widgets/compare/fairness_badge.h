// SPDX-License-Identifier: GPL-3.0-or-later
// "Same data, same settings, same stack?": green when two runs may be compared, amber with the reason when not.
#pragma once

#include <QStringList>
#include <QWidget>

namespace bw {

class FairnessBadge final : public QWidget {
    Q_OBJECT
public:
    explicit FairnessBadge(QWidget* parent = nullptr);
    void setFair(bool fair, const QStringList& reasons);
    bool fair() const { return fair_; }
    QSize sizeHint() const override { return {250, 48}; }
    QSize minimumSizeHint() const override { return {190, 48}; }

protected:
    void paintEvent(QPaintEvent* event) override;

private:
    bool fair_ = true;
    QString title_, reason_;
};

} // namespace bw
