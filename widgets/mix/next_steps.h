// SPDX-License-Identifier: GPL-3.0-or-later
// "What the next bytes buy": the steps up with the most damage saved per byte, each taken by a click.
#pragma once

#include "widgets/mix/mix_state.h"

#include <QWidget>

namespace bw {

class NextSteps final : public QWidget {
    Q_OBJECT
public:
    NextSteps(Session* session, MixState* model, QWidget* parent = nullptr);
    QSize sizeHint() const override { return {380, 5 * 25}; }
    QSize minimumSizeHint() const override { return {220, 2 * 25}; }
    const QVector<MixStep>& steps() const { return steps_; }

protected:
    void paintEvent(QPaintEvent* event) override;
    void resizeEvent(QResizeEvent* event) override;
    void mouseMoveEvent(QMouseEvent* event) override;
    void mousePressEvent(QMouseEvent* event) override;
    void leaveEvent(QEvent* event) override;
    void keyPressEvent(QKeyEvent* event) override;

private:
    void reload();
    void take(int row);
    void describe();
    QString explanation(const MixStep& step) const;
    Session* session_;
    MixState* model_;
    QVector<MixStep> steps_;
    int hover_ = -1, current_ = 0;
};

} // namespace bw
