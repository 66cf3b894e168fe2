// SPDX-License-Identifier: GPL-3.0-or-later
// The Mix workspace: which format every site gets, what it costs and what it weighs. Puts the parts of this folder
// together; the figures come from MixState.
#pragma once

#include <QWidget>

class QLabel;
class QPushButton;
class QTabBar;

namespace bw {

class AgreementView;
class Session;
class MixState;
class BitsGrid;
class FormatChips;
class BudgetPanel;
class ParetoPlot;
class NextSteps;
class Panel;

class MixPage final : public QWidget {
    Q_OBJECT
public:
    explicit MixPage(Session* session, QWidget* parent = nullptr);
    MixState* model() const { return model_; }
    BitsGrid* grid() const { return grid_; }
    BudgetPanel* budget() const { return budget_; }
    ParetoPlot* pareto() const { return pareto_; }
    AgreementView* agreement() const { return agreement_; }

protected:
    void showEvent(QShowEvent* event) override;

private:
    QWidget* buildLeft();
    QWidget* buildRight();
    QWidget* buildMapCall();
    void refresh();

    Session* session_;
    MixState* model_;
    BitsGrid* grid_;
    FormatChips* chips_;
    BudgetPanel* budget_;
    ParetoPlot* pareto_;
    NextSteps* steps_;
    QTabBar* views_;
    AgreementView* agreement_;
    QLabel *hint_, *callTitle_, *callText_;
    QList<QPushButton*> sweeps_; ///< what makes a map
    Panel* paretoPanel_;
    QWidget* mapCall_;
    Panel* stepsPanel_;
};

} // namespace bw
