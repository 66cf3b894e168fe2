// SPDX-License-Identifier: GPL-3.0-or-later
// What can be done with the mix: verify it, solve for the budget, presets, measure a map; and the command line that
// does the same.
#pragma once

#include "widgets/mix/mix_state.h"

#include <QWidget>

class QLabel;
class QMenu;
class QPushButton;

namespace bw {

class MixActions final : public QWidget {
    Q_OBJECT
public:
    MixActions(Session* session, MixState* model, QWidget* parent = nullptr);

Q_SIGNALS:
    void solveRequested();

private:
    void refresh();
    QString sourceLine() const;
    QString sourceTip() const;
    void fillPresets();
    Session* session_;
    MixState* model_;
    QLabel* source_;
    QPushButton* verify_;
    QPushButton* solve_;
    QPushButton* uncertain_;
    QPushButton* presets_;
    QMenu* presetMenu_;
    QLabel* command_;
};

} // namespace bw
