// SPDX-License-Identifier: GPL-3.0-or-later
// KL at every scored token of both runs over each other; the wheel zooms, dragging moves, a click chooses the token that
// the text shows.
#pragma once

#include "widgets/plots/plot_style.h"

#include <vector>

namespace bw {

class TokenCurve final : public Plot {
    Q_OBJECT
public:
    explicit TokenCurve(QWidget* parent = nullptr);
    /// Either may be empty. @param overlaid false: different tokens, so that only A is drawn.
    void setScores(const std::vector<float>& a, const std::vector<float>& b, bool overlaid, const QString& emptyText);
    void setCurrent(qsizetype token);
    qsizetype current() const { return current_; }
    QString csv() const;
    QSize sizeHint() const override { return {380, 200}; }
    QSize minimumSizeHint() const override { return {110, 90}; }

Q_SIGNALS:
    void tokenChosen(qsizetype token);

protected:
    void mousePressEvent(QMouseEvent* event) override;
    void mouseReleaseEvent(QMouseEvent* event) override;
    void keyPressEvent(QKeyEvent* event) override;
    bool event(QEvent* event) override;

private:
    void recolor();
    void showAll();
    void sample();
    qsizetype tokenAt(double x) const;

    QCPGraph* a_;
    QCPGraph* b_;
    QCPItemStraightLine* cursor_;
    PlotMessage* message_;
    std::vector<float> klA_, klB_;
    qsizetype current_ = -1;
    QPointF pressed_;
};

} // namespace bw
