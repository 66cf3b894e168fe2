// SPDX-License-Identifier: GPL-3.0-or-later
// How large the file may be: a slider between the smallest and the largest mix of the map. Sliding takes the mix of the
// Pareto front at once; when the hand rests, the exact solution of that budget replaces it.
#pragma once

#include "widgets/mix/mix_state.h"
#include "widgets/mix/mix_solver.h"

#include <QSlider>
#include <QTimer>

class QLabel;

namespace bw {

class ElidedLabel;
class IntervalBars;

class BudgetPanel final : public QWidget {
    Q_OBJECT
public:
    BudgetPanel(Session* session, MixState* model, QWidget* parent = nullptr);
    QSlider* slider() const { return slider_; }
    /// Budget the slider stands at, bytes.
    quint64 budget() const;
    /// Solves for the slider's budget now, keeping pins.
    void solveNow();
    QString predictedText() const;

protected:
    bool eventFilter(QObject* object, QEvent* event) override;

private:
    void reload();
    void refresh();
    QString predictedTip() const;
    void slide();
    void ask();
    int positionOf(quint64 bytes) const;

    Session* session_;
    MixState* model_;
    MixSolver solver_;
    QTimer rest_;
    QSlider* slider_;
    QLabel* size_;
    QLabel* low_;
    QLabel* high_;
    QLabel* predicted_;
    QLabel* measured_;
    IntervalBars* bars_;
    ElidedLabel* explanation_;
    QString why_;              ///< the last solution's explanation
    bool solvedByButton_ = false;
};

} // namespace bw
