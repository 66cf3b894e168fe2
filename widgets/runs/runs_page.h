// SPDX-License-Identifier: GPL-3.0-or-later
// The Runs workspace: filter, sort, star, tag and note the experiments; open one, compare two.
#pragma once

#include "core/base/types.h"

#include <QWidget>

class QCheckBox;
class QLabel;
class QLineEdit;
class QMenu;
class QPushButton;
class QTreeView;

namespace bw {

class Panel;
class RunDetails;
class RunsModel;
class Session;

class RunsPage final : public QWidget {
    Q_OBJECT
public:
    explicit RunsPage(Session* session, QWidget* parent = nullptr);

private:
    QWidget* makeToolRow();
    void buildTable();
    void reload();
    void keepChosen();
    void restoreChosen();
    void showCount();
    void applyColumns();
    void fillColumnsMenu();
    void fillContextMenu(QMenu* menu);
    QVector<int> shownColumns() const;
    QList<RunId> chosenRuns() const; ///< selected, in the order of the table
    void refreshButtons();
    void showDetails();
    void openRun(RunId run);
    void goOn(RunId run);
    void compareChosen();
    void toggleStar(RunId run);
    void editTag();
    void editNote();
    void copyRunCommand(RunId run);

    Session* session_;
    RunsModel* runs_;
    QTreeView* table_;
    QLineEdit* filter_;
    QCheckBox* grouped_;
    QPushButton *compare_, *open_;
    QLabel* empty_;
    QMenu* columns_;
    Panel* panel_;
    RunDetails* details_ = nullptr;
    QStringList hidden_; ///< column keys not shown
    QList<RunId> kept_;  ///< chosen before rows moved
    RunId keptCurrent_;
    bool ordered_ = false, named_ = false;
};

} // namespace bw
